//! Starting a process, and what the kernel is told about it and about us. All unsafe code of the shell.
#![allow(unsafe_code, reason = "fork, signals and descriptors: the file that the project keeps them in")]

use std::ffi::{CString, c_int};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, IntoRawFd as _};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{
    ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, execve, fork, getpid, getppid, pipe2,
};

/// What is to run: the file, the words that it sees (the first one is its own name), its environment.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    pub(crate) file: CString,
    pub(crate) words: Vec<CString>,
    pub(crate) environment: Vec<CString>,
}

impl Words {
    /// The session has another terminal than the one that sshd has named.
    pub(crate) fn name_terminal(&mut self, name: &str) {
        let named = |pair: &CString| pair.as_bytes().starts_with(b"SSH_TTY=");
        if let (Some(pair), Ok(other)) =
            (self.environment.iter_mut().find(|pair| named(pair)), CString::new(format!("SSH_TTY={name}")))
        {
            *pair = other;
        }
    }
}

/// Which descriptors above 2 the command gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descriptors {
    /// Those that we were given.
    Inherited,
    /// None: one to a folder would lead out of what the command is confined to.
    Closed,
}

/// Signals as they were when we were started. What we change of them is undone for the command.
#[derive(Debug)]
pub(crate) struct Signals {
    mask: SigSet,
    child: SigAction,
    pipe: SigAction,
}

/// How a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing new.
    None,
    /// A signal stopped it.
    Stopped,
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
}

/// Fills what is closed of the descriptors 0 to 2, so that nothing that we open becomes one of them. The command finds them
/// closed again.
pub(crate) fn hold_standard_descriptors() -> nix::Result<()> {
    for fd in 0..=2 {
        // SAFETY: fcntl(2) with F_GETFD reads no memory; a number that is no descriptor gives EBADF.
        let held = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
        if !held {
            // The lowest free number is this one.
            let _ = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?.into_raw_fd();
        }
    }
    Ok(())
}

/// Becomes another program; comes back only with a reason.
pub(crate) fn become_program(program: &Words) -> Errno {
    match execve(&program.file, &program.words, &program.environment) {
        Ok(never) => match never {},
        Err(errno) => errno,
    }
}

impl Signals {
    /// Blocks what a command could be sent, to be read by a signalfd and handed on. Lets children be waited for, and a closed
    /// connection be an error.
    pub(crate) fn take() -> nix::Result<(Self, SigSet)> {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler is installed, and nothing of this process relies on another disposition of SIGCHLD.
        let child = unsafe { sigaction(Signal::SIGCHLD, &default) }?;
        // SAFETY: as before; every write here reports EPIPE.
        let pipe = unsafe { sigaction(Signal::SIGPIPE, &ignore) }?;
        let forwarded = forwarded();
        let mask = forwarded.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok((Self { mask, child, pipe }, forwarded))
    }

    /// As it was. For the process that becomes the command.
    fn restore(&self) -> nix::Result<()> {
        // SAFETY: the disposition that was there before; what it was handled by is not in this process (execve(2) left only
        // SIG_DFL and SIG_IGN).
        unsafe { sigaction(Signal::SIGCHLD, &self.child) }?;
        // SAFETY: as before.
        unsafe { sigaction(Signal::SIGPIPE, &self.pipe) }?;
        self.mask.thread_set_mask()
    }
}

/// All but those that say that this very process is broken, and those that stop it as they stop the rest of its group.
fn forwarded() -> SigSet {
    let mut set = SigSet::all();
    for own in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGSYS,
        Signal::SIGABRT,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ] {
        set.remove(own);
    }
    set
}

/// Starts the command. `prepare` is the last that happens in its process; what it does not manage keeps the command from running.
///
/// # Errors
/// What fork(2), `prepare` or execve(2) said. Then nothing has run.
pub(crate) fn start(
    program: &Words,
    signals: &Signals,
    descriptors: Descriptors,
    prepare: impl FnOnce() -> nix::Result<()>,
) -> nix::Result<Pid> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let us = getpid();
    // SAFETY: this process has one thread, so that its child may do whatever it could.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(reader);
            let errno = in_child(program, signals, descriptors, us, prepare);
            let _ = File::from(writer).write_all(&(errno as c_int).to_ne_bytes());
            // SAFETY: _exit(2) ends this process; nothing of the parent's, which it is a copy of, runs at its exit.
            unsafe { libc::_exit(c_int::from(crate::NOT_STARTED)) }
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut errno = [0; 4];
            match File::from(reader).read_exact(&mut errno) {
                // Closed by execve(2).
                Err(_) => Ok(child),
                Ok(()) => {
                    let _ = wait(child, 0);
                    Err(Errno::from_raw(c_int::from_ne_bytes(errno)))
                }
            }
        }
    }
}

