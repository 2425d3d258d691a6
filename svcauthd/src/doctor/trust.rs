//! Who can change a file.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Host;

/// Why others than root can change a file, or one of the folders that it is in; nothing if they cannot, or it is not there.
pub(super) fn not_only_roots(host: &Host, path: &Path) -> Option<String> {
    let on_disk = host.path(path);
    let meta = on_disk.metadata().ok()?;
    if let Some(why) = changeable(host, &meta) {
        return Some(why.to_owned());
    }
    // The folders of the path as it is written; of a link also those that it leads to.
    let real = on_disk.canonicalize().ok()?;
    [on_disk.as_path(), real.as_path()].into_iter().find_map(|path| folders(host, path))
}

fn folders(host: &Host, path: &Path) -> Option<String> {
    let above = path.ancestors().skip(1).take_while(|folder| folder.starts_with(host.root()));
    above.filter_map(|folder| folder.metadata().ok().map(|meta| (folder, meta))).find_map(|(folder, meta)| {
        // In a folder with the sticky bit nobody can replace what is root's (/tmp).
        let why = changeable(host, &meta).filter(|_| meta.mode() & 0o1000 == 0)?;
        Some(format!("{why} (the folder {})", host.shown(folder).display()))
    })
}

fn changeable(host: &Host, meta: &std::fs::Metadata) -> Option<&'static str> {
    if meta.uid() != host.owner() && meta.uid() != 0 {
        Some("it is not owned by root")
    } else if meta.mode() & 0o022 != 0 {
        Some("it is writable by others than root")
    } else {
        None
    }
}

/// The command that repairs owner and mode.
pub(super) fn repair(path: &Path, mode: u32) -> String {
    format!("chown root:root {0} && chmod {mode:04o} {0}", path.display())
}
