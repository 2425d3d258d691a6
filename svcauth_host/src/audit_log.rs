//! Delivers audit records to the host's log: journald first, else `/dev/log`.
//!
//! The sender may run inside sshd with a login waiting for it. So it never blocks: syslog(3) and every client that uses
//! a connected, blocking socket hang for ever once the receiver's queue is full and nobody reads. This one opens an
//! unconnected datagram socket per record, asks the kernel not to wait, and gives up at its deadline. Nothing is kept
//! between records, so a restarted receiver is found again by itself.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socket};
use std::fmt;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use svcauth_core::audit::{LINE_MAX, Record, VALUE_MAX, escape};

/// How long a record may take unless the caller says otherwise.
pub const DEADLINE: Duration = Duration::from_millis(100);

/// However long the caller is ready to wait, nobody waits longer: a login hangs on it.
const DEADLINE_MAX: Duration = Duration::from_secs(1);

/// Between two attempts at a full queue. poll(2) cannot wait for the queue of a peer one is not connected to.
const PAUSE: Duration = Duration::from_millis(2);

/// LOG_AUTHPRIV of syslog(3), already shifted into its place of the priority.
const AUTHPRIV: u8 = 10 << 3;

/// Longest message of a [`SyslogWriter`] in bytes before escaping, which makes at most four bytes of one.
const MESSAGE_MAX: usize = LINE_MAX / 4;

/// The sockets of the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sinks {
    /// journald's native socket (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
    pub journal: PathBuf,
    /// The socket of syslog(3).
    pub syslog: PathBuf,
}

impl Default for Sinks {
    fn default() -> Self {
        Self { journal: PathBuf::from("/run/systemd/journal/socket"), syslog: PathBuf::from("/dev/log") }
    }
}

/// Who took the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// journald.
    Journal,
    /// Whoever reads `/dev/log`.
    Syslog,
}

/// Nobody took the record: both sockets and what the kernel said about each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// journald's socket; `EAGAIN` means that its queue stayed full until the deadline.
    pub journal: (PathBuf, Errno),
    /// The syslog socket.
    pub syslog: (PathBuf, Errno),
    /// The deadline that was kept.
    pub deadline: Duration,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no log took the record within {} ms", self.deadline.as_millis())?;
        for (path, errno) in [&self.journal, &self.syslog] {
            write!(f, "; {}: {}", path.display(), errno.desc())?;
        }
        f.write_str("; see that systemd-journald or a syslog daemon is running and keeps up")
    }
}

impl std::error::Error for Unavailable {}

/// Hands a record to the host's log, and returns within `deadline` (at most one second) whatever happens.
///
/// journald gets half of the time, `/dev/log` the rest. A record that the socket finds too long goes with shortened values.
/// Success means that the kernel has queued the record at the receiver; what the receiver does with it is its own.
///
/// # Errors
/// [`Unavailable`] if neither took it.
pub fn send(record: &Record, sinks: &Sinks, deadline: Duration) -> Result<Sink, Unavailable> {
    let deadline = deadline.min(DEADLINE_MAX);
    let start = Instant::now();
    let until = |share: Duration| start.checked_add(share).unwrap_or(start);
    let refused = |journal, syslog| Unavailable {
        journal: (sinks.journal.clone(), journal),
        syslog: (sinks.syslog.clone(), syslog),
        deadline,
    };
    let socket = open().map_err(|errno| refused(errno, errno))?;
    let journal = match deliver(&socket, &sinks.journal, record, Record::to_journal, until(deadline / 2), &[])
    {
        Ok(()) => return Ok(Sink::Journal),
        Err(errno) => errno,
    };
    match deliver(&socket, &sinks.syslog, record, to_syslog, until(deadline), &RESTARTING) {
        Ok(()) => Ok(Sink::Syslog),
        Err(errno) => Err(refused(journal, errno)),
    }
}

/// `<PRI>svcauth[PID]: line` (RFC 3164, section 4). There is no time stamp: both rsyslog and journald put their own, and
/// the local time cannot be had without reading files inside somebody else's process.
fn to_syslog(record: &Record) -> Vec<u8> {
    let priority = AUTHPRIV | record.severity().code();
    format!("<{priority}>svcauth[{}]: {}", std::process::id(), record.to_line()).into_bytes()
}

fn open() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Datagram, flags, None)
}

fn deliver(
    socket: &OwnedFd,
    path: &Path,
    record: &Record,
    encode: fn(&Record) -> Vec<u8>,
    until: Instant,
    worth_waiting: &[Errno],
) -> Result<(), Errno> {
    let address = UnixAddr::new(path)?;
    match push(socket, &address, &encode(record), until, worth_waiting) {
        Err(Errno::EMSGSIZE) => {
            push(socket, &address, &encode(&record.shortened(VALUE_MAX)), until, worth_waiting)
        }
        other => other,
    }
}

/// What a log daemon that is being restarted looks like. There is nothing behind `/dev/log` to fall back on, so the time
/// that is left is spent waiting for it: a login must not be refused because rsyslog was upgraded in that millisecond.
const RESTARTING: [Errno; 2] = [Errno::ENOENT, Errno::ECONNREFUSED];

/// One datagram: at once, or as soon as the queue has room again before `until`.
fn push(
    socket: &OwnedFd,
    address: &UnixAddr,
    datagram: &[u8],
    until: Instant,
    worth_waiting: &[Errno],
) -> Result<(), Errno> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    loop {
        let errno = match sendto(socket.as_raw_fd(), datagram, address, flags) {
            Ok(_) => return Ok(()),
            Err(errno) => errno,
        };
        let left = until.saturating_duration_since(Instant::now());
        let passing =
            matches!(errno, Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) || worth_waiting.contains(&errno);
        if !passing || left.is_zero() {
            return Err(errno);
        }
        std::thread::sleep(left.min(PAUSE));
    }
}

/// A writer whose every `write` is one datagram to `/dev/log`, with the same promise never to block: what the daemon
/// gives to the formatters of the `syslog` crate in place of that crate's own, blocking writer.
///
/// Control and other unprintable characters are escaped, so that one message is one line; a long one is cut.
#[derive(Clone, Debug)]
pub struct SyslogWriter {
    socket: PathBuf,
    deadline: Duration,
}

impl SyslogWriter {
    /// A writer to the syslog socket of `sinks`.
    #[must_use]
    pub fn new(sinks: &Sinks, deadline: Duration) -> Self {
        Self { socket: sinks.syslog.clone(), deadline: deadline.min(DEADLINE_MAX) }
    }
}

impl std::io::Write for SyslogWriter {
    fn write(&mut self, message: &[u8]) -> std::io::Result<usize> {
        let head = message.get(..MESSAGE_MAX).unwrap_or(message);
        let text = escape::bytes_for_terminal(head);
        let start = Instant::now();
        let until = start.checked_add(self.deadline).unwrap_or(start);
        let address = UnixAddr::new(&self.socket)?;
        push(&open()?, &address, text.as_bytes(), until, &[])?;
        Ok(message.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    /// The provided method would write, and so send, each piece of a message on its own.
    fn write_fmt(&mut self, message: fmt::Arguments<'_>) -> std::io::Result<()> {
        self.write(message.to_string().as_bytes()).map(drop)
    }
}

#[cfg(test)]
#[path = "audit_log_tests.rs"]
mod tests;
