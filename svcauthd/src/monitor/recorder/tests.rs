//! Whatever happens to the daemon and its files: every record is in the trail once, and the trail is whole.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use svcauth_core::audit::chain::{Head, Walk};
use svcauth_core::audit::{Record, Verdict};
use svcauth_core::config::Audit;
use svcauth_host::spool::append_to;
use svcauth_host::spool::drain::Drain;

use super::audit_file::Places;
use super::crash::plan;
use super::writer::Writer;
use crate::state_dir::StateDir;
use crate::trail::{Entry, Trail};

const SETTINGS: Audit = Audit { rotate_size: 64 << 20, keep: 15, denied_per_minute: 600 };

/// A host of its own.
struct Host {
    folder: PathBuf,
}

impl Host {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("svcauth-recorder-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("run")).unwrap();
        plan(None);
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("log/audit.jsonl")
    }

    fn spool(&self) -> PathBuf {
        self.folder.join("run/audit.spool")
    }

    fn dir(&self, name: &str) -> StateDir {
        StateDir::open(&self.folder.join(name)).unwrap()
    }

    /// A daemon that has just started.
    fn writer(&self) -> Writer {
        let places = Places { file: self.file(), head: (self.dir("lib"), "audit.head") };
        Writer::new(places, Drain::at(&self.spool()), self.dir("run"))
    }

    fn allow(&self, account: &str) {
        append_to(&self.spool(), &record(account, Verdict::Allow)).unwrap();
    }

    fn head(&self) -> Head {
        fs::read_to_string(self.folder.join("lib/audit.head")).unwrap().parse().unwrap()
    }

    /// Everything in the trail, which is whole and ends where the head says.
    fn whole(&self) -> Vec<Entry> {
        let (trail, mut walk, mut path) = (Trail::of(&self.file()).unwrap(), Walk::new(), PathBuf::new());
        let mut entries = Vec::new();
        for line in trail.lines() {
            let line = line.unwrap();
            if line.path != path {
                walk.begin_file();
                path.clone_from(&line.path);
            }
            let stepped = line.is_complete.then(|| walk.step(&line.bytes));
            assert!(matches!(stepped, Some(Ok(_))), "{line:?}: {stepped:?}");
            entries.push(line.entry().unwrap());
        }
        assert_eq!(walk.last(), Some(self.head().last));
        entries
    }

    fn accounts(&self) -> Vec<String> {
        self.whole().into_iter().filter(|entry| entry.verb() == "allow").filter_map(|it| it.account).collect()
    }

