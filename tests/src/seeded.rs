//! Faults to seed on a host, and what `svcauth doctor` must say about each. Written once, for private worlds and booted machines.

mod files;
mod limits;
mod pam;
mod ssh;

use serde_json::Value;

use crate::failure::{Failure, Outcome, require, require_eq};
use crate::machine::Release;
use crate::program::Ended;
use crate::site::{list_at, text_at};

/// Every fault, by what it is in.
pub const FAULTS: &[&[Fault]] = &[
    pam::PAM,
    pam::PAM_LOST,
    ssh::SSHD,
    ssh::SUDO,
    files::NAMES,
    files::STATE,
    files::RUNNING,
    files::HOMES,
    limits::LIMITS,
];

/// One fault.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The code that must be named.
    pub code: &'static str,
    /// How the name of the file ends that must be named with it; empty: none is.
    pub file: &'static str,
    /// What the seed changes, put back as it was afterwards.
    pub changed: &'static [&'static str],
    /// The commands that seed it.
    pub seed: &'static str,
    /// What has to be done besides, when all is put back.
    pub undo: &'static str,
    /// Where it can be seeded.
    pub on: On,
}

/// Where a fault can be seeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Everywhere.
    EveryHost,
    /// In a private world, which has the tools of a developer, and no systemd.
    Worlds,
    /// Where systemd runs, and nothing but a server is installed.
    Machines,
    /// The same with OpenSSH 9.8 or later.
    Debian13,
}

/// The faults that can be seeded in a private world.
pub fn of_worlds() -> Vec<Fault> {
    all(|on| matches!(on, On::EveryHost | On::Worlds))
}

/// The faults that can be seeded on a machine of this release.
pub fn of_machines(release: Release) -> Vec<Fault> {
    all(|on| match on {
        On::EveryHost | On::Machines => true,
        On::Debian13 => release == Release::Debian13,
        On::Worlds => false,
    })
}

fn all(wanted: impl Fn(On) -> bool) -> Vec<Fault> {
    FAULTS.iter().flat_map(|theme| theme.iter()).filter(|fault| wanted(fault.on)).copied().collect()
}

/// A row: code, file, what is changed, the seed.
const fn row(
    code: &'static str,
    file: &'static str,
    changed: &'static [&'static str],
    seed: &'static str,
) -> Fault {
    Fault { code, file, changed, seed, undo: "", on: On::EveryHost }
}

impl Fault {
    const fn undone_by(self, undo: &'static str) -> Self {
        Self { undo, ..self }
    }
    const fn only(self, on: On) -> Self {
        Self { on, ..self }
    }
}

/// A host that can run a script with `sh -eu`. Scripts call `stop_daemon` and `start_daemon`, which `functions` defines.
pub struct Seeder<'a> {
    /// Runs a script; any exit status will do.
    pub shell: &'a dyn Fn(&str) -> Outcome<Ended>,
    /// Shell functions for this kind of host.
    pub functions: &'static str,
}

/// Where the things that a seed changes are kept.
const KEPT: &str = "/run/seeded";
const LIB: &str = "LIB=$(dirname $(ls -d /usr/lib/*/libc.so.6))";

/// What doctor said.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: i32,
    faults: u64,
    /// Code and file of each finding.
    findings: Vec<(String, String)>,
}

impl Said {
    fn names(&self, fault: &Fault) -> bool {
        self.findings.iter().any(|(code, file)| code == fault.code && file.ends_with(fault.file))
    }
}

impl Seeder<'_> {
    /// Seeds one fault after the other. Before all of them, no fault and none of their codes is named; behind each one,
    /// its code with its file; and behind all of them, what was named before.
    pub fn every_fault_is_named(&self, faults: &[Fault]) -> Outcome {
        let healthy = self.doctor()?;
        require(healthy.faults == 0 && healthy.status == 0, || {
            format!("a healthy host has faults: {healthy:#?}")
        })?;
        let mut wrong = Vec::new();
        for fault in faults {
            if healthy.names(fault) {
                wrong.push(format!("{} {} is named before it is seeded", fault.code, fault.file));
            }
            if let Err(why) = self.seed(fault) {
                wrong.push(format!("{} {}: {why}", fault.code, fault.file));
            }
        }
        require(wrong.is_empty(), || wrong.join("\n"))?;
        require_eq("what is named when all is put back", &self.doctor()?, &healthy)
    }

    fn seed(&self, fault: &Fault) -> Outcome {
        self.tell(&format!("{}\n{}", keep(fault), fault.seed))?;
        let said = self.doctor();
        self.tell(&format!("{}\n{}", put_back(fault), fault.undo))?;
        let said = said?;
        require(said.names(fault), || format!("is not named: {:?}", said.findings))?;
        require_eq("the exit status", &said.status, &i32::from(said.faults > 0))
    }

    fn tell(&self, script: &str) -> Outcome {
        let own = [limits::FUNCTIONS, files::FUNCTIONS].concat();
        let script = format!("{}{own}\n{LIB}\n{script}", self.functions);
        (self.shell)(&script)?.expect_ok().map(drop)
    }

    fn doctor(&self) -> Outcome<Said> {
        let ended = (self.shell)("svcauth doctor --json")?;
        let report: Value = serde_json::from_str(&ended.stdout)
            .map_err(|error| Failure::new(format!("{error}\n{}", ended.report())))?;
        let faults = report.pointer("/faults").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let all = list_at(&report, "/findings").iter();
        let findings =
            all.map(|it| (text_at(it, "/code").to_owned(), text_at(it, "/file").to_owned())).collect();
        for finding in list_at(&report, "/findings") {
            let is_told = !text_at(finding, "/what").is_empty() && !text_at(finding, "/fix").is_empty();
            require(is_told, || format!("a finding without words: {finding}"))?;
        }
        Ok(Said { status: ended.code, faults, findings })
    }
}

fn keep(fault: &Fault) -> String {
    let keep =
        |path: &&str| format!("if [ -e {path} ] || [ -L {path} ]; then cp -a --parents {path} {KEPT}; fi");
    let lines: Vec<String> = fault.changed.iter().map(keep).collect();
    format!("rm -rf {KEPT}; mkdir {KEPT}\n{}", lines.join("\n"))
}

fn put_back(fault: &Fault) -> String {
    let put = |path: &&str| {
        format!(
            "rm -rf {path}; if [ -e {KEPT}{path} ] || [ -L {KEPT}{path} ]; then cp -a {KEPT}{path} {path}; fi"
        )
    };
    fault.changed.iter().map(put).collect::<Vec<_>>().join("\n")
}
