//! Counting must be exact where it can be, and silent where it cannot.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use svcauth_core::policy::Reason;

use super::{Counter, Counts, FILE_MAX, Kind, LINE_MAX, ServiceClass, line, note_in, parse};

fn scratch(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("svcauth-decisions-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

const ALLOW: Kind = Kind { denied: None, service: ServiceClass::Sshd };
const DENY: Kind = Kind { denied: Some(Reason::NotInRole), service: ServiceClass::Su };

fn counted(counter: &mut Counter) -> Vec<(Kind, u64)> {
    let mut counts = Counts::default();
    counter.count_into(&mut counts);
    assert_eq!(counts.full, 0);
    counts.decisions.into_iter().collect()
}

#[test]
fn every_kind_is_read_as_it_was_noted_and_fits_a_line() {
    let reasons = Reason::ALL.iter().copied().map(Some).chain([None]);
    for denied in reasons {
        for service in ServiceClass::ALL {
            let kind = Kind { denied, service: *service };
            let line = line(kind);
            assert!(line.len() as u64 <= LINE_MAX, "{line:?}");
            assert_eq!(parse(line.trim_end_matches('\n').as_bytes()), Some(kind));
            assert_eq!(ServiceClass::of(service.as_str()), *service);
        }
    }
}

#[test]
fn a_line_of_another_kind_is_not_counted() {
    for bad in [
        "",
        "allow",
        "allow - ",
        "allow not_in_role sshd",
        "deny - sshd",
        "deny nonsense sshd",
        "deny not_in_role vsftpd",
        "deny not_in_role sshd more",
        "deny not_in_roleallow - sshd",
    ] {
        assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
    }
    assert_eq!(parse(b"deny not_in_role \xff"), None);
}

#[test]
fn services_that_differ_in_name_only_are_one_class_and_a_foreign_one_is_other() {
    for (service, class) in [
        ("su-l", ServiceClass::Su),
        ("runuser-l", ServiceClass::Runuser),
        ("sudo-i", ServiceClass::Sudo),
        ("atd", ServiceClass::Cron),
        ("vsftpd", ServiceClass::Other),
        ("", ServiceClass::Other),
    ] {
        assert_eq!(ServiceClass::of(service), class, "{service}");
    }
}

#[test]
fn each_decision_is_counted_once_also_one_written_by_who_opened_the_file_before_it_was_taken() {
    let folder = scratch("once");
    let path = folder.join("decisions");
    let mut counter = Counter::at(&path);
    assert_eq!(counted(&mut counter), []);
    for kind in [ALLOW, DENY, ALLOW] {
        note_in(&path, kind).unwrap();
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let mut late = OpenOptions::new().append(true).open(&path).unwrap();
    assert_eq!(counted(&mut counter), [(ALLOW, 2), (DENY, 1)]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    // Half of a line now, the other half after the next count.
    let cut = line(DENY);
    let (head, tail) = cut.split_at(7);
    late.write_all((line(ALLOW) + head).as_bytes()).unwrap();
    note_in(&path, DENY).unwrap();
    assert_eq!(counted(&mut counter), [(ALLOW, 1), (DENY, 1)]);
    late.write_all(tail.as_bytes()).unwrap();
    assert_eq!(counted(&mut counter), []);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_a_daemon_took_and_did_not_live_to_count_is_counted_by_the_next() {
    let folder = scratch("left");
    let path = folder.join("decisions");
    note_in(&path, ALLOW).unwrap();
    fs::rename(&path, folder.join("decisions.counted")).unwrap();
    note_in(&path, DENY).unwrap();
    assert_eq!(counted(&mut Counter::at(&path)), [(ALLOW, 1), (DENY, 1)]);
    assert_eq!(counted(&mut Counter::at(&path)), []);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn many_at_once_lose_nothing() {
    let folder = scratch("many");
    let path = folder.join("decisions");
    let (mut counter, mut counts) = (Counter::at(&path), Counts::default());
    let noted: [AtomicU64; 8] = Default::default();
    std::thread::scope(|scope| {
        let writers = noted.each_ref().map(|noted| {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..1000 {
                    note_in(path, ALLOW).unwrap();
                    noted.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let count = || noted.each_ref().map(|noted| noted.load(Ordering::SeqCst));
        while writers.iter().any(|writer| !writer.is_finished()) {
            counter.count_into(&mut counts);
            // As in life, longer than the moment between opening the file and writing to it: whoever had opened the file
            // that was taken has written to it when the next one is taken.
            let before = count();
            let has_written = |at: usize| writers[at].is_finished() || count()[at] > before[at];
            while !(0..before.len()).all(has_written) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    for _ in 0..2 {
        counter.count_into(&mut counts);
    }
    assert_eq!(counts.decisions.into_iter().collect::<Vec<_>>(), [(ALLOW, 8000)]);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_that_nobody_counts_stops_growing_and_the_counter_says_that_it_was_full() {
    let folder = scratch("full");
    let path = folder.join("decisions");
    fs::write(&path, line(ALLOW).repeat(1 + FILE_MAX as usize / line(ALLOW).len())).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let full = fs::metadata(&path).unwrap().len();
    note_in(&path, DENY).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), full);
    let mut counts = Counts::default();
    Counter::at(&path).count_into(&mut counts);
    assert_eq!(counts.full, 1);
    assert_eq!(counts.decisions.get(&ALLOW).copied(), Some(full / line(ALLOW).len() as u64));
    note_in(&path, DENY).unwrap();
    assert_eq!(counted(&mut Counter::at(&path)), [(DENY, 1)]);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_stands_in_the_place_of_the_file_is_never_waited_for_nor_written_to_and_goes_away() {
    type Obstacle = (&'static str, fn(&Path));
    let obstacles: [Obstacle; 5] = [
        ("a FIFO", |path| mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap()),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("a link to a file", |path| {
            let other = path.with_file_name("other");
            fs::write(&other, "").unwrap();
            fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
            symlink(other, path).unwrap();
        }),
        ("a link to nothing", |path| symlink("/nowhere/at/all", path).unwrap()),
        ("a file that others can write", |path| {
            fs::write(path, line(ALLOW)).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        }),
    ];
    for (name, put) in obstacles {
        let folder = scratch("obstacle");
        let path = folder.join("decisions");
        put(&path);
        let start = Instant::now();
        assert!(note_in(&path, DENY).is_err(), "{name}");
        let mut counter = Counter::at(&path);
        assert_eq!(counted(&mut counter), [], "{name}");
        assert!(start.elapsed() < Duration::from_secs(60), "{name}");
        if let Ok(other) = fs::read(folder.join("other")) {
            assert_eq!(other, b"", "{name}");
        }
        note_in(&path, DENY).unwrap();
        assert_eq!(counted(&mut counter), [(DENY, 1)], "after {name}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_missing_folder_is_no_reason_to_fail() {
    let folder = scratch("missing");
    fs::remove_dir(&folder).unwrap();
    let path = folder.join("decisions");
    assert!(note_in(&path, DENY).is_err());
    assert_eq!(counted(&mut Counter::at(&path)), []);
    assert!(!folder.exists());
}
