//! `svcauth setup`: from nothing to a working, commented `/etc/svcauth/svcauth.toml`.
//!
//! Belongs here: what is asked and offered, and the order of things. What meets the directory is a process of the user
//! svcauth (`directory::look`, and the worker of a rehearsal); what that found goes through the monitor's own checks, so that
//! what is shown is what the daemon will publish. Never here: anything that changes who can log in.

pub mod answers;
pub mod choose;
pub mod draft;
mod entries;
mod interview;
pub mod place;
pub mod rehearsal;
mod rule;
mod screen;
mod service;
pub mod talk;
pub mod template;
mod trial;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Uid;
use serde::Serialize;
use svcauth_core::config::Config;
use svcauth_host::clock::Clock;
use svcauth_host::paths;

use self::answers::Answers;
use self::place::{New, Placed};
use self::rehearsal::{Findings, Rehearsal};
use self::service::Started;
use self::talk::{Stop, Talk};
use crate::config_file::Loaded;
use crate::directory::look::Step;
use crate::local_names::{Ids, LocalNames};

/// What is to be done with the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Test and show, and write nothing.
    pub check: bool,
    /// Put the new configuration in the place of an old one.
    pub replace: bool,
    /// Start nothing.
    pub no_start: bool,
}

/// What became of it, for scripts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How each step went.
    pub steps: Vec<Step>,
    /// What was found.
    pub findings: Option<Findings>,
    /// Whether any file is different now.
    pub changed: bool,
    /// Files that were written.
    pub written: Vec<PathBuf>,
    /// Where the old ones are.
    pub kept: Vec<PathBuf>,
    /// The generation that the daemon has published since.
    pub generation: Option<u64>,
    /// Why it was not done.
    pub error: Option<String>,
}

/// The host and what is known so far.
pub(crate) struct Setup<'a> {
    options: Options,
    answers: Answers,
    talk: &'a mut dyn Talk,
    report: &'a mut Report,
    user: Ids,
    local: LocalNames,
    /// The bind password.
    secret: Option<String>,
    /// The LDIF file that will be made, which has no name yet.
    trial: Option<(String, File)>,
}

/// Does it all. What was found is in `report`, also when it ends early.
///
/// # Errors
/// [`Stop`]; nothing has been written then, but where it says so.
pub fn run(options: Options, answers: Answers, talk: &mut dyn Talk, report: &mut Report) -> Result<(), Stop> {
    if !Uid::effective().is_root() {
        return Err(Stop::Usage("only root can write /etc/svcauth; run it as root".to_owned()));
    }
    let local = LocalNames::read().map_err(Stop::failed)?;
    let user = local.ids_of(paths::USER).filter(|ids| ids.uid != 0 && ids.gid != 0).ok_or_else(|| {
        Stop::Failed(format!(
            "there is no user {0} in /etc/passwd; run: useradd --system --no-create-home {0}",
            paths::USER
        ))
    })?;
    let is_there = Path::new(paths::CONFIG).exists();
    let mut setup = Setup { options, answers, talk, report, user, local, secret: None, trial: None };
    if options.check && setup.answers == Answers::default() && is_there {
        return setup.check_what_is_there();
    }
    if is_there && !options.replace && !options.check && setup.talk.can_ask() {
        return Err(exists());
    }
    setup.interview()?;
    setup.entries()?;
    let rehearsal = setup.rehearse()?;
    setup.shown_rule(&rehearsal)?;
    if options.check {
        return Ok(setup.talk.say("Checked; nothing was written.")?);
    }
    setup.write(is_there)
}

fn exists() -> Stop {
    Stop::Failed(format!(
        "{0} is there already and was left alone; `svcauth setup --check` tests it, and --replace puts a new one in its place \
         and keeps it as {0}.bak-DATE",
        paths::CONFIG
    ))
}

