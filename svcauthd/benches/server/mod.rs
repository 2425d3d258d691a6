//! A real slapd with as many entries as asked for, and what it says about its own work: shared by the benches.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use svcauth_tests::directory::{BASE, Directory, Schema};
use svcauth_tests::failure::{Context, Failure, Outcome};
use svcauth_tests::site::Site;
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

/// How large a directory is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) accounts: u32,
    pub(crate) people: u32,
    pub(crate) groups: u32,
}

/// Members of each group.
pub(crate) const MEMBERS: u32 = 20;

impl Size {
    /// Everything in LDIF, with the two administrative entries that the harness adds by itself left out.
    pub(crate) fn directory(self) -> Directory {
        let mut directory = Directory::example();
        for index in 0..self.accounts {
            directory.account(&format!("svc{index:06}"), 100_000 + index, 100_000 + index);
        }
        for index in 0..self.people {
            directory.raw(&person(index));
        }
        for index in 0..self.groups {
            let member = |nth| person_dn((index * 7 + nth * 13) % self.people);
            let members: Vec<String> = (0..MEMBERS).map(member).collect();
            directory.group(&group(index), 600_000 + index, &members);
        }
        directory
    }

    pub(crate) fn entries(self) -> u32 {
        self.accounts + self.people + self.groups
    }
}

pub(crate) fn group(index: u32) -> String {
    format!("role{index:05}")
}

pub(crate) fn group_dn(index: u32) -> String {
    format!("cn={},ou=groups,{BASE}", group(index))
}

pub(crate) fn person_dn(index: u32) -> String {
    format!("uid=person{index:06},ou=people,{BASE}")
}

fn person(index: u32) -> String {
    format!(
        "dn: {}\nobjectClass: inetOrgPerson\nobjectClass: ldapPublicKey\nuid: person{index:06}\ncn: Person {index}\n\
         sn: Example\nsshPublicKey: ssh-ed25519 {} person{index:06}",
        person_dn(index),
        key(index)
    )
}

/// A key of its own for each person; nobody logs in with it.
fn key(index: u32) -> String {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend(index.to_be_bytes().repeat(8));
    STANDARD.encode(blob)
}

/// A slapd with these entries, and the site's configuration to use it.
pub(crate) fn start(world: &World, size: Size, refresh: Duration) -> Outcome<(Slapd, Site)> {
    // What docs/SCALING.md asks for: the groups of a new entry are found without reading all of them.
    let indexed = |config: String| config.replacen("index objectClass,", "index member,objectClass,", 1);
    let slapd = Slapd::start_edited(world, &size.directory(), Schema::Rfc2307bis, indexed)?;
    let mut site = Site::example();
    Slapd::serve(world, &mut site)?;
    site.configure(
        "refresh = \"1s\"\ntimeout = \"2s\"",
        &format!("refresh = \"{}s\"\ntimeout = \"120s\"", refresh.as_secs()),
    )?;
    site.configure("id_range = \"7000-7999\"", "id_range = \"7000-999999\"")?;
    Ok((slapd, site))
}

/// What a server has done since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Requests completed, of every kind.
    pub(crate) requests: f64,
    /// Bytes of LDAP sent, before TLS.
    pub(crate) bytes: f64,
    /// Entries sent.
    pub(crate) entries: f64,
    /// Connections that were accepted.
    pub(crate) accepted: f64,
    /// Connections open now.
    pub(crate) open: f64,
    /// Seconds of processor time.
    pub(crate) cpu: f64,
    /// Bytes of memory now.
    pub(crate) memory: f64,
}

impl Work {
    /// Asks the server itself (`cn=Monitor`), and the kernel for its processor time. What the asking costs is taken off by
    /// [`Work::since`].
    pub(crate) fn now(slapd: &Slapd) -> Outcome<Self> {
        let mut values = std::collections::BTreeMap::new();
        // Not the subtree of the connections, which has an entry for each of them.
        for (name, scope) in [
            ("cn=Operations", "base"),
            ("cn=Statistics", "one"),
            ("cn=Total,cn=Connections", "base"),
            ("cn=Current,cn=Connections", "base"),
        ] {
            let base = format!("{name},cn=Monitor");
            let answer = slapd.search(&["-b", &base, "-s", scope, "monitorCounter", "monitorOpCompleted"])?;
            values.extend(counters(&answer.stdout));
        }
        let counter = |name: &str| {
            let key = format!("cn={name},cn=Monitor monitorCounter");
            values.get(&key).copied().ok_or_else(|| Failure::new(format!("slapd tells no {key}")))
        };
        let completed = values.get("cn=Operations,cn=Monitor monitorOpCompleted");
        Ok(Self {
            requests: completed.copied().ok_or_else(|| Failure::new("slapd counts no operations"))?,
            bytes: counter("Bytes,cn=Statistics")?,
            entries: counter("Entries,cn=Statistics")?,
            accepted: counter("Total,cn=Connections")?,
            open: counter("Current,cn=Connections")? - 1.0,
            cpu: precise_time_of(&pid()?)?,
            memory: memory_of(&pid()?, "VmRSS")?,
        })
    }

