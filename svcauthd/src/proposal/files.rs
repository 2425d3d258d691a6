//! Transfers of files: which kind a line is, and the folders that cover what was transferred.
//!
//! What a line is, [`admit`] says: a kind with every path either takes it or does not. So nothing here can mean by `rsync`
//! anything but what the rules mean.

use std::collections::{BTreeMap, BTreeSet};

use svcauth_core::command::{Access, CommandRule, Files, Limits, Plan, Program, Ruling, Wish, admit};

use super::corpus::Seen;
use super::rule::{Host, Proposed};

/// Folders beyond which the one that they are in is meant.
const FOLDERS_MAX: usize = 4;

/// A kind that has files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Rsync,
    Scp,
    Sftp,
    Git,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Rsync, Self::Scp, Self::Sftp, Self::Git];

    pub(super) fn rule(self, access: Access, paths: Vec<String>) -> CommandRule {
        let files = Files { access, paths };
        match self {
            Self::Rsync => CommandRule::Rsync(files),
            Self::Scp => CommandRule::Scp(files),
            Self::Sftp => CommandRule::Sftp(files),
            Self::Git => CommandRule::Git(files),
        }
    }
}

/// A line of a kind.
#[derive(Clone, Debug)]
pub(super) struct Transfer<'a> {
    pub(super) kind: Kind,
    access: Access,
    line: &'a [u8],
    seen: &'a Seen,
    program: Option<Program>,
}

impl Transfer<'_> {
    fn arguments(&self) -> &[Vec<u8>] {
        self.program.as_ref().map(|program| program.arguments.as_slice()).unwrap_or_default()
    }
}

/// The transfer that a line is, if it is one.
pub(super) fn transfer<'a>(line: &'a [u8], seen: &'a Seen) -> Option<Transfer<'a>> {
    Kind::ALL.into_iter().find_map(|kind| {
        [Access::Read, Access::Write].into_iter().find_map(|access| {
            let every = vec!["/".to_owned()];
            let program = match admitted(&kind.rule(access, every), line)? {
                Plan::Program(program) => Some(program),
                Plan::Line | Plan::Shell { .. } => None,
            };
            Some(Transfer { kind, access, line, seen, program })
        })
    })
}

/// What would run under this rule alone.
pub(super) fn admitted(rule: &CommandRule, line: &[u8]) -> Option<Plan> {
    let limits = Limits { commands: vec![rule.clone()], ..Limits::default() };
    match admit(&[&limits], Wish::Line(line)) {
        Ruling::Run(plan) => Some(plan),
        Ruling::Learn(..) | Ruling::Refuse(_) => None,
    }
}

/// The rules for all transfers of a kind.
pub(super) fn rules(kind: Kind, transfers: &[Transfer<'_>], host: &Host<'_>) -> Vec<Proposed> {
    if kind == Kind::Sftp {
        // The line is the same whatever is done then.
        let rule = kind.rule(Access::Write, vec!["/".to_owned()]);
        let remark = "the record does not say which files, nor whether any was changed: \"read\" if none is";
        return vec![Proposed { remarks: vec![remark.to_owned()], ..proposed(rule, transfers) }];
    }
    let (writes, reads): (Vec<_>, Vec<_>) =
        transfers.iter().cloned().partition(|one| one.access == Access::Write);
    let mut found = Vec::new();
    let write = (!writes.is_empty()).then(|| one_access(kind, Access::Write, &writes, host));
    let is_covered = |one: &Transfer<'_>| {
        write.as_ref().is_some_and(|write: &Proposed| admitted(&write.rule, one.line).is_some())
    };
    let (covered, reads): (Vec<_>, Vec<_>) = reads.into_iter().partition(is_covered);
    if let Some(mut write) = write {
        covered.iter().for_each(|one| write.seen.add(one.seen));
        found.push(write);
    }
    if !reads.is_empty() {
        found.push(one_access(kind, Access::Read, &reads, host));
    }
    found
}

