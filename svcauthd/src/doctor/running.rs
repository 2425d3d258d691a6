//! What runs: the daemon, its data and their age, the clock, what the kernel tells.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use svcauth_host::clock::Clock;
use svcauth_host::confirmed::{self, Confirmation};
use svcauth_host::paths;
use svcauth_host::snapshot_file::{SnapshotError, open_access, open_accounts, read_trusted};

use super::{Finding, Host, Site, lint, proc_mount};
use crate::cli::client::{NoAnswer, ask};
use crate::cli::output::duration;
use crate::control::{Reply, Request, Status};

/// A wall clock that is so far from where it must be has been set, in seconds.
const JUMP: u64 = 120;
/// Bytes of records that wait while the daemon writes the audit file.
const SPOOL: u64 = 4 << 20;
const START: &str = "run: systemctl start svcauthd; journalctl -u svcauthd says why it ended";

pub(super) fn examine(host: &Host, site: &Site) -> Vec<Finding> {
    let mut found = daemon();
    found.extend(unit(host));
    found.extend(packages(host));
    found.extend(snapshots());
    found.extend(age(site));
    found.extend(clock(host));
    found.extend(no_audit_sessions(host));
    found.extend(proc_mount::examine(host));
    found
}

fn daemon() -> Vec<Finding> {
    let status = match ask(&Request::Status {}, Some(Duration::from_secs(5))) {
        Ok(Reply::Status(status)) => status,
        Ok(_) => {
            let what =
                "svcauthd gave an answer to another question: it is of another version than this command"
                    .to_owned();
            return vec![lint::DAEMON_NO_ANSWER.found(
                None,
                what,
                "run: systemctl restart svcauthd".to_owned(),
            )];
        }
        Err(NoAnswer::NotRunning) => {
            let what = "svcauthd is not running: logins go on from the last snapshot until it is too old, and nobody's access ends".to_owned();
            return vec![lint::DAEMON_NOT_RUNNING.found(None, what, START.to_owned())];
        }
        Err(NoAnswer::Failed(error)) => {
            let what =
                format!("svcauthd does not answer ({error}): nothing is refreshed, and nobody's access ends");
            return vec![lint::DAEMON_NO_ANSWER.of(
                paths::SOCKET,
                what,
                "run: systemctl restart svcauthd".to_owned(),
            )];
        }
    };
    told(&status)
}

fn told(status: &Status) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(why) = &status.last_error {
        let what = format!("the last refresh failed: {why}");
        let fix = "repair what is said there, and run: svcauth sync".to_owned();
        found.push(lint::DIRECTORY_FAILS.found(None, what, fix));
    }
    if let Some(why) = &status.audit_error {
        let what = format!("the audit file is not written ({why}): records wait in {}", paths::AUDIT_SPOOL);
        found.push(lint::AUDIT_NOT_WRITTEN.of(
            paths::AUDIT_FILE,
            what,
            "repair what is said there; nothing else has to be done".to_owned(),
        ));
    }
    let waiting = waiting(std::path::Path::new(paths::AUDIT_SPOOL));
    if status.audit_error.is_none() && waiting > SPOOL {
        let what = format!(
            "{} MiB of audit records wait for the daemon, which writes slower than they come",
            waiting >> 20
        );
        let fix =
            format!("look at the disk below {}, and at who logs in so often: svcauth log", paths::AUDIT_FILE);
        found.push(lint::AUDIT_SPOOL_GROWS.of(paths::AUDIT_SPOOL, what, fix));
    }
    found
}

/// Bytes of all files of the spool; of what was read already nothing is left but the length.
fn waiting(spool: &std::path::Path) -> u64 {
    let name = spool.file_name().unwrap_or_default().as_encoded_bytes();
    let entries = spool.parent().and_then(|folder| folder.read_dir().ok()).into_iter().flatten().flatten();
    let is_spool = |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(name);
    let metas = entries.filter(is_spool).filter_map(|entry| entry.metadata().ok());
    metas
        .filter(std::fs::Metadata::is_file)
        .map(|meta| meta.len().min(meta.blocks().saturating_mul(512)))
        .sum()
}

