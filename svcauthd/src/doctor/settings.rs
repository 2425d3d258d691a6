//! The configuration and the files that it names.

use std::path::{Path, PathBuf};

use svcauth_core::command;
use svcauth_core::config::Config;
use svcauth_host::paths;

use super::{Finding, Site, lint};
use crate::config_file::{ConfigFileError, Loaded};

/// Where svcauth is neither set up nor enabled, nothing is wrong.
pub(super) fn examine(site: &Site, is_enabled: bool) -> Vec<Finding> {
    let matters = |_: &&ConfigFileError| is_enabled || Path::new(paths::CONFIG).exists();
    let mut found: Vec<Finding> = site.fault.iter().filter(matters).map(fault).collect();
    if let Some(loaded) = &site.loaded {
        found.extend(secrets(loaded).iter().map(fault));
        found.extend(commands(&loaded.config));
    }
    found
}

/// Command rules that allow more than they say.
fn commands(config: &Config) -> Vec<Finding> {
    let limited = config.access.iter().filter_map(|rule| Some((rule.line, rule.limits.as_ref()?)));
    let found = limited.flat_map(|(line, limits)| {
        command::lint(limits).into_iter().map(move |what| {
            let fix = "write the words that are needed and no others (svcauth.toml(5), commands)".to_owned();
            lint::COMMAND_OPEN.found(
                Some((PathBuf::from(paths::CONFIG), usize::try_from(line).ok())),
                what,
                fix,
            )
        })
    });
    found.collect()
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

#[cfg(test)]
mod tests {
    use svcauth_core::config::Config;

    use super::commands;

    #[test]
    fn a_command_that_lets_a_client_run_anything_is_named_with_the_line_of_its_rule() {
        let config = "[directory]\nkind = \"ldif\"\nfile = \"/etc/d.ldif\"\n[accounts]\nid_range = \"7000-7999\"\n\
            [[access]]\naccounts = [\"a\"]\nroles = [\"r\"]\ncommands = [[\"/usr/bin/uptime\"]]\n\
            [[access]]\naccounts = [\"b\"]\nroles = [\"r\"]\ncommands = [[\"/usr/bin/find\", \"<rest>\"]]\n";
        let found = commands(&Config::parse(config).unwrap());
        let codes: Vec<_> =
            found.iter().map(|finding| (finding.code, finding.place.clone().unwrap().1)).collect();
        assert_eq!(codes, [("command_open", Some(10)); 2]);
        assert!(
            found.iter().all(|finding| finding.what.starts_with("[\"/usr/bin/find\", \"<rest>\"]: find has"))
        );
    }
}
