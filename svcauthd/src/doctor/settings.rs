//! The configuration and the files that it names.

use std::path::{Path, PathBuf};

use svcauth_host::paths;

use super::{Finding, Site, lint};
use crate::config_file::{ConfigFileError, Loaded};

/// Where svcauth is neither set up nor enabled, nothing is wrong.
pub(super) fn examine(site: &Site, is_enabled: bool) -> Vec<Finding> {
    let matters = |_: &&ConfigFileError| is_enabled || Path::new(paths::CONFIG).exists();
    let mut found: Vec<Finding> = site.fault.iter().filter(matters).map(fault).collect();
    if let Some(loaded) = &site.loaded {
        found.extend(secrets(loaded).iter().map(fault));
    }
    found
}

fn secrets(loaded: &Loaded) -> Vec<ConfigFileError> {
    let secret = loaded.secret().map(drop);
    [secret, loaded.keytab().map(drop), loaded.sources_are_there()]
        .into_iter()
        .filter_map(Result::err)
        .collect()
}

fn fault(why: &ConfigFileError) -> Finding {
    let place: (PathBuf, Option<usize>) = match why {
        ConfigFileError::File(path, _) => (path.clone(), None),
        ConfigFileError::Value(error) => (PathBuf::from(paths::CONFIG), Some(error.line())),
        ConfigFileError::Authority(path, line, _) => (path.clone(), Some(*line)),
    };
    let missing = !Path::new(paths::CONFIG).exists();
    let fix = if missing {
        "run: svcauth setup"
    } else {
        "correct it and run: svcauthd --check && systemctl reload svcauthd"
    };
    let what =
        format!("{why}; the daemon does not start with it, and goes on with the last one that was right");
    lint::CONFIG_INVALID.found(Some(place), what, fix.to_owned())
}
