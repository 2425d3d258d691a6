//! The terminal on which a recording is played: its speed, its keys, and how it is left.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

use super::cast::Header;
use super::tame::Tame;
use crate::cli::output::note;

/// Colours, cursor, scrolling region, characters, wrapping and what mouse and keys send: as a new terminal has them.
const RESET: &str = "\x1b[0m\x1b[?25h\x1b[r\x1b(B\x1b[?7h\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l";
/// Back from the second screen.
const FIRST_SCREEN: &str = "\x1b[?1049l";

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All of it was shown.
    Whole,
    /// Whoever watches has had enough.
    Stopped,
}

/// Shows a recording.
pub(super) struct Player {
    is_raw: bool,
    is_terminal: bool,
    tame: Tame,
    keys: Option<Keys>,
    /// The second screen may be shown.
    is_second_screen: bool,
}

impl Player {
    /// On a terminal, what is typed is taken as keys of the player, and so is what the terminal may answer.
    pub(super) fn new(is_raw: bool, is_terminal: bool) -> Self {
        let keys = is_terminal.then(Keys::take).flatten();
        Self { is_raw, is_terminal, tame: Tame::default(), keys, is_second_screen: false }
    }

    /// Says what one has to know before.
    pub(super) fn begin(&mut self, header: &Header) -> io::Result<()> {
        self.tame = Tame::default();
        let size = if self.is_terminal { terminal_size() } else { None };
        if let Some((columns, rows)) = size {
            if u32::from(columns) < header.width || u32::from(rows) < header.height {
                note(&format!(
                    "it was shown on {} columns and {} rows, and this terminal has {columns} and {rows}",
                    header.width, header.height
                ));
            }
        }
        io::stdout().flush()
    }

    /// Waits; a key may end it. Space holds it until the next space.
    pub(super) fn wait(&mut self, pause: Duration) -> Ended {
        if !self.is_terminal {
            return Ended::Whole;
        }
        match &mut self.keys {
            Some(keys) => keys.wait(pause),
            None => {
                std::thread::sleep(pause);
                Ended::Whole
            }
        }
    }

    /// Shows a piece.
    pub(super) fn show(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout();
        if self.is_raw {
            out.write_all(text.as_bytes())?;
        } else {
            let text = self.tame.take(text);
            self.is_second_screen |= text.contains("\x1b[?1049h") || text.contains("\x1b[?47h");
            out.write_all(text.as_bytes())?;
        }
        out.flush()
    }

    /// Leaves the terminal as a new one.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if !self.is_terminal {
            return io::stdout().flush();
        }
        let back = if std::mem::take(&mut self.is_second_screen) { FIRST_SCREEN } else { "" };
        let mut out = io::stdout();
        // CAN ends whatever a recording has left open.
        write!(out, "\x18{back}{RESET}\r\n")?;
        out.flush()
    }
}

/// Keys of the terminal, which are not shown meanwhile; put back when this goes away, with what was not read thrown away.
struct Keys {
    before: Termios,
}

impl Keys {
    fn take() -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin.as_fd()).ok()?;
        let mut quiet = before.clone();
        quiet
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::IEXTEN);
        let waits = [(SpecialCharacterIndices::VMIN, 0), (SpecialCharacterIndices::VTIME, 0)];
        for (which, value) in waits {
            *quiet.control_chars.get_mut(which as usize)? = value;
        }
        tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &quiet).ok()?;
        Some(Self { before })
    }

    fn wait(&mut self, pause: Duration) -> Ended {
        let (mut end, mut is_held) = (Instant::now().checked_add(pause), false);
        loop {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            let timeout = if is_held { PollTimeout::NONE } else { timeout(left) };
            let stdin = io::stdin();
            let mut ready = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, timeout) {
                Ok(0) if !is_held && left <= Duration::from_millis(1) => return Ended::Whole,
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => match key() {
                    Some(b'q' | b'Q' | 3) | None => return Ended::Stopped,
                    Some(b' ') if is_held => (end, is_held) = (Instant::now().checked_add(left), false),
                    Some(b' ') => is_held = true,
                    Some(_) => {}
                },
                Err(_) => return Ended::Stopped,
            }
        }
    }
}

/// Not longer than an hour at a time; what is left is waited for again.
fn timeout(left: Duration) -> PollTimeout {
    let millis = left.min(Duration::from_secs(3600)).as_millis();
    PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX))
}

/// One byte; `None`: the terminal is gone.
fn key() -> Option<u8> {
    let mut byte = [0];
    match io::stdin().lock().read(&mut byte) {
        Ok(1) => byte.first().copied(),
        _ => None,
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Nothing is left to do where it cannot be put back.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSAFLUSH, &self.before);
    }
}

fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}
