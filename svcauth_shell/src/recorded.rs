//! An interactive shell whose output is recorded: it has a terminal of its own, as in script(1), and nothing of it is shown
//! before the daemon has it. Where we have no terminal ourselves, what it prints goes through pipes.
//!
//! What is typed is not recorded: the terminal shows it, unless it is a password.

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use nix::unistd::{Pid, dup2_stderr, dup2_stdout, pipe2, read, write};
use svcauth_core::command::protocol::Told;

use crate::failure::Failure;
use crate::link::{Link, Refused};
use crate::parent;
use crate::process_sys::{self, Change, Descriptors, Signals, Words};
use crate::terminal_sys::{self, Terminal};

/// What is read, told and shown at a time.
const CHUNK: usize = 16 << 10;
/// How long a shell that may not go on has, to end its jobs.
const LEAVING: Duration = Duration::from_secs(2);

/// Runs the shell until it ends, or may not go on.
///
/// # Errors
/// It could not be started, or the recording cannot go on.
pub(crate) fn run(link: &mut Link, mut words: Words) -> Result<Told, Failure> {
    let (came, blocked) = Signals::take().map_err(crate::run::broken)?;
    let signals = parent::signals(&blocked).map_err(crate::run::broken)?;
    let through = if terminal_sys::is_ours() { Through::terminal() } else { Through::pipes() };
    let through = through.map_err(crate::run::broken)?;
    if let Through::Terminal(terminal) = &through {
        words.name_terminal(&terminal.name);
    }
    let started = process_sys::start(&words, &came, Descriptors::Inherited, || through.take());
    let child = started.map_err(|errno| crate::run::not_started(link, &words, errno))?;
    let mut relay = Relay { child, signals, link, sources: through.sources(), typed: Vec::new() };
    let end = relay.begin().and_then(|()| relay.until_end());
    terminal_sys::restore();
    match end {
        Ok(end) => {
            relay.link.tell(&end);
            Ok(end)
        }
        Err(Refused(why)) => {
            relay.end_shell();
            Err(Failure::failed(format!("this session is recorded, and that cannot go on: {why}")))
        }
    }
}

/// What stands between the shell and our standard descriptors.
enum Through {
    Terminal(Terminal),
    /// For standard output and standard error: our end, and that of the shell.
    Pipes([(OwnedFd, OwnedFd); 2]),
}

impl Through {
    fn terminal() -> nix::Result<Self> {
        terminal_sys::new_terminal().map(Self::Terminal)
    }

    fn pipes() -> nix::Result<Self> {
        let pipes = [pipe2(OFlag::O_CLOEXEC)?, pipe2(OFlag::O_CLOEXEC)?];
        for (ours, _) in &pipes {
            fcntl(ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self::Pipes(pipes))
    }

    /// In the process of the shell.
    fn take(&self) -> nix::Result<()> {
        match self {
            Self::Terminal(terminal) => terminal_sys::take_terminal(&terminal.command),
            Self::Pipes([(_, output), (_, error)]) => {
                dup2_stdout(output)?;
                dup2_stderr(error)
            }
        }
    }

    /// Our ends. Those of the shell are its own from now on.
    fn sources(self) -> Vec<Source> {
        match self {
            Self::Terminal(terminal) => vec![Source::Terminal(terminal.master.into())],
            Self::Pipes([(output, _), (error, _)]) => vec![Source::Output(output), Source::Error(error)],
        }
    }
}

/// Where something comes from that is to be shown.
#[derive(Debug)]
enum Source {
    /// It is written to, too: what is typed.
    Terminal(OwnedFd),
    Output(OwnedFd),
    Error(OwnedFd),
}

impl Source {
    /// Shows what came from here.
    fn show(&self, bytes: &[u8]) -> nix::Result<()> {
        match self {
            Self::Terminal(_) | Self::Output(_) => write_all(std::io::stdout().as_fd(), bytes),
            Self::Error(_) => write_all(std::io::stderr().as_fd(), bytes),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Terminal(fd) | Self::Output(fd) | Self::Error(fd) => fd.as_fd(),
        }
    }
}

struct Relay<'a> {
    child: Pid,
    signals: SignalFd,
    link: &'a mut Link,
    sources: Vec<Source>,
    /// What was typed and is not taken by the shell's terminal yet.
    typed: Vec<u8>,
}