    fn alarms(&self) -> Vec<String> {
        let alarms = self.whole().into_iter().filter(|entry| entry.event == "alarm");
        alarms.map(|entry| entry.reason.unwrap()).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        plan(None);
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn record(account: &str, verdict: Verdict) -> Record {
    Record { time: Some(1), account: Some(account.to_owned()), decision: Some(verdict), ..Record::default() }
}

/// Steps until there is nothing more to do.
fn run(writer: &mut Writer, settings: &Audit) -> std::io::Result<()> {
    while writer.step(settings, false)? {}
    Ok(())
}

#[test]
fn what_is_spooled_is_in_the_file_in_its_order_and_the_spool_is_empty() {
    let host = Host::new("order");
    let mut writer = host.writer();
    run(&mut writer, &SETTINGS).unwrap();
    assert_eq!(host.whole().first().map(|entry| entry.event.as_str()), Some("file_begin"));
    for round in 0..3 {
        (0..5).for_each(|number| host.allow(&format!("{round}-{number}")));
        run(&mut writer, &SETTINGS).unwrap();
    }
    let expected: Vec<String> = (0..15).map(|number| format!("{}-{}", number / 5, number % 5)).collect();
    assert_eq!(host.accounts(), expected);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(host.file()).unwrap().permissions());
    assert_eq!(mode & 0o7777, 0o600);
    let before = fs::read(host.file()).unwrap();
    run(&mut host.writer(), &SETTINGS).unwrap();
    assert_eq!(fs::read(host.file()).unwrap(), before, "a restart writes nothing twice");
}

/// Records come in rounds, with rotations in between; the daemon dies once, and another one takes over.
fn live_and_die(host: &Host, settings: &Audit) -> bool {
    let (mut writer, mut died) = (host.writer(), false);
    for round in 0..12 {
        host.allow(&format!("a{round}"));
        if round == 6 {
            // What comes in while a file of the spool is put aside.
            let fill = vec![b'\n'; 1 << 20];
            OpenOptions::new().append(true).open(host.spool()).unwrap().write_all(&fill).unwrap();
        }
        host.allow(&format!("b{round}"));
        if run(&mut writer, settings).is_err() {
            died = true;
            plan(None);
            writer = host.writer();
        }
    }
    run(&mut writer, settings).unwrap();
    run(&mut writer, settings).unwrap();
    died
}

#[test]
fn a_daemon_that_dies_at_any_place_loses_and_doubles_nothing() {
    let settings = Audit { rotate_size: 900, keep: 50, ..SETTINGS };
    let expected: Vec<String> =
        (0..12).flat_map(|round| [format!("a{round}"), format!("b{round}")]).collect();
    for place in [
        "saved",
        "half appended",
        "appended",
        "head written",
        "put aside",
        "removed",
        "prepared",
        "one shifted",
        "shifted",
        "in place",
    ] {
        let mut deaths = 0;
        for times in 0..5 {
            let host = Host::new(&format!("dies-{}-{times}", place.replace(' ', "-")));
            plan(Some((place, times)));
            let died = live_and_die(&host, &settings);
            deaths += usize::from(died);
            assert_eq!(host.accounts(), expected, "{place} {times}");
            assert_eq!(host.alarms(), [""; 0], "{place} {times}");
            assert!(died || times > 0, "{place} is never reached");
        }
        assert!(deaths > 0, "{place}");
    }
}

#[test]
fn after_a_loss_of_power_the_chain_goes_on_in_a_new_file_that_says_so() {
    for tail in ["{\"seq\":5,\"time\":\"20", "\0\0\0\0\0\0\0\0\n", "{\"seq\":5,\"event\":\"alarm\"}\n"] {
        let host = Host::new("power");
        (0..3).for_each(|number| host.allow(&format!("a{number}")));
        run(&mut host.writer(), &SETTINGS).unwrap();
        // What lay on tmpfs is gone, and the last write came to the disk in part.
        fs::remove_dir_all(host.folder.join("run")).unwrap();
        fs::create_dir(host.folder.join("run")).unwrap();
        OpenOptions::new().append(true).open(host.file()).unwrap().write_all(tail.as_bytes()).unwrap();
        let mut writer = host.writer();
        host.allow("later");
        run(&mut writer, &SETTINGS).unwrap();
        let old = fs::read_to_string(host.file().with_extension("jsonl.1")).unwrap();
        assert!(old.ends_with(tail), "old lines are never touched");
        let new = fs::read_to_string(host.file()).unwrap();
        let lines: Vec<&str> = new.lines().collect();
        assert!(lines[0].contains("\"seq\":5,\"prev\"") && lines[0].contains("file_begin"), "{new}");
        assert!(lines[1].contains("audit_file_unfinished") && lines[1].contains("line 5"), "{new}");
        assert!(lines[2].contains("\"account\":\"later\""), "{new}");
    }
}

type Deed = (&'static str, &'static str, fn(&Path));
/// What somebody may do to the audit file, and what is said about it.
const DEEDS: [Deed; 8] = [
    ("removed", "audit_file_missing", |path| fs::remove_file(path).unwrap()),
    ("moved away", "audit_file_missing", |path| fs::rename(path, path.with_extension("old")).unwrap()),
    ("emptied", "audit_file_cut", |path| fs::write(path, "").unwrap()),
    ("cut", "audit_file_cut", |path| {
        let text = fs::read_to_string(path).unwrap();
        let kept: Vec<&str> = text.lines().take(2).collect();
        fs::write(path, kept.join("\n") + "\n").unwrap();
    }),
    ("edited", "audit_file_damaged", |path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replace("\"a1\"", "\"mallory\"")).unwrap();
    }),
    ("a folder", "audit_file_replaced", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("a link", "audit_file_replaced", |path| {
        fs::remove_file(path).unwrap();
        symlink("/dev/null", path).unwrap();
    }),
    ("a fifo", "audit_file_replaced", |path| {
        fs::remove_file(path).unwrap();
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    }),
];

