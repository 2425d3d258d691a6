//! Whether the trail is behind: records that wait for a daemon that is not there.

use std::path::{Path, PathBuf};
use std::{fs, io};

use svcauth_host::{paths, spool};

use super::Trail;

/// How many records wait in the spool of this host with nobody there to write them into the trail; 0: none, or the daemon is
/// about to. After a crash some of them may be in the trail already.
#[must_use]
pub fn waiting() -> usize {
    if spool::has_recorder() { 0 } else { waiting_in(Path::new(paths::AUDIT_SPOOL)) }
}

/// A spool that cannot be read counts as one record: something is wrong with it.
fn waiting_in(spool: &Path) -> usize {
    let count = files(spool).and_then(|files| Trail::of_files(&files)).map(|trail| trail.entries().count());
    count.unwrap_or(1)
}

/// The spool, and what the daemon has put aside to empty it.
fn files(spool: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = spool.parent().unwrap_or(Path::new("/"));
    let name = spool.file_name().unwrap_or_default().as_encoded_bytes();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(name) && entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, full_record};
    use super::waiting_in;

    #[test]
    fn what_waits_is_counted_and_what_was_taken_out_is_not() {
        let folder = Folder::new();
        let spool = folder.0.join("audit.spool");
        assert_eq!(waiting_in(&spool), 0);
        let line = format!("\n{}\n", full_record().to_json());
        folder.write("audit.spool", line.repeat(3));
        assert_eq!(waiting_in(&spool), 3);
        // Put aside; the beginning is punched out.
        folder.write("audit.spool.1", ["\0".repeat(8192).as_bytes(), b"\n", line.as_bytes()].concat());
        folder.write("other", &line);
        assert_eq!(waiting_in(&spool), 4);
        folder.write("audit.spool", "");
        assert_eq!(waiting_in(&spool), 1);
        assert_eq!(waiting_in(&folder.0.join("gone/audit.spool")), 0);
    }
}
