//! Asking the daemon.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt::PeerCredentials,
};
use svcauth_host::paths;
use svcauth_host::snapshot_file::SnapshotError;

use super::output::Failure;
use crate::config_file::{ConfigFileError, Loaded};
use crate::control::{Counts, Reply, Request};
use crate::frame;

/// What to do when there is no daemon.
pub(crate) const NOT_RUNNING: &str =
    "svcauthd is not running; run: systemctl start svcauthd; why it ended is told by: journalctl -u svcauthd";

/// How long a daemon may take to take a connection, where nobody waits for an answer.
const QUEUE: Duration = Duration::from_secs(5);

/// Where nobody has written a configuration.
pub(crate) const NOT_SET_UP: &str = "svcauth is not set up on this host; run: svcauth setup";

/// The same where it is clear why: nobody has written a configuration, without which systemd starts nothing and says nothing, or
/// it has a fault. Who may not read it is told nothing about it.
pub(crate) fn why_not_running() -> Option<String> {
    match Loaded::read() {
        Err(error) if error.is_missing() => Some(NOT_SET_UP.to_owned()),
        Err(ConfigFileError::File(_, SnapshotError::Refused(_))) | Ok(_) => None,
        Err(error) => {
            Some(format!("svcauthd is not running: {error}; correct it and run: systemctl restart svcauthd"))
        }
    }
}

/// Why the daemon did not answer.
pub(crate) enum NoAnswer {
    /// None is running.
    NotRunning,
    /// Something went wrong on the way.
    Failed(io::Error),
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NotRunning,
            _ => Self::Failed(error),
        }
    }
}

impl From<NoAnswer> for Failure {
    fn from(why: NoAnswer) -> Self {
        match why {
            NoAnswer::NotRunning => Self::new(why_not_running().unwrap_or_else(|| NOT_RUNNING.to_owned())),
            NoAnswer::Failed(error) => {
                Self::new(format!("svcauthd does not answer on {}: {error}", paths::SOCKET))
            }
        }
    }
}

/// Sends one request and does not wait: neither for a reply, nor for a daemon that takes no connections.
pub(super) fn tell(request: &Request) {
    let _ = try_to_tell(request);
}

fn try_to_tell(request: &Request) -> io::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // With its queue full this fails at once, where a socket that may wait would wait for ever.
    connect(socket.as_raw_fd(), &UnixAddr::new(paths::SOCKET)?)?;
    let mut stream = UnixStream::from(socket);
    if getsockopt(&stream, PeerCredentials)?.uid() != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    frame::write(&mut stream, request, frame::CONTROL_MAX)
}

/// Sends one request and waits for its reply.
pub(crate) fn ask(request: &Request, patience: Option<Duration>) -> Result<Reply, NoAnswer> {
    ask_and_watch(request, patience, &mut |_| {})
}

/// The process that answers on the socket.
pub(crate) fn daemon_pid() -> io::Result<i32> {
    let credentials = getsockopt(&reach(Some(QUEUE))?, PeerCredentials)?;
    if credentials.uid() == 0 { Ok(credentials.pid()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

/// A connection. A daemon that stands still takes none, and once its queue is full connect(2) waits for ever by itself.
fn reach(patience: Option<Duration>) -> io::Result<UnixStream> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let stream = UnixStream::from(socket);
    stream.set_write_timeout(patience)?;
    let address = UnixAddr::new(paths::SOCKET)?;
    loop {
        match connect(stream.as_raw_fd(), &address) {
            Err(Errno::EINTR) => {}
            other => return Ok(other.map(|()| stream)?),
        }
    }
}

/// Sends one request and waits for its reply; a refresh may take as long as the directory is slow, and how far it is goes
/// to `progress`.
pub(super) fn ask_and_watch(
    request: &Request,
    patience: Option<Duration>,
    progress: &mut dyn FnMut(Counts),
) -> Result<Reply, NoAnswer> {
    let mut stream = reach(patience)?;
    if getsockopt(&stream, PeerCredentials).map_err(io::Error::from)?.uid() != 0 {
        return Err(NoAnswer::Failed(io::Error::other(
            "the program behind the socket does not run as root; is it svcauthd?",
        )));
    }
    stream.set_read_timeout(patience)?;
    frame::write(&mut stream, request, frame::CONTROL_MAX)?;
    loop {
        match frame::read(&mut stream, frame::CONTROL_MAX)? {
            Some(Reply::Progress(counts)) => progress(counts),
            Some(reply) => return Ok(reply),
            None => return Err(NoAnswer::Failed(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}
