//! Which accounts are managed when no snapshot can say so: the configuration, or what it last said.
//!
//! This is what keeps a lost snapshot from turning a managed account into an unknown one. Only root-owned, static data
//! counts; no lookup, no daemon, no directory.

use std::fmt::Write as _;
use std::path::Path;

use svcauth_core::config::{Config, Managed};

use crate::paths;
use crate::snapshot_file::read_trusted;

/// The configuration of a large site stays far below this: 1 MiB.
pub const CONFIG_MAX: u64 = 1 << 20;

/// What is known about managed accounts without a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The configuration says it.
    ByConfig(Managed),
    /// The configuration cannot be read; this is what it last said.
    ByLastConfig(Managed),
    /// Neither can be read: svcauth manages nothing on this host.
    Nothing,
}

impl Known {
    /// Looks at the configuration, and at what it last said if it cannot be read.
    #[must_use]
    pub fn look() -> Self {
        let config = read_trusted(Path::new(paths::CONFIG), CONFIG_MAX)
            .ok()
            .and_then(|text| Config::parse(&text).ok());
        if let Some(config) = config {
            return Self::ByConfig(config.managed());
        }
        let last = read_trusted(Path::new(paths::LAST_MANAGED), CONFIG_MAX)
            .ok()
            .and_then(|text| parse(&text));
        last.map_or(Self::Nothing, Self::ByLastConfig)
    }

    /// Whether an account of this name and uid is a managed one; root never is.
    #[must_use]
    pub fn covers(&self, name: &str, uid: u32) -> bool {
        match self {
            Self::ByConfig(managed) | Self::ByLastConfig(managed) => managed.covers(name, uid),
            Self::Nothing => false,
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
    let local_accounts = lines
        .map(|line| line.strip_prefix("local_account ").map(str::to_owned))
        .collect::<Option<_>>()?;
    Some(Managed {
        id_range,
        local_accounts,
    })
}

#[cfg(test)]
mod tests {
    use super::{Managed, parse, to_text};

    #[test]
    fn what_was_managed_is_read_as_it_was_written_and_a_damaged_text_is_refused() {
        let managed = Managed {
            id_range: "7000-7999".parse().unwrap(),
            local_accounts: vec!["postgres".to_owned()],
        };
        assert_eq!(parse(&to_text(&managed)), Some(managed.clone()));
        assert!(managed.covers("x", 7001) && managed.covers("postgres", 112) && !managed.covers("x", 1000));
        for bad in [
            "",
            "id_range 0-1\n",
            "id_range 7000-7999\nx\n",
            "local_account x\n",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
