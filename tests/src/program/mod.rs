//! Running programs: to the end with a time limit, or in the background until dropped.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

mod background;
mod conversation;

pub use background::{Background, as_pid};
pub use conversation::Conversation;

use crate::failure::{Context, Failure, Outcome, indent, require};

/// How long a program may take when the caller says nothing.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The command line, for messages.
    pub line: String,
    /// The exit status 0..=255, or 128 + n when signal n ended it.
    pub code: i32,
    /// Standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, invalid UTF-8 replaced.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Ended {
    /// Whether the exit status was 0.
    pub fn ok(&self) -> bool {
        self.code == 0
    }

    /// Itself when the exit status was 0, else a failure with all of its output.
    pub fn expect_ok(self) -> Outcome<Self> {
        self.expect_code(0)
    }

    /// Itself when the exit status was `code`, else a failure with all of its output.
    pub fn expect_code(self, code: i32) -> Outcome<Self> {
        require(self.code == code, || format!("expected exit status {code}\n{}", self.report()))?;
        Ok(self)
    }

    /// Itself when the exit status was not 0, else a failure with all of its output.
    pub fn expect_refused(self) -> Outcome<Self> {
        require(self.code != 0, || format!("expected a refusal\n{}", self.report()))?;
        Ok(self)
    }

    /// Standard output without its last line end.
    pub fn text(&self) -> &str {
        self.stdout.trim_end_matches('\n')
    }

    /// Command line, status and output, for a failure message.
    pub fn report(&self) -> String {
        let (out, err) = (indent(&self.stdout), indent(&self.stderr));
        format!("$ {}\n  status {} after {:?}\n{out}{err}", self.line, self.code, self.took)
    }
}

/// A command to run; a thin layer over [`Command`] that never inherits an environment.
#[derive(Debug)]
pub struct Program {
    command: Command,
    line: String,
    input: Option<Vec<u8>>,
    patience: Duration,
}

impl Program {
    /// `name` is looked up in the usual system folders; the environment holds PATH, HOME, LANG and TERM only.
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref();
        let mut command = Command::new(name);
        clean_environment(&mut command);
        Self { command, line: name.to_string_lossy().into_owned(), input: None, patience: PATIENCE }
    }

    /// The same with the caller's whole environment: for cargo, which needs it.
    pub fn with_own_environment(name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref();
        let line = name.to_string_lossy().into_owned();
        Self { command: Command::new(name), line, input: None, patience: PATIENCE }
    }

    /// A command made elsewhere; `line` names it in messages.
    pub fn from_command(command: Command, line: &str) -> Self {
        Self { command, line: line.to_owned(), input: None, patience: PATIENCE }
    }

    /// A word list: the program and its arguments.
    pub fn from_words<S: AsRef<OsStr>>(words: &[S]) -> Outcome<Self> {
        let (name, rest) = words.split_first().ok_or_else(|| Failure::new("an empty command line"))?;
        Ok(Self::new(name).args(rest))
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.line.push(' ');
        self.line.push_str(&arg.to_string_lossy());
        self.command.arg(arg);
        self
    }

    /// Several more arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(self, args: &[S]) -> Self {
        args.iter().fold(self, Program::arg)
    }

    /// One environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The folder to run in.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// What to feed to standard input; nothing without it.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// How long the program may take before it is killed and the step fails.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it to its end and keeps its output. Any exit status is a success here.
    pub fn run(mut self) -> Outcome<Ended> {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = self.command.spawn().doing(format!("run {}", self.line))?;
        let feeder = feed(&mut child, self.input.take());
        let out = drain(child.stdout.take());
        let err = drain(child.stderr.take());
        let status = wait_for(&mut child, self.patience);
        let (stdout, stderr) = (collect(out), collect(err));
        drop(feeder);
        let took = started.elapsed();
        let ended = Ended { line: self.line, code: status.map_or(-1, exit_code), stdout, stderr, took };
        let limit = self.patience;
        require(status.is_some(), || format!("still running after {limit:?}, killed\n{}", ended.report()))?;
        Ok(ended)
    }

    /// Runs it with the caller's standard input, output and error.
    pub fn run_in_sight(mut self) -> Outcome<ExitStatus> {
        self.command.status().doing(format!("run {}", self.line))
    }

    /// Starts it in the background, output going to `log`; it is killed when the handle is dropped.
    pub fn start(self, log: File) -> Outcome<Background> {
        self.start_reading(Stdio::null(), log)
    }

    /// The same with something to read.
    pub fn start_reading(mut self, input: impl Into<Stdio>, log: File) -> Outcome<Background> {
        let err = log.try_clone()?;
        self.command.stdin(input).stdout(log).stderr(err);
        let child = self.command.spawn().doing(format!("start {}", self.line))?;
        Ok(Background::new(child, self.line))
    }
}

