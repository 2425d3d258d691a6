//! The LDIF file as a directory: the same searches as on a server, answered from one file.

use super::entry::Entry;
use super::error::FetchError;
use super::{Kind, Sink, dn, ldif};
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use svcauth_core::config::{Config, Search};

/// Reads the file and answers the three searches.
pub(super) fn fetch(config: &Config, path: &Path, sink: &mut dyn Sink) -> Result<String, FetchError> {
    let fault = |what: String| FetchError::File { path: path.to_path_buf(), what };
    let bytes = read(path).map_err(fault)?;
    let entries =
        ldif::parse(&bytes).map_err(|fault| FetchError::Ldif { path: path.to_path_buf(), fault })?;
    drop(bytes);
    if entries.is_empty() {
        return Err(fault("there are no entries in it".to_owned()));
    }
    // Every DN was checked by the reader.
    let named: Vec<(String, &Entry)> =
        entries.iter().filter_map(|entry| Some((dn::normalise(&entry.dn)?, entry))).collect();
    sink.begin();
    for kind in [Kind::Accounts, Kind::Groups, Kind::People] {
        search(config, path, &named, kind, sink)?;
    }
    Ok(path.display().to_string())
}

fn search(
    config: &Config,
    path: &Path,
    named: &[(String, &Entry)],
    kind: Kind,
    sink: &mut dyn Sink,
) -> Result<(), FetchError> {
    let Search { base, filter } = kind.search(config);
    let no_base = || FetchError::NoBase {
        server: path.display().to_string(),
        section: kind.section(),
        base: base.clone(),
    };
    let normal = if base.is_empty() { String::new() } else { dn::normalise(base).ok_or_else(no_base)? };
    let mut below = named.iter().filter(|(dn, _)| dn::is_at_or_below(dn, &normal)).peekable();
    below.peek().ok_or_else(no_base)?;
    for (_, entry) in below {
        if filter.matches(&|name: &str| entry.values(name)) {
            sink.take(kind, entry);
        }
    }
    Ok(())
}

/// Opens without waiting for a FIFO's writer, and judges what was opened, not what the path says a moment later.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| format!("cannot be opened: {error}"))?;
    trusted(&file)?;
    let mut bytes = Vec::new();
    let limit = ldif::MAX_FILE + 1;
    (&mut file).take(limit).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(bytes)
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
