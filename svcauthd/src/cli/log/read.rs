//! `svcauth log`: from the trail to the screen.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::geteuid;
use svcauth_core::audit::AlarmKind;
use svcauth_core::audit::escape::for_terminal;
use svcauth_core::policy::Reason;
use svcauth_host::paths;

use super::filter::Filter;
use super::screen::{Screen, Style};
use super::{Count, ReadArgs};
use crate::cli::Done;
use crate::cli::output::{Failure, NOBODY_READS};
use crate::trail::{Follower, Line, News, NoRecord, Trail, waiting};

/// How many are shown on a terminal when nobody says.
const ON_A_TERMINAL: usize = 100;

pub(super) fn run(args: &ReadArgs) -> Done {
    let filter = Filter::new(args, now())?;
    if args.files.is_empty() && !geteuid().is_root() {
        return Err(Failure::new("only root may read the audit trail; run: sudo svcauth log"));
    }
    args.reason.iter().filter(|reason| !is_reason(reason)).for_each(|reason| {
        note(&format!(
            "no record has the reason {reason}: there is no such word (svcauth-audit(5) lists them)"
        ));
    });
    let current = args.files.last().map_or(Path::new(paths::AUDIT_FILE), PathBuf::as_path);
    let trail = if args.files.is_empty() { Trail::open() } else { Trail::of_files(&args.files) };
    let trail = trail.map_err(Failure::new)?;
    if args.files.is_empty() && trail.files().is_empty() {
        note(&format!("{} does not exist yet: nothing has been recorded", current.display()));
    }
    if args.files.is_empty() {
        tell_if_behind();
    }
    let mut reading = Reading { filter, screen: Screen::new(Style::of_stdout(args.json)), unread: None };
    reading.backlog(&trail, args)?;
    if args.follow {
        return reading.follow(trail, current);
    }
    reading.end(&trail)?;
    Ok(ExitCode::SUCCESS)
}

/// A word that this version writes. Files of another one may have others.
fn is_reason(word: &str) -> bool {
    let of_policy = Reason::ALL.iter().any(|reason| reason.code() == word);
    of_policy || AlarmKind::ALL.iter().any(|kind| kind.as_str() == word)
}

/// What is being shown.
struct Reading {
    filter: Filter,
    screen: Screen,
    /// Lines that are no records and so cannot be held against a filter: how many, and the first.
    unread: Option<(usize, String)>,
}

impl Reading {
    /// What the trail holds so far.
    fn backlog(&mut self, trail: &Trail, args: &ReadArgs) -> Result<(), Failure> {
        let count = match (args.lines, Style::of_stdout(args.json)) {
            (Some(count), _) => count,
            (None, Style::Table) => Count::Last(ON_A_TERMINAL),
            (None, _) => Count::All,
        };
        match count {
            Count::All => {
                for line in trail.lines() {
                    self.line(&line.map_err(Failure::new)?, trail)?;
                }
            }
            Count::Last(count) => self.last(trail, count, args.lines.is_none())?,
        }
        Ok(self.screen.flush()?)
    }

    fn last(&mut self, trail: &Trail, count: usize, by_default: bool) -> Result<(), Failure> {
        // One more, to know whether there are more.
        let asked = count.saturating_add(usize::from(by_default));
        let (filter, mut garbage) = (&self.filter, Vec::new());
        let spots = trail.last(asked, |line| match line.entry() {
            Ok(entry) => filter.matches(&entry),
            Err(NoRecord::Incomplete) if is_newest(line, trail) => false,
            Err(_) if filter.is_open() => true,
            Err(_) => {
                garbage.push((line.path.clone(), line.offset));
                false
            }
        });
        let spots = spots.map_err(Failure::new)?;
        if let Some((path, offset)) = garbage.last() {
            let number = trail.number(path, *offset).map_err(Failure::new)?;
            self.unread = Some((garbage.len(), place(path, number)));
        }
        let first = spots.len().saturating_sub(count);
        if by_default && first > 0 {
            note(&format!("only the last {count} are shown; all are with: -n all"));
        }
        for spot in spots.get(first..).unwrap_or_default() {
            if let Some(line) = trail.line(*spot).map_err(Failure::new)? {
                self.line(&line, trail)?;
            }
        }
        Ok(())
    }