#[test]
fn whatever_is_done_to_the_file_is_told_and_no_record_is_lost_or_doubled_over_it() {
    for restarted in [false, true] {
        for (what, code, deed) in DEEDS {
            let host = Host::new("deeds");
            let mut writer = host.writer();
            (0..3).for_each(|number| host.allow(&format!("a{number}")));
            run(&mut writer, &SETTINGS).unwrap();
            let before = host.head();
            deed(&host.file());
            host.allow("later");
            if restarted {
                writer = host.writer();
            }
            run(&mut writer, &SETTINGS).unwrap();
            let text = fs::read_to_string(host.file()).unwrap();
            assert_eq!(text.matches("\"account\":\"later\"").count(), 1, "{what}: {text}");
            assert!(text.lines().nth(1).unwrap().contains(code), "{what} {restarted}: {text}");
            let begins = format!("{{\"seq\":{},\"prev\":\"{}\"", before.last.seq + 1, before.last.hash);
            assert!(text.starts_with(&begins), "{what}: {text}");
        }
    }
}

#[test]
fn a_disk_that_takes_nothing_loses_nothing_and_is_used_again_when_it_does() {
    let host = Host::new("disk");
    let mut writer = host.writer();
    host.allow("before");
    run(&mut writer, &SETTINGS).unwrap();
    for place in ["appended", "half appended", "in place"] {
        let settings = if place == "in place" { Audit { rotate_size: 1, ..SETTINGS } } else { SETTINGS };
        plan(Some((place, 0)));
        host.allow(place);
        assert!(run(&mut writer, &settings).is_err() && run(&mut writer, &settings).is_err(), "{place}");
        host.allow(&format!("{place}, later"));
        plan(None);
        run(&mut writer, &SETTINGS).unwrap();
    }
    let expected =
        ["before", "appended", "appended, later", "half appended", "half appended, later", "in place"];
    assert_eq!(host.accounts()[..6], expected);
    assert_eq!(host.accounts().len(), 7);
}

#[test]
fn of_a_flood_so_many_are_kept_and_all_are_counted_and_everything_allowed_is_there() {
    let host = Host::new("flood");
    let settings = Audit { denied_per_minute: 10, ..SETTINGS };
    let mut writer = host.writer();
    for number in 0..3000 {
        let refusal = record(if number % 3 == 0 { "x" } else { "y" }, Verdict::Deny);
        append_to(&host.spool(), &Record { reason: Some("not_in_role".to_owned()), ..refusal }).unwrap();
        if number % 100 == 0 {
            host.allow(&format!("a{number}"));
            run(&mut writer, &settings).unwrap();
        }
    }
    let counted = writer.tally().suppressed;
    // Another daemon goes on counting.
    let mut writer = host.writer();
    while writer.step(&settings, true).unwrap() {}
    let entries = host.whole();
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in &entries {
        let (account, count) = (entry.account.as_deref().unwrap_or_default(), entry.count.unwrap_or(1));
        match entry.verb() {
            "deny" => *sums.entry("kept").or_default() += 1,
            "suppressed" => *sums.entry(account).or_default() += count,
            _ => {}
        }
    }
    let kept = sums["kept"];
    // The test may run across the turn of a minute.
    assert!((10..=20).contains(&kept), "{sums:?}");
    assert_eq!(sums.values().sum::<u64>(), 3000, "{sums:?}");
    assert_eq!(counted + writer.tally().suppressed, 3000 - kept);
    assert!(sums["x"] > 980 && sums["y"] > 1980, "{sums:?}");
    assert_eq!(host.accounts().len(), 30);
}

