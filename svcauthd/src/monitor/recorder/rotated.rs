//! The files beside the audit file: those that were rotated away, and the one that is being prepared.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use svcauth_core::audit::chain::{Anchor, SEALED_MAX, Sealed};

use super::audit_file::create;
use super::crash;
use super::own_file::named;

/// The files beside the audit file.
#[derive(Debug)]
pub(super) struct Rotated<'a> {
    current: &'a Path,
}

impl<'a> Rotated<'a> {
    pub(super) const fn of(current: &'a Path) -> Self {
        Self { current }
    }

    fn with(&self, suffix: impl std::fmt::Display) -> PathBuf {
        let mut name = self.current.as_os_str().to_owned();
        name.push(format!(".{suffix}"));
        name.into()
    }

    fn folder(&self) -> &Path {
        self.current.parent().unwrap_or(Path::new("/"))
    }

    /// The numbers that are there, the newest first.
    fn numbers(&self) -> io::Result<Vec<u32>> {
        let prefix = self.current.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut numbers = Vec::new();
        for entry in fs::read_dir(self.folder()).map_err(named(self.folder()))? {
            let name = entry?.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_prefix('.'));
            numbers.extend(
                rest.and_then(|rest| rest.parse::<u32>().ok().filter(|it| *it > 0 && it.to_string() == rest)),
            );
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Writes the new file whole, under a name that nobody reads.
    pub(super) fn prepare(&self, lines: &[u8]) -> io::Result<File> {
        let path = self.with("new");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(named(&path)(error)),
            _ => {}
        }
        let mut file = create(&path).map_err(named(&path))?;
        let written = file.write_all(lines).and_then(|()| file.sync_all());
        if written.is_err() {
            // What is left of a full disk must not stay on it.
            let _ = fs::remove_file(&path);
        }
        written.map_err(named(&path)).map(|()| file)
    }

    /// Moves every file one number up, the audit file to 1. A number that is free ends it: whoever is stopped in between
    /// leaves one, and no file is ever lost.
    pub(super) fn shift(&self) -> io::Result<()> {
        if fs::symlink_metadata(self.current).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(());
        }
        let numbers = self.numbers()?;
        let free = (1..=u32::MAX).find(|number| !numbers.contains(number)).unwrap_or(u32::MAX);
        for number in (1..free).rev() {
            let (from, to) = (self.with(number), self.with(number.saturating_add(1)));
            fs::rename(&from, &to).map_err(named(&from))?;
            crash::at("one shifted")?;
        }
        fs::rename(self.current, self.with(1)).map_err(named(self.current))
    }

    /// The prepared file becomes the audit file.
    pub(super) fn put_in_place(&self) -> io::Result<()> {
        let path = self.with("new");
        fs::rename(&path, self.current).map_err(named(&path))?;
        File::open(self.folder())?.sync_all().map_err(named(self.folder()))
    }

    /// Puts what stands in the place of the audit file, and is none, out of the way.
    pub(super) fn set_aside(&self) -> io::Result<()> {
        fs::rename(self.current, self.with("set-aside")).map_err(named(self.current))
    }

    /// Removes all but `keep` files.
    pub(super) fn remove_beyond(&self, keep: u32) -> io::Result<()> {
        for number in self.numbers()?.into_iter().filter(|number| *number > keep) {
            let path = self.with(number);
            fs::remove_file(&path).map_err(named(&path))?;
        }
        Ok(())
    }

    /// The number of the first line of all files.
    pub(super) fn first_line(&self) -> io::Result<Option<u64>> {
        let rotated = self.numbers()?.into_iter().rev().map(|number| self.with(number));
        for path in rotated.chain([self.current.to_owned()]) {
            let path = &path;
            let mut line = Vec::new();
            let Ok(file) = open_plain(path) else { continue };
            BufReader::new(file).take(SEALED_MAX as u64).read_until(b'\n', &mut line).map_err(named(path))?;
            if let Some(sealed) = line.strip_suffix(b"\n").and_then(Sealed::parse) {
                return Ok(Some(sealed.seq));
            }
        }
        Ok(None)
    }

    /// The last whole line of the newest file that was rotated away, as it says itself.
    pub(super) fn last_line(&self) -> io::Result<Option<Anchor>> {
        self.last_line_beyond(0)
    }

    /// The last whole line of the newest file that is too old to be kept.
    pub(super) fn last_line_beyond(&self, keep: u32) -> io::Result<Option<Anchor>> {
        let newest =
            self.numbers()?.into_iter().find(|number| *number > keep).map(|number| self.with(number));
        let Some(newest) = newest else { return Ok(None) };
        let Ok(mut file) = open_plain(&newest) else { return Ok(None) };
        let most = 2 * SEALED_MAX as u64;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(most)))?;
        let mut tail = Vec::new();
        file.take(most).read_to_end(&mut tail).map_err(named(&newest))?;
        let mut whole = tail.split_inclusive(|byte| *byte == b'\n').rev();
        Ok(whole.find_map(|line| Sealed::parse(line.strip_suffix(b"\n")?)).map(|sealed| sealed.anchor()))
    }
}

fn open_plain(path: &Path) -> io::Result<File> {
    crate::trail::TrailFile::open(path).map(|opened| opened.file)
}