    /// Shows a line if it is meant.
    fn line(&mut self, line: &Line, trail: &Trail) -> Result<(), Failure> {
        match line.entry() {
            Ok(entry) if self.filter.matches(&entry) => Ok(self.screen.record(&entry, line)?),
            Ok(_) => Ok(()),
            // The newest file's is told at the end, or comes when it is complete.
            Err(NoRecord::Incomplete) if is_newest(line, trail) => Ok(()),
            Err(why) => {
                let number = line.number.map_or_else(|| trail.number(&line.path, line.offset), Ok);
                let number = number.map_err(Failure::new)?;
                self.garbage(line, number, &why)
            }
        }
    }

    fn garbage(&mut self, line: &Line, number: u64, why: &NoRecord) -> Result<(), Failure> {
        if self.filter.is_open() {
            return Ok(self.screen.garbage(line, number, why)?);
        }
        let (count, _) = self.unread.get_or_insert_with(|| (0, place(&line.path, number)));
        *count += 1;
        Ok(())
    }

    /// What whoever reads the list must know to believe it.
    fn end(&mut self, trail: &Trail) -> Result<(), Failure> {
        self.screen.flush()?;
        if self.screen.is_bare() && !trail.files().is_empty() {
            note("no record of the trail is one that was asked for");
        }
        if let Some((count, first)) = &self.unread {
            note(&format!(
                "{count} lines are no records and were not searched, the first is {first}; run: svcauth log verify"
            ));
        }
        if let Some(file) =
            trail.files().last().filter(|file| file.complete().is_ok_and(|end| end < file.length))
        {
            note(&format!(
                "the last line of {} is not complete: it is being written, or its writer has died",
                file.path.display()
            ));
        }
        Ok(())
    }

    /// What comes, until nobody reads it any more.
    fn follow(&mut self, trail: Trail, current: &Path) -> Done {
        let mut follower = Follower::after(trail, current).map_err(Failure::new)?;
        loop {
            let mut failed = None;
            let read = follower.read(&mut |news| {
                self.news(news).map_err(|failure| {
                    failed = Some(failure);
                    io::Error::other("the output failed")
                })
            });
            if let Some(failure) = failed {
                return Err(failure);
            }
            read.map_err(Failure::new)?;
            if !follower.wait(io::stdout().as_fd()).map_err(Failure::new)? {
                return Ok(ExitCode::from(NOBODY_READS));
            }
        }
    }

    fn news(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Note(text) => note(&text),
            News::Line(line) => match line.entry() {
                Ok(entry) if self.filter.matches(&entry) => self.screen.record(&entry, &line)?,
                Ok(_) => {}
                // Whoever waits for what is to come is told at once, whatever the filter.
                Err(why) => self.screen.garbage(&line, line.number.unwrap_or(0), &why)?,
            },
        }
        Ok(self.screen.flush()?)
    }
}

/// Nobody shall believe a list that is not complete.
fn tell_if_behind() {
    let count = waiting();
    if count > 0 {
        note(&format!(
            "{count} records wait in {} and are not in this list, because svcauthd is not running; run: systemctl start \
             svcauthd",
            paths::AUDIT_SPOOL
        ));
    }
}

fn is_newest(line: &Line, trail: &Trail) -> bool {
    trail.files().last().is_some_and(|file| file.path == line.path)
}

fn place(path: &Path, number: u64) -> String {
    format!("{} line {number}", path.display())
}

/// Something on standard error that is no failure.
fn note(text: &str) {
    // Nowhere to report that standard error is closed.
    let _ = writeln!(io::stderr(), "svcauth: {}", for_terminal(text));
}

/// In microseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
