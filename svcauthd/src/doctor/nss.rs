//! The name service: does this host see the accounts, and nobody else's under their numbers?

use std::path::{Path, PathBuf};

use super::elf::{self, Verdict};
use super::host::PATIENCE;
use super::{Finding, Host, Site, lint, trust};
use crate::local_names::LocalNames;

const FILE: &str = "/etc/nsswitch.conf";
/// The source of svcauth.
pub(super) const SOURCE: &str = "svcauth";
const LIBRARY: &str = "libnss_svcauth.so.2";
/// Sources that ask the files of this host, or make names of it up.
const OWN: &[&str] = &["files", "compat", "systemd", "db", "altfiles", "myhostname", "mymachines", SOURCE];

/// A line of nsswitch.conf(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Database {
    number: usize,
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Source(String),
    /// What the source before it does after an answer, in small letters: `notfound=return`.
    Actions(Vec<String>),
}

impl Database {
    fn position(&self, name: &str) -> Option<usize> {
        self.items.iter().position(|item| matches!(item, Item::Source(source) if source == name))
    }

    fn sources(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match item {
            Item::Source(name) => Some(name.as_str()),
            Item::Actions(_) => None,
        })
    }

    /// The action that ends the search before an item, when a source before it does not know the name.
    fn ended_before(&self, at: usize) -> Option<&str> {
        let before = self.items.iter().take(at);
        let actions = before.filter_map(|item| match item {
            Item::Actions(actions) => Some(actions),
            Item::Source(_) => None,
        });
        let ends = |action: &&String| {
            action.ends_with("=return")
                && (action.starts_with("notfound")
                    || (action.starts_with('!') && !action.starts_with("!notfound")))
        };
        actions.flatten().find(ends).map(String::as_str)
    }
}

/// Whether the name service asks svcauth for accounts.
pub(super) fn is_enabled(host: &Host) -> bool {
    let asks = |name: &str| database(host, name).is_some_and(|it| it.position(SOURCE).is_some());
    asks("passwd") || asks("group")
}

pub(super) fn examine(host: &Host, site: &Site) -> Vec<Finding> {
    let mut found = lines(host);
    found.extend(merged(host));
    found.extend(library(host));
    found.extend(local_ids(host, site));
    found.extend(other_sources(host, site));
    if host.has("/run/nscd/socket") || host.has("/var/run/nscd/socket") {
        let what = "nscd answers for the name service from memory: a removed account is known until its time is over";
        let fix = "run: nscd --invalidate=passwd && nscd --invalidate=group after a change, or systemctl disable --now nscd";
        found.push(lint::NSS_CACHE.of("/run/nscd/socket", what.to_owned(), fix.to_owned()));
    }
    if let Some(why) = trust::not_only_roots(host, Path::new(FILE)) {
        let what = format!("{why}: whoever can change it says who the users of this host are");
        found.push(lint::NSS_FILE_WRITABLE.of(FILE, what, trust::repair(Path::new(FILE), 0o644)));
    }
    found
}

/// `None`: there is no such line.
fn database(host: &Host, name: &str) -> Option<Database> {
    parse(&host.text(FILE)?, name)
}

fn parse(text: &str, name: &str) -> Option<Database> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            let (database, rest) = line.split('#').next()?.split_once(':')?;
            (database.trim() == name).then(|| Database { number: index + 1, items: items(rest) })
        })
        // glibc takes the last line of a database.
        .last()
}

fn items(text: &str) -> Vec<Item> {
    let mut found = Vec::new();
    for part in text.replace('[', " \u{1}").replace(']', "\u{1} ").split('\u{1}').enumerate() {
        match part {
            (index, text) if index % 2 == 0 => {
                found.extend(text.split_whitespace().map(|name| Item::Source(name.to_owned())));
            }
            (_, text) => {
                found.push(Item::Actions(text.split_whitespace().map(str::to_lowercase).collect()));
            }
        }
    }
    found
}

