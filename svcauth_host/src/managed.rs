//! Which accounts are managed when no snapshot can say so: the configuration, or what it last said.
//!
//! This is what keeps a lost snapshot from turning a managed account into an unknown one. Only root-owned, static data
//! counts; no lookup, no daemon, no directory.

use std::fmt::Write as _;
use std::path::Path;

use svcauth_core::config::{Config, Managed};

use crate::paths;
use crate::snapshot_file::{SnapshotError, read_trusted, read_whoever_wrote_it};

/// The configuration of a large site stays far below this: 1 MiB.
pub const CONFIG_MAX: u64 = 1 << 20;

/// What is known about managed accounts without a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The configuration says it.
    ByConfig(Managed),
    /// The configuration cannot be read, or others than root may have written it; this is what it last said.
    ByLastConfig(Managed),
    /// There is neither, or what there is says nothing, whoever wrote it: svcauth manages nothing on this host.
    Nothing,
    /// The operating system refused to let either be read (no descriptor left, a failing disk): nobody can tell.
    Unreadable,
}

impl Known {
    /// Looks at the configuration, and at what it last said if it cannot be read.
    #[must_use]
    pub fn look() -> Self {
        Self::from_files(Path::new(paths::CONFIG), Path::new(paths::LAST_MANAGED))
    }

    /// A file that others than root may have written is no configuration. But while there is nothing better, what it
    /// names stays managed: `chown -R` over both folders must not make every account an unmanaged one, and let it pass.
    fn from_files(config: &Path, last: &Path) -> Self {
        let trusted = Self::from_texts(read_trusted(config, CONFIG_MAX), || read_trusted(last, CONFIG_MAX));
        if trusted != Self::Nothing {
            return trusted;
        }
        let text = |path| read_whoever_wrote_it(path, CONFIG_MAX);
        match Self::from_texts(text(config), || text(last)) {
            Self::ByConfig(managed) => Self::ByLastConfig(managed),
            other => other,
        }
    }

    fn from_texts(
        config: Result<String, SnapshotError>,
        last: impl FnOnce() -> Result<String, SnapshotError>,
    ) -> Self {
        let refused = |text: &Result<_, SnapshotError>| matches!(text, Err(SnapshotError::Refused(_)));
        let config_refused = refused(&config);
        let config = config.ok().and_then(|text| Config::parse(&text).ok());
        if let Some(config) = config {
            return Self::ByConfig(config.managed());
        }
        let last = last();
        // A caller of su can see to it that there is no descriptor left (ulimit -n): that must not unmanage anything.
        let unreadable = config_refused || refused(&last);
        match last.ok().and_then(|text| parse(&text)) {
            Some(managed) => Self::ByLastConfig(managed),
            None if unreadable => Self::Unreadable,
            None => Self::Nothing,
        }
    }

    /// Whether an account of this name and uid is a managed one, or may be; root never is.
    #[must_use]
    pub fn covers(&self, name: &str, uid: u32) -> bool {
        match self {
            Self::ByConfig(managed) | Self::ByLastConfig(managed) => managed.covers(name, uid),
            Self::Nothing => false,
            Self::Unreadable => uid != 0 && name != "root",
        }
    }
}

/// The text that the daemon keeps in [`paths::LAST_MANAGED`]: the id range, then one local account a line.
#[must_use]
pub fn to_text(managed: &Managed) -> String {
    let mut text = format!("id_range {}\n", managed.id_range);
    for name in &managed.local_accounts {
        let _ = writeln!(text, "local_account {name}");
    }
    text
}

fn parse(text: &str) -> Option<Managed> {
    let mut lines = text.lines();
    let id_range = lines.next()?.strip_prefix("id_range ")?.parse().ok()?;
    let local_accounts =
        lines.map(|line| line.strip_prefix("local_account ").map(str::to_owned)).collect::<Option<_>>()?;
    Some(Managed { id_range, local_accounts })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::{Known, Managed, SnapshotError, parse, to_text};

    const MINIMAL: &str = "[directory]\nkind = \"ldif\"\nfile = \"/x.ldif\"\n[accounts]\nid_range = \"7000-7999\"\n\
        [[access]]\naccounts = [\"*\"]\nroles = [\"application\"]\n";

    #[test]
    fn a_file_that_cannot_be_read_does_not_make_an_account_unmanaged() {
        let missing = || Err(SnapshotError::Missing);
        let refused = || Err(SnapshotError::Refused("Too many open files".to_owned()));
        let broken = || Ok("id_range".to_owned());
        let last = || Ok("id_range 7000-7999\n".to_owned());
        assert_eq!(Known::from_texts(missing(), missing), Known::Nothing);
        assert_eq!(Known::from_texts(broken(), missing), Known::Nothing);
        for (config, last) in [
            (refused(), missing()),
            (missing(), refused()),
            (broken(), refused()),
            (refused(), broken()),
            (refused(), refused()),
        ] {
            let known = Known::from_texts(config, || last);
            assert_eq!(known, Known::Unreadable);
            assert!(known.covers("deployer", 7001) && !known.covers("root", 0) && !known.covers("toor", 0));
        }
        let known = Known::from_texts(refused(), last);
        assert!(matches!(known, Known::ByLastConfig(_)), "{known:?}");
        assert!(known.covers("deployer", 7001) && !known.covers("alice", 1001));
    }

    #[test]
    fn files_that_were_given_to_others_still_say_what_is_managed() {
        let folder = std::env::temp_dir().join(format!("svcauth-managed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (config, last) = (folder.join("svcauth.toml"), folder.join("managed"));
        let write = |path: &Path, text: &str, mode| {
            std::fs::write(path, text).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        assert_eq!(Known::from_files(&config, &last), Known::Nothing);
        // Writable by all counts as given away even where the tests are run by root.
        write(&last, "id_range 7000-7999\n", 0o666);
        for text in ["broken", MINIMAL] {
            write(&config, text, 0o666);
            let known = Known::from_files(&config, &last);
            assert!(matches!(known, Known::ByLastConfig(_)), "{known:?}");
            assert!(known.covers("deployer", 7001) && !known.covers("alice", 1001));
            assert!(!known.covers("root", 0));
        }
        std::fs::remove_file(&last).unwrap();
        std::fs::rename(&config, folder.join("elsewhere.toml")).unwrap();
        std::os::unix::fs::symlink("elsewhere.toml", &config).unwrap();
        assert!(Known::from_files(&config, &last).covers("deployer", 7001));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_was_managed_is_read_as_it_was_written_and_a_damaged_text_is_refused() {
        let managed =
            Managed { id_range: "7000-7999".parse().unwrap(), local_accounts: vec!["postgres".to_owned()] };
        assert_eq!(parse(&to_text(&managed)), Some(managed.clone()));
        assert!(managed.covers("x", 7001) && managed.covers("postgres", 112) && !managed.covers("x", 1000));
        for bad in ["", "id_range 0-1\n", "id_range 7000-7999\nx\n", "local_account x\n"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