/// What there is to do.
#[derive(Debug, Default)]
struct Ready {
    signal: bool,
    cut: bool,
    typed: bool,
    /// The shell's terminal takes something.
    takes: bool,
    /// Which sources have something to show, or have ended.
    sources: Vec<usize>,
}

impl Relay<'_> {
    fn begin(&mut self) -> Result<(), Refused> {
        // What is not let go of is only noticed by somebody who waits for its end.
        let own: Vec<BorrowedFd<'_>> = self
            .sources
            .iter()
            .map(Source::as_fd)
            .chain(self.link.watched())
            .chain([self.signals.as_fd()])
            .collect();
        let _ = process_sys::close_others(&own);
        if self.has_terminal() {
            let _ = terminal_sys::make_raw();
            self.resized()?;
        }
        Ok(())
    }

    fn has_terminal(&self) -> bool {
        matches!(self.sources.first(), Some(Source::Terminal(_)))
    }

    fn until_end(&mut self) -> Result<Told, Refused> {
        loop {
            let ready = self.wait(self.link.pause().and_then(|pause| PollTimeout::try_from(pause).ok()));
            if ready.cut {
                self.link.cut();
            }
            self.link.resume()?;
            self.show(&ready.sources)?;
            if ready.typed {
                self.read_typed()?;
            }
            if ready.takes {
                self.hand_typed();
            }
            if let Some(end) = ready.signal.then(|| self.signalled()).transpose()?.flatten() {
                self.show_rest()?;
                return Ok(end);
            }
        }
    }

    fn wait(&self, timeout: Option<PollTimeout>) -> Ready {
        let input = std::io::stdin();
        let wants_typed = self.has_terminal() && self.typed.is_empty();
        // A number that is not looked at, in the same place.
        let none = PollFlags::empty();
        let mut waiting = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        waiting.push(PollFd::new(self.link.watched().unwrap_or(self.signals.as_fd()), PollFlags::POLLIN));
        let typed = if wants_typed {
            PollFd::new(input.as_fd(), PollFlags::POLLIN)
        } else {
            PollFd::new(self.signals.as_fd(), none)
        };
        waiting.push(typed);
        let more = if self.typed.is_empty() { none } else { PollFlags::POLLOUT };
        waiting
            .extend(self.sources.iter().map(|source| PollFd::new(source.as_fd(), PollFlags::POLLIN | more)));
        if poll(&mut waiting, timeout.unwrap_or(PollTimeout::NONE)).is_err() {
            return Ready::default();
        }
        let happened = |index: usize| waiting.get(index).and_then(PollFd::revents).unwrap_or(none);
        let shows = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
        Ready {
            signal: happened(0).intersects(PollFlags::POLLIN),
            cut: self.link.watched().is_some() && !happened(1).is_empty(),
            typed: wants_typed && !happened(2).is_empty(),
            takes: happened(3).intersects(PollFlags::POLLOUT),
            sources: (0..self.sources.len()).filter(|index| happened(index + 3).intersects(shows)).collect(),
        }
    }

    /// One signal; gives the end of the shell.
    fn signalled(&mut self) -> Result<Option<Told>, Refused> {
        let Ok(Some(signal)) = self.signals.read_signal() else { return Ok(None) };
        match i32::try_from(signal.ssi_signo) {
            Ok(libc::SIGWINCH) if self.has_terminal() => self.resized().map(|()| None),
            Ok(libc::SIGCONT) if self.has_terminal() => self.go_on().map(|()| None),
            Ok(libc::SIGHUP) if signal.ssi_code > 0 && self.has_terminal() => self.hang_up().map(|()| None),
            Ok(libc::SIGCHLD) if self.has_terminal() => {
                let change = process_sys::look(self.child);
                if change == Change::Stopped {
                    // Whoever waits for us has the terminal meanwhile.
                    terminal_sys::restore();
                    parent::stop_too(self.child);
                    self.go_on()?;
                }
                Ok(parent::end(change))
            }
            _ => Ok(parent::take(self.child, &signal)),
        }
    }

    /// Takes the terminal again, which somebody else may have set meanwhile.
    fn go_on(&mut self) -> Result<(), Refused> {
        let _ = terminal_sys::make_raw();
        self.resized()
    }

    fn resized(&mut self) -> Result<(), Refused> {
        let Some(Source::Terminal(terminal)) = self.sources.first() else { return Ok(()) };
        match terminal_sys::set_size(terminal, &std::io::stdin()) {
            Ok(size) => self.link.tell_surely(&Told::Size { columns: size.columns, rows: size.rows }),
            Err(_) => Ok(()),
        }
    }

    fn read_typed(&mut self) -> Result<(), Refused> {
        let mut bytes = [0; CHUNK];
        match read(std::io::stdin(), &mut bytes) {
            Ok(0) | Err(Errno::EIO) => return self.hang_up(),
            Ok(count) => {
                self.typed.extend_from_slice(bytes.get(..count).unwrap_or_default());
                self.hand_typed();
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Our terminal is gone, and so goes that of the shell: the kernel tells it.
    fn hang_up(&mut self) -> Result<(), Refused> {
        self.show_rest()?;
        self.sources.clear();
        self.typed.clear();
        Ok(())
    }

    /// Takes its terminal away. It has a moment to end what it has started; when we end, it is killed.
    fn end_shell(&mut self) {
        self.sources.clear();
        process_sys::send(self.child, libc::SIGHUP);
        let until = Instant::now() + LEAVING;
        while Instant::now() < until && parent::end(process_sys::look(self.child)).is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn hand_typed(&mut self) {
        let Some(Source::Terminal(terminal)) = self.sources.first() else { return };
        match write(terminal, &self.typed) {
            Ok(count) => drop(self.typed.drain(..count.min(self.typed.len()))),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.typed.clear(),
        }
    }

    /// Tells what these show, and then shows it. One that has ended is forgotten.
    fn show(&mut self, ready: &[usize]) -> Result<bool, Refused> {
        let (mut bytes, mut ended, mut any) = ([0; CHUNK], Vec::new(), false);
        for index in ready {
            let Some(source) = self.sources.get(*index) else { continue };
            match read(source, &mut bytes) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Ok(0) | Err(_) => ended.push(*index),
                Ok(count) => {
                    let shown = bytes.get(..count).unwrap_or_default();
                    self.link.tell_surely(&Told::Output(shown.to_vec()))?;
                    any = true;
                    // Nobody looks any more: the shell hears of it when it writes again.
                    if source.show(shown).is_err() {
                        ended.push(*index);
                    }
                }
            }
        }
        // The last first: the numbers of those before it stay.
        for index in ended.into_iter().rev() {
            self.sources.remove(index);
        }
        Ok(any)
    }

    /// What the shell has left when it has ended. What it has started in the background may show more, for which nobody waits.
    fn show_rest(&mut self) -> Result<(), Refused> {
        loop {
            let ready = self.wait(Some(PollTimeout::ZERO)).sources;
            if ready.is_empty() || !self.show(&ready)? {
                let _ = std::io::stdout().flush();
                return Ok(());
            }
        }
    }
}

/// All of it, also to a descriptor that somebody has made not to block.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let _ = poll(&mut [PollFd::new(to, PollFlags::POLLOUT)], PollTimeout::NONE);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
