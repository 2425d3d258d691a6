//! sudo: does it ask PAM for a session, under the name that the access rules know?

use std::path::{Path, PathBuf};

use super::{Finding, Host, lint};

const MAIN: &str = "/etc/sudoers";
/// Files that are read; sudo itself ends after 128 in each other.
const FILES_MAX: usize = 500;

/// A setting of a `Defaults` line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    file: PathBuf,
    number: usize,
    /// What stands behind `Defaults`: nothing, or `@host`, `:user`, `!command`, `>runas`.
    scope: String,
    name: String,
    is_on: bool,
    value: Option<String>,
}

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    let settings = settings(host);
    let mut found: Vec<Finding> = settings
        .iter()
        .enumerate()
        .filter(|(at, it)| counts(&settings, *at, it))
        .filter_map(|(_, it)| judge(it))
        .collect();
    found.extend(remote(host));
    found.extend(rewritten(host));
    found
}

/// The last line of the same scope wins.
fn counts(settings: &[Setting], at: usize, setting: &Setting) -> bool {
    let later = settings.iter().skip(at + 1);
    later.filter(|it| it.scope == setting.scope).all(|it| it.name != setting.name)
}

fn judge(setting: &Setting) -> Option<Finding> {
    let Setting { file, number, name, is_on, value, .. } = setting;
    let (lint, what) = match (name.as_str(), is_on) {
        ("pam_session", false) => (
            lint::SUDO_NO_SESSION,
            "sudo opens no PAM session: whoever sudoers lets in becomes a managed account, and nothing is recorded".to_owned(),
        ),
        ("pam_acct_mgmt", false) => (
            lint::SUDO_NO_ACCOUNT,
            "sudo does not ask PAM about the account of the caller: a disabled account can call sudo".to_owned(),
        ),
        ("pam_setcred", false) => {
            (lint::SUDO_NO_CRED, "sudo sets no credentials: SVCAUTH_ORIGIN is not in the environment of its commands".to_owned())
        }
        ("pam_service" | "pam_login_service" | "pam_askpass_service", true) => {
            let other = value.as_deref().filter(|value| !matches!(*value, "sudo" | "sudo-i"))?;
            let what = format!("sudo asks PAM under the name {other}: another stack counts, and the access rules for sudo do not");
            (lint::SUDO_PAM_SERVICE, what)
        }
        ("runas_allow_unknown_id", true) => (
            lint::SUDO_UNKNOWN_ID,
            "sudo -u '#NUMBER' runs commands under numbers that have no name: those of managed accounts have none while their name \
             service is lost"
                .to_owned(),
        ),
        _ => return None,
    };
    let fix = format!("run: visudo -f {}, and delete {} in line {number}", file.display(), shown(setting));
    Some(lint.at(file, *number, what, fix))
}

fn shown(setting: &Setting) -> String {
    let sign = if setting.is_on { "" } else { "!" };
    format!("{sign}{}", setting.name)
}

fn settings(host: &Host) -> Vec<Setting> {
    let (mut found, mut left) = (Vec::new(), FILES_MAX);
    read(host, Path::new(MAIN), &mut left, &mut found);
    found
}

fn read(host: &Host, file: &Path, left: &mut usize, found: &mut Vec<Setting>) {
    let (Some(text), Some(fewer)) = (host.text(file), left.checked_sub(1)) else { return };
    *left = fewer;
    for (number, line) in logical_lines(&text) {
        let include = |words: [&str; 2]| {
            words
                .into_iter()
                .find_map(|word| line.strip_prefix(word))
                .filter(|rest| rest.starts_with([' ', '\t']))
        };
        if let Some(folder) = include(["@includedir", "#includedir"]) {
            included(host, &path(folder)).iter().for_each(|file| read(host, file, left, found));
        } else if let Some(other) = include(["@include", "#include"]) {
            read(host, &relative(file, &path(other)), left, found);
        } else if let Some(rest) = line.strip_prefix("Defaults") {
            let (scope, list) = scope(rest);
            let place = |(name, is_on, value)| Setting {
                file: file.to_owned(),
                number,
                scope: scope.clone(),
                name,
                is_on,
                value,
            };
            found.extend(parts(list).iter().map(|part| setting(part)).map(place));
        }
    }
}

/// The file as the host names it: `%h` is the short name of the host.
fn path(text: &str) -> PathBuf {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let short = name.split('.').next().unwrap_or_default();
    PathBuf::from(text.trim().trim_matches('"').replace("%h", short))
}

fn relative(file: &Path, other: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("/etc")).join(other)
}

/// sudo leaves out names that end in `~` or have a dot.
fn included(host: &Host, folder: &Path) -> Vec<PathBuf> {
    let names = host.names(folder).into_iter();
    names.filter(|name| !name.ends_with('~') && !name.contains('.')).map(|name| folder.join(name)).collect()
}

fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut pending) = (Vec::new(), None::<(usize, String)>);
    for (index, line) in text.lines().enumerate() {
        let (number, mut whole) = pending.take().unwrap_or((index + 1, String::new()));
        if let Some(goes_on) = line.strip_suffix('\\') {
            whole.push_str(goes_on);
            pending = Some((number, whole));
            continue;
        }
        whole.push_str(line);
        found.push((number, without_comment(whole.trim())));
    }
    found.extend(pending.map(|(number, whole)| (number, without_comment(whole.trim()))));
    found
}

/// `#include` and `#includedir` are none.
fn without_comment(line: &str) -> String {
    if line.starts_with("#include") {
        return line.to_owned();
    }
    let mut quoted = false;
    let end = line.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '#' && !quoted
    });
    line.get(..end.map_or(line.len(), |(at, _)| at)).unwrap_or_default().trim_end().to_owned()
}