/// Whether it would run again after a start of the machine.
fn unit(host: &Host) -> Option<Finding> {
    if !host.has("/run/systemd/system") {
        return None;
    }
    let said = host.run("/usr/bin/systemctl", &["is-enabled", "svcauthd.service"]).ok()?;
    let state = said.out.trim();
    if said.success || state.is_empty() {
        return None;
    }
    let what = format!(
        "svcauthd.service is {state}: it does not start with the machine, and managed accounts are refused when the snapshot is too old"
    );
    let fix = "run: systemctl enable --now svcauthd.service".to_owned();
    Some(lint::DAEMON_NOT_ENABLED.of("/usr/lib/systemd/system/svcauthd.service", what, fix))
}

/// The module, the daemon and this command are built together, and are tried together only.
fn packages(host: &Host) -> Option<Finding> {
    let names = ["svcauth", "libpam-svcauth", "libnss-svcauth"];
    let format = ["-W", "-f", "${Package} ${Version} ${db:Status-Status}\n"];
    let said = host.run("/usr/bin/dpkg-query", &[&format[..], &names[..]].concat()).ok()?;
    let why = differ(&said.out)?;
    let fix = format!("run: apt-get install {}", names.join(" "));
    Some(lint::PACKAGES_DIFFER.found(None, format!("the packages do not fit together: {why}"), fix))
}

/// Nothing, where svcauth was not installed from packages.
fn differ(said: &str) -> Option<String> {
    let known = said.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let known: Vec<_> = known
        .filter(|words| words.get(2).is_some_and(|state| !matches!(*state, "not-installed" | "config-files")))
        .collect();
    let version = known.first()?.get(1);
    let fits = known.iter().all(|words| words.get(1) == version && words.get(2) == Some(&"installed"));
    (!fits).then(|| known.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join(", "))
}

fn snapshots() -> Vec<Finding> {
    let files =
        [(paths::ACCESS_SNAPSHOT, open_access().err()), (paths::ACCOUNTS_SNAPSHOT, open_accounts().err())];
    let look = |(path, why): (&str, Option<SnapshotError>)| {
        let why = why?;
        let refused = "managed accounts are refused, those of local_accounts too";
        Some(match why {
            SnapshotError::Missing => lint::SNAPSHOT_MISSING.of(
                path,
                format!("there is no snapshot: {refused}"),
                format!("{START}; then: svcauth sync"),
            ),
            other => lint::SNAPSHOT_INVALID.of(
                path,
                format!("{other}: {refused}"),
                format!("run: rm {path} && systemctl restart svcauthd"),
            ),
        })
    };
    files.into_iter().filter_map(look).collect()
}

fn age(site: &Site) -> Option<Finding> {
    let header = *open_accounts().ok()?.header();
    let policy = site.access.as_ref()?.policy().ok()?;
    let fix = "run: svcauth sync, which says why the directory does not answer".to_owned();
    let Some(age) = confirmed::age(&header, &Clock::now()).0 else {
        let what = "nobody knows how old the snapshot is: the clock stands before the time at which it was made; managed accounts are refused";
        return Some(lint::SNAPSHOT_STALE.of(
            paths::CONFIRMED,
            what.to_owned(),
            "set the clock, and run: svcauth sync".to_owned(),
        ));
    };
    let (old, limit) = (duration(age), duration(policy.max_stale));
    if age >= policy.max_stale {
        let what = format!(
            "the directory last confirmed the snapshot {old} ago, and max_stale is {limit}: managed accounts are refused"
        );
        return Some(lint::SNAPSHOT_STALE.of(paths::CONFIRMED, what, fix));
    }
    if age < policy.max_stale / 2 {
        return None;
    }
    let what = format!(
        "the directory last confirmed the snapshot {old} ago; from {limit} on managed accounts are refused"
    );
    Some(lint::SNAPSHOT_OLD.of(paths::CONFIRMED, what, fix))
}

fn clock(host: &Host) -> Vec<Finding> {
    let mut found = Vec::new();
    let last = read_trusted(std::path::Path::new(paths::CONFIRMED), 4096)
        .ok()
        .and_then(|text| text.parse::<Confirmation>().ok());
    found.extend(last.and_then(|last| jumped(&last, &Clock::now())));
    let said = host.run("/usr/bin/timedatectl", &["show", "--property=NTPSynchronized", "--value"]);
    if said.is_ok_and(|said| said.success && said.out.trim() == "no") {
        let what =
            "the clock is not synchronised: people and accounts expire, and the snapshot ages, by this clock";
        let fix = "run: timedatectl set-ntp true, or set up chrony; another that keeps the clock (the hypervisor) is not known to the kernel";
        found.push(lint::CLOCK_UNSYNCHRONISED.found(None, what.to_owned(), fix.to_owned()));
    }
    found
}

