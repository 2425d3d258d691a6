//! `[accounts]`, `[groups]` and `[people]`: which entries are meant and which attributes are read.

use super::check::Check;
use super::directory::{Directory, DirectoryKind};
use super::error::ConfigError;
use super::filter::Filter;
use super::{id_map, raw};
use crate::id::IdRange;
use crate::id_map::IdMap;
use crate::name::{check_account, check_field};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;
use toml::Spanned;

/// Where entries of one sort are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// DN below which they are; empty (the whole file) only for an LDIF file.
    pub base: String,
    /// Which of the entries below it are meant.
    pub filter: Filter,
}

/// Which entries are managed accounts, and how they become passwd entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Where the accounts are.
    pub search: Search,
    /// How uids and gids come to be.
    pub id_map: IdMap,
    /// The attribute that names the hosts where an account may be used; `None`: not looked at.
    pub host_attribute: Option<String>,
    /// Uids and gids of managed accounts and groups; anything else is refused.
    pub id_range: IdRange,
    /// Home directory of an entry that names none; `{account}` stands for the account's name.
    pub home: String,
    /// Shell of an entry that names none.
    pub shell: String,
    /// Accounts of `/etc/passwd` that are managed too; never root.
    pub local_accounts: Vec<String>,
}

impl Accounts {
    /// The home directory of an account whose entry names none.
    #[must_use]
    pub fn home_of(&self, account: &str) -> String {
        self.home.replace("{account}", account)
    }
}

/// Which entries are groups and roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Where the groups are.
    pub search: Search,
    /// Attributes that hold members: `memberUid` holds logins, every other one DNs.
    pub member: Vec<String>,
}

/// Which entries are people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct People {
    /// Where the people are.
    pub search: Search,
    /// Attribute of the login name.
    pub login: String,
    /// Attributes of public keys.
    pub ssh_key: Vec<String>,
    /// Attributes of Kerberos principals.
    pub principal: Vec<String>,
}

/// What the kind of directory demands of a search, and what it has for defaults.
#[derive(Clone, Copy)]
pub(super) enum Searches {
    /// A file: without a base the whole of it is meant.
    File,
    /// A server. Whoever may write anywhere in the tree could offer accounts: the base must be named.
    Server,
    /// As a server, with the schema of Active Directory.
    Ad,
}

/// What stands for keys that are left out.
struct Defaults {
    accounts: &'static str,
    groups: &'static str,
    people: &'static str,
    member: &'static [&'static str],
    login: &'static str,
    ssh_key: &'static [&'static str],
    principal: &'static [&'static str],
}

const POSIX: Defaults = Defaults {
    accounts: "(objectClass=posixAccount)",
    groups: "(|(objectClass=posixGroup)(objectClass=groupOfNames)(objectClass=groupOfMembers))",
    people: "(|(objectClass=person)(objectClass=inetOrgPerson)(objectClass=posixAccount)(objectClass=ldapPublicKey))",
    member: &["member", "memberUid"],
    login: "uid",
    ssh_key: &["sshPublicKey", "altSecurityIdentities"],
    principal: &["krbPrincipalName", "userPrincipalName"],
};

/// Security groups alone (global, domain local, universal, built-in): a distribution group is a mailing list, which
/// others than those who hand out rights may change. Computers are of the class user; their category is another one.
const AD: Defaults = Defaults {
    accounts: AD_ACCOUNTS,
    groups: "(&(objectClass=group)(|(groupType=-2147483646)(groupType=-2147483644)(groupType=-2147483640)(groupType=-2147483643)))",
    people: "(&(objectCategory=person)(objectClass=user))",
    member: &["member"],
    login: "sAMAccountName",
    ssh_key: &["altSecurityIdentities", "sshPublicKey"],
    principal: &["userPrincipalName"],
};

/// Without an id an entry cannot be an account; where ids are computed, each has one.
const AD_ACCOUNTS: &str = "(&(objectCategory=person)(objectClass=user)(uidNumber=*))";
const AD_ACCOUNTS_BY_SID: &str = "(&(objectCategory=person)(objectClass=user))";

impl Searches {
    pub(super) const fn of(directory: &Directory) -> Self {
        match directory.kind {
            DirectoryKind::Ldif { .. } => Self::File,
            DirectoryKind::Ldap(_) => Self::Server,
            DirectoryKind::Ad(_) => Self::Ad,
        }
    }

    const fn defaults(self) -> &'static Defaults {
        match self {
            Self::File | Self::Server => &POSIX,
            Self::Ad => &AD,
        }
    }

    fn check(
        self,
        check: Check<'_>,
        section: &str,
        base: raw::Text,
        filter: raw::Text,
        default: &str,
    ) -> Result<Search, ConfigError> {
        let Some(base) = base else {
            return match self {
                Self::File => Ok(Search { base: String::new(), filter: filter_of(check, filter, default)? }),
                Self::Server | Self::Ad => Err(check.0.error(
                    0..0,
                    format!("[{section}] has no base; write base = \"ou=...\" so that no other part of the tree counts"),
                )),
            };
        };
        let span = base.span();
        let base = check.word(base)?;
        if !base.contains('=') {
            let hint =
                format!("\"{base}\" is no DN; expected something like \"ou={section},dc=example,dc=com\"");
            return Err(check.0.error(span, hint));
        }
        Ok(Search { base, filter: filter_of(check, filter, default)? })
    }
}

