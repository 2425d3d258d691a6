//! The conversation with the daemon.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};
use svcauth_core::command::protocol::{Answer, Ask, MESSAGE_MAX, Told};

use crate::failure::Failure;

/// Where the daemon listens.
pub(crate) const SOCKET: &str = "/run/svcauth/command.sock";
/// How long a daemon may be away: it is started anew in an upgrade.
pub(crate) const AWAY: Duration = Duration::from_secs(10);
/// How long a daemon that is there may take for its answer.
const THINKING: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(25);

/// A connection whose question has been answered.
#[derive(Debug)]
pub(crate) struct Connection(UnixStream);

/// Asks, and waits for the answer.
///
/// # Errors
/// No daemon within [`AWAY`], no answer, another one listens there, or an answer that makes no sense.
pub(crate) fn ask(ask: &Ask) -> Result<(Connection, Answer), Failure> {
    let until = Instant::now() + AWAY;
    loop {
        match try_to_ask(ask, THINKING) {
            Ok(asked) => return Ok(asked),
            Err(Trouble::Final(failure)) => return Err(failure),
            Err(Trouble::Away(_)) if Instant::now() < until => std::thread::sleep(PAUSE),
            Err(Trouble::Away(why)) => {
                let seconds = AWAY.as_secs();
                return Err(Failure::failed(format!(
                    "svcauthd did not answer for {seconds} s ({why}); nothing was run"
                )));
            }
        }
    }
}

/// One try, with so much time for the answer.
pub(crate) fn try_to_ask(ask: &Ask, thinking: Duration) -> Result<(Connection, Answer), Trouble> {
    let mut connection = Connection(open().map_err(|errno| Trouble::Away(errno.desc()))?);
    connection.check_peer()?;
    connection.send(&ask.encode()).map_err(|_| Trouble::Away("it hung up"))?;
    let message = connection.receive(Instant::now() + thinking)?;
    let answer = Answer::decode(&message).map_err(|_| {
        Trouble::Final(Failure::failed(
            "svcauthd answered something that this svcauth-shell does not understand",
        ))
    })?;
    Ok((connection, answer))
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There may be one soon.
    Away(&'static str),
    /// There will be none.
    Final(Failure),
}

fn open() -> nix::Result<UnixStream> {
    // A daemon that accepts nothing must not hold us: then connect(2) says EAGAIN.
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fresh = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(fresh.as_raw_fd(), &UnixAddr::new(SOCKET)?)?;
    let stream = UnixStream::from(fresh);
    stream.set_nonblocking(false).map_err(errno)?;
    Ok(stream)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

impl Connection {
    /// Only root can listen there; that it is so is asked anyway.
    fn check_peer(&self) -> Result<(), Trouble> {
        match getsockopt(&self.0, PeerCredentials) {
            Ok(peer) if peer.uid() == 0 => Ok(()),
            _ => Err(Trouble::Final(Failure::failed(format!(
                "{SOCKET} is not served by root; nothing was run"
            )))),
        }
    }

    /// Tells how the command goes. The daemon stamps the time.
    pub(crate) fn tell(&mut self, told: &Told) -> std::io::Result<()> {
        self.send(&told.encode())
    }

    fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(message.len()).ok().filter(|length| *length <= MESSAGE_MAX);
        let length = length.ok_or(ErrorKind::InvalidInput)?;
        self.0.set_write_timeout(Some(THINKING))?;
        // In one piece: the daemon is woken up once, when all of it is there.
        self.0.write_all(&[&length.to_le_bytes(), message].concat())
    }

    fn receive(&mut self, until: Instant) -> Result<Vec<u8>, Trouble> {
        let mut length = [0; 4];
        self.fill(&mut length, until)?;
        let length = u32::from_le_bytes(length);
        if length > MESSAGE_MAX {
            return Err(Trouble::Final(Failure::failed("svcauthd answered with a message that is too long")));
        }
        let mut message = vec![0; length as usize];
        self.fill(&mut message, until)?;
        Ok(message)
    }

    fn fill(&mut self, mut part: &mut [u8], until: Instant) -> Result<(), Trouble> {
        while !part.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late());
            }
            self.0.set_read_timeout(Some(left)).map_err(|_| Trouble::Away("it cannot be waited for"))?;
            match self.0.read(part) {
                Ok(0) => return Err(Trouble::Away("it hung up")),
                Ok(count) => part = part.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(late());
                }
                Err(_) => return Err(Trouble::Away("it hung up")),
            }
        }
        Ok(())
    }
}

fn late() -> Trouble {
    Trouble::Away("it takes too long")
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
