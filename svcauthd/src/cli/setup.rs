//! `svcauth setup`: its options, and whoever answers its questions.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use svcauth_core::audit::escape::for_terminal;

use super::Done;
use super::output::{Failure, json, line};
use crate::setup::answers::Answers;
use crate::setup::talk::{Stop, Talk};
use crate::setup::{self, Options, Report};

/// Longest line that is read.
const LINE_MAX: u64 = 64 << 10;
/// What a shell shows for a program that SIGINT has ended.
const INTERRUPTED: u8 = 128 + 2;

#[derive(Debug, Args)]
pub(super) struct SetupArgs {
    /// Ask nothing: what is not answered gets its default, or is an error
    #[arg(long)]
    yes: bool,
    /// Test and show everything, and write nothing; without answers: test the configuration that is there
    #[arg(long)]
    check: bool,
    /// Put the new configuration in the place of an old one, which is kept as svcauth.toml.bak-DATE
    #[arg(long)]
    replace: bool,
    /// Do not start svcauthd
    #[arg(long)]
    no_start: bool,
    /// Take answers from this file: TOML, the options below without dashes at their beginning and with _ for -
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Print JSON for scripts, at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    given: Answers,
}

pub(super) fn run(args: SetupArgs) -> Done {
    let SetupArgs { yes, check, replace, no_start, answers: file, json: as_json, given } = args;
    let answers = match &file {
        Some(path) => given.or(Answers::read(path).map_err(Failure::usage)?),
        None => given,
    };
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let can_ask = is_terminal && !yes && !check && !as_json;
    if !can_ask && !yes && !check {
        return Err(Failure::usage("there is no terminal to ask on; give the answers as options, and --yes"));
    }
    let mut report = Report::default();
    let mut talk = Terminal { can_ask, is_quiet: as_json };
    let done = setup::run(Options { check, replace, no_start }, answers, &mut talk, &mut report);
    if as_json {
        report.error = done.as_ref().err().map(ToString::to_string);
        json(&report)?;
    }
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Stop::Failed(why)) => Err(Failure::new(why)),
        Err(Stop::Usage(why)) => Err(Failure::usage(why)),
        Err(Stop::Interrupted) => {
            line("")?;
            line(&Stop::Interrupted.to_string())?;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// The terminal, or nobody.
struct Terminal {
    can_ask: bool,
    is_quiet: bool,
}

impl Talk for Terminal {
    fn say(&mut self, text: &str) -> io::Result<()> {
        if self.is_quiet { Ok(()) } else { line(text) }
    }

    fn can_ask(&self) -> bool {
        self.can_ask
    }

    fn ask(&mut self, question: &str, default: Option<&str>) -> io::Result<String> {
        loop {
            prompt(question, default)?;
            let mut answer = String::new();
            let read = io::stdin().lock().take(LINE_MAX).read_line(&mut answer)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match (answer.trim(), default) {
                ("", None) => {}
                ("", Some(default)) => return Ok(default.to_owned()),
                (answer, _) => return Ok(answer.to_owned()),
            }
        }
    }

    /// Byte by byte, so that Ctrl-C is met while the terminal is silent, and leaves it as it was.
    fn ask_secret(&mut self, question: &str) -> io::Result<String> {
        loop {
            let before = tcgetattr(io::stdin())?;
            let mut silent = before.clone();
            silent.local_flags &= !(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
            // Silent before the question: whoever answers at once must neither be shown nor lose a key to the flush.
            tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &silent)?;
            let secret = prompt(question, None).and_then(|()| keys());
            tcsetattr(io::stdin(), SetArg::TCSANOW, &before)?;
            line("")?;
            let secret = secret?;
            if !secret.is_empty() {
                return Ok(secret);
            }
        }
    }
}

fn prompt(question: &str, default: Option<&str>) -> io::Result<()> {
    let default =
        default.filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!(" [{text}]"));
    write!(io::stdout(), "{} ", for_terminal(&format!("{question}{default}")))?;
    io::stdout().flush()
}

/// The keys up to Return: Backspace and Ctrl-U take back, Ctrl-C and Ctrl-D end it.
fn keys() -> io::Result<String> {
    let (mut typed, mut key) = (Vec::new(), [0]);
    // Not through the buffer of standard input: it would keep what comes after the password.
    let mut terminal = std::fs::File::from(std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?);
    while typed.len() < 4096 {
        if terminal.read(&mut key)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match key {
            [b'\r' | b'\n'] => break,
            [0x03 | 0x04] => return Err(io::ErrorKind::Interrupted.into()),
            [0x08 | 0x7f] => drop(typed.pop()),
            [0x15] => typed.clear(),
            [byte] => typed.push(byte),
        }
    }
    String::from_utf8(typed)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the password is not UTF-8"))
}
