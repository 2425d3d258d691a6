//! The LDIF file as a directory: the same searches as on a server, answered from one file.

use super::entry::Entry;
use super::error::FetchError;
use super::{Extent, Kind, Sink, dn, ldif};
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use svcauth_core::config::{Config, Search};

/// Reads the file and answers the three searches.
pub(super) fn fetch(config: &Config, path: &Path, sink: &mut dyn Sink) -> Result<String, FetchError> {
    let fault = |what: String| FetchError::File { path: path.to_path_buf(), what };
    let bytes = read(path).map_err(fault)?;
    let mut searches = Vec::new();
    for kind in [Kind::Accounts, Kind::Groups, Kind::People] {
        searches.push(Answer::new(config, path, kind)?);
    }
    let mut empty = true;
    sink.begin(Extent::Whole);
    let parsed = ldif::each(&bytes, &mut |dn, entry| {
        empty = false;
        searches.iter_mut().for_each(|search| search.offer(dn, &entry, sink));
    });
    parsed.map_err(|fault| FetchError::Ldif { path: path.to_path_buf(), fault })?;
    if empty {
        return Err(fault("there are no entries in it".to_owned()));
    }
    match searches.iter().find(|search| !search.has_base) {
        Some(search) => Err(search.no_base(path)),
        None => Ok(path.display().to_string()),
    }
}

/// Every entry of the file, whatever it is.
pub(super) fn each(path: &Path, take: &mut dyn FnMut(&Entry)) -> Result<(), FetchError> {
    let fault = |what: String| FetchError::File { path: path.to_path_buf(), what };
    let bytes = read(path).map_err(fault)?;
    ldif::each(&bytes, &mut |_, entry| take(&entry))
        .map_err(|fault| FetchError::Ldif { path: path.to_path_buf(), fault })
}

/// One search while the entries pass by.
struct Answer<'a> {
    kind: Kind,
    search: &'a Search,
    /// The base in normal form.
    base: String,
    /// Whether an entry at or below the base was seen.
    has_base: bool,
}

impl<'a> Answer<'a> {
    fn new(config: &'a Config, path: &Path, kind: Kind) -> Result<Self, FetchError> {
        let search = kind.search(config);
        let mut answer = Self { kind, search, base: String::new(), has_base: false };
        if !search.base.is_empty() {
            answer.base = dn::normalise(&search.base).ok_or_else(|| answer.no_base(path))?;
        }
        Ok(answer)
    }

    fn offer(&mut self, dn: &str, entry: &Entry, sink: &mut dyn Sink) {
        if dn::is_at_or_below(dn, &self.base) {
            self.has_base = true;
            if self.search.filter.matches(&|name: &str| entry.values(name)) {
                sink.take(self.kind, entry);
            }
        }
    }

    fn no_base(&self, path: &Path) -> FetchError {
        FetchError::NoBase {
            server: path.display().to_string(),
            section: self.kind.section(),
            base: self.search.base.clone(),
        }
    }
}

/// Opens without waiting for a FIFO's writer, and judges what was opened, not what the path says a moment later.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| unreadable(&error))?;
    trusted(&file)?;
    let mut bytes = Vec::new();
    let limit = ldif::MAX_FILE + 1;
    (&mut file).take(limit).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(bytes)
}

/// Why it cannot be opened, and what about the service may be the cause.
fn unreadable(error: &std::io::Error) -> String {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => "; the service sees neither /home nor /root nor the /tmp of others",
        std::io::ErrorKind::PermissionDenied => {
            "; the user svcauth must be able to read it and to enter its folders"
        }
        _ => "",
    };
    format!("cannot be opened: {error}{hint}")
}

/// Whoever can write this file decides who may log in.
fn trusted(file: &File) -> Result<(), String> {
    let status = file.metadata().map_err(|error| error.to_string())?;
    let ours = nix::unistd::geteuid().as_raw();
    if !status.is_file() {
        Err("is not a regular file".to_owned())
    } else if status.uid() != 0 && status.uid() != ours {
        Err(format!("belongs to uid {}, who could let anybody in; chown it to root", status.uid()))
    } else if status.mode() & 0o022 != 0 {
        Err("can be written by its group or by everybody, who could let anybody in; chmod go-w".to_owned())
    } else {
        Ok(())
    }
}
