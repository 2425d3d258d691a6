//! What an interactive shell has shown, in a file that only root can read and that the account has no descriptor of.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg, OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};

use super::cast::{Happened, Header, Letters, Origin, line};

/// Recordings of one session.
const PER_SESSION: u32 = 10_000;
/// The first line of a recording is shorter, and so is a line that was not complete when the daemon ended.
const LINE_MAX: usize = 4 << 20;
/// The size that is assumed until one is told.
pub(super) const ASSUMED: (u16, u16) = (80, 24);

/// The folder of all recordings.
pub(super) struct Folder(OwnedFd);

/// A recording that goes on.
#[derive(Debug)]
pub(super) struct Recording {
    /// Locked: nobody else writes it.
    file: Flock<File>,
    /// What of it is complete.
    len: u64,
    /// The first line, as long as nothing has been shown.
    fresh: Option<Header>,
    /// When it began, in seconds since boot.
    began: f64,
    letters: Letters,
}

impl Folder {
    /// Opens the folder; makes it when it is not there, and closes it to others when it is open to them.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let folder = File::from(open(path, flags, Mode::empty())?);
        let meta = folder.metadata()?;
        if meta.uid() != nix::unistd::geteuid().as_raw() {
            return Err(io::Error::other("the folder of the recordings is not root's"));
        }
        if meta.permissions().mode() & 0o077 != 0 {
            folder.set_permissions(std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self(folder.into()))
    }

    /// Begins the next recording of a session, and gives its number.
    pub(super) fn create(&self, header: Header) -> io::Result<(Recording, u32)> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        for number in 1..=PER_SESSION {
            let name = name(&header.origin.session, number)?;
            match openat(&self.0, name.as_str(), flags, Mode::from_bits_truncate(0o600)) {
                Ok(fd) => return Recording::begin(lock(fd.into())?, header).map(|begun| (begun, number)),
                Err(nix::errno::Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other("the session has as many recordings as it may have"))
    }

    /// Goes on with a recording of this very process.
    pub(super) fn resume(
        &self,
        session: &str,
        number: u32,
        is_own: impl Fn(&Origin) -> bool,
    ) -> io::Result<Recording> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = File::from(openat(&self.0, name(session, number)?.as_str(), flags, Mode::empty())?);
        let meta = file.metadata()?;
        let is_whole = meta.permissions().mode() & 0o200 != 0;
        if !meta.is_file() || !is_whole || meta.uid() != nix::unistd::geteuid().as_raw() || meta.nlink() != 1
        {
            return Err(io::Error::other("what stands in place of the recording is none"));
        }
        let file = lock(file)?;
        let origin = Header::origin(&first_line(&file)?).filter(is_own);
        let origin = origin.ok_or_else(|| io::Error::other("the recording is not of this process"))?;
        let len = complete(&file, meta.len())?;
        file.set_len(len)?;
        Ok(Recording { file, len, fresh: None, began: origin.began, letters: Letters::default() })
    }
}

impl Recording {
    fn begin(file: Flock<File>, header: Header) -> io::Result<Self> {
        let mut recording =
            Self { file, len: 0, began: header.origin.began, fresh: None, letters: Letters::default() };
        recording.append(&header.line())?;
        recording.fresh = Some(header);
        Ok(recording)
    }

    /// The terminal showed this.
    pub(super) fn output(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = self.letters.take(bytes);
        if text.is_empty() {
            return Ok(());
        }
        self.happened(Happened::Output(&text))
    }

    /// The terminal has this size. The first one, told before anything is shown, is that of the recording.
    pub(super) fn size(&mut self, columns: u16, rows: u16) -> io::Result<()> {
        if columns == 0 || rows == 0 {
            return Ok(());
        }
        match self.fresh.take() {
            Some(header) => {
                let header = Header { size: (columns, rows), ..header };
                self.file.write_all_at(header.line().as_bytes(), 0)
            }
            None => self.happened(Happened::Resized(columns, rows)),
        }
    }

    /// Something about the recording itself.
    pub(super) fn mark(&mut self, text: &str) -> io::Result<()> {
        self.happened(Happened::Marked(text))
    }

    /// Something is missing at the end, and nobody may go on behind it, whatever room the disk has by then.
    pub(super) fn give_up(&self) {
        let _ = self.file.set_permissions(std::fs::Permissions::from_mode(0o400));
    }

    /// The end: what is still in memory goes to the disk.
    pub(super) fn end(mut self) -> io::Result<()> {
        let rest = self.letters.rest();
        if !rest.is_empty() {
            self.happened(Happened::Output(&rest))?;
        }
        self.file.sync_data()
    }

    fn happened(&mut self, what: Happened<'_>) -> io::Result<()> {
        self.fresh = None;
        let at = (since_boot() - self.began).max(0.0);
        self.append(&line(at, what))
    }

    /// A line, whole or not at all: of one that the disk has half taken the other half is not left.
    fn append(&mut self, line: &str) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(line.as_bytes(), self.len) {
            let _ = self.file.set_len(self.len);
            return Err(error);
        }
        self.len += line.len() as u64;
        Ok(())
    }
}

/// Seconds since boot, suspended time included.
pub(super) fn since_boot() -> f64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0.0, |time| std::time::Duration::from(time).as_secs_f64())
}

/// Sessions are named by the PAM module; that a name is none of a path is seen to here.
fn name(session: &str, number: u32) -> io::Result<String> {
    let is_plain = |c: char| c.is_ascii_hexdigit() || c == '-';
    if session.is_empty() || session.len() > 200 || !session.chars().all(is_plain) {
        return Err(io::Error::other("the session has a name that no file may have"));
    }
    Ok(format!("{session}-{number}.cast"))
}

