//! Which files a trail has.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// How often the row of files is read again when it was rotated meanwhile. Rotations are minutes apart.
const TRIES: usize = 10;

/// One open file of a trail.
#[derive(Debug)]
pub struct TrailFile {
    /// Its name when it was opened.
    pub path: PathBuf,
    /// The file, whatever it is called now.
    pub file: File,
    /// Device and inode: the same file under any name.
    pub id: (u64, u64),
    /// How long it was then, in bytes. Whoever reads the trail reads so far: all files as they stood at one moment.
    pub length: u64,
}

impl TrailFile {
    /// Opens a plain file.
    ///
    /// # Errors
    /// It cannot be opened, or is something else (a FIFO would keep the reader waiting for ever); the text names it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file =
            OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map_err(named)?;
        let meta = file.metadata().map_err(named)?;
        if !meta.is_file() {
            return Err(named(io::Error::other("it is no plain file")));
        }
        Ok(Self { path: path.to_owned(), file, id: (meta.dev(), meta.ino()), length: meta.len() })
    }
}

/// `current` and its rotated files, oldest first, as they stood at one moment.
pub(super) fn row(current: &Path) -> io::Result<Vec<TrailFile>> {
    let mut found = open_all(current)?;
    for _ in 0..TRIES {
        let again = open_all(current)?;
        if ids(&found) == ids(&again) {
            return Ok(again);
        }
        found = again;
    }
    Err(io::Error::other(format!("{}: it is rotated faster than it can be opened", current.display())))
}

fn ids(files: &[TrailFile]) -> Vec<(u64, u64)> {
    files.iter().map(|file| file.id).collect()
}

/// A file that vanishes between the list and its opening was removed or renamed; the caller looks again.
fn open_all(current: &Path) -> io::Result<Vec<TrailFile>> {
    let mut files: Vec<TrailFile> = Vec::new();
    for path in names(current)? {
        match TrailFile::open(&path) {
            Ok(file) if files.iter().any(|known| known.id == file.id) => {}
            Ok(file) => files.push(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// The highest number first, and the file without one last.
fn names(current: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = current.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unread = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unread(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        numbers.extend(number(current, &entry.map_err(unread)?.file_name()));
    }
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let rotated = numbers.into_iter().map(|number| {
        let mut name = current.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    });
    Ok(rotated.chain([current.to_owned()]).collect())
}

/// The number behind the name of `current`, written as a rotation writes it.
fn number(current: &Path, name: &std::ffi::OsStr) -> Option<u32> {
    let rest = name.to_str()?.strip_prefix(current.file_name()?.to_str()?)?.strip_prefix('.')?;
    let number: u32 = rest.parse().ok()?;
    (number > 0 && number.to_string() == rest).then_some(number)
}
