//! The audit file: opened where it was left, appended to, rotated, and begun anew. Old lines are never touched.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use svcauth_core::audit::chain::{Anchor, Head};
use svcauth_core::audit::{AlarmKind, Event, Record};

use super::crash;
use super::own_file::{self, named};
use super::progress::Batch;
use super::rotated::Rotated;
use super::standing::{self, Found, Standing};
use crate::state_dir::{Readers, StateDir};

/// More than a head ever takes, in bytes.
const HEAD_MAX: u64 = 4096;

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The audit file.
    pub(super) file: PathBuf,
    /// The folder and the name of the head.
    pub(super) head: (StateDir, &'static str),
}

/// An audit file that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: AuditFile,
    /// It is a new one; what was found stands in it.
    pub(super) is_new: bool,
    /// The last line that was there.
    pub(super) behind: Anchor,
}

/// The open audit file.
#[derive(Debug)]
pub(super) struct AuditFile {
    places: Places,
    file: File,
    /// Device and inode.
    id: (u64, u64),
    /// What we have written to it, in bytes.
    len: u64,
    /// The last line that was appended.
    at: Anchor,
    /// The first line that is kept.
    first: u64,
}

impl AuditFile {
    /// Opens the file, or begins a new one. `batch`: what the daemon before was appending; `known`: where the chain stood when
    /// this daemon last wrote to it. What is not as it was left goes to `found`, and into the new file.
    pub(super) fn open(
        places: &Places,
        batch: Option<&Batch>,
        known: Option<Head>,
        keep: u32,
        found: &mut Vec<Found>,
    ) -> io::Result<Opened> {
        make_folder(&places.file)?;
        let head = newest(read_head(places, found)?, known);
        // What the head tells of is in the file.
        let underway = |batch: &&Batch| {
            batch.last().is_some_and(|last| head.is_none_or(|head| last.seq > head.last.seq))
        };
        let batch = batch.filter(underway);
        let rotated = Rotated::of(&places.file);
        let opened = match own_file::open(&places.file) {
            Err(error) if is_obstacle(&places.file, &error) => {
                found.push((AlarmKind::AuditFileReplaced, named(&places.file)(error).to_string()));
                rotated.set_aside()?;
                None
            }
            other => other.map_err(named(&places.file))?,
        };
        let standing = match &opened {
            Some(file) => {
                let end = end_before(file, batch)?;
                standing::of_file(&standing::walk(file, end, head)?, head, found)
            }
            None => standing::without_file(head, rotated.last_line()?, found),
        };
        match (standing, opened) {
            (Standing::Here(at), Some(file)) => {
                let first = head.map(|head| head.first).or(rotated.first_line()?).unwrap_or(1);
                let meta = file.metadata()?;
                let id = (meta.dev(), meta.ino());
                let len = end_before(&file, batch)?;
                let file = Self { places: places.clone(), file, id, len, at, first };
                Ok(Opened { file, is_new: false, behind: at })
            }
            (Standing::Here(at) | Standing::Anew(at), _) => {
                let first = head.map(|head| head.first).or(rotated.first_line()?);
                let behind = Head { last: at, first: first.unwrap_or(at.seq.saturating_add(1)) };
                let file = Self::begin(places, behind, found, keep)?;
                Ok(Opened { file, is_new: true, behind: at })
            }
        }
    }

    /// Begins a new file behind a line: prepared whole under another name, the old one rotated away, the new one put into its
    /// place. `keep` files that were rotated away stay.
    fn begin(places: &Places, behind: Head, found: &[Found], keep: u32) -> io::Result<Self> {
        let (mut at, mut lines) = (behind.last, Vec::new());
        at.begin(record_of(Event::FileBegin, None).to_json().as_bytes(), &mut lines);
        for found in found {
            at.seal(record_of(Event::Alarm, Some(found)).to_json().as_bytes(), &mut lines);
        }
        let rotated = Rotated::of(&places.file);
        let file = rotated.prepare(&lines)?;
        crash::at("prepared")?;
        rotated.shift()?;
        crash::at("shifted")?;
        rotated.put_in_place()?;
        crash::at("in place")?;
        let meta = file.metadata()?;
        // Only what we remove ourselves is not missed.
        let first = rotated.last_line_beyond(keep)?.map_or(behind.first, |last| last.seq.saturating_add(1));
        let first = first.max(behind.first);
        let new = Self {
            places: places.clone(),
            file,
            id: (meta.dev(), meta.ino()),
            len: lines.len() as u64,
            at,
            first,
        };
        // The head first: files that are gone before it says so would be missed.
        new.write_head()?;
        rotated.remove_beyond(keep)?;
        Ok(new)
    }

    /// Rotates the file away.
    pub(super) fn rotate(&mut self, keep: u32) -> io::Result<()> {
        *self = Self::begin(&self.places, self.head(), &[], keep)?;
        Ok(())
    }

    /// What is appended next comes behind this line.
    pub(super) const fn at(&self) -> Anchor {
        self.at
    }

    /// Its length, in bytes.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Device and inode.
    pub(super) const fn id(&self) -> (u64, u64) {
        self.id
    }

