//! `svcauth report keys`.

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use svcauth_core::policy::{Account, Circumstances, Origin, Policy, Source, decide};
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_core::snapshot::{Invalid, PasswdEntry, RecordKind, Snapshot, Table};
use svcauth_host::paths;
use svcauth_host::snapshot_file::{SnapshotFile, open_accounts};

use super::output::{Columns, Out};
use super::{Format, KeysArgs, Moment, note};
use crate::cli::Done;
use crate::cli::output::Failure;
use crate::cli::snapshot::{self, damaged};
use crate::key_files::careful::{Contents, read};
use crate::key_files::sshd_config::KeyFiles;
use crate::report::about::for_people;
use crate::report::access::{Here, Inventory, Service};
use crate::report::authorized_keys::{KeyLine, parse};
use crate::report::keys::{KeyState, Keys, LocalKey, UnreadFile};
use crate::report::usage::Usage;
use crate::report::{csv, html, keys_rows};
use crate::state::is_tombstone;
use crate::trail::Trail;

pub(super) fn run(args: &KeysArgs) -> Done {
    let snapshot = snapshot::open()?;
    let policy = snapshot.policy().map_err(damaged)?;
    let mut accounts = snapshot.accounts().map_err(damaged)?;
    accounts.retain(|account| !is_tombstone(account));
    let people = snapshot.people().map_err(damaged)?;
    let moment = Moment::of(&snapshot);
    let hosts: Vec<&str> = moment.hosts.iter().map(String::as_str).collect();
    let here = Here { hosts: &hosts, now: moment.now, age: moment.age };
    let services = Service::all_of(&policy);
    let inventory =
        Inventory::new(&policy, &accounts, people.iter().map(|known| &known.person), &services, here);
    let (usage, unreadable_lines) = usage()?;
    let mut found = Search::new(&snapshot, &policy, here)?;
    inventory.accounts().iter().try_for_each(|account| found.account(account))?;
    let keys = Keys {
        local: found.local,
        unread: found.unread,
        inventory: &inventory,
        people: &people,
        usage: &usage,
        unreadable_lines,
        days: args.unused,
        now: moment.now,
    };
    found.files.trouble.iter().for_each(|why| note(&format!("{why}; took sshd's default files")));
    let mut out = Out::open(args.to.output.as_deref())?;
    let written = match args.to.format {
        Format::Table => table(&mut out, &keys),
        Format::Csv => as_csv(&mut out, &keys),
        Format::Json => keys_rows::json(&mut out, &moment.about("keys", &policy), &keys),
        Format::Html => html::keys::write(&mut out, &moment.about("keys", &policy), &keys),
    };
    out.finish(written)?;
    Ok(ExitCode::SUCCESS)
}

/// Everything that the audit trail says about use, and how many of its lines say nothing.
fn usage() -> Result<(Usage, u64), Failure> {
    let trail = Trail::open().map_err(Failure::new)?;
    let (mut usage, mut unreadable) = (Usage::default(), 0);
    for line in trail.lines() {
        match line.map_err(Failure::new)?.entry() {
            Ok(entry) => usage.add(&entry),
            Err(_) => unreadable += 1,
        }
    }
    Ok((usage, unreadable))
}

/// Says what "never" means in a table.
fn covered(keys: &Keys<'_>) {
    let covered = keys.covered();
    let text = match &covered.since {
        None => format!("{} has no records: nothing is said about use", paths::AUDIT_FILE),
        Some(since) => {
            let missing = match covered.missing_records {
                0 => String::new(),
                count => format!("; {count} records are missing in it (see: svcauth log verify)"),
            };
            format!(
                "\"never\" is since {}, when the audit trail of this host begins{missing}",
                for_people(since)
            )
        }
    };
    note(&text);
}

fn table(out: &mut Out, keys: &Keys<'_>) -> io::Result<()> {
    covered(keys);
    let mut columns = Columns::new(&keys_rows::HEAD);
    if out.is_terminal() {
        keys_rows::rows(keys, &mut |cells| {
            columns.measure(cells);
            Ok(())
        })?;
        columns.head(out)?;
    }
    keys_rows::rows(keys, &mut |cells| columns.row(out, cells))
}

fn as_csv(out: &mut dyn Write, keys: &Keys<'_>) -> io::Result<()> {
    covered(keys);
    let head = keys_rows::HEAD.map(str::to_ascii_lowercase);
    csv::line(out, head.iter().map(String::as_str))?;
    keys_rows::rows(keys, &mut |cells| csv::line(out, cells.iter().map(String::as_str)))
}