fn lock(file: File) -> io::Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error.into())
}

fn first_line(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; LINE_MAX];
    let len = file.read_at(&mut head, 0)?;
    let line = head.get(..len).and_then(|head| head.split(|byte| *byte == b'\n').next());
    Ok(line.unwrap_or_default().to_vec())
}

/// How long the file is up to the end of its last complete line.
fn complete(file: &File, len: u64) -> io::Result<u64> {
    let from = len.saturating_sub(LINE_MAX as u64);
    let mut tail = vec![0; usize::try_from(len - from).unwrap_or(LINE_MAX)];
    file.read_exact_at(&mut tail, from)?;
    let end = tail.iter().rposition(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| io::Error::other("the recording has no complete line"))?;
    Ok(from + end as u64 + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::super::cast::{Header, Origin};
    use super::{ASSUMED, Folder, since_boot};

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("svcauth-cast-{test}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path.join("recordings"))
        }

        fn lines(&self, name: &str) -> Vec<serde_json::Value> {
            let text = fs::read_to_string(self.0.join(name)).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.parent().unwrap());
        }
    }

    fn header() -> Header {
        Header {
            size: ASSUMED,
            timestamp: 1,
            title: "bob as deployer".to_owned(),
            shell: "/bin/bash".to_owned(),
            origin: Origin {
                session: "4d8f-1".to_owned(),
                account: "deployer".to_owned(),
                origin: "bob".to_owned(),
                pid: 7,
                process_start: 99,
                began: since_boot(),
            },
        }
    }

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_recording_holds_what_was_shown_in_order_and_is_for_root_alone() {
        let scratch = Scratch::new("whole");
        let folder = Folder::open(&scratch.0).unwrap();
        let (mut recording, number) = folder.create(header()).unwrap();
        assert_eq!((number, mode(&scratch.0), mode(&scratch.0.join("4d8f-1-1.cast"))), (1, 0o700, 0o600));
        recording.size(0, 0).unwrap();
        recording.size(132, 50).unwrap();
        recording.output(b"caf\xc3").unwrap();
        recording.output(b"\xa9\r\n").unwrap();
        recording.size(80, 25).unwrap();
        recording.output(b"\xe2").unwrap();
        recording.end().unwrap();
        let lines = scratch.lines("4d8f-1-1.cast");
        assert_eq!((&lines[0]["width"], &lines[0]["height"]), (&132.into(), &50.into()));
        let events: Vec<(&str, &str)> =
            lines[1..].iter().map(|line| (line[1].as_str().unwrap(), line[2].as_str().unwrap())).collect();
        assert_eq!(events, [("o", "caf"), ("o", "\u{e9}\r\n"), ("r", "80x25"), ("o", "\u{fffd}")]);
        let times: Vec<f64> = lines[1..].iter().map(|line| line[0].as_f64().unwrap()).collect();
        assert!(times.is_sorted() && times.iter().all(|time| (0.0..20.0).contains(time)), "{times:?}");
    }

    #[test]
    fn a_file_that_is_there_is_never_written_and_no_link_is_followed() {
        let scratch = Scratch::new("taken");
        let folder = Folder::open(&scratch.0).unwrap();
        fs::write(scratch.0.join("4d8f-1-1.cast"), "old").unwrap();
        symlink("/nowhere", scratch.0.join("4d8f-1-2.cast")).unwrap();
        assert_eq!(folder.create(header()).unwrap().1, 3);
        assert_eq!(fs::read_to_string(scratch.0.join("4d8f-1-1.cast")).unwrap(), "old");
        assert!(folder.resume("4d8f-1", 2, |_| true).is_err(), "a link");
        assert!(folder.resume("4d8f-1", 1, |_| true).is_err(), "no recording");
        for odd in ["", "../x", "a/b", "a\0"] {
            let origin = Origin { session: odd.to_owned(), ..header().origin };
            assert!(folder.create(Header { origin, ..header() }).is_err(), "{odd:?}");
        }
        let linked = scratch.0.parent().unwrap().join("linked");
        symlink(&scratch.0, &linked).unwrap();
        assert!(Folder::open(&linked).is_err());
    }

    #[test]
    fn a_recording_goes_on_for_its_own_process_alone_and_without_the_line_that_was_not_complete() {
        let scratch = Scratch::new("resumed");
        let folder = Folder::open(&scratch.0).unwrap();
        let (mut recording, number) = folder.create(header()).unwrap();
        recording.output(b"one").unwrap();
        assert!(folder.resume("4d8f-1", number, |_| true).is_err(), "somebody writes it");
        recording.append("[1.0,\"o\",\"tor").unwrap();
        drop(recording);
        assert!(folder.resume("4d8f-1", number, |origin| origin.pid == 8).is_err());
        let mut resumed =
            folder.resume("4d8f-1", number, |origin| (origin.pid, origin.process_start) == (7, 99)).unwrap();
        resumed.mark("back").unwrap();
        resumed.output(b"two").unwrap();
        resumed.end().unwrap();
        let lines = scratch.lines("4d8f-1-1.cast");
        let shown: Vec<&str> = lines[1..].iter().map(|line| line[2].as_str().unwrap()).collect();
        assert_eq!(shown, ["one", "back", "two"]);
        folder.resume("4d8f-1", number, |_| true).unwrap().give_up();
        assert!(folder.resume("4d8f-1", number, |_| true).is_err(), "something is missing at its end");
    }

    #[test]
    fn a_folder_that_is_open_to_others_is_closed() {
        let scratch = Scratch::new("mode");
        fs::create_dir(&scratch.0).unwrap();
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o755)).unwrap();
        Folder::open(&scratch.0).unwrap();
        assert_eq!(mode(&scratch.0), 0o700);
    }
}