    /// What was done between two looks, without what `look` cost.
    pub(crate) fn since(self, before: Self, look: Self) -> Self {
        Self {
            requests: self.requests - before.requests - look.requests,
            bytes: self.bytes - before.bytes - look.bytes,
            entries: self.entries - before.entries - look.entries,
            accepted: self.accepted - before.accepted - look.accepted,
            open: self.open,
            cpu: (self.cpu - before.cpu - look.cpu).max(0.0),
            memory: self.memory,
        }
    }

    /// What one look costs: the mean of many.
    pub(crate) fn of_a_look(slapd: &Slapd) -> Outcome<Self> {
        const LOOKS: u32 = 20;
        let before = Self::now(slapd)?;
        let mut last = before;
        for _ in 0..LOOKS {
            last = Self::now(slapd)?;
        }
        let share = |later: f64, sooner: f64| (later - sooner) / f64::from(LOOKS);
        Ok(Self {
            requests: share(last.requests, before.requests),
            bytes: share(last.bytes, before.bytes),
            entries: share(last.entries, before.entries),
            accepted: share(last.accepted, before.accepted),
            open: 0.0,
            cpu: share(last.cpu, before.cpu),
            memory: 0.0,
        })
    }
}

/// `DN attribute` and number, of every number in an answer in LDIF.
fn counters(ldif: &str) -> Vec<(String, f64)> {
    let mut dn = "";
    let mut found = Vec::new();
    for line in ldif.lines() {
        if let Some(name) = line.strip_prefix("dn: ") {
            dn = name;
        } else if let Some((key, Ok(value))) = line.split_once(": ").map(|(key, value)| (key, value.parse()))
        {
            found.push((format!("{dn} {key}"), value));
        }
    }
    found
}

/// The server's process.
fn pid() -> Outcome<String> {
    std::fs::read_to_string("/run/world/slapd/pid").map(|pid| pid.trim().to_owned()).doing("read slapd's pid")
}

/// Bytes of memory that a process has (`VmRSS` of proc(5)) or had at most (`VmHWM`).
pub(crate) fn memory_of(pid: &str, what: &str) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).doing("read its status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0).ok_or_else(|| Failure::new(format!("process {pid} tells no {what}")))
}

/// Seconds that the threads of a process have run which it has now, to the nanosecond (`schedstat` of each); slapd keeps its
/// threads.
fn precise_time_of(pid: &str) -> Outcome<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).doing("list slapd's threads")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat")).doing("read schedstat")?;
        nanoseconds += text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap_or_default();
    }
    Ok(nanoseconds / 1e9)
}

/// Seconds that a process has run on any processor (proc(5): utime and stime in ticks of 10 ms).
pub(crate) fn processor_time_of(pid: &str) -> Outcome<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).doing("read its stat")?;
    let rest = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let ticks: u64 = rest.split(' ').skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / 100.0)
}

/// One change that reaches everybody: another member of the first group.
pub(crate) fn change(slapd: &Slapd, size: Size, round: u32) -> Outcome<String> {
    let member = person_dn(size.people - 1 - round);
    slapd.modify(&format!("dn: {}\nchangetype: modify\nadd: member\nmember: {member}\n", group_dn(0)))?;
    Ok(member)
}

/// A table row.
pub(crate) fn row(name: &str, cells: &[String]) -> String {
    let mut line = format!("{name:<34}");
    for cell in cells {
        let _ = write!(line, " {cell:>14}");
    }
    line
}

/// Bytes for people.
pub(crate) fn bytes(count: f64) -> String {
    if count >= 1e6 {
        format!("{:.1} MB", count / 1e6)
    } else if count >= 1e3 {
        format!("{:.1} kB", count / 1e3)
    } else {
        format!("{count:.0} B")
    }
}
