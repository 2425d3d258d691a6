//! The names that kinds of directories have for the same things: what a server is asked for, and what the mapping reads.

use super::Kind;
use svcauth_core::config::Config;

/// Attribute names of one kind of directory.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The name of a managed account.
    pub(crate) account: &'static str,
    /// The name of a group.
    pub(crate) group: &'static str,
    /// The home folder of an account.
    pub(crate) home: &'static str,
    /// Of every entry: its immutable id, and what says whether a list of values changed while it was read.
    entry: &'static [&'static str],
    /// Of accounts and people: disabled, locked, expired. Operational attributes must be asked for by name.
    state: &'static [&'static str],
    /// Of groups, besides name, gid and members.
    of_group: &'static [&'static str],
}

const POSIX: Schema = Schema {
    account: "uid",
    group: "cn",
    home: "homeDirectory",
    entry: &["entryUUID"],
    state: &[
        "shadowExpire",
        "nsAccountLock",
        "accountUnlockTime",
        "pwdAccountLockedTime",
        "pwdStartTime",
        "pwdEndTime",
        "krbPrincipalExpiration",
    ],
    of_group: &[],
};

/// `homeDirectory` of Active Directory is a path of Windows, and `cn` need not be unique.
const AD: Schema = Schema {
    account: "sAMAccountName",
    group: "sAMAccountName",
    home: "unixHomeDirectory",
    entry: &["objectSid", "uSNChanged"],
    state: &[
        "objectClass",
        "sAMAccountName",
        "userAccountControl",
        "accountExpires",
        "lockoutTime",
        "primaryGroupID",
    ],
    of_group: &["groupType"],
};

impl Schema {
    /// That of the configured kind.
    pub(crate) const fn of(config: &Config) -> &'static Self {
        if config.directory.kind.is_ad() { &AD } else { &POSIX }
    }

    /// What a server is asked for in this search, each once.
    pub(super) fn attributes(&self, kind: Kind, config: &Config) -> Vec<String> {
        let fixed: &[&str] = match kind {
            Kind::Accounts => {
                &[self.account, "cn", "uidNumber", "gidNumber", "gecos", self.home, "loginShell", "memberOf"]
            }
            Kind::Groups => &[self.group, "gidNumber"],
            Kind::People => &[],
        };
        let more = if kind == Kind::Groups { self.of_group } else { self.state };
        let people = &config.people;
        let named: Vec<String> = match kind {
            Kind::Accounts => config.accounts.host_attribute.iter().cloned().collect(),
            Kind::Groups => config.groups.member.iter().map(|name| members(name, config)).collect(),
            Kind::People => {
                let login = std::iter::once(&people.login);
                login.chain(&people.ssh_key).chain(&people.principal).cloned().collect()
            }
        };
        let fixed = self.entry.iter().chain(fixed).chain(more).map(ToString::to_string);
        let mut all: Vec<String> = Vec::new();
        for name in fixed.chain(named) {
            if !all.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                all.push(name);
            }
        }
        all
    }
}

/// A controller cuts a long list of values at a limit of its own; always asked in ranges, it says where it cut.
fn members(attribute: &str, config: &Config) -> String {
    if config.directory.kind.is_ad() { super::ranges::request(attribute, 0) } else { attribute.to_owned() }
}
