//! The files of svcauth itself: there, whole, root's, and open to those who need them and to no others.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use svcauth_host::paths;

use super::{Finding, Host, Site, lint, trust};

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// Every program of the host looks up names.
    Everybody,
    /// Root, and the group svcauth: who may do what.
    Svcauth,
    /// Root: who was where, passwords.
    Root,
}

/// Files and folders with the mode that they should have. One that is not there is another lint's business.
const FILES: &[(&str, Readers, u32)] = &[
    (paths::STATE_DIR, Readers::Everybody, 0o755),
    (paths::ACCOUNTS_SNAPSHOT, Readers::Everybody, 0o644),
    (paths::ACCESS_SNAPSHOT, Readers::Svcauth, 0o640),
    (paths::CONFIRMED, Readers::Svcauth, 0o640),
    (paths::ROLES, Readers::Svcauth, 0o640),
    (paths::LAST_MANAGED, Readers::Everybody, 0o644),
    ("/var/lib/svcauth/local_accounts", Readers::Everybody, 0o644),
    ("/run/svcauth", Readers::Everybody, 0o755),
    (paths::SESSIONS_DIR, Readers::Root, 0o700),
    (paths::REVOKED, Readers::Root, 0o600),
    (paths::AUDIT_SPOOL, Readers::Root, 0o600),
    (paths::AUDIT_HEAD, Readers::Root, 0o600),
    ("/var/log/svcauth", Readers::Root, 0o700),
    (paths::AUDIT_FILE, Readers::Root, 0o600),
];

/// Programs that run as root, or that sshd runs, and refuses if others than root can change them.
const PROGRAMS: &[&str] = &["/usr/bin/svcauth", "/usr/sbin/svcauthd"];

pub(super) fn examine(host: &Host, site: &Site) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        FILES.iter().filter_map(|(path, readers, mode)| file(host, path, *readers, *mode)).collect();
    found.extend(configuration(host, site));
    found.extend(PROGRAMS.iter().filter_map(|program| {
        let why = trust::not_only_roots(host, Path::new(program))?;
        let what = format!("{why}: whoever can change it runs as root, and sshd does not call it for keys");
        Some(lint::COMMAND_WRITABLE.of(program, what, trust::repair(Path::new(program), 0o755)))
    }));
    found.extend(nearly_full(host));
    found
}

fn file(host: &Host, path: &str, readers: Readers, mode: u32) -> Option<Finding> {
    let own = Path::new(path);
    let meta = host.path(path).symlink_metadata().ok()?;
    if let Some(why) = trust::not_only_roots(host, own) {
        let what = format!("{why}: whoever can change it decides who gets in, or what is remembered of it");
        return Some(lint::STATE_WRITABLE.of(path, what, repair(own, readers, mode)));
    }
    let is_open = meta.mode() & 0o004 != 0;
    let group = meta.mode() & 0o040 != 0;
    if readers == Readers::Everybody && !is_open {
        let what = "not everybody can read it: names of accounts are unknown to all but root".to_owned();
        return Some(lint::STATE_HIDDEN.of(path, what, repair(own, readers, mode)));
    }
    if readers != Readers::Everybody && is_open || readers == Readers::Root && group {
        let what = "others than root can read it, and it says who may do what, or who was where".to_owned();
        return Some(lint::STATE_READABLE.of(path, what, repair(own, readers, mode)));
    }
    None
}

fn repair(path: &Path, readers: Readers, mode: u32) -> String {
    let group = if readers == Readers::Svcauth { paths::USER } else { "root" };
    format!("run: chown root:{group} {0} && chmod {mode:04o} {0}", path.display())
}

