//! `svcauth replay`: plays what an interactive shell has shown.
//!
//! What a recording holds was written by programs of the account, for a terminal that it did not choose: whoever plays it has
//! more to lose than whoever was recorded. So what makes a terminal answer, and what is for it and not for the screen, is
//! left out; see [`tame`].

mod cast;
mod list;
mod player;
mod tame;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use svcauth_host::paths;

use self::cast::{Cast, Event};
use self::player::{Ended, Player};
use super::Done;
use super::output::{Failure, note};

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// A session, one recording of it, or a file; without it, list what is recorded
    #[arg(value_name = "SESSION|FILE")]
    recording: Option<String>,
    /// How many times as fast
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = speed)]
    speed: f64,
    /// The longest that is waited where nothing happened, in seconds of the recording
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idle: Option<f64>,
    /// Write every byte as it was recorded, also to what is no terminal, and there without waiting
    #[arg(long, requires = "recording")]
    raw: bool,
    /// Print the list as JSON for scripts
    #[arg(long, conflicts_with = "recording")]
    json: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.01..=1000.0).contains(number));
    number.ok_or_else(|| "a number from 0.01 to 1000 is needed".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=86_400.0).contains(number));
    number.ok_or_else(|| "a number of seconds from 0 to 86400 is needed".to_owned())
}

pub(super) fn run(args: &ReplayArgs) -> Done {
    let Some(wanted) = &args.recording else {
        return list::run(Path::new(paths::RECORDINGS_DIR), args.json);
    };
    let files = list::find(Path::new(paths::RECORDINGS_DIR), wanted)?;
    let is_terminal = io::stdout().is_terminal();
    if !is_terminal && !args.raw {
        return Err(Failure::usage(
            "a recording holds what moves a cursor and changes a screen, and standard output is no terminal; --raw writes it all the same",
        ));
    }
    let mut player = Player::new(args.raw, is_terminal);
    for path in &files {
        if play(path, args, &mut player, files.len() > 1)? == Ended::Stopped {
            return Ok(ExitCode::SUCCESS);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Plays one file; a fault of it is named with its line.
fn play(
    path: &PathBuf,
    args: &ReplayArgs,
    player: &mut Player,
    is_one_of_many: bool,
) -> Result<Ended, Failure> {
    let fault = |why: &dyn std::fmt::Display| Failure::new(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| fault(&error))?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(fault(&"it is no file"));
    }
    let mut cast = Cast::open(BufReader::new(file)).map_err(|why| fault(&why))?;
    if is_one_of_many {
        let title = cast.header.title.as_deref().unwrap_or("untitled");
        note(&format!("{}: {title}", path.display()));
    }
    player.begin(&cast.header)?;
    let mut before = 0.0_f64;
    loop {
        let (at, event) = match cast.next() {
            Ok(Some(one)) => one,
            Ok(None) => break,
            Err(why) => {
                player.end()?;
                return Err(fault(&why));
            }
        };
        let pause = (at - before).max(0.0).min(args.idle.unwrap_or(f64::INFINITY)) / args.speed;
        before = before.max(at);
        if player.wait(Duration::try_from_secs_f64(pause).unwrap_or_default()) == Ended::Stopped {
            player.end()?;
            return Ok(Ended::Stopped);
        }
        if let Event::Output(text) = event {
            player.show(&text)?;
        }
    }
    player.end()?;
    if !cast.is_complete() {
        note(&format!(
            "{}: its last line is not complete: it goes on, or its writer has died",
            path.display()
        ));
    }
    Ok(Ended::Whole)
}
