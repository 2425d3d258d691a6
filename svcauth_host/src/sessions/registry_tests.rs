use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::entry::tests::example;
use super::folder::Key;
use super::room::PER_AUDIT_SESSION;
use super::{Process, Registry, RegistryError, Session, SessionOrigin, current_audit_session};

const BOOT: &str = "3f2a9c1e-0000-4000-8000-000000000000";

/// A folder of its own for each test, in a parent that only root can write; `None`, said aloud, when not root.
fn folder(test: &str) -> Option<PathBuf> {
    if !nix::unistd::geteuid().is_root() {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: the registry is root's");
        return None;
    }
    let parent = std::env::temp_dir().join(format!("svcauth-registry-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&parent);
    Some(parent.join("sessions"))
}

/// Where the entry of this session lies.
fn path_of(folder: &Path, session: &Session) -> PathBuf {
    let key = Key::of(session);
    let number = session.audit_session.unwrap_or(session.process.pid);
    folder.join(format!("{:02x}/{}{}", number % 256, key.prefix(), session.id))
}

/// Every entry, read or unread.
fn files(folder: &Path) -> usize {
    let inside = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    inside.map(|path| if path.is_dir() { fs::read_dir(path).unwrap().count() } else { 1 }).sum()
}

fn clean(folder: &Path) {
    fs::remove_dir_all(folder.parent().unwrap()).unwrap();
}

#[test]
fn a_session_is_found_until_it_is_removed_and_leaves_nothing_behind() {
    let Some(folder) = folder("found") else { return };
    let registry = Registry::at(&folder).unwrap();
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    let session = example();
    registry.register(&session).unwrap();
    assert_eq!(registry.sessions(BOOT).unwrap(), std::slice::from_ref(&session));
    assert_eq!(registry.sessions("another boot").unwrap(), []);
    registry.remove(&session).unwrap();
    registry.remove(&session).unwrap();
    assert_eq!(registry.sessions(BOOT).unwrap(), []);
    assert_eq!(files(&folder), 0);
    clean(&folder);
}

#[test]
fn a_caller_is_part_of_the_sessions_of_its_audit_session_and_of_no_other() {
    let Some(folder) = folder("around") else { return };
    let registry = Registry::at(&folder).unwrap();
    let own =
        Session { audit_session: current_audit_session(), process: Process::current().unwrap(), ..example() };
    let other = Session {
        id: "1-2".to_owned(),
        audit_session: Some(own.audit_session.unwrap_or(7) + 1),
        ..own.clone()
    };
    for session in [&own, &other] {
        registry.register(session).unwrap();
    }
    assert_eq!(registry.sessions(BOOT).unwrap().len(), 2);
    assert_eq!(registry.around_caller(BOOT).unwrap(), [own]);
    clean(&folder);
}

#[test]
fn an_entry_that_others_could_have_written_does_not_count() {
    let Some(folder) = folder("foreign") else { return };
    let registry = Registry::at(&folder).unwrap();
    let session = example();
    registry.register(&session).unwrap();
    let path = path_of(&folder, &session);
    let shard = path.parent().unwrap();
    assert_eq!(registry.sessions(BOOT).unwrap().len(), 1);
    fs::copy(&path, shard.join("168.copied-by-hand")).unwrap();
    symlink(&path, shard.join("168.1-1-1")).unwrap();
    assert_eq!(registry.sessions(BOOT).unwrap().len(), 1);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(registry.sessions(BOOT).unwrap(), []);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    if std::os::unix::fs::chown(&path, Some(1), None).is_ok() {
        assert_eq!(registry.sessions(BOOT).unwrap(), []);
    }
    clean(&folder);
}

#[test]
fn a_folder_that_others_could_have_prepared_is_refused() {
    let Some(folder) = folder("folder") else { return };
    Registry::at(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(Registry::at(&folder), Err(RegistryError::Untrusted(..))));
    fs::remove_dir(&folder).unwrap();
    symlink("/", &folder).unwrap();
    assert!(matches!(Registry::at(&folder), Err(RegistryError::Untrusted(..))));
    clean(&folder);
}

#[test]
fn two_sessions_never_share_an_entry_even_when_one_was_left_unfinished() {
    let Some(folder) = folder("unfinished") else {
        return;
    };
    let registry = Registry::at(&folder).unwrap();
    let session = example();
    let shard = folder.join("a8");
    fs::create_dir(&shard).unwrap();
    fs::set_permissions(&shard, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(shard.join(format!(".{}.new", session.id)), "x").unwrap();
    assert!(registry.register(&session).is_err());
    assert_eq!(registry.sessions(BOOT).unwrap(), []);
    registry.register(&session).unwrap();
    assert_eq!(registry.sessions(BOOT).unwrap(), [session]);
    clean(&folder);
}

#[test]
fn an_entry_lies_in_the_folder_of_its_audit_session_or_of_its_opener_and_nowhere_else() {
    let Some(folder) = folder("layout") else { return };
    let registry = Registry::at(&folder).unwrap();
    let audited = example();
    let bare = Session { id: "7-8".to_owned(), audit_session: None, ..example() };
    for (session, place) in [(&audited, "a8"), (&bare, "67")] {
        registry.register(session).unwrap();
        let path = path_of(&folder, session);
        assert!(path.exists() && path.starts_with(folder.join(place)), "{path:?}");
        let mode = fs::metadata(folder.join(place)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
    }
    assert_eq!(registry.in_audit_session(168, BOOT).unwrap(), std::slice::from_ref(&audited));
    assert_eq!(registry.in_audit_session(168 + 256, BOOT).unwrap(), []);
    // In somebody else's folder it was put by hand.
    fs::rename(path_of(&folder, &audited), folder.join("67").join("168.3f2a9c1e-1a2b-4c8d1e2f3")).unwrap();
    assert_eq!(registry.sessions(BOOT).unwrap(), [bare]);
    clean(&folder);
}

#[test]
fn a_folder_inside_that_others_could_have_prepared_is_refused_and_not_passed_over() {
    let Some(folder) = folder("inside") else { return };
    let registry = Registry::at(&folder).unwrap();
    let session = example();
    registry.register(&session).unwrap();
    assert_eq!(registry.in_audit_session(168, BOOT).unwrap().len(), 1);
    let shard = folder.join("a8");
    fs::set_permissions(&shard, fs::Permissions::from_mode(0o750)).unwrap();
    let is_refused = |again: &Session| {
        matches!(registry.register(again), Err(RegistryError::Untrusted(..)))
            && matches!(registry.in_audit_session(168, BOOT), Err(RegistryError::Untrusted(..)))
            && matches!(registry.sessions(BOOT), Err(RegistryError::Untrusted(..)))
    };
    assert!(is_refused(&Session { id: "1-1".to_owned(), ..session.clone() }));
    fs::remove_dir_all(&shard).unwrap();
    symlink("/tmp", &shard).unwrap();
    assert!(is_refused(&session));
    clean(&folder);
}

#[test]
fn an_ended_session_is_still_found_and_says_when_it_ended() {
    let Some(folder) = folder("ended") else { return };
    let registry = Registry::at(&folder).unwrap();
    let session = example();
    registry.register(&session).unwrap();
    assert_eq!(registry.reread(&session).unwrap().unwrap().ended, None);
    registry.mark_ended(&session, 1_700_000_100).unwrap();
    assert_eq!(registry.reread(&session).unwrap().unwrap().ended, Some(1_700_000_100));
    assert_eq!(registry.in_audit_session(168, BOOT).unwrap().len(), 1);
    assert_eq!(files(&folder), 1);
    registry.remove(&session).unwrap();
    assert_eq!(registry.reread(&session).unwrap(), None);
    clean(&folder);
}

#[test]
fn what_is_no_session_of_this_boot_is_cleared_and_what_is_being_written_is_not() {
    let Some(folder) = folder("clear") else { return };
    let registry = Registry::at(&folder).unwrap();
    let session = example();
    registry.register(&session).unwrap();
    let shard = folder.join("a8");
    let [fresh, abandoned] = ["fresh", "abandoned"].map(|name| shard.join(format!(".{name}.new")));
    for path in [&fresh, &abandoned, &shard.join("168.7-7")] {
        fs::write(path, "svcauth_session 1\n").unwrap();
    }
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(600);
    fs::File::options().write(true).open(&abandoned).unwrap().set_modified(old).unwrap();
    registry.folders().unwrap().iter().for_each(|folder| folder.clear(BOOT).unwrap());
    assert!(fresh.exists() && !abandoned.exists() && !shard.join("168.7-7").exists());
    assert_eq!(registry.sessions(BOOT).unwrap(), [session]);
    registry.folders().unwrap().iter().for_each(|folder| folder.clear("another boot").unwrap());
    assert_eq!(files(&folder), 1, "the fresh one");
    clean(&folder);
}

fn numbered(number: usize, process: Process) -> Session {
    Session { id: format!("a-{number:x}"), process, ..example() }
}

#[test]
fn what_killed_sessions_leave_behind_makes_room_for_new_ones_and_live_ones_do_not() {
    let Some(folder) = folder("room") else { return };
    let registry = Registry::at(&folder).unwrap();
    let live = Process::current().unwrap();
    let dead = Process { start: live.start + 1, ..live };
    assert_eq!(registry.register(&numbered(0, live)).unwrap(), []);
    // Each time the folder is crowded, what is dead goes; and whoever is let in next records its end.
    let mut unrecorded = 0;
    for number in 1..1000 {
        unrecorded += registry.register(&numbered(number, dead)).unwrap().len();
        assert!(files(&folder) <= 64, "{}", files(&folder));
    }
    assert_eq!(unrecorded + registry.sessions(BOOT).unwrap().len(), 1000);
    assert!(registry.in_audit_session(168, BOOT).unwrap().contains(&numbered(0, live)));
    for number in 1..PER_AUDIT_SESSION {
        registry.register(&numbered(1000 + number, live)).unwrap();
    }
    let one_more = numbered(2000, live);
    assert!(matches!(registry.register(&one_more), Err(RegistryError::TooMany)));
    registry.register(&Session { audit_session: Some(168 + 256), ..one_more }).unwrap();
    clean(&folder);
}

#[test]
fn an_ended_session_with_a_live_process_is_never_removed_to_make_room() {
    let Some(folder) = folder("alive") else { return };
    let registry = Registry::at(&folder).unwrap();
    // A new audit session each time somebody writes here.
    let words = ["-c", "echo 0 > /proc/self/loginuid && echo ready && exec sleep 60"];
    let mut child =
        std::process::Command::new("sh").args(words).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    let read = std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready);
    if read.is_err() {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED alive: no audit sessions here\n");
        child.wait().unwrap();
        return clean(&folder);
    }
    let audit_session = super::process::audit_session_of(&child.id().to_string()).unwrap();
    let seen = Process::by_pid(child.id()).unwrap();
    // Its opener is dead, and it runs as the account.
    let first = Session {
        audit_session: Some(audit_session),
        process: Process { pid: seen.pid, start: seen.start - 1 },
        uid: Some(0),
        ..example()
    };
    assert!(super::may_have_processes(
        &first,
        std::slice::from_ref(&first),
        std::time::Duration::from_secs(9)
    ));
    assert!(super::may_have_processes(&first, &[], std::time::Duration::ZERO), "no time to look");
    registry.register(&first).unwrap();
    registry.mark_ended(&first, 7).unwrap();
    for number in 0..3 * PER_AUDIT_SESSION {
        let next = Session { id: format!("a-{number:x}"), ended: Some(8), ..first.clone() };
        registry.register(&next).unwrap();
    }
    let left = registry.in_audit_session(audit_session, BOOT).unwrap();
    assert!(left.len() <= PER_AUDIT_SESSION, "{}", left.len());
    assert!(left.iter().any(|session| session.origin == SessionOrigin::Person("bob".to_owned())));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!super::may_have_processes(&first, &left, std::time::Duration::from_secs(9)));
    clean(&folder);
}
