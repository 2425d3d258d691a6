//! Which files sshd reads for the keys of an account: sshd is asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use svcauth_core::policy::Pattern;

const SSHD: &str = "/usr/sbin/sshd";
const CONFIG: &str = "/etc/ssh/sshd_config";
/// Where a relative `Include` begins (sshd_config(5)).
const FOLDER: &str = "/etc/ssh";
/// Files in files: what sshd itself allows.
const DEPTH: usize = 16;
/// What sshd does without a configuration (sshd_config(5)).
const DEFAULT: &str = ".ssh/authorized_keys .ssh/authorized_keys2";

/// What sshd says about key files.
pub(crate) struct KeyFiles {
    /// The patterns for every account, unless they depend on the account.
    same: Option<Vec<String>>,
    /// Why sshd was not asked, or did not answer; then its default is taken.
    pub(crate) trouble: Option<String>,
}

impl KeyFiles {
    /// Asks sshd; once for all accounts if its configuration has no `Match`.
    pub(crate) fn ask() -> Self {
        if has_match(Path::new(CONFIG), DEPTH) {
            return Self { same: None, trouble: None };
        }
        match ask_sshd(None) {
            Ok(patterns) => Self { same: Some(patterns), trouble: None },
            Err(why) => Self { same: Some(default()), trouble: Some(why) },
        }
    }

    /// What sshd does by itself.
    #[cfg(test)]
    pub(crate) fn of_default() -> Self {
        Self { same: Some(default()), trouble: None }
    }

    /// The files of an account: absolute, tokens replaced.
    pub(crate) fn of(&mut self, account: &str, uid: u32, home: &Path) -> Vec<PathBuf> {
        let patterns = match &self.same {
            Some(patterns) => patterns.clone(),
            None => ask_sshd(Some(account)).unwrap_or_else(|why| {
                self.trouble = Some(why);
                default()
            }),
        };
        let expand = |pattern: String| home.join(expanded(&pattern, account, uid, home));
        patterns.into_iter().filter(|pattern| pattern != "none").map(expand).collect()
    }
}

fn default() -> Vec<String> {
    DEFAULT.split(' ').map(str::to_owned).collect()
}

/// `%h`, `%u`, `%U` and `%%` (sshd_config(5), TOKENS); any other stays, and names no file.
fn expanded(pattern: &str, account: &str, uid: u32, home: &Path) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match (c, c == '%') {
            (_, false) => out.push(c),
            _ => match chars.next() {
                Some('h') => out.push_str(&home.to_string_lossy()),
                Some('u') => out.push_str(account),
                Some('U') => out.push_str(&uid.to_string()),
                Some('%') => out.push('%'),
                other => out.extend(['%'].into_iter().chain(other)),
            },
        }
    }
    out
}

/// `sshd -T`: the configuration that counts, for an account if one is named.
fn ask_sshd(account: Option<&str>) -> Result<Vec<String>, String> {
    let mut sshd = Command::new(SSHD);
    sshd.env_clear().arg("-T");
    if let Some(account) = account {
        sshd.args(["-C", &format!("user={account},host=localhost,addr=127.0.0.1")]);
    }
    let ended = sshd.output().map_err(|error| format!("{SSHD}: {error}"))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(format!("{SSHD} -T: {}", said.lines().last().unwrap_or("it failed")));
    }
    let text = String::from_utf8_lossy(&ended.stdout);
    let patterns = text.lines().find_map(|line| line.strip_prefix("authorizedkeysfile "));
    let patterns = patterns.ok_or_else(|| format!("{SSHD} -T says nothing about AuthorizedKeysFile"))?;
    Ok(patterns.split_whitespace().map(str::to_owned).collect())
}

/// Whether something in the configuration depends on who logs in; yes, if that cannot be told.
fn has_match(path: &Path, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return error.kind() != std::io::ErrorKind::NotFound,
    };
    text.lines().any(|line| {
        let mut words =
            line.split(|c: char| c.is_whitespace() || c == '=' || c == '"').filter(|it| !it.is_empty());
        let word = words.next().unwrap_or_default().to_ascii_lowercase();
        match word.as_str() {
            "match" => true,
            "include" => words.flat_map(files).any(|file| file.is_none_or(|file| has_match(&file, depth))),
            _ => false,
        }
    })
}

/// The files that a word of `Include` names; `None` among them where it cannot be told.
fn files(word: &str) -> BTreeSet<Option<PathBuf>> {
    let path = Path::new(FOLDER).join(word);
    let is_pattern = |text: &str| text.contains(['*', '?', '[']);
    if !is_pattern(word) {
        return [Some(path)].into();
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return [None].into();
    };
    if is_pattern(&folder.to_string_lossy()) || name.contains('[') {
        return [None].into();
    }
    let (pattern, entries) = (Pattern::new(name), std::fs::read_dir(folder));
    let matches = |entry: std::fs::DirEntry| {
        pattern.matches(&entry.file_name().to_string_lossy()).then(|| Some(entry.path()))
    };
    entries.into_iter().flatten().flatten().filter_map(matches).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{expanded, files, has_match};

    #[test]
    fn tokens_are_replaced_as_sshd_does() {
        for (pattern, path) in [
            (".ssh/authorized_keys", ".ssh/authorized_keys"),
            ("/etc/ssh/keys/%u", "/etc/ssh/keys/deployer"),
            ("%h/x%%y/%U", "/home/d/x%y/7001"),
            ("%z%", "%z%"),
        ] {
            assert_eq!(expanded(pattern, "deployer", 7001, Path::new("/home/d")), path);
        }
    }

    #[test]
    fn a_match_is_found_in_every_spelling_and_in_included_files_and_a_comment_is_none() {
        let folder = std::env::temp_dir().join(format!("svcauth-sshd-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.conf");
        for (text, expected) in [
            ("", false),
            ("# Match User x\nUsePAM yes\nX Match\n", false),
            ("  match user x\n", true),
            ("MATCH=user x\n", true),
            ("\"Match\" all\n", true),
            ("Include a[b]c\n", true),
            ("Include */x.conf\n", true),
            ("Include /nonexistent/*.conf /nonexistent/b.conf\n", false),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(has_match(&file, 3), expected, "{text}");
            let outer = folder.join("outer");
            std::fs::write(&outer, format!("Include {}/*.conf\n", folder.display())).unwrap();
            assert_eq!(has_match(&outer, 4), expected, "{text}");
        }
        // A file that includes itself.
        std::fs::write(&file, format!("include \"{}\"\n", file.display())).unwrap();
        assert!(has_match(&file, 5));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(files("x"), [Some("/etc/ssh/x".into())].into());
    }
}