/// Goes from account to account.
struct Search<'a> {
    snapshot: &'a AccessSnapshot<SnapshotFile>,
    passwd: Snapshot<SnapshotFile>,
    policy: &'a Policy,
    here: Here<'a>,
    files: KeyFiles,
    local: Vec<LocalKey>,
    unread: Vec<UnreadFile>,
}

impl<'a> Search<'a> {
    fn new(
        snapshot: &'a AccessSnapshot<SnapshotFile>,
        policy: &'a Policy,
        here: Here<'a>,
    ) -> Result<Self, Failure> {
        let passwd = open_accounts()
            .map_err(|error| Failure::new(format!("{}: {error}", paths::ACCOUNTS_SNAPSHOT)))?;
        let (local, unread) = (Vec::new(), Vec::new());
        Ok(Self { snapshot, passwd, policy, here, files: KeyFiles::ask(), local, unread })
    }

    fn account(&mut self, account: &Account) -> Result<(), Failure> {
        let Some((uid, home)) = self.home(account)? else { return Ok(()) };
        for path in self.files.of(&account.name, uid, &home) {
            let unread = |why: String| UnreadFile {
                account: account.name.clone(),
                file: path.to_string_lossy().into_owned(),
                why,
            };
            let bytes = match read(&home, &path) {
                Ok(Contents::Missing) => continue,
                Ok(Contents::Whole(bytes)) => bytes,
                Ok(Contents::Beginning(bytes)) => {
                    self.unread.push(unread(format!("only the first {} bytes were read", bytes.len())));
                    bytes
                }
                Err(why) => {
                    self.unread.push(unread(why));
                    continue;
                }
            };
            let found = parse(&bytes);
            match found.other_lines {
                0 => {}
                1 => self.unread.push(unread("1 line is no key".to_owned())),
                count => self.unread.push(unread(format!("{count} lines are no keys"))),
            }
            for line in found.keys {
                let key = self.key(account, &path, line)?;
                self.local.push(key);
            }
        }
        Ok(())
    }

    /// The uid and home of an account, as NSS shows it; `None`: it has none on this host.
    fn home(&self, account: &Account) -> Result<Option<(u32, PathBuf)>, Failure> {
        if account.uid.is_none() {
            let known = nix::unistd::User::from_name(&account.name).ok().flatten();
            return Ok(known.map(|user| (user.uid.as_raw(), user.dir)));
        }
        let broken = |error: Invalid| Failure::new(format!("{}: {error}", paths::ACCOUNTS_SNAPSHOT));
        for place in self.passwd.find(Table::PasswdByName, account.name.as_bytes()).map_err(broken)? {
            let mut record = vec![0; (place.len as usize).min(1 << 20)];
            let payload = self.passwd.read(place, RecordKind::Passwd, &mut record).map_err(broken)?;
            let entry = PasswdEntry::parse(payload).map_err(broken)?;
            if entry.name.to_bytes() == account.name.as_bytes() {
                return Ok(Some((entry.uid.get(), path_of(entry.home))));
            }
        }
        Ok(None)
    }

    fn key(&self, account: &Account, path: &Path, line: KeyLine) -> Result<LocalKey, Failure> {
        let owner = self.snapshot.person_by_key(&line.fingerprint).map_err(damaged)?;
        let may_use = owner.as_ref().is_some_and(|known| {
            let at = Circumstances {
                service: Some("sshd"),
                hosts: self.here.hosts,
                source: Source::NotYetKnown,
                now: self.here.now,
                age: self.here.age,
            };
            decide(self.policy, account, Origin::Person(&known.person), &at).is_allow()
        });
        let state = match (line.is_authority, &owner) {
            (true, _) if self.policy.trusted_ca.contains(&line.fingerprint) => KeyState::TrustedAuthority,
            (true, _) => KeyState::Authority,
            (false, None) => KeyState::Nobody,
            (false, Some(_)) if may_use => KeyState::Owned,
            (false, Some(_)) => KeyState::NoAccess,
        };
        Ok(LocalKey {
            account: account.name.clone(),
            file: path.to_string_lossy().into_owned(),
            line: line.number,
            key_type: line.key_type,
            fingerprint: line.fingerprint.to_string(),
            state,
            owner: owner.map(|known| known.person.login),
        })
    }
}

fn path_of(text: &CStr) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(text.to_bytes()))
}
