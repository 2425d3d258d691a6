//! Where a report goes: standard output, or a file that is there as a whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use svcauth_core::audit::escape::for_terminal;

use crate::cli::output::{Failure, WIDTH_MAX};

/// The output of a report.
pub(super) struct Out {
    to: BufWriter<Sink>,
    is_terminal: bool,
}

enum Sink {
    Stdout(io::Stdout),
    File(NewFile),
}

/// A file beside the one that it will be; gone if it does not come to that.
struct NewFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    is_done: bool,
}

impl Out {
    /// Opens the file, or standard output.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let (sink, is_terminal) = match path {
            None => (Sink::Stdout(io::stdout()), io::stdout().is_terminal()),
            Some(path) => {
                let file = NewFile::create(path);
                (
                    Sink::File(file.map_err(|error| Failure::new(format!("{}: {error}", path.display())))?),
                    false,
                )
            }
        };
        Ok(Self { to: BufWriter::with_capacity(1 << 16, sink), is_terminal })
    }

    /// Whether somebody looks at it as it comes.
    pub(super) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Ends the report: the file is there from now on, if everything was written.
    pub(super) fn finish(mut self, written: io::Result<()>) -> Result<(), Failure> {
        let flushed = written.and_then(|()| self.to.flush());
        // What did not get through is not tried again.
        let (sink, _) = self.to.into_parts();
        match sink {
            Sink::Stdout(_) => Ok(flushed?),
            Sink::File(file) => {
                let path = file.path.clone();
                let done = flushed.and_then(|()| file.publish());
                done.map_err(|error| Failure::new(format!("{}: {error}", path.display())))
            }
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(new) => new.file.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(_) => Ok(()),
        }
    }
}

impl NewFile {
    fn create(path: &Path) -> io::Result<Self> {
        refuse_other_than_a_file(path)?;
        let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.new", std::process::id()));
        let temporary = path.with_file_name(temporary);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { file, temporary, path: path.to_owned(), is_done: false })
    }

    fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        refuse_other_than_a_file(&self.path)?;
        // A link that is put there now is replaced, not followed (rename(2)).
        std::fs::rename(&self.temporary, &self.path)?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_done {
            // The error that brought us here is the one to report.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

fn refuse_other_than_a_file(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_symlink() => {
            Err(io::Error::other("it is a symbolic link; remove it, or name the file itself"))
        }
        Ok(meta) if !meta.is_file() => Err(io::Error::other("it is there and no regular file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The columns of a table: aligned below a head once they were measured, else tab-separated without one.
pub(super) struct Columns {
    head: Vec<String>,
    widths: Option<Vec<usize>>,
}

impl Columns {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(ToString::to_string).collect(), widths: None }
    }

    /// Makes the columns as wide as this row needs.
    pub(super) fn measure(&mut self, cells: &[String]) {
        let head = &self.head;
        let widths = self.widths.get_or_insert_with(|| head.iter().map(String::len).collect());
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(for_terminal(cell).chars().count()).min(WIDTH_MAX);
        }
    }

    /// Writes the head.
    pub(super) fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        self.row(out, &self.head)
    }

    /// Writes a row.
    pub(super) fn row(&self, out: &mut dyn Write, cells: &[String]) -> io::Result<()> {
        let cells = cells.iter().map(|cell| for_terminal(cell));
        let Some(widths) = &self.widths else {
            return writeln!(out, "{}", cells.collect::<Vec<_>>().join("\t"));
        };
        let cells = cells.zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Write as _};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::{Columns, Out};

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("svcauth-report-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn a_file_is_there_as_a_whole_for_its_owner_alone_and_replaces_the_old_one() {
        let folder = scratch("whole");
        let path = folder.join("report.csv");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut out = Out::open(Some(&path)).unwrap();
        out.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(out.finish(Ok(())).is_ok());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_report_that_fails_leaves_the_old_file_and_nothing_else() {
        let folder = scratch("fails");
        let path = folder.join("report.csv");
        fs::write(&path, "old").unwrap();
        let mut out = Out::open(Some(&path)).unwrap();
        out.write_all(b"half").unwrap();
        assert!(out.finish(Err(io::Error::other("broken"))).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_link_a_folder_and_a_pipe_are_refused_and_left_alone() {
        let folder = scratch("links");
        let target = folder.join("target");
        fs::write(&target, "precious").unwrap();
        symlink(&target, folder.join("link")).unwrap();
        symlink(folder.join("nowhere"), folder.join("dangling")).unwrap();
        fs::create_dir(folder.join("folder")).unwrap();
        nix::unistd::mkfifo(&folder.join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(Out::open(Some(&folder.join("fresh"))).is_ok());
        for name in ["link", "dangling", "folder", "pipe", "missing/file", ".."] {
            assert!(Out::open(Some(&folder.join(name))).is_err(), "{name}");
        }
        // One that is put there while the report is written.
        let late = folder.join("late");
        let out = Out::open(Some(&late)).unwrap();
        symlink(&target, &late).unwrap();
        assert!(out.finish(Ok(())).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn columns_are_aligned_when_measured_and_tabs_otherwise() {
        let mut columns = Columns::new(&["A", "LONG"]);
        let rows = [["x\ty".to_owned(), "1".to_owned()], ["z".to_owned(), "2".to_owned()]];
        let mut tabs = Vec::new();
        rows.iter().for_each(|row| columns.row(&mut tabs, row).unwrap());
        assert_eq!(String::from_utf8(tabs).unwrap(), "x\\x09y\t1\nz\t2\n");
        rows.iter().for_each(|row| columns.measure(row));
        let mut aligned = Vec::new();
        columns.head(&mut aligned).unwrap();
        rows.iter().for_each(|row| columns.row(&mut aligned, row).unwrap());
        assert_eq!(String::from_utf8(aligned).unwrap(), "A       LONG\nx\\x09y  1\nz       2\n");
    }
}