/// Within one boot the two clocks go on at the same pace.
fn jumped(last: &Confirmation, now: &Clock) -> Option<Finding> {
    if last.at.boot_id.is_none() || last.at.boot_id != now.boot_id {
        return None;
    }
    let passed = now.boottime.checked_sub(last.at.boottime)?;
    let expected = last.at.wall.saturating_add(passed);
    let (by, way) =
        if now.wall < expected { (expected - now.wall, "back") } else { (now.wall - expected, "on") };
    (by > JUMP).then(|| {
        let what = format!("the clock was set {way} by {} since the directory last confirmed the snapshot: what expires by the clock does so at another time", duration(by));
        lint::CLOCK_JUMPED.found(None, what, "look at what sets the clock: timedatectl timesync-status, chronyc tracking".to_owned())
    })
}

fn no_audit_sessions(host: &Host) -> Option<Finding> {
    if !host.has("/proc/self/status") || host.has("/proc/self/sessionid") {
        return None;
    }
    let what = "the kernel has no audit sessions: who is behind a process is told by its ancestors alone";
    Some(lint::NO_AUDIT_SESSIONS.found(None, what.to_owned(), "use a kernel with CONFIG_AUDIT".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Clock, Confirmation, Host, differ, jumped, no_audit_sessions, waiting};

    #[test]
    fn packages_of_different_versions_or_half_installed_are_named() {
        for (said, differs) in [
            ("", false),
            ("svcauth 0.1.0 installed\nlibpam-svcauth 0.1.0 installed\n", false),
            ("svcauth 0.2.0 installed\nlibpam-svcauth 0.1.0 installed\n", true),
            ("svcauth 0.1.0 half-configured\nlibpam-svcauth 0.1.0 installed\n", true),
            ("svcauth 0.1.0 config-files\nlibpam-svcauth  not-installed\n", false),
        ] {
            assert_eq!(differ(said).is_some(), differs, "{said}");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_named_and_one_that_goes_on_is_not() {
        let at = |wall, boottime, boot: &str| Clock { wall, boottime, boot_id: Some(boot.to_owned()) };
        let last = Confirmation { generation: 1, at: at(1_000_000, 500, "a") };
        for (now, way) in [
            (at(1_000_100, 600, "a"), None),
            (at(1_000_150, 600, "a"), None),
            (at(1_000_900, 600, "a"), Some("set on by 13m")),
            (at(990_000, 600, "a"), Some("set back by 2h")),
            (at(990_000, 600, "b"), None),
        ] {
            let found = jumped(&last, &now).map(|it| it.what);
            assert_eq!(found.is_some(), way.is_some(), "{now:?}");
            assert!(found.is_none_or(|what| what.contains(way.unwrap())), "{now:?}");
        }
    }

    #[test]
    fn a_kernel_that_tells_no_audit_sessions_is_named() {
        let root = std::env::temp_dir().join(format!("svcauth-doctor-audit-{}", std::process::id()));
        std::fs::create_dir_all(root.join("proc/self")).unwrap();
        let code = || no_audit_sessions(&Host::in_folder(&root)).map(|it| it.code);
        // No /proc at all says nothing.
        assert_eq!(code(), None);
        std::fs::write(root.join("proc/self/status"), "").unwrap();
        assert_eq!(code(), Some("no_audit_sessions"));
        std::fs::write(root.join("proc/self/sessionid"), "").unwrap();
        assert_eq!(code(), None);
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_waits_is_in_all_files_of_the_spool_and_what_was_read_does_not_count() {
        let root = std::env::temp_dir().join(format!("svcauth-doctor-spool-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let spool = root.join("audit.spool");
        assert_eq!(waiting(&spool), 0);
        std::fs::write(&spool, vec![b'x'; 10_000]).unwrap();
        std::fs::write(root.join("audit.spool.1"), vec![b'x'; 5_000]).unwrap();
        std::fs::write(root.join("recorder.state"), vec![b'x'; 5_000]).unwrap();
        assert_eq!(waiting(&spool), 15_000);
        // As the recorder leaves it: long, and nothing in it.
        std::fs::File::create(&spool).unwrap().set_len(64 << 20).unwrap();
        assert_eq!(waiting(&spool), 5_000);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