impl Setup<'_> {
    /// The configuration that the answers make so far.
    fn loaded(&self) -> Result<Loaded, Stop> {
        let text = draft::text(&self.answers, self.place_of_trial().as_deref());
        let config = Config::parse(&text)
            .map_err(|error| Stop::Usage(format!("these answers do not fit: {error}")))?;
        Ok(Loaded { text, config, trusted_ca: Vec::new() })
    }

    fn rehearse(&mut self) -> Result<Rehearsal, Stop> {
        let rehearsal = rehearsal::rehearse(self.user, &self.loaded()?, self.secret.clone(), &self.local)?;
        Ok(Rehearsal { server: self.named(rehearsal.server), ..rehearsal })
    }

    /// Where the LDIF file is that has no name yet, for a process that inherits it.
    fn place_of_trial(&self) -> Option<String> {
        self.trial.as_ref().map(|(_, file)| format!("/proc/self/fd/{}", file.as_raw_fd()))
    }

    /// A text that calls that file by the name that it will have.
    fn named(&self, text: String) -> String {
        let name = self.answers.file.as_deref().unwrap_or(draft::LDIF);
        self.place_of_trial().map_or(text.clone(), |place| text.replace(&place, name))
    }

    /// Keeps the file to try without a name: whatever ends this process, it is gone.
    fn keep_trial(&mut self, text: String) -> Result<(), Stop> {
        let made = || -> std::io::Result<File> {
            let mut file = File::from(memfd_create("directory.ldif", MFdFlags::empty())?);
            file.write_all(text.as_bytes())?;
            // Not to be written by others, as every LDIF file; and the worker inherits it.
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
            Ok(file)
        };
        let file = made().map_err(Stop::failed)?;
        self.trial = Some((text, file));
        Ok(())
    }

    /// Shows what the configuration in place gives.
    fn check_what_is_there(&mut self) -> Result<(), Stop> {
        let loaded = Loaded::read().map_err(Stop::failed)?;
        self.secret = loaded.secret().map_err(Stop::failed)?;
        self.look(&loaded)?;
        let rehearsal = rehearsal::rehearse(self.user, &loaded, self.secret.clone(), &self.local)?;
        let state = rehearsal::state(&rehearsal.candidate, &loaded.config, loaded.trusted_ca.clone());
        let found = rehearsal::findings(&rehearsal, &loaded.config, &state)?;
        screen::findings(&found, self.talk)?;
        screen::access(&found, self.talk)?;
        let unknown = found.unknown.join(", ");
        self.report.findings = Some(found);
        if !unknown.is_empty() {
            return Err(Stop::Failed(format!(
                "the directory has no {unknown}, which {} names",
                paths::CONFIG
            )));
        }
        Ok(self.talk.say("Checked; nothing was written.")?)
    }

    /// Completes the rule and shows what it gives; one that names what is not there is asked for again.
    fn shown_rule(&mut self, rehearsal: &Rehearsal) -> Result<(), Stop> {
        loop {
            let config = self.rule(rehearsal)?;
            if self.is_without_rule() {
                return Ok(());
            }
            match self.show(rehearsal, &config) {
                Err(Stop::Failed(why)) if self.talk.can_ask() => {
                    self.talk.say(&why)?;
                    (self.answers.account, self.answers.role) = (Vec::new(), Vec::new());
                }
                done => return done,
            }
        }
    }

    fn show(&mut self, rehearsal: &Rehearsal, config: &Config) -> Result<(), Stop> {
        let state = rehearsal::state(&rehearsal.candidate, config, Vec::new());
        let found = rehearsal::findings(rehearsal, config, &state)?;
        screen::access(&found, self.talk)?;
        let unknown = found.unknown.join(", ");
        self.report.findings = Some(found);
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Stop::Failed(format!("the directory has no {unknown}; check --account and --role")))
    }

    /// Writes what is different, and has the daemon take it.
    fn write(&mut self, is_there: bool) -> Result<(), Stop> {
        let files = self.files();
        let is_same = files.iter().all(New::is_there);
        if is_there && !is_same && !self.options.replace {
            return Err(exists());
        }
        if !is_same && self.talk.can_ask() {
            let names: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
            self.talk.say("")?;
            let answer =
                self.talk.ask(&format!("Write {} and start svcauthd?", names.join(" and ")), Some("yes"))?;
            if !matches!(answer.to_ascii_lowercase().as_str(), "yes" | "y") {
                return Err(Stop::Interrupted);
            }
        }
        let placed = place::place(&files, &place::stamp(Clock::now().wall)).map_err(Stop::failed)?;
        self.placed(placed)?;
        if self.options.no_start {
            return Ok(self
                .talk
                .say("Next: systemctl enable --now svcauthd, then svcauth enable --confirm 10m")?);
        }
        self.start(is_same)
    }

    fn files(&self) -> Vec<New> {
        let text = draft::text(&self.answers, None);
        let secret = self.secret.as_ref().map(|secret| New {
            path: PathBuf::from(paths::BIND_SECRET),
            bytes: format!("{secret}\n").into_bytes(),
            mode: 0o600,
        });
        let trial = self.trial.as_ref().map(|(text, _)| New {
            path: PathBuf::from(self.answers.file.as_deref().unwrap_or(draft::LDIF)),
            bytes: text.clone().into_bytes(),
            mode: 0o644,
        });
        let config = New { path: PathBuf::from(paths::CONFIG), bytes: text.into_bytes(), mode: 0o644 };
        secret.into_iter().chain(trial).chain([config]).collect()
    }

    fn placed(&mut self, placed: Placed) -> Result<(), Stop> {
        let Placed { written, kept } = placed;
        for path in &written {
            self.talk.say(&format!("wrote {}", path.display()))?;
        }
        for path in &kept {
            self.talk.say(&format!("kept the old one as {}", path.display()))?;
        }
        if written.is_empty() {
            self.talk.say("Everything is there already; nothing was written.")?;
        }
        self.report.changed = !written.is_empty();
        (self.report.written, self.report.kept) = (written, kept);
        Ok(())
    }

    fn start(&mut self, is_same: bool) -> Result<(), Stop> {
        // Who runs it a second time wants it to run, and nothing else.
        let started = if is_same { service::ensure() } else { service::start() };
        match started {
            Started::Published(generation) => {
                self.report.generation = Some(generation);
                self.talk.say(&format!("svcauthd runs, and has published generation {generation}"))?;
                self.talk.say("Nobody's login has changed yet. Next: svcauth enable --confirm 10m")?;
                Ok(())
            }
            Started::Nobody => {
                let next = "there is no systemd here: start svcauthd in your own way, then run svcauth enable --confirm 10m";
                Ok(self.talk.say(next)?)
            }
            Started::Failed(why) => Err(Stop::Failed(format!(
                "the configuration is written, but svcauthd does not run with it: {why}"
            ))),
        }
    }
}