fn filter_of(check: Check<'_>, text: raw::Text, default: &str) -> Result<Filter, ConfigError> {
    let span = text.as_ref().map_or(0..0, Spanned::span);
    let text = check.filled(text)?;
    Filter::parse(text.as_deref().unwrap_or(default)).map_err(|error| check.0.error(span, error.to_string()))
}

pub(super) fn accounts(
    check: Check<'_>,
    search: Searches,
    raw: raw::Accounts,
) -> Result<Accounts, ConfigError> {
    let keys = id_map::Keys {
        map: raw.id_map,
        min: raw.idmap_range_min,
        max: raw.idmap_range_max,
        size: raw.idmap_range_size,
        id_range: raw.id_range.is_some(),
    };
    let id_map = id_map::check(check, matches!(search, Searches::Ad), keys)?;
    let filter = match id_map {
        IdMap::Posix => search.defaults().accounts,
        IdMap::Sid(_) => AD_ACCOUNTS_BY_SID,
    };
    Ok(Accounts {
        search: search.check(check, "accounts", raw.base, raw.filter, filter)?,
        id_map,
        host_attribute: raw.host_attribute.map(|name| attribute(check, name)).transpose()?,
        id_range: id_range(check, raw.id_range)?,
        home: home(check, raw.home)?,
        shell: raw.shell.map_or_else(|| Ok("/bin/bash".to_string()), |shell| passwd_path(check, shell))?,
        local_accounts: local_accounts(check, raw.local_accounts)?,
    })
}

fn id_range(check: Check<'_>, text: raw::Text) -> Result<IdRange, ConfigError> {
    let span = text.as_ref().map_or(0..0, Spanned::span);
    let text = text.map_or_else(|| "7000-7999".to_string(), Spanned::into_inner);
    text.parse().map_err(|error| {
        check.0.error(span, format!("\"{}\" is no range of ids: {error}", text.escape_default()))
    })
}

/// A path that becomes a field of a passwd entry.
fn passwd_path(check: Check<'_>, text: Spanned<String>) -> Result<String, ConfigError> {
    let span = text.span();
    let path = check.path(text)?.to_string_lossy().into_owned();
    match check_field(path.as_bytes(), 256) {
        Ok(()) => Ok(path),
        Err(_) => {
            Err(check.0.error(span, "the path cannot stand in a passwd entry: no colon, at most 256 bytes"))
        }
    }
}

fn home(check: Check<'_>, text: raw::Text) -> Result<String, ConfigError> {
    let Some(text) = text else {
        return Ok("/home/{account}".to_string());
    };
    let span = text.span();
    let home = passwd_path(check, text)?;
    if home.replace("{account}", "").contains(['{', '}']) {
        let hint = "the only placeholder is {account}, the account's name";
        return Err(check.0.error(span, hint));
    }
    Ok(home)
}

fn local_accounts(check: Check<'_>, list: raw::Texts) -> Result<Vec<String>, ConfigError> {
    let mut names: Vec<String> = Vec::new();
    for name in list.map(Spanned::into_inner).unwrap_or_default() {
        let fault = match check_account(name.get_ref().as_bytes()) {
            Err(_) if name.get_ref() == "root" => {
                "root is never managed; take it out of local_accounts".to_string()
            }
            Err(error) => format!("\"{}\" is no account name: {error}", name.get_ref().escape_default()),
            Ok(()) if names.contains(name.get_ref()) => format!("\"{}\" is named twice", name.get_ref()),
            Ok(()) => {
                names.push(name.into_inner());
                continue;
            }
        };
        return Err(check.0.error(name.span(), fault));
    }
    Ok(names)
}

pub(super) fn groups(check: Check<'_>, search: Searches, raw: raw::Groups) -> Result<Groups, ConfigError> {
    let defaults = search.defaults();
    Ok(Groups {
        search: search.check(check, "groups", raw.base, raw.filter, defaults.groups)?,
        member: attributes(check, raw.member, defaults.member)?,
    })
}

pub(super) fn people(check: Check<'_>, search: Searches, raw: raw::People) -> Result<People, ConfigError> {
    let defaults = search.defaults();
    Ok(People {
        search: search.check(check, "people", raw.base, raw.filter, defaults.people)?,
        login: raw.login.map_or_else(|| Ok(defaults.login.to_string()), |name| attribute(check, name))?,
        ssh_key: attributes(check, raw.ssh_key, defaults.ssh_key)?,
        principal: attributes(check, raw.principal, defaults.principal)?,
    })
}

fn attributes(check: Check<'_>, list: raw::Texts, default: &[&str]) -> Result<Vec<String>, ConfigError> {
    let Some(list) = list else {
        return Ok(default.iter().map(ToString::to_string).collect());
    };
    list.into_inner().into_iter().map(|name| attribute(check, name)).collect()
}

/// An attribute description: a letter, then letters, digits and hyphens (RFC 4512, 2.5).
fn attribute(check: Check<'_>, name: Spanned<String>) -> Result<String, ConfigError> {
    let text = name.get_ref();
    let ok = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if ok {
        return Ok(name.into_inner());
    }
    let hint = format!(
        "\"{}\" is no attribute name; expected something like \"sshPublicKey\"",
        text.escape_default()
    );
    Err(check.0.error(name.span(), hint))
}