fn in_child(
    program: &Words,
    signals: &Signals,
    descriptors: Descriptors,
    parent: Pid,
    prepare: impl FnOnce() -> nix::Result<()>,
) -> Errno {
    let ready = || {
        // Nobody would say how it ended, and nobody else may run it.
        set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            return Err(Errno::ESRCH);
        }
        if descriptors == Descriptors::Closed {
            close_at_exec(3)?;
        }
        prepare()?;
        signals.restore()
    };
    match ready() {
        Ok(()) => become_program(program),
        Err(errno) => errno,
    }
}

/// Marks all descriptors from this one on, so that execve(2) closes them.
fn close_at_exec(first: c_int) -> nix::Result<()> {
    // SAFETY: close_range(2) reads no memory; with CLOSE_RANGE_CLOEXEC nothing is closed that is in use here.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, c_int::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return Ok(());
    }
    // Linux before 5.11.
    for fd in open_descriptors()?.into_iter().filter(|fd| *fd >= first) {
        // SAFETY: fcntl(2) with F_SETFD reads no memory.
        Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }).or_else(but_closed)?;
    }
    Ok(())
}

/// Lets go of what the command holds itself: whoever reads from it sees its end when the command closes it, and not when we do.
/// `own` is what we go on with.
pub(crate) fn let_go(own: &[BorrowedFd<'_>]) -> nix::Result<()> {
    let nothing = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    dup2_stderr(&nothing)?;
    drop(nothing);
    close_others(own)
}

/// The same of what was inherited beside the standard descriptors.
pub(crate) fn close_others(own: &[BorrowedFd<'_>]) -> nix::Result<()> {
    let own: Vec<c_int> = own.iter().map(|fd| fd.as_raw_fd()).collect();
    for fd in open_descriptors()?.into_iter().filter(|fd| *fd > 2 && !own.contains(fd)) {
        // SAFETY: these numbers were inherited: no object of this process owns them. close(2) reads no memory.
        Errno::result(unsafe { libc::close(fd) }).or_else(but_closed)?;
    }
    Ok(())
}

/// The folder that is read is among them, and closed by the time that somebody looks.
fn open_descriptors() -> nix::Result<Vec<c_int>> {
    let listed = std::fs::read_dir("/proc/self/fd").map_err(|_| Errno::ENOENT)?;
    Ok(listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

fn but_closed(errno: Errno) -> nix::Result<c_int> {
    if errno == Errno::EBADF { Ok(0) } else { Err(errno) }
}

/// What is new about the command, without waiting.
pub(crate) fn look(child: Pid) -> Change {
    match wait(child, libc::WNOHANG | libc::WUNTRACED) {
        Some(status) if libc::WIFEXITED(status) => Change::Exited(libc::WEXITSTATUS(status)),
        Some(status) if libc::WIFSIGNALED(status) => Change::Killed(libc::WTERMSIG(status)),
        Some(status) if libc::WIFSTOPPED(status) => Change::Stopped,
        _ => Change::None,
    }
}

/// Whether one that was stopped goes on, or has ended since. [`look`] still tells how.
pub(crate) fn goes_on(child: Pid) -> bool {
    let how = WaitPidFlag::WCONTINUED | WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(child), how), Ok(WaitStatus::StillAlive))
}

fn wait(child: Pid, options: c_int) -> Option<c_int> {
    let mut status = 0;
    loop {
        // SAFETY: waitpid(2) writes one int, and `status` is one.
        match Errno::result(unsafe { libc::waitpid(child.as_raw(), &raw mut status, options) }) {
            Ok(found) => return (found == child.as_raw()).then_some(status),
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Sends a signal by its number, real-time ones too.
pub(crate) fn send(to: Pid, signal: c_int) {
    // SAFETY: kill(2) reads no memory. The process is our child and not waited for yet: the number is still its own.
    let _ = unsafe { libc::kill(to.as_raw(), signal) };
}

/// Ends as the command did, by the same signal. (No core is left: we are not dumpable.)
pub(crate) fn die_of(signal: c_int) -> c_int {
    // SAFETY: signal(2) with SIG_DFL installs no code.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    let _ = SigSet::empty().thread_set_mask();
    send(getpid(), signal);
    128 + signal
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread::sleep;
    use std::time::Duration;

    use nix::libc;
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    use nix::unistd::Pid;

    use super::{Change, goes_on, look, send};

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is waited for by what is tested")]
    fn the_end_of_a_command_that_was_just_stopped_is_not_lost() {
        let started = Command::new("/bin/sh").args(["-c", "kill -STOP $$; exit 3"]).spawn().unwrap();
        let child = Pid::from_raw(i32::try_from(started.id()).unwrap());
        while look(child) != Change::Stopped {
            sleep(Duration::from_millis(1));
        }
        assert!(!goes_on(child));
        send(child, libc::SIGCONT);
        // Until it has ended; it is still there to be asked.
        waitid(Id::Pid(child), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        assert!(goes_on(child), "nobody is to be stopped for it");
        assert_eq!(look(child), Change::Exited(3));
    }
}
