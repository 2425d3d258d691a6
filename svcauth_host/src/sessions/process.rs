//! Processes as /proc shows them: which audit session this one is in, which ones it descends from, which are alive.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// What the kernel says when a process is in no audit session (loginuid never set).
const UNSET: u32 = u32::MAX;
/// In the flags of a thread that is on its way to its end (`PF_EXITING` of the kernel's `sched.h`).
const EXITING: u64 = 4;
/// What is read of a file of /proc lies within this: 4 KiB.
const PROC_MAX: usize = 4096;
/// Processes looked at on the way up to process 1.
const ANCESTORS_MAX: usize = 64;

/// A process, told from a later one with the same pid by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)).
    pub start: u64,
}

impl Process {
    /// The calling process; `None` where /proc is not mounted.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::by_pid(std::process::id())
    }

    /// The process with this pid, unless it is dead and only waits for its parent to notice.
    #[must_use]
    pub fn by_pid(pid: u32) -> Option<Self> {
        let stat = parse_stat(&read_proc(&format!("/proc/{pid}/stat"))?)?;
        (!stat.is_dead).then_some(Self { pid, start: stat.start })
    }

    /// Whether this very process still exists.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::by_pid(self.pid) == Some(self)
    }
}

/// The audit session of the calling process; `None` when it is in none.
#[must_use]
pub fn current_audit_session() -> Option<u32> {
    audit_session_of("self")
}

/// The audit session of a process (`/proc/PID/sessionid`); `None` when it is in none, or gone.
pub(super) fn audit_session_of(pid: &str) -> Option<u32> {
    parse_audit_session(&read_proc(&format!("/proc/{pid}/sessionid"))?)
}

pub(super) fn parse_audit_session(text: &str) -> Option<u32> {
    text.trim_ascii().parse().ok().filter(|id| *id != UNSET)
}

/// The calling process and those it descends from, nearest first.
#[must_use]
pub fn current_ancestry() -> Vec<Process> {
    let mut found = Vec::new();
    let mut pid = std::process::id();
    while pid != 0 && found.len() < ANCESTORS_MAX {
        let stat = read_proc(&format!("/proc/{pid}/stat"));
        let Some(stat) = stat.as_deref().and_then(parse_stat) else {
            break;
        };
        found.push(Process { pid, start: stat.start });
        pid = stat.parent;
    }
    found
}

/// What /proc/PID/stat tells (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// A zombie, or on its way there. One whose first thread alone has ended is none.
    pub(super) is_dead: bool,
    /// The parent's pid.
    pub(super) parent: u32,
    /// The device number of the controlling terminal.
    pub(super) terminal: Option<u32>,
    /// When it started, in clock ticks since boot.
    pub(super) start: u64,
}

/// The command name may hold blanks and brackets: the last `)` ends it.
pub(super) fn parse_stat(stat: &str) -> Option<Stat> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_ascii_whitespace();
    let is_over = matches!(fields.next()?, "Z" | "X" | "x");
    let parent = fields.next()?.parse().ok()?;
    // A device number is unsigned and printed as if it were not.
    let terminal = u32::from_ne_bytes(fields.nth(2)?.parse::<i32>().ok()?.to_ne_bytes());
    let flags: u64 = fields.nth(1)?.parse().ok()?;
    let threads: u32 = fields.nth(10)?.parse().ok()?;
    let start = fields.nth(1)?.parse().ok()?;
    // State and flags are those of the first thread, and the others may go on without it.
    let is_dead = (is_over || flags & EXITING != 0) && threads <= 1;
    Some(Stat { is_dead, parent, terminal: (terminal != 0).then_some(terminal), start })
}

fn read_proc(path: &str) -> Option<String> {
    read_start(File::open(path).ok()?)
}

/// A file below a folder of /proc that is open.
pub(super) fn read_below(folder: impl AsFd, path: &str) -> Option<String> {
    read_start(open_below(folder, path)?)
}

/// At most `max` bytes of a file below a folder of /proc that is open.
pub(super) fn bytes_below(folder: impl AsFd, path: &str, max: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; max];
    let len = open_below(folder, path)?.read(&mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

fn open_below(folder: impl AsFd, path: &str) -> Option<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    openat(folder, path, flags, Mode::empty()).ok().map(File::from)
}

/// The kernel gives as much as fits at once, and does not cut a line in the middle before.
fn read_start(mut file: File) -> Option<String> {
    let mut buffer = [0; PROC_MAX];
    let len = file.read(&mut buffer).ok()?;
    // A process may give itself a name that is no UTF-8.
    Some(String::from_utf8_lossy(buffer.get(..len)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Process, Stat, current_ancestry, parse_stat};

    #[test]
    fn a_process_that_calls_itself_like_a_stat_line_is_still_read_right() {
        let tail = "S 41 1 1 34817 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 8123456 1 2 3\n";
        let stat = Stat { is_dead: false, parent: 41, terminal: Some(34_817), start: 8_123_456 };
        for name in ["sshd", "a b", ") S 1 1 1", "(((", "x) R 7 7 7 7", "x) Z 7 7 7 7"] {
            assert_eq!(parse_stat(&format!("7 ({name}) {tail}")), Some(stat), "{name}");
        }
        let bare = tail.replace("34817", "0").replace('S', "Z");
        let dead = Stat { is_dead: true, terminal: None, ..stat };
        assert_eq!(parse_stat(&format!("7 (x) {bare}")), Some(dead));
        let headless = tail.replace("20 0 1 0", "20 0 2 0").replace('S', "Z");
        assert_eq!(parse_stat(&format!("7 (x) {headless}")), Some(stat), "its first thread alone has ended");
        let exiting = tail.replace("4194560", "4194564").replace("34817", "0");
        assert_eq!(
            parse_stat(&format!("7 (x) {exiting}")),
            Some(dead),
            "it runs none of its own code any more"
        );
        for bad in ["", "7 (x)", "7 (x) S 1", "7 (x) S y 1 1"] {
            assert_eq!(parse_stat(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_process_descends_from_itself_first_and_from_its_parent_next() {
        let own = Process::current().unwrap();
        let parent = std::os::unix::process::parent_id();
        assert!(own.is_alive());
        assert!(!Process { start: own.start + 1, ..own }.is_alive());
        let ancestry = current_ancestry();
        assert_eq!(ancestry.first(), Some(&own));
        assert_eq!(ancestry.get(1).map(|process| process.pid), Some(parent));
    }
}
