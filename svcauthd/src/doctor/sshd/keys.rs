//! Keys and authorities that sshd takes besides those of the directory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use svcauth_core::origin::{Fingerprint, PublicKey};

use super::config::Config;
use super::{Effective, correct, lint, place};
use crate::doctor::site::Account;
use crate::doctor::{Finding, Host, Site};
use crate::key_files::careful::{Contents, read};
use crate::key_files::sshd_config::KeyFiles;
use crate::report::authorized_keys::{KeyLine, parse};

/// How long homes are looked through; a home on a server that is down waits longer than that for each file.
const PATIENCE: Duration = Duration::from_secs(8);

/// The files of keys of the managed accounts.
pub(super) fn examine(host: &Host, site: &Site, config: &Config) -> Vec<Finding> {
    if !host.is_this() {
        return Vec::new();
    }
    examine_until(Instant::now() + PATIENCE, &mut KeyFiles::ask(), site, config)
}

fn examine_until(until: Instant, files: &mut KeyFiles, site: &Site, config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, account) in site.accounts.iter().enumerate() {
        if Instant::now() > until {
            let (seen, all) = (index, site.accounts.len());
            let what = format!(
                "the files of keys of {seen} of {all} accounts were looked at, and then the time was over"
            );
            found.push(lint::SSHD_KEY_FILES_UNSEEN.found(None, what, "run: svcauth report keys".to_owned()));
            break;
        }
        for path in files.of(&account.name, account.uid, &account.home) {
            found.extend(key_file(site, config, account, &path));
        }
    }
    found
}

fn key_file(site: &Site, config: &Config, account: &Account, path: &Path) -> Option<Finding> {
    let bytes = match read(&account.home, path) {
        Ok(Contents::Missing) => return None,
        Ok(Contents::Whole(bytes) | Contents::Beginning(bytes)) => bytes,
        Err(why) => {
            let what = format!("keys of {} cannot be looked at: {why}", account.name);
            return Some(lint::SSHD_KEY_FILE_UNREADABLE.of(path, what, format!("rm {}", path.display())));
        }
    };
    let file = parse(&bytes);
    let first = file.keys.first()?;
    let what = format!(
        "sshd takes {} for {} besides those of the directory ({}); svcauth decides about their sessions, and refuses a key that \
         belongs to nobody",
        counted(file.keys.len()),
        account.name,
        owners(site, &file.keys)
    );
    let at = place(config, "authorizedkeysfile", "none");
    let fix = format!(
        "put the keys into the directory and run: rm {}; or say for managed accounts \"AuthorizedKeysFile none\" in {}",
        path.display(),
        at.0.display()
    );
    let line = usize::try_from(first.number).ok();
    Some(lint::SSHD_KEY_FILE.found(Some((path.to_owned(), line)), what, fix))
}

fn counted(number: usize) -> String {
    if number == 1 { "1 key".to_owned() } else { format!("{number} keys") }
}

/// Whose keys they are, the unknown first.
fn owners(site: &Site, keys: &[KeyLine]) -> String {
    let mut names: Vec<String> = Vec::new();
    let (mut unknown, mut authorities) = (0, 0);
    for key in keys {
        match site.owner_of(&key.fingerprint) {
            _ if key.is_authority => authorities += 1,
            Some(login) if !names.contains(&login) => names.push(login),
            Some(_) => {}
            None => unknown += 1,
        }
    }
    let mut parts = Vec::new();
    parts.extend((unknown > 0).then(|| format!("{unknown} of nobody")));
    parts.extend((authorities > 0).then(|| format!("{authorities} cert-authority")));
    parts.extend((!names.is_empty()).then(|| format!("of {}", names.join(", "))));
    parts.join("; ")
}

/// Authorities that sshd trusts, and those that svcauth does.
pub(super) fn authorities(host: &Host, site: &Site, config: &Config, effective: &Effective) -> Vec<Finding> {
    let Some(loaded) = &site.loaded else { return Vec::new() };
    let file = effective.value("trustedusercakeys");
    let trusted = match file {
        "" | "none" => Vec::new(),
        file => fingerprints(host, file),
    };
    let at = place(config, "trustedusercakeys", file);
    let mut found = Vec::new();
    if loaded.trusted_ca.iter().any(|ours| !trusted.iter().any(|(_, theirs)| theirs == ours)) {
        let what = "[certificates] trusted_ca names an authority that sshd does not trust (TrustedUserCAKeys): its certificates open nothing";
        let path = loaded.config.certificates.trusted_ca.first().map_or(Path::new(""), PathBuf::as_path);
        let fix = correct(&at, &format!("TrustedUserCAKeys {}", path.display()));
        found.push(lint::SSHD_CA_MISSING.found(Some(at), what.to_owned(), fix));
    }
    for (number, theirs) in trusted.iter().filter(|(_, theirs)| !loaded.trusted_ca.contains(theirs)) {
        let what = format!(
            "sshd trusts the authority {theirs}, which [certificates] trusted_ca does not: its certificates are refused for managed accounts"
        );
        let fix =
            format!("add {file} to trusted_ca in /etc/svcauth/svcauth.toml, if its certificates name people");
        found.push(lint::SSHD_CA_UNKNOWN.at(Path::new(file), *number, what, fix));
    }
    found
}

fn fingerprints(host: &Host, file: &str) -> Vec<(usize, Fingerprint)> {
    let text = host.text(file).unwrap_or_default();
    let key =
        |(index, line): (usize, &str)| Some((index + 1, PublicKey::parse(line.trim()).ok()?.fingerprint()));
    text.lines().enumerate().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Account, Config, KeyFiles, Site, examine_until};

    #[test]
    fn when_the_time_is_over_the_rest_of_the_files_of_keys_is_counted() {
        let home = std::env::temp_dir().join(format!("svcauth-doctor-keys-{}", std::process::id()));
        std::fs::create_dir_all(home.join(".ssh")).unwrap();
        std::fs::create_dir_all(home.join(".ssh/authorized_keys")).unwrap();
        let account =
            |name: &str| Account { name: name.to_owned(), uid: 1, home: home.clone(), is_local: false };
        let site = Site { accounts: vec![account("a"), account("b"), account("c")], ..Site::default() };
        let found = |until: Instant| -> Vec<String> {
            let mut files = KeyFiles::of_default();
            let found = examine_until(until, &mut files, &site, &Config::default());
            found.into_iter().map(|it| format!("{} {}", it.code, it.what)).collect()
        };
        let all = found(Instant::now() + Duration::from_secs(600));
        assert!(
            all.len() == 3 && all.iter().all(|it| it.starts_with("sshd_key_file_unreadable ")),
            "{all:?}"
        );
        let none = found(Instant::now());
        assert!(
            none.len() == 1 && none[0].starts_with("sshd_key_files_unseen the files of keys of 0 of 3"),
            "{none:?}"
        );
        std::fs::remove_dir_all(&home).unwrap();
    }
}
