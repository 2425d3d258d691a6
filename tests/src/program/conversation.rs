//! A program on a terminal, and somebody who types at it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;

use super::{Program, exit_code, wait_for};
use crate::failure::{Context, Failure, Outcome, require};

/// How long a program may be silent before what is expected of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program whose terminal is in our hands. It is killed when this is dropped.
#[derive(Debug)]
pub struct Conversation {
    child: Child,
    terminal: File,
    /// All that was shown, line ends as they are in files.
    shown: String,
    /// The beginning of a character whose end has not come yet.
    cut: Vec<u8>,
    /// How much of that has been waited for.
    seen: usize,
    line: String,
}

impl Program {
    /// Starts it with a terminal for standard input, output and error, which is the one that Ctrl-C is typed at, too.
    pub fn converse(self) -> Outcome<Conversation> {
        let Self { command: own, line, .. } = self;
        let pair = openpty(None, None).doing("make a terminal")?;
        // A program that had our end could not lose its terminal, and one that had its own twice would keep it.
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        let mut command = std::process::Command::new("setsid");
        command.args(["--ctty", "--wait", "--"]).arg(own.get_program()).args(own.get_args());
        command.env_clear().envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = own.get_current_dir() {
            command.current_dir(folder);
        }
        let end = || -> Outcome<Stdio> { Ok(Stdio::from(pair.slave.try_clone()?)) };
        let child = command.stdin(end()?).stdout(end()?).stderr(end()?).spawn();
        let child = child.doing(format!("run {line}"))?;
        let terminal = File::from(pair.master);
        Ok(Conversation { child, terminal, shown: String::new(), cut: Vec::new(), seen: 0, line })
    }
}

impl Conversation {
    /// Waits until the program has shown this, behind what was waited for before.
    pub fn expect(&mut self, text: &str) -> Outcome {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.shown.get(self.seen..).and_then(|rest| rest.find(text)) {
                self.seen += place + text.len();
                return Ok(());
            }
            let is_open = self.listen(end)?;
            let rest =
                || Failure::new(format!("{:?} of {} is not shown in\n{}", text, self.line, self.shown));
            if !is_open || Instant::now() >= end {
                return Err(rest());
            }
        }
    }

    /// Types these keys.
    pub fn keys(&mut self, keys: &str) -> Outcome {
        self.terminal.write_all(keys.as_bytes()).doing("type")
    }

    /// Types a line.
    pub fn line(&mut self, line: &str) -> Outcome {
        self.keys(&format!("{line}\n"))
    }

    /// Waits for the question and answers it.
    pub fn answer(&mut self, question: &str, line: &str) -> Outcome {
        self.expect(question)?;
        self.line(line)
    }

    /// Everything that was shown so far.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Waits for its end; gives the exit status, and all that was shown.
    pub fn end(mut self) -> Outcome<(i32, String)> {
        let end = Instant::now() + PATIENCE;
        while self.listen(end)? {
            require(Instant::now() < end, || format!("{} goes on and on\n{}", self.line, self.shown))?;
        }
        let status = self.child.wait()?;
        Ok((exit_code(status), std::mem::take(&mut self.shown)))
    }

    /// Closes the window: the terminal is gone. Gives the exit status.
    pub fn hang_up(mut self) -> Outcome<i32> {
        self.terminal = File::open("/dev/null")?;
        let status = wait_for(&mut self.child, PATIENCE);
        status.map(exit_code).ok_or_else(|| Failure::new(format!("{} goes on without a terminal", self.line)))
    }

    /// Reads what there is; false when nobody has the terminal open any more.
    fn listen(&mut self, end: Instant) -> Outcome<bool> {
        let left = end.saturating_duration_since(Instant::now()).as_millis();
        let wait = PollTimeout::try_from(left.min(60_000)).unwrap_or(PollTimeout::ZERO);
        if poll(&mut [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)], wait)? == 0 {
            return Ok(true);
        }
        let mut chunk = [0; 4096];
        match self.terminal.read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.cut.extend_from_slice(chunk.get(..count).unwrap_or_default());
                let text = whole_characters(&mut self.cut);
                self.shown.push_str(&text.replace('\r', ""));
                Ok(true)
            }
            // Linux says so when the last one has closed the other end.
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // Already dead is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes the whole characters out, invalid bytes replaced: a read may end in the middle of one.
fn whole_characters(bytes: &mut Vec<u8>) -> String {
    let is_cut = |error: &std::str::Utf8Error| error.error_len().is_none();
    let rest = bytes.utf8_chunks().last().map_or(0, |last| last.invalid().len());
    let end = bytes.len() - rest;
    let whole = match std::str::from_utf8(bytes.get(end..).unwrap_or_default()) {
        Err(error) if is_cut(&error) => end,
        _ => bytes.len(),
    };
    let text = String::from_utf8_lossy(bytes.get(..whole).unwrap_or_default()).into_owned();
    bytes.drain(..whole);
    text
}

#[cfg(test)]
mod tests {
    use super::whole_characters;

    #[test]
    fn a_character_that_comes_in_two_reads_is_shown_as_one() {
        let (first, rest) = "a \u{2014} b".as_bytes().split_at(3);
        let mut bytes = first.to_vec();
        assert_eq!(whole_characters(&mut bytes), "a ");
        bytes.extend_from_slice(rest);
        assert_eq!((whole_characters(&mut bytes), bytes.len()), ("\u{2014} b".to_owned(), 0));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such_and_hold_nothing_up() {
        let mut bytes = b"a\xffb\xff".to_vec();
        assert_eq!((whole_characters(&mut bytes), bytes.len()), ("a\u{fffd}b\u{fffd}".to_owned(), 0));
    }
}