#[test]
fn files_are_rotated_by_size_and_so_many_are_kept_and_the_head_says_where_they_begin() {
    let host = Host::new("rotation");
    let settings = Audit { rotate_size: 700, keep: 3, ..SETTINGS };
    let mut writer = host.writer();
    for number in 0..60 {
        host.allow(&format!("a{number}"));
        run(&mut writer, &settings).unwrap();
        let files = fs::read_dir(host.folder.join("log")).unwrap().count();
        assert!(files <= 4, "{files}");
        assert_eq!(host.whole().first().and_then(|entry| entry.seq), Some(host.head().first));
    }
    assert!(host.head().first > 30);
    // Whoever removes more than the daemon did is found out by the head, also after it went on.
    fs::remove_file(host.file().with_extension("jsonl.3")).unwrap();
    let first = host.head().first;
    run(&mut host.writer(), &settings).unwrap();
    host.allow("more");
    run(&mut host.writer(), &settings).unwrap();
    assert_eq!(host.head().first, first);
    assert!(host.whole().first().and_then(|entry| entry.seq).unwrap() > first);
}

#[test]
fn what_is_no_record_is_told_and_takes_nothing_along() {
    let host = Host::new("torn");
    let mut writer = host.writer();
    host.allow("one");
    let torn = b"\n{\"event\":\"decision\",\"account\":\"half\x1b\n";
    OpenOptions::new().append(true).open(host.spool()).unwrap().write_all(torn).unwrap();
    host.allow("two");
    run(&mut writer, &SETTINGS).unwrap();
    assert_eq!(host.accounts(), ["one", "two"]);
    let alarm = host.whole().into_iter().find(|entry| entry.event == "alarm").unwrap();
    assert_eq!(alarm.reason.as_deref(), Some("audit_spool_damaged"));
    assert!(alarm.detail.unwrap().contains("half\\x1b"), "it can be read");
    // Something else in its place.
    fs::remove_file(host.spool()).unwrap();
    nix::unistd::mkfifo(&host.spool(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    run(&mut writer, &SETTINGS).unwrap();
    host.allow("three");
    run(&mut writer, &SETTINGS).unwrap();
    assert_eq!((host.accounts().len(), host.alarms()[1].as_str()), (3, "audit_spool_replaced"));
    let counted: Vec<_> = writer.tally().alarms.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(counted, [("audit_spool_damaged", 1), ("audit_spool_replaced", 1)]);
}

#[test]
fn what_a_writer_writes_that_was_stopped_for_long_is_in_the_file_and_its_spool_file_goes_away() {
    let host = Host::new("stopped");
    let mut writer = host.writer();
    host.allow("before");
    run(&mut writer, &SETTINGS).unwrap();
    // As a writer does it, up to the moment in which it is stopped.
    let file = OpenOptions::new().append(true).open(host.spool()).unwrap();
    let stopped = Flock::lock(file, FlockArg::LockSharedNonblock).unwrap();
    OpenOptions::new().append(true).open(host.spool()).unwrap().write_all(&vec![b'\n'; 1 << 20]).unwrap();
    for round in 0..3 {
        run(&mut writer, &SETTINGS).unwrap();
        host.allow(&format!("meanwhile {round}"));
    }
    run(&mut writer, &SETTINGS).unwrap();
    let aside = host.spool().with_extension("spool.1");
    assert!(aside.exists(), "somebody may still write to it");
    let mut writer = host.writer();
    let late = record("late", Verdict::Allow).to_json();
    (&*stopped).write_all(format!("\n{late}\n").as_bytes()).unwrap();
    run(&mut writer, &SETTINGS).unwrap();
    assert!(aside.exists());
    drop(stopped);
    run(&mut writer, &SETTINGS).unwrap();
    assert!(!aside.exists(), "nobody will ever write to it");
    assert_eq!(host.accounts(), ["before", "meanwhile 0", "meanwhile 1", "meanwhile 2", "late"]);
}