fn lines(host: &Host) -> Vec<Finding> {
    let databases = ["passwd", "group"].map(|name| (name, database(host, name)));
    let asked = |it: &Option<Database>| it.as_ref().is_some_and(|it| it.position(SOURCE).is_some());
    let number_of = |it: &Option<Database>| it.as_ref().map(|it| it.number);
    if databases.iter().all(|(_, it)| !asked(it)) {
        let what = "the name service does not ask svcauth: no account of the directory exists on this host"
            .to_owned();
        let place = Some((PathBuf::from(FILE), number_of(&databases[0].1)));
        return vec![lint::NSS_MISSING.found(place, what, append("passwd") + "; " + &append("group"))];
    }
    let mut found = Vec::new();
    for (name, it) in &databases {
        let Some((database, at)) = it.as_ref().and_then(|it| Some((it, it.position(SOURCE)?))) else {
            let what = format!(
                "svcauth is asked for one of passwd and group, and not for {name}: accounts are known by half"
            );
            found.push(lint::NSS_HALF.found(Some((PathBuf::from(FILE), number_of(it))), what, append(name)));
            continue;
        };
        found.extend(order(name, database, at));
    }
    if let Some(groups) = database(host, "initgroups").filter(|it| it.position(SOURCE).is_none()) {
        let what = "the line initgroups names the sources of a user's groups, and not svcauth: accounts lose their groups at login";
        let fix = format!("delete line {} of {FILE} (or append svcauth to it)", groups.number);
        found.push(lint::NSS_INITGROUPS.at(Path::new(FILE), groups.number, what.to_owned(), fix));
    }
    found
}

fn append(name: &str) -> String {
    format!("run: sed -i 's/^{name}:.*/& svcauth/' {FILE}")
}

fn order(name: &str, database: &Database, at: usize) -> Option<Finding> {
    let number = database.number;
    let later =
        ["files", "compat"].into_iter().find(|source| database.position(source).is_some_and(|it| it > at));
    if let Some(source) = later {
        let what = format!(
            "svcauth is asked before {source}: an entry of the directory would be taken for the local one of that name"
        );
        let fix = format!("put svcauth behind {source} in line {number} of {FILE}");
        return Some(lint::NSS_ORDER.at(Path::new(FILE), number, what, fix));
    }
    let action = database.ended_before(at)?;
    let what = format!(
        "[{action}] ends the search for {name} before svcauth is asked: its accounts do not exist on this host"
    );
    let fix = format!("put svcauth before [{action}] in line {number} of {FILE}");
    Some(lint::NSS_CUT_OFF.at(Path::new(FILE), number, what, fix))
}

fn merged(host: &Host) -> Option<Finding> {
    let group = database(host, "group")?;
    let merges = |item: &Item| matches!(item, Item::Actions(actions) if actions.iter().any(|it| it == "success=merge"));
    group.items.iter().any(merges).then(|| {
        let what = "[success=merge] asks every source for each group, svcauth too; members are merged by name and number";
        let fix = "nothing, if other sources need it; svcauth adds nobody to a local group".to_owned();
        lint::NSS_MERGE.at(Path::new(FILE), group.number, what.to_owned(), fix)
    })
}

fn library(host: &Host) -> Option<Finding> {
    if !is_enabled(host) {
        return None;
    }
    let folders = ["/usr/lib", "/lib"].into_iter().flat_map(|lib| {
        let names = host.names(lib).into_iter().filter(|name| name.contains("-linux-"));
        names.map(move |name| Path::new(lib).join(name)).collect::<Vec<_>>()
    });
    let plain = ["/usr/lib64", "/lib64", "/usr/lib", "/lib"].into_iter().map(PathBuf::from);
    let path = folders.chain(plain).map(|folder| folder.join(LIBRARY)).find(|path| host.has(path));
    let reinstall = "run: apt-get install --reinstall libnss-svcauth (RHEL: dnf reinstall svcauth-client)";
    let Some(path) = path else {
        let what = format!(
            "{LIBRARY} is in none of the folders of libraries: no account of the directory exists on this host"
        );
        return Some(lint::NSS_MODULE_MISSING.of(FILE, what, reinstall.to_owned()));
    };
    if let Verdict::Broken(why) = elf::look(host, Path::new("/proc/self/exe"), &path) {
        let what = format!("{why}: no account of the directory exists on this host");
        return Some(lint::NSS_MODULE_BROKEN.of(path, what, reinstall.to_owned()));
    }
    let why = trust::not_only_roots(host, &path)?;
    let fix = trust::repair(&path, 0o644);
    Some(lint::NSS_MODULE_WRITABLE.of(
        path,
        format!("{why}: whoever can change it runs in every process of this host"),
        fix,
    ))
}

