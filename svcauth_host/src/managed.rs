//! Which accounts are managed when no snapshot can say so: the configuration, or what it last said.
//!
//! This is what keeps a lost snapshot from turning a managed account into an unknown one. Only root-owned, static data
//! counts; no lookup, no daemon, no directory.

use std::fmt::Write as _;
use std::path::Path;

use svcauth_core::config::{Config, Managed};

use crate::paths;
use crate::snapshot_file::{SnapshotError, read_trusted};

/// The configuration of a large site stays far below this: 1 MiB.
pub const CONFIG_MAX: u64 = 1 << 20;

/// What is known about managed accounts without a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The configuration says it.
    ByConfig(Managed),
    /// The configuration cannot be read; this is what it last said.
    ByLastConfig(Managed),
    /// There is neither, or what there is says nothing: svcauth manages nothing on this host.
    Nothing,
    /// The operating system refused to let either be read (no descriptor left, a failing disk): nobody can tell.
    Unreadable,
}

impl Known {
    /// Looks at the configuration, and at what it last said if it cannot be read.
    #[must_use]
    pub fn look() -> Self {
        let config = read_trusted(Path::new(paths::CONFIG), CONFIG_MAX);
        let last = || read_trusted(Path::new(paths::LAST_MANAGED), CONFIG_MAX);
        Self::from_texts(config, last)
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
    use super::{Known, Managed, SnapshotError, parse, to_text};

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