/// `:user a, !b` has the scope `:user`; a scope may have blanks in quotes and lists with commas.
fn scope(rest: &str) -> (String, &str) {
    if !rest.starts_with(['@', ':', '!', '>']) {
        return (String::new(), rest);
    }
    let rest = rest.trim_start();
    let mut after_comma = true;
    let end = rest.char_indices().find(|(_, c)| {
        if c.is_whitespace() {
            return !after_comma;
        }
        after_comma = *c == ',';
        false
    });
    let (scope, list) = rest.split_at_checked(end.map_or(rest.len(), |(at, _)| at)).unwrap_or((rest, ""));
    (scope.to_owned(), list)
}

/// What stands between commas that are in no quotes.
fn parts(list: &str) -> Vec<String> {
    let (mut found, mut part, mut quoted) = (Vec::new(), String::new(), false);
    for c in list.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                found.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    found.push(part);
    found.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn setting(part: &str) -> (String, bool, Option<String>) {
    let off = part.chars().take_while(|c| matches!(c, '!' | ' ')).filter(|c| *c == '!').count() % 2 == 1;
    let name = part.trim_start_matches(['!', ' ']);
    match name.split_once('=') {
        Some((name, value)) => {
            let name = name.trim_end_matches(['+', '-', ' ']).to_owned();
            (name, !off, Some(value.trim().trim_matches('"').to_owned()))
        }
        None => (name.trim().to_owned(), !off, None),
    }
}

/// sudoers of a directory cannot be looked at here.
fn remote(host: &Host) -> Option<Finding> {
    let text = host.text("/etc/nsswitch.conf")?;
    let (index, line) =
        text.lines().enumerate().find(|(_, line)| line.trim_start().starts_with("sudoers:"))?;
    let others: Vec<&str> = line
        .split_once(':')?
        .1
        .split_whitespace()
        .filter(|name| *name != "files" && !name.starts_with('['))
        .collect();
    let others = (!others.is_empty()).then(|| others.join(", "))?;
    let what = format!("rules of sudo come from {others}, too; options that stand there were not looked at");
    let fix = "look there for !pam_session, pam_service and runas_allow_unknown_id".to_owned();
    Some(lint::SUDO_REMOTE.at(Path::new("/etc/nsswitch.conf"), index + 1, what, fix))
}

fn rewritten(host: &Host) -> Option<Finding> {
    let target = host.path("/usr/bin/sudo").canonicalize().ok()?;
    let is_rs = target.to_string_lossy().contains("sudo-rs") || target.to_string_lossy().contains("cargo");
    is_rs.then(|| {
        let what = "sudo is sudo-rs: it knows no !pam_session, and its PAM services are the same".to_owned();
        lint::SUDO_RS.of("/usr/bin/sudo", what, "nothing".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{Host, examine};
    use std::path::PathBuf;

    struct World(PathBuf);

    impl World {
        fn new(files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("svcauth-doctor-sudo-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&root);
            for (path, text) in files {
                let path = root.join("etc").join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self(root)
        }

        fn codes(&self) -> Vec<String> {
            let shown = examine(&Host::in_folder(&self.0)).into_iter().map(|it| {
                let (file, line) = it.place.unwrap();
                format!("{} {}:{}", it.code, file.display(), line.unwrap())
            });
            shown.collect()
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn settings_are_found_in_every_scope_and_included_file_and_the_last_one_counts() {
        for (sudoers, codes) in [
            ("Defaults env_reset, use_pty\nDefaults pam_session\nroot ALL=(ALL) ALL\n", &[] as &[&str]),
            ("Defaults env_reset, !pam_session\n", &["sudo_no_session /etc/sudoers:1"]),
            ("Defaults !pam_session\nDefaults pam_session\n", &[]),
            ("Defaults:alice, bob !pam_session\nDefaults pam_session\n", &["sudo_no_session /etc/sudoers:1"]),
            ("Defaults>deployer\t!!pam_session\n", &[]),
            ("# Defaults !pam_session\nDefaults secure_path=\"/a, !pam_session\" # , !pam_session\n", &[]),
            (
                "Defaults env_reset, \\\n  ! pam_acct_mgmt, !pam_setcred\n",
                &["sudo_no_account /etc/sudoers:1", "sudo_no_cred /etc/sudoers:1"],
            ),
            (
                "Defaults pam_service=other, pam_login_service = sudo-i\n",
                &["sudo_pam_service /etc/sudoers:1"],
            ),
            ("Defaults!ALL runas_allow_unknown_id\n", &["sudo_unknown_id /etc/sudoers:1"]),
        ] {
            assert_eq!(World::new(&[("sudoers", sudoers)]).codes(), codes, "{sudoers}");
        }
        let world = World::new(&[
            ("sudoers", "@includedir /etc/sudoers.d\n#include other\n"),
            ("sudoers.d/a", "\nDefaults !pam_session\n"),
            ("sudoers.d/b.dpkg-old", "Defaults !pam_setcred\n"),
            ("other", "Defaults>x !pam_acct_mgmt\n@include /etc/sudoers\n"),
            ("nsswitch.conf", "sudoers: files sss\n"),
        ]);
        let mut codes = world.codes();
        codes.dedup();
        assert!(codes.contains(&"sudo_no_session /etc/sudoers.d/a:2".to_owned()), "{codes:?}");
        assert!(codes.contains(&"sudo_no_account /etc/other:1".to_owned()), "{codes:?}");
        assert!(codes.contains(&"sudo_remote /etc/nsswitch.conf:1".to_owned()), "{codes:?}");
        assert!(!codes.iter().any(|code| code.contains("b.dpkg-old")), "{codes:?}");
    }
}
