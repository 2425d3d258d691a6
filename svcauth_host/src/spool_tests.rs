//! The spool loses nothing, doubles nothing, grows no further than it may, and nobody waits for anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use svcauth_core::audit::{Event, Record, Verdict};

use super::drain::{Drain, RecorderLock, SpoolFile};
use super::{LINE_MAX, REFUSALS_MAX, SPOOL_MAX, SpoolError, append_to, is_held, line_of, open};

fn scratch(test: &str) -> (PathBuf, PathBuf) {
    let folder = std::env::temp_dir().join(format!("svcauth-spool-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("audit.spool");
    (folder, path)
}

fn record(account: &str) -> Record {
    Record { account: Some(account.to_owned()), decision: Some(Verdict::Allow), ..Record::default() }
}

fn refusal(account: &str) -> Record {
    Record { decision: Some(Verdict::Deny), ..record(account) }
}

fn files(drain: &Drain) -> Vec<SpoolFile> {
    let mut strange = Vec::new();
    let files = drain.files(&mut strange).unwrap();
    assert!(strange.is_empty(), "{strange:?}");
    files
}

fn text(file: &SpoolFile, from: u64) -> String {
    String::from_utf8(file.read(from, 64 << 20).unwrap()).unwrap()
}

fn complete(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_record_is_one_line_in_a_file_that_only_its_owner_reads() {
    let (folder, path) = scratch("line");
    append_to(&path, &record("one")).unwrap();
    append_to(&path, &refusal("two")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let all = files(&Drain::at(&path));
    assert_eq!(all.len(), 1);
    let text = text(&all[0], 0);
    assert_eq!(complete(&text), [record("one").to_json(), refusal("two").to_json()]);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_line_that_was_torn_takes_nothing_of_the_next_one_along() {
    let (folder, path) = scratch("torn");
    append_to(&path, &record("one")).unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\n{\"event\":\"deci").unwrap();
    append_to(&path, &record("two")).unwrap();
    let text = text(&files(&Drain::at(&path))[0], 0);
    assert_eq!(complete(&text), [&record("one").to_json(), "{\"event\":\"deci", &record("two").to_json()]);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_a_spool_holds_is_all_of_its_files_and_nothing_that_only_looks_like_one() {
    let (folder, path) = scratch("held");
    let drain = Drain::at(&path);
    assert_eq!(drain.held().unwrap(), 0);
    append_to(&path, &record("one")).unwrap();
    drain.put_aside(7).unwrap();
    let aside = drain.held().unwrap();
    append_to(&path, &record("two")).unwrap();
    let all: u64 = files(&drain).iter().map(|file| file.held().unwrap()).sum();
    assert!(0 < aside && aside < all, "{aside} {all}");
    fs::write(folder.join("audit.spool.x"), "no file of it").unwrap();
    mkfifo(&folder.join("audit.spool.8"), Mode::S_IRWXU).unwrap();
    assert_eq!(drain.held().unwrap(), all);
    assert_eq!(Drain::at(&folder.join("gone/audit.spool")).held().unwrap(), 0);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_writer_that_was_stopped_keeps_its_file_and_nothing_else() {
    let (folder, path) = scratch("stopped");
    let drain = Drain::at(&path);
    append_to(&path, &record("before")).unwrap();
    let stopped = open(&path).unwrap();
    drain.put_aside(1).unwrap();
    // Others write on, to a new file, and the daemon reads both.
    append_to(&path, &record("meanwhile")).unwrap();
    let all = files(&drain);
    assert_eq!(all.iter().map(|file| file.number).collect::<Vec<_>>(), [Some(1), None]);
    assert!(all[0].close().unwrap().is_none(), "somebody may still write to it");
    let read = all[0].len().unwrap();
    (&*stopped).write_all(&line_of(&record("late"))).unwrap();
    drop(stopped);
    let closed = all[0].close().unwrap().unwrap();
    assert_eq!(complete(&text(&all[0], read)), [record("late").to_json()]);
    closed.remove().unwrap();
    assert_eq!(complete(&text(&files(&drain)[0], 0)), [record("meanwhile").to_json()]);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_writer_that_opened_the_file_before_it_was_removed_writes_to_the_new_one() {
    let (folder, path) = scratch("nameless");
    let drain = Drain::at(&path);
    append_to(&path, &record("before")).unwrap();
    // Opened, and stopped before it asks for the lock: while the daemon has it, and when the file has no name any more.
    let early = OpenOptions::new().append(true).open(&path).unwrap();
    drain.put_aside(1).unwrap();
    let closed = files(&drain)[0].close().unwrap().unwrap();
    let shared = nix::fcntl::FlockArg::LockSharedNonblock;
    let (early, _) = nix::fcntl::Flock::lock(early, shared).unwrap_err();
    closed.remove().unwrap();
    let early = nix::fcntl::Flock::lock(early, shared).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::nlink(&early.metadata().unwrap()), 0);
    fs::remove_dir_all(&folder).unwrap();
}

/// What is new in a file.
fn read(file: &SpoolFile, taken: &mut BTreeMap<u64, u64>, found: &mut Vec<String>) {
    let offset = taken.entry(file.inode).or_default();
    let text = text(file, *offset);
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    *offset += whole as u64;
    found.extend(complete(&text[..whole]).into_iter().map(str::to_owned));
}

/// One look of the daemon: what is new in each file, the files that are done removed, the file of now put aside.
fn look(drain: &Drain, taken: &mut BTreeMap<u64, u64>, next: &mut u64) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(drain) {
        read(&file, taken, &mut found);
        match file.number {
            None => {
                drain.put_aside(*next).unwrap();
                *next += 1;
            }
            Some(_) => {
                if let Some(closed) = file.close().unwrap() {
                    read(&file, taken, &mut found);
                    taken.remove(&file.inode);
                    file.give_back(file.len().unwrap());
                    closed.remove().unwrap();
                }
            }
        }
    }
    found
}

#[test]
fn many_at_once_lose_and_double_nothing_while_files_are_put_aside_and_removed_all_the_time() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 2000;
    let (folder, path) = scratch("many");
    let drain = Drain::at(&path);
    let written = AtomicU64::new(0);
    let (mut taken, mut next, mut found) = (BTreeMap::new(), 1, Vec::new());
    std::thread::scope(|scope| {
        let (path, written) = (&path, &written);
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for number in 0..EACH {
                    match append_to(path, &record(&format!("{writer}-{number}"))) {
                        Ok(()) => written.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
        while written.load(Ordering::Relaxed) < WRITERS * EACH {
            found.extend(look(&drain, &mut taken, &mut next));
        }
    });
    for _ in 0..3 {
        found.extend(look(&drain, &mut taken, &mut next));
    }
    assert!(next > 5, "only {next} files were put aside");
    assert_eq!(found.len() as u64, WRITERS * EACH);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len() as u64, WRITERS * EACH);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn refusals_leave_room_for_what_was_allowed_and_nothing_grows_beyond_the_limit() {
    let (folder, path) = scratch("limits");
    append_to(&path, &record("first")).unwrap();
    let fill = |until: u64| {
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        let more = until - file.metadata().unwrap().len();
        file.write_all(&vec![b'\n'; more as usize]).unwrap();
    };
    fill(REFUSALS_MAX - 1);
    append_to(&path, &refusal("still")).unwrap();
    assert!(matches!(append_to(&path, &refusal("too many")), Err(SpoolError::Full)));
    append_to(&path, &record("allowed")).unwrap();
    fill(SPOOL_MAX);
    assert!(matches!(append_to(&path, &record("allowed")), Err(SpoolError::Full)));
    // What the daemon has read counts no longer, wherever the file system can give it back.
    let all = files(&Drain::at(&path));
    all[0].give_back(all[0].len().unwrap());
    if all[0].held().unwrap() < REFUSALS_MAX {
        append_to(&path, &refusal("again")).unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_record_of_any_size_is_one_line_of_bounded_length() {
    for text in ["x".repeat(1 << 20), "\u{1}".repeat(1 << 20), "\u{10ffff}\n\"".repeat(1 << 18)] {
        let long = Record { command: Some(text.clone()), detail: Some(text.clone()), ..record(&text) };
        let line = String::from_utf8(line_of(&long)).unwrap();
        assert!(line.len() <= LINE_MAX && complete(&line).len() == 1, "{}", line.len());
        assert!(line.contains("bytes)") && line.ends_with("\"}\n"));
    }
    let long = Record { event: Event::Command, command: Some("y".repeat(100_000)), ..record("a") };
    assert!(
        complete(&String::from_utf8(line_of(&long)).unwrap())[0] == long.to_json(),
        "100 KB are kept whole"
    );
}

#[test]
fn what_stands_in_the_place_of_the_spool_is_never_waited_for_nor_written_to_and_goes_away() {
    type Obstacle = (&'static str, fn(&Path));
    let obstacles: [Obstacle; 6] = [
        ("a FIFO", |path| mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap()),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("a full folder", |path| fs::create_dir_all(path.join("more")).unwrap()),
        ("a link to a file", |path| {
            let other = path.with_file_name("other");
            fs::write(&other, "").unwrap();
            fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
            symlink(other, path).unwrap();
        }),
        ("a link to nothing", |path| symlink("/nowhere/at/all", path).unwrap()),
        ("a file that others can write", |path| {
            fs::write(path, line_of(&record("forged"))).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        }),
    ];
    for (name, put) in obstacles {
        let (folder, path) = scratch("obstacle");
        put(&path);
        let start = Instant::now();
        assert!(matches!(append_to(&path, &record("a")), Err(SpoolError::Untrusted)), "{name}");
        let (drain, mut strange) = (Drain::at(&path), Vec::new());
        assert!(drain.files(&mut strange).unwrap().is_empty() && strange.len() == 1, "{name}: {strange:?}");
        assert!(start.elapsed() < Duration::from_secs(60), "{name}");
        if let Ok(other) = fs::read(folder.join("other")) {
            assert_eq!(other, b"", "{name}");
        }
        append_to(&path, &record("a")).unwrap();
        assert_eq!(complete(&text(&files(&drain)[0], 0)), [record("a").to_json()], "after {name}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn whoever_asks_for_the_recorder_learns_it_and_never_keeps_it_from_starting() {
    let (folder, path) = scratch("alive");
    assert!(is_held(&path).is_err(), "there is no file");
    let lock = RecorderLock::take_at(&path).unwrap();
    assert!(is_held(&path).unwrap());
    assert!(RecorderLock::take_at(&path).is_err(), "there is one recorder");
    drop(lock);
    assert!(!is_held(&path).unwrap());
    // Somebody who has asked and is stopped with the file open.
    let open = fs::File::open(&path).unwrap();
    let lock = RecorderLock::take_at(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    assert!(!is_held(&path).unwrap(), "anybody could hold the lock of such a file");
    drop((open, lock));
    fs::remove_dir_all(&folder).unwrap();
}