    /// Where the chain stands.
    pub(super) const fn head(&self) -> Head {
        Head { last: self.at, first: self.first }
    }

    /// Whether it still is what we wrote, as far as one look tells. A batch that is on its way may be there in part.
    pub(super) fn is_in_place(&self, batch: Option<&Batch>) -> io::Result<bool> {
        let most = self.len + batch.map_or(0, |batch| batch.lines.len() as u64);
        match fs::symlink_metadata(&self.places.file) {
            Ok(meta) => Ok((meta.dev(), meta.ino()) == self.id && (self.len..=most).contains(&meta.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(named(&self.places.file)(error)),
        }
    }

    /// Appends what is missing of a batch, and brings it to the disk. To be called again after an error.
    pub(super) fn append(&mut self, batch: &Batch, last: Anchor) -> io::Result<()> {
        let missing = self.missing(batch)?;
        let write = |bytes: &[u8]| -> io::Result<()> {
            let (one, other) = bytes.split_at(bytes.len() / 2);
            (&self.file).write_all(one)?;
            crash::at("half appended")?;
            (&self.file).write_all(other)
        };
        write(missing).and_then(|()| self.file.sync_data()).map_err(named(&self.places.file))?;
        crash::at("appended")?;
        self.len = batch.start + batch.lines.len() as u64;
        self.at = last;
        Ok(())
    }

    /// What of a batch is not in the file yet: an earlier attempt may have been cut short.
    fn missing<'a>(&self, batch: &'a Batch) -> io::Result<&'a [u8]> {
        let there = begun(&self.file, batch)?;
        let changed =
            || io::Error::new(ErrorKind::InvalidData, "the audit file was changed by somebody else");
        let there = there.ok_or_else(changed)?;
        Ok(batch.lines.as_bytes().get(there..).unwrap_or_default())
    }

    /// Says in the head where the chain stands.
    pub(super) fn write_head(&self) -> io::Result<()> {
        let (dir, name) = &self.places.head;
        dir.publish(name, self.head().to_string().as_bytes(), Readers::Owner)
            .map_err(named(&dir.path().join(name)))?;
        crash::at("head written")
    }
}

/// How many bytes of a batch are at the end of the file; `None` when something else is there.
fn begun(file: &File, batch: &Batch) -> io::Result<Option<usize>> {
    let there = file.metadata()?.len().checked_sub(batch.start).and_then(|it| usize::try_from(it).ok());
    let Some(expected) = there.and_then(|there| batch.lines.as_bytes().get(..there)) else {
        return Ok(None);
    };
    let mut read = vec![0; expected.len()];
    file.read_exact_at(&mut read, batch.start)?;
    Ok((read == expected).then_some(expected.len()))
}

/// Where a batch begins that was being appended to this file, else the end of the file.
fn end_before(file: &File, batch: Option<&Batch>) -> io::Result<u64> {
    let meta = file.metadata()?;
    let batch = batch.filter(|batch| batch.file == (meta.dev(), meta.ino()));
    match batch {
        Some(batch) if begun(file, batch)?.is_some() => Ok(batch.start),
        _ => Ok(meta.len()),
    }
}

fn newest(stored: Option<Head>, known: Option<Head>) -> Option<Head> {
    match (stored, known) {
        (Some(stored), Some(known)) if stored.last.seq >= known.last.seq => Some(stored),
        (stored, known) => known.or(stored),
    }
}

/// The head. One that cannot be understood is as good as none.
pub(super) fn read_head(places: &Places, found: &mut Vec<Found>) -> io::Result<Option<Head>> {
    let (dir, name) = &places.head;
    let path = dir.path().join(name);
    let Some(text) = own_file::read(&path, HEAD_MAX).map_err(named(&path))? else { return Ok(None) };
    let head = text.parse().ok();
    if head.is_none() {
        found.push((AlarmKind::AuditHeadDamaged, format!("{} cannot be understood", path.display())));
    }
    Ok(head)
}

/// The first lines of a new file.
fn record_of(event: Event, found: Option<&Found>) -> Record {
    let now = svcauth_host::clock::Clock::now();
    Record {
        event,
        time: Some(now.wall.saturating_mul(1_000_000)),
        reason: found.map(|(kind, _)| kind.as_str().to_owned()),
        detail: found.map(|(_, detail)| detail.clone()),
        host: svcauth_host::host_names::host_names().into_iter().next(),
        pid: Some(std::process::id()),
        ..Record::default()
    }
}

/// The folder: ours, and closed to others where we make it.
fn make_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(named(folder)(error)),
        _ => {}
    }
    let meta = fs::symlink_metadata(folder).map_err(named(folder))?;
    if !meta.is_dir() || meta.uid() != geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        let what = "it is no folder that only root can write; run: chown root: and chmod 0700";
        return Err(named(folder)(io::Error::other(what)));
    }
    Ok(())
}

/// Whether something that is not a file of ours stands in its place, as opposed to a disk that does not work.
fn is_obstacle(path: &Path, error: &io::Error) -> bool {
    let refused = matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull);
    !refused && fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file())
}

/// Makes a file that is not there yet.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true).mode(0o600).custom_flags(flags.bits());
    options.open(path)
}
