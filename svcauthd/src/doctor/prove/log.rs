//! The log of the private world: whatever its programs say to `/dev/log` is kept in memory, and none of it leaves.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};

use super::fault::{Doing as _, Done};

/// Longest line that is kept, in bytes.
const LINE_MAX: usize = 16_384;
/// Most lines that are kept: a program that repeats itself must not take the memory.
const LINES_MAX: usize = 20_000;

/// What was said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    /// Takes the place of the host's log server.
    pub(super) fn start() -> Done<Self> {
        let socket = UnixDatagram::bind("/dev/log").doing("listen at /dev/log")?;
        set_permissions("/dev/log", Permissions::from_mode(0o666)).doing("open /dev/log for everybody")?;
        let log = Self::default();
        let lines = Arc::clone(&log.lines);
        std::thread::spawn(move || {
            let mut line = vec![0; LINE_MAX];
            while let Ok(length) = socket.recv(&mut line) {
                let text = String::from_utf8_lossy(line.get(..length).unwrap_or_default()).into_owned();
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() < LINES_MAX {
                    lines.push(text);
                }
            }
        });
        Ok(log)
    }

    /// How many lines there are: what comes later is [`Log::since`] this.
    pub(super) fn mark(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The lines since a mark that have all these parts.
    pub(super) fn since(&self, mark: usize, parts: &[&str]) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |line: &&String| parts.iter().all(|part| line.contains(part));
        lines.get(mark..).unwrap_or_default().iter().filter(wanted).cloned().collect()
    }

    /// The last lines since a mark that have all these parts, for an administrator who wants to know why.
    pub(super) fn last(&self, mark: usize, parts: &[&str]) -> String {
        let lines = self.since(mark, parts);
        let shown = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default();
        shown.iter().map(|line| without_priority(line)).collect::<Vec<_>>().join(" | ")
    }
}

/// `<86>Nov 22 12:00:00 sshd[1]: text` without the number and the time.
fn without_priority(line: &str) -> &str {
    let text = line.trim_end().split_once('>').map_or(line, |(_, rest)| rest);
    text.char_indices().nth(16).and_then(|(at, _)| text.get(at..)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::without_priority;

    #[test]
    fn an_administrator_sees_who_said_what_and_no_numbers() {
        assert_eq!(without_priority("<86>Nov 22 12:00:00 sshd[7]: Accepted\n"), "sshd[7]: Accepted");
        assert_eq!(without_priority("short"), "short");
    }
}
