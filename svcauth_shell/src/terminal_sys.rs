//! Terminals: a new one for the command, raw mode for the one that we have.
#![allow(unsafe_code, reason = "ioctl(2): the file that the project keeps it in")]

use std::io::IsTerminal as _;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

/// How our terminal was set, while it is raw. In the end it is again, also when that end is a panic.
static OURS: Mutex<Option<libc::termios>> = Mutex::new(None);

/// Whether standard input, output and error are a terminal.
pub(crate) fn is_ours() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: u16,
    pub(crate) rows: u16,
}

/// A terminal of its own for a command. Our side of it does not block.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) master: PtyMaster,
    pub(crate) command: OwnedFd,
    /// Its name: `/dev/pts/7`.
    pub(crate) name: String,
}

/// A terminal with the settings and the size of ours.
pub(crate) fn new_terminal() -> nix::Result<Terminal> {
    let ours = std::io::stdin();
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags | OFlag::O_NONBLOCK)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname_r(&master)?;
    let command = open(name.as_str(), flags, Mode::empty())?;
    tcsetattr(&command, SetArg::TCSANOW, &tcgetattr(&ours)?)?;
    set_size(&command, &ours)?;
    Ok(Terminal { master, command, name })
}

/// Gives a terminal the size of ours, and says which that is. Whoever runs in its foreground hears of it.
pub(crate) fn set_size(of: &impl AsFd, ours: &impl AsFd) -> nix::Result<Size> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize (ioctl_tty(2)), and `size` is one.
    Errno::result(unsafe { libc::ioctl(ours.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    // SAFETY: TIOCSWINSZ reads one winsize.
    Errno::result(unsafe { libc::ioctl(of.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })?;
    Ok(Size { columns: size.ws_col, rows: size.ws_row })
}

/// In the process of the command: a session of its own with this terminal, as sshd and login make it.
pub(crate) fn take_terminal(command: &OwnedFd) -> nix::Result<()> {
    setsid()?;
    // SAFETY: TIOCSCTTY takes a number (ioctl_tty(2)); the 0 steals no terminal from others.
    Errno::result(unsafe { libc::ioctl(command.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
    dup2_stdin(command)?;
    dup2_stdout(command)?;
    dup2_stderr(command)
}

/// Our terminal hands everything on from now on: the other one knows lines, echo and the keys that signal.
pub(crate) fn make_raw() -> nix::Result<()> {
    let ours = std::io::stdin();
    let as_it_was = tcgetattr(&ours)?;
    let mut raw = as_it_was.clone();
    cfmakeraw(&mut raw);
    OURS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(as_it_was.into());
    // What was typed ahead stays.
    tcsetattr(&ours, SetArg::TCSADRAIN, &raw)
}

/// Our terminal as it was.
pub(crate) fn restore() {
    if let Some(as_it_was) = OURS.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &Termios::from(as_it_was));
    }
}