fn one_access(kind: Kind, access: Access, transfers: &[Transfer<'_>], host: &Host<'_>) -> Proposed {
    let mut paths: BTreeSet<String> = BTreeSet::new();
    let mut remarks = Vec::new();
    for one in transfers {
        paths.extend(paths_of(one).into_iter().map(|path| place(&path, access, kind, host)));
    }
    // The kernel keeps the program from what the rule does not name, so what is said from the home directory is in it.
    let is_from_home = transfers.iter().any(is_from_home);
    if is_from_home {
        paths.extend(host.home.clone());
        remarks.push("paths without / at their beginning are below the home directory".to_owned());
    }
    let is_known = !paths.is_empty() && (host.home.is_some() || !is_from_home);
    let rule = kind.rule(access, cover(&paths));
    if is_known && transfers.iter().all(|one| admitted(&rule, one.line).is_some()) {
        return Proposed { remarks, ..proposed(rule, transfers) };
    }
    let remark = "no narrower path covers them all: \"/\" is every path; review it";
    let rule = kind.rule(access, vec!["/".to_owned()]);
    Proposed { remarks: vec![remark.to_owned()], ..proposed(rule, transfers) }
}

fn proposed(rule: CommandRule, transfers: &[Transfer<'_>]) -> Proposed {
    let mut seen = Seen::default();
    transfers.iter().for_each(|one| seen.add(one.seen));
    let often = transfers.iter().max_by_key(|one| one.seen.count);
    Proposed {
        rule,
        seen,
        example: often.map(|one| one.line.to_vec()).unwrap_or_default(),
        remarks: Vec::new(),
    }
}

/// The absolute paths that the program is given.
fn paths_of(one: &Transfer<'_>) -> Vec<String> {
    one.arguments().iter().filter_map(|word| plain(word)).collect()
}

/// Whether the program is given a path from where it starts, which is the home directory.
fn is_from_home(one: &Transfer<'_>) -> bool {
    let arguments = one.arguments();
    let operands: Vec<&Vec<u8>> = match one.kind {
        // `rsync --server OPTIONS . PATH...`; without a path it is the folder itself.
        Kind::Rsync => arguments.iter().skip_while(|word| *word != b".").skip(1).collect(),
        Kind::Scp | Kind::Sftp | Kind::Git => arguments.last().into_iter().collect(),
    };
    operands.is_empty() || operands.iter().any(|word| !word.starts_with(b"/"))
}

/// An absolute path as the configuration takes it.
fn plain(word: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(word).ok().filter(|text| text.starts_with('/'))?;
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let is_odd = parts.iter().any(|part| matches!(*part, "." | "..") || part.chars().any(char::is_control));
    (!is_odd).then(|| format!("/{}", parts.join("/")))
}

/// The path that a rule can name: of what is made, and of what is gone by now, the nearest folder that is there.
fn place(path: &str, access: Access, kind: Kind, host: &Host<'_>) -> String {
    let is_made = access == Access::Write && kind != Kind::Git;
    let fits = |path: &str| (host.is_folder)(path) || (!is_made && (host.is_there)(path));
    let mut at = path;
    while !fits(at) {
        match at.rsplit_once('/') {
            Some((above, _)) if !above.is_empty() => at = above,
            // Nothing of it is on this host.
            _ => return path.to_owned(),
        }
    }
    at.to_owned()
}

/// A few folders that hold all these paths. Never `/` for paths that are below it.
fn cover(paths: &BTreeSet<String>) -> Vec<String> {
    let mut tree = Tree::default();
    for path in paths {
        let mut at = &mut tree;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at = at.below.entry(part.to_owned()).or_default();
        }
        at.is_meant = true;
    }
    let mut out = Vec::new();
    tree.cover("", &mut out);
    out
}

#[derive(Default)]
struct Tree {
    is_meant: bool,
    below: BTreeMap<String, Tree>,
}

impl Tree {
    fn cover(&self, path: &str, out: &mut Vec<String>) {
        let is_folder = path.matches('/').count() > 1 || self.below.len() > 2 * FOLDERS_MAX;
        let is_wide = self.below.len() > FOLDERS_MAX && is_folder && !path.is_empty();
        if self.is_meant || is_wide {
            out.push(if path.is_empty() { "/".to_owned() } else { path.to_owned() });
            return;
        }
        for (name, tree) in &self.below {
            tree.cover(&format!("{path}/{name}"), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{cover, plain};

    fn covered(paths: &[&str]) -> Vec<String> {
        cover(&paths.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_few_paths_are_named_and_many_by_the_folder_that_they_are_in() {
        assert_eq!(covered(&["/srv/www/a", "/srv/www/b"]), ["/srv/www/a", "/srv/www/b"]);
        assert_eq!(covered(&["/srv/www", "/srv/www/b"]), ["/srv/www"]);
        let releases: Vec<String> = (0..9).map(|day| format!("/srv/www/releases/{day}/app")).collect();
        let releases: Vec<&str> = releases.iter().map(String::as_str).collect();
        assert_eq!(covered(&releases), ["/srv/www/releases"]);
        let tops = ["/a/x", "/b/x", "/c/x", "/d/x", "/e/x", "/f/x", "/g/x", "/h/x", "/i/x", "/j/x"];
        assert_eq!(covered(&tops), tops);
        assert_eq!(covered(&["/"]), ["/"]);
        assert!(covered(&[]).is_empty());
    }

    fn rules_of(lines: &[&str], home: Option<&str>) -> Vec<String> {
        let seen = super::Seen { count: 1, ..super::Seen::default() };
        let transfers: Vec<_> =
            lines.iter().map(|line| super::transfer(line.as_bytes(), &seen).expect(line)).collect();
        let host = super::Host {
            program: &|_| None,
            is_folder: &|path| matches!(path, "/srv" | "/srv/www" | "/srv/www/app" | "/srv/git/a.git"),
            is_there: &|path| path == "/var/log/app",
            home: home.map(str::to_owned),
        };
        let rules = super::rules(transfers[0].kind, &transfers, &host);
        rules.iter().map(|one| super::super::command_toml(&one.rule)).collect()
    }

    #[test]
    fn transfers_become_their_kind_with_the_direction_and_the_folders_that_were_used() {
        for (lines, rules) in [
            (
                &["rsync --server --sender -logDtpre.iLsfxCIvu . /srv/www/app/"][..],
                &[r#"{ kind = "rsync", access = "read", paths = ["/srv/www/app"] }"#][..],
            ),
            (
                &[
                    "rsync --server -logDtpre.iLsfxCIvu . /srv/www/app/",
                    "rsync --server -logDtpre.iLsfxCIvu . /srv/www/new",
                    "rsync --server --sender -logDtpre.iLsfxCIvu . /srv/www/app/",
                    "rsync --server --sender -logDtpre.iLsfxCIvu . /var/log/app",
                ],
                &[
                    r#"{ kind = "rsync", access = "write", paths = ["/srv/www"] }"#,
                    r#"{ kind = "rsync", access = "read", paths = ["/var/log/app"] }"#,
                ],
            ),
            (
                &["scp -t /srv/www/app", "scp -t f"],
                &[r#"{ kind = "scp", access = "write", paths = ["/home/d", "/srv/www/app"] }"#],
            ),
            (
                &["git-upload-pack '/srv/git/a.git'"],
                &[r#"{ kind = "git", access = "read", paths = ["/srv/git/a.git"] }"#],
            ),
            (
                &["scp -f /srv/www/gone/x", "scp -f /nowhere/x"],
                &[r#"{ kind = "scp", access = "read", paths = ["/nowhere/x", "/srv/www"] }"#],
            ),
            (&["git-receive-pack 'a.git'"], &[r#"{ kind = "git", access = "write", paths = ["/home/d"] }"#]),
            (&["/usr/lib/openssh/sftp-server"], &[r#"{ kind = "sftp", access = "write", paths = ["/"] }"#]),
        ] {
            assert_eq!(rules_of(lines, Some("/home/d")), rules, "{lines:?}");
        }
        let every = r#"{ kind = "scp", access = "read", paths = ["/"] }"#;
        assert_eq!(rules_of(&["scp -f f"], None), [every], "nobody knows the home directory");
    }

    #[test]
    fn only_an_absolute_path_without_dots_is_one() {
        assert_eq!(plain(b"/srv//www/").as_deref(), Some("/srv/www"));
        assert_eq!(plain(b"/").as_deref(), Some("/"));
        for word in [&b"srv"[..], b"/srv/../etc", b"/srv/.", b"/a\nb", b"/\xff", b"-x"] {
            assert_eq!(plain(word), None);
        }
    }
}