/// Users and groups of this host itself under numbers of the directory.
fn local_ids(host: &Host, site: &Site) -> Vec<Finding> {
    let Some(managed) = &site.managed else { return Vec::new() };
    let mut found = Vec::new();
    for (file, lint, kind) in
        [("/etc/passwd", lint::NSS_LOCAL_UID, "user"), ("/etc/group", lint::NSS_LOCAL_GID, "group")]
    {
        let text = host.text(file).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let mut fields = line.split(':');
            let name = fields.next().unwrap_or_default();
            let id = fields.nth(1).and_then(|id| svcauth_core::id::parse_id(id.as_bytes()));
            let is_told = managed.local_accounts.iter().any(|local| local == name);
            let Some(id) = id.filter(|id| managed.id_range.contains(*id) && !is_told) else { continue };
            let what = format!(
                "the local {kind} {name} has the number {id} of the id_range of managed accounts: the directory cannot use it, and \
                 the {kind} is taken for a managed one whenever there is no snapshot"
            );
            let fix =
                format!("give {name} another number, or set another id_range in /etc/svcauth/svcauth.toml");
            found.push(lint.at(Path::new(file), index + 1, what, fix));
        }
    }
    found
}

/// Another source that knows a name or a number of a managed account: sssd, winbind, another directory client.
fn other_sources(host: &Host, site: &Site) -> Vec<Finding> {
    let Some(database) = database(host, "passwd") else { return Vec::new() };
    let mut found = Vec::new();
    for source in database.sources().filter(|source| !OWN.contains(source)) {
        found.extend(clash(host, site, source, database.number));
    }
    found
}

/// One question for all accounts: a source that asks a network would make hundreds of questions slow.
const QUESTIONS: usize = 200;

fn clash(host: &Host, site: &Site, source: &str, number: usize) -> Option<Finding> {
    let known: Vec<_> = site.accounts.iter().filter(|account| !account.is_local).take(QUESTIONS).collect();
    let mut words = vec!["-s".to_owned(), source.to_owned(), "passwd".to_owned()];
    words.extend(known.iter().flat_map(|account| [account.name.clone(), account.uid.to_string()]));
    if known.is_empty() {
        return None;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = match host.run("/usr/bin/getent", &words) {
        Ok(said) => said,
        Err(why) => {
            let what = format!(
                "whether {source} knows names or numbers of managed accounts cannot be told: {why} ({PATIENCE:?})"
            );
            return Some(lint::NSS_SOURCE_UNKNOWN.at(
                Path::new(FILE),
                number,
                what,
                format!("run: getent -s {source} passwd NAME"),
            ));
        }
    };
    let names: Vec<&str> = said.out.lines().filter_map(|line| line.split(':').next()).collect();
    let names = names.first()?;
    let what = format!(
        "the source {source} knows {names} under a name or number of a managed account: who is let in as that one is not decided by svcauth"
    );
    let fix = format!(
        "give the entry another number or name there, or take it out of what {source} shows (filter_users of sssd.conf)"
    );
    Some(lint::NSS_OTHER_SOURCE.at(Path::new(FILE), number, what, fix))
}

/// Accounts of `/etc/passwd` that the configuration names, and that are not there.
pub(super) fn unknown_local_accounts(host: &Host, site: &Site) -> Vec<Finding> {
    let Some(managed) = &site.managed else { return Vec::new() };
    let passwd = host.text("/etc/passwd").unwrap_or_default();
    let names = LocalNames::parse(&passwd, "");
    let unknown = managed.local_accounts.iter().filter(|name| names.ids_of(name).is_none());
    unknown
        .map(|name| {
            let what = format!("local_accounts names {name}, who is no user of /etc/passwd: no rule about that name has a meaning here");
            let fix = format!("take {name} out of local_accounts, or make the user");
            lint::LOCAL_ACCOUNT_UNKNOWN.of("/etc/svcauth/svcauth.toml", what, fix)
        })
        .collect()
}

#[cfg(test)]
#[path = "nss_tests.rs"]
mod tests;