/// Calls `ready` until it gives a value or `patience` is over.
pub fn wait_until<T>(what: &str, patience: Duration, mut ready: impl FnMut() -> Option<T>) -> Outcome<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(value) = ready() {
            return Ok(value);
        }
        require(Instant::now() < end, || format!("{what}: not after {patience:?}"))?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn clean_environment(command: &mut Command) {
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8");
    command.env("TERM", "dumb");
}

fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Waits for the end; kills the child and returns nothing when that takes too long.
fn wait_for(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_micros(500);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= end {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

fn feed(child: &mut Child, input: Option<Vec<u8>>) -> Option<JoinHandle<()>> {
    let mut stdin = child.stdin.take()?;
    let bytes = input?;
    // A program may end without reading all of it.
    Some(std::thread::spawn(move || drop(stdin.write_all(&bytes))))
}

/// Reads in a thread, so that a program with much output never waits for us.
fn drain<R: Read + AsFd + Send + 'static>(source: Option<R>) -> (Receiver<Vec<u8>>, Option<OwnedFd>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let pipe = source.as_ref().and_then(|source| source.as_fd().try_clone_to_owned().ok());
    if let Some(mut source) = source {
        std::thread::spawn(move || {
            let mut chunk = [0; 16384];
            loop {
                let part = match source.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(n) => chunk.get(..n).unwrap_or_default().to_vec(),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(_) => break,
                };
                if sender.send(part).is_err() {
                    break;
                }
            }
        });
    }
    (receiver, pipe)
}

/// How long nothing may come from a program that has ended before its output counts as complete.
const SILENCE: Duration = Duration::from_secs(2);

/// All the output up to its end. A child that a program left in the background may hold the pipe open for ever, so the
/// wait ends after two seconds of silence, when the pipe is empty: a busy machine that does not run the reading thread
/// in time would make an empty output of a full one.
fn collect(source: (Receiver<Vec<u8>>, Option<OwnedFd>)) -> String {
    let (source, pipe) = source;
    let mut bytes = Vec::new();
    loop {
        match source.recv_timeout(SILENCE) {
            Ok(part) => bytes.extend_from_slice(&part),
            Err(RecvTimeoutError::Timeout) if pipe.as_ref().is_some_and(is_unread) => {}
            Err(_) => return String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// Whether the reading thread has yet to see something: bytes, or the end.
fn is_unread(pipe: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    poll(&mut asked, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_status_and_input_are_kept_apart() {
        let ended =
            Program::new("sh").args(&["-c", "cat; echo oops >&2; exit 3"]).input("hello").run().unwrap();
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (3, "hello", "oops\n"));
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed_and_named() {
        let slow = Program::new("sleep").arg("30").patience(Duration::from_millis(50));
        let text = slow.run().unwrap_err().to_string();
        assert!(text.contains("still running") && text.contains("sleep 30"), "{text}");
    }

    #[test]
    fn death_by_signal_is_reported_as_the_shell_does() {
        assert_eq!(Program::new("sh").args(&["-c", "kill -9 $$"]).run().unwrap().code, 137);
    }

    #[test]
    fn the_callers_environment_does_not_reach_the_program() {
        let seen = Program::new("env").run().unwrap().stdout;
        assert!(seen.contains("LANG=C.UTF-8") && !seen.contains("CARGO_"), "{seen}");
    }
}