/// The folder of the configuration, and the file; what the file names is read with it.
fn configuration(host: &Host, site: &Site) -> Vec<Finding> {
    let mut files: Vec<PathBuf> = vec![PathBuf::from(paths::CONFIG)];
    if let Some(loaded) = &site.loaded {
        files.extend(loaded.config.certificates.trusted_ca.clone());
    }
    let look = |path: &PathBuf| {
        let why = trust::not_only_roots(host, path)?;
        let what = format!("{why}: whoever can change it decides who gets in");
        Some(lint::STATE_WRITABLE.of(path, what, trust::repair(path, 0o644)))
    };
    files.iter().filter_map(look).collect()
}

/// Below this share and this size of free space nothing can be published or recorded for long.
const FREE_PERCENT: u64 = 3;
const FREE_BYTES: u64 = 64 << 20;

fn nearly_full(host: &Host) -> Vec<Finding> {
    let look = |path: &&str| {
        let on_disk = host.path(path);
        let known = nix::sys::statvfs::statvfs(&on_disk).ok()?;
        let size = known.fragment_size();
        let (free, all) =
            (known.blocks_available().saturating_mul(size), known.blocks().saturating_mul(size));
        let why = scarce(free, all)?;
        let what = format!(
            "the disk below it is nearly full ({why}): nothing new can be published, and audit records wait in /run/svcauth"
        );
        Some(lint::DISK_NEARLY_FULL.of(
            path,
            what,
            format!(
                "make room: du -xh --max-depth=2 $(df --output=target {path} | tail -1) | sort -h | tail"
            ),
        ))
    };
    [paths::STATE_DIR, "/var/log/svcauth"].iter().filter_map(look).collect()
}

fn scarce(free: u64, all: u64) -> Option<String> {
    let is_scarce = free < FREE_BYTES && free.saturating_mul(100) < all.saturating_mul(FREE_PERCENT);
    is_scarce.then(|| format!("{} MiB free", free >> 20))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir_all, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::{FILES, Host, Site, examine, scarce};

    #[test]
    fn a_file_that_others_can_change_or_that_the_wrong_people_can_read_is_named() {
        let root = std::env::temp_dir().join(format!("svcauth-doctor-state-{}", std::process::id()));
        let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
        for (path, _, bits) in FILES {
            let path = root.join(path.trim_start_matches('/'));
            if path.extension().is_none() && bits & 0o100 != 0 {
                create_dir_all(&path).unwrap();
            } else {
                create_dir_all(path.parent().unwrap()).unwrap();
                write(&path, "x").unwrap();
            }
        }
        for (path, _, bits) in FILES {
            mode(&root.join(path.trim_start_matches('/')), *bits);
        }
        let codes = || -> Vec<String> {
            let found = examine(&Host::in_folder(&root), &Site::default());
            let found = found.into_iter().filter(|it| it.code != "disk_nearly_full");
            found.map(|it| format!("{} {}", it.code, it.place.unwrap().0.display())).collect()
        };
        assert_eq!(codes(), [] as [&str; 0]);
        for (path, bits, code) in [
            ("/var/lib/svcauth/access.snap", 0o644, "state_readable"),
            ("/var/lib/svcauth/accounts.snap", 0o640, "state_hidden"),
            ("/var/lib/svcauth/roles", 0o660, "state_writable"),
            ("/var/log/svcauth/audit.jsonl", 0o640, "state_readable"),
            ("/run/svcauth/sessions", 0o755, "state_readable"),
        ] {
            let file = root.join(path.trim_start_matches('/'));
            let before = file.metadata().unwrap().permissions();
            mode(&file, bits);
            assert_eq!(codes(), [format!("{code} {path}")]);
            set_permissions(&file, before).unwrap();
        }
        mode(&root.join("var/lib"), 0o777);
        assert!(codes().contains(&"state_writable /var/lib/svcauth/access.snap".to_owned()), "{:?}", codes());
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_disk_is_nearly_full_when_little_is_left_of_it() {
        assert!(scarce(1 << 20, 100 << 30).is_some());
        assert!(scarce(10 << 30, 100 << 30).is_none());
        // A small disk, half of it free.
        assert!(scarce(30 << 20, 60 << 20).is_none());
    }
}
