//! How each kind of directory writes the same things.

use super::{Field, Kind, State, Who};
use crate::clock::{DAY, generalized};
use crate::directory::BASE;
use crate::keys::Key;
use crate::samba::DOMAIN;

/// Seconds from 1601 to 1970, and ticks of 100 ns in a second.
const EPOCH: u64 = 11_644_473_600;
const TICKS: u64 = 10_000_000;
/// An `accountExpires` that never comes.
const NEVER: u64 = i64::MAX.unsigned_abs();
/// An ordinary user who may do without a password, and that one switched off.
const USER: u32 = 544;
const USER_OFF: u32 = 546;
/// A member of every group of slapd, which demands one; it is no person and no account.
const PLACEHOLDER: &str = "cn=svcauth,ou=system";

type Values = Vec<(&'static str, String)>;

impl Kind {
    /// The word that names it in a test.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ldif => "ldif",
            Self::Rfc2307 => "rfc2307",
            Self::Rfc2307bis => "rfc2307bis",
            Self::Plain => "plain_ldap",
            Self::Ad => "ad",
        }
    }

    /// Whether a group can be a member of another one.
    pub fn nests_groups(self) -> bool {
        self != Self::Rfc2307
    }

    /// Whether the directory itself takes an entry that goes out of its groups, and follows one that is renamed.
    pub fn keeps_groups_in_order(self) -> bool {
        matches!(self, Self::Rfc2307bis | Self::Ad)
    }

    /// Whether the server can say what has changed; else everything is read.
    pub fn tells_changes(self) -> bool {
        matches!(self, Self::Rfc2307 | Self::Rfc2307bis | Self::Ad)
    }

    /// Whether people have a primary group that does not list them.
    pub fn has_primary_groups(self) -> bool {
        self == Self::Ad
    }

    /// Whether the directory refuses a second entry with the same name or login.
    pub fn keeps_names_apart(self) -> bool {
        self == Self::Ad
    }

    pub(super) fn unit_of(self, who: &Who) -> String {
        let unit = match who {
            Who::Account(_) => "accounts",
            Who::Group(_) => "groups",
            Who::Person(_) => "people",
        };
        if self == Self::Ad { format!("OU={unit},{DOMAIN}") } else { format!("ou={unit},{BASE}") }
    }

    pub(super) fn rdn(self, who: &Who) -> String {
        match (self, who) {
            (Self::Ad, _) => format!("CN={}", who.name()),
            (_, Who::Group(name)) => format!("cn={name}"),
            (_, Who::Account(name) | Who::Person(name)) => format!("uid={name}"),
        }
    }

    pub(super) fn first_place(self, who: &Who) -> String {
        format!("{},{}", self.rdn(who), self.unit_of(who))
    }

    pub(super) fn member(self) -> &'static str {
        if self == Self::Rfc2307 { "memberUid" } else { "member" }
    }

    pub(super) fn field(self, field: Field) -> &'static str {
        match field {
            Field::Uid => "uidNumber",
            Field::Gid => "gidNumber",
            Field::Home if self == Self::Ad => "unixHomeDirectory",
            Field::Home => "homeDirectory",
            Field::Shell => "loginShell",
            Field::Gecos => "gecos",
        }
    }

    pub(super) fn primary(self) -> &'static str {
        if self == Self::Ad { "primaryGroupID" } else { "gidNumber" }
    }

    pub(super) fn key(self) -> &'static str {
        if self == Self::Ad { "altSecurityIdentities" } else { "sshPublicKey" }
    }

    pub(super) fn key_value(self, key: &Key) -> String {
        let prefix = if self == Self::Ad { "SSHKey:" } else { "" };
        format!("{prefix}{}", key.public())
    }

    pub(super) fn account_values(self, name: &str, uid: &str, gid: &str) -> Values {
        let mut values = self.user(name, &["account", "posixAccount", "shadowAccount"]);
        values.extend([
            (self.field(Field::Uid), uid.to_owned()),
            (self.field(Field::Gid), gid.to_owned()),
            (self.field(Field::Home), format!("/home/{name}")),
            (self.field(Field::Shell), "/bin/bash".to_owned()),
        ]);
        values
    }

    pub(super) fn person_values(self, login: &str, keys: &[&Key]) -> Values {
        let classes = ["inetOrgPerson", "ldapPublicKey", "shadowAccount", "posixAccount"];
        let mut values = self.user(login, &classes);
        if self != Self::Ad {
            // People have ids of their own in many directories; here they say nothing.
            let ids = [("uidNumber", "20000"), ("gidNumber", "20000"), ("homeDirectory", "/nonexistent")];
            values.extend(ids.map(|(attribute, value)| (attribute, value.to_owned())));
            values.push(("sn", "Example".to_owned()));
        }
        values.extend(keys.iter().map(|key| (self.key(), self.key_value(key))));
        values
    }

    fn user(self, name: &str, classes: &[&str]) -> Values {
        if self == Self::Ad {
            let control = ("userAccountControl", USER.to_string());
            return vec![("objectClass", "user".into()), ("sAMAccountName", name.to_owned()), control];
        }
        let classes = classes.iter().map(|class| ("objectClass", (*class).to_owned()));
        classes.chain([("uid", name.to_owned())]).collect()
    }

    pub(super) fn group_values(self, name: &str, gid: u32) -> Values {
        let gid = ("gidNumber", gid.to_string());
        let class = |name: &str| ("objectClass", name.to_owned());
        match self {
            Self::Ad => vec![class("group"), ("sAMAccountName", name.to_owned()), gid],
            Self::Rfc2307 => vec![class("posixGroup"), gid],
            Self::Ldif | Self::Rfc2307bis | Self::Plain => {
                let member = ("member", format!("{PLACEHOLDER},{BASE}"));
                vec![class("groupOfNames"), class("posixGroup"), gid, member]
            }
        }
    }

    /// Everything that says something about the use of an entry, so that the last state wins.
    pub(super) fn state_values(self, state: State) -> Vec<(&'static str, Vec<String>)> {
        match self {
            Self::Ad => ad_state(state),
            // The file speaks as FreeIPA and 389 Directory Server do.
            Self::Ldif => posix_state(state, "krbPrincipalExpiration", Some("nsAccountLock")),
            Self::Rfc2307 | Self::Rfc2307bis | Self::Plain => posix_state(state, "pwdEndTime", None),
        }
    }
}

fn ad_state(state: State) -> Vec<(&'static str, Vec<String>)> {
    let at = |unix: u64| (unix + EPOCH) * TICKS;
    let control = if state == State::Disabled { USER_OFF } else { USER };
    let expires = match state {
        State::ExpiresOn(day) => at(day * DAY),
        State::ExpiresAt(time) => at(time),
        _ => NEVER,
    };
    let locked = if let State::LockedSince(time) = state { at(time) } else { 0 };
    vec![
        ("userAccountControl", vec![control.to_string()]),
        ("accountExpires", vec![expires.to_string()]),
        ("lockoutTime", vec![locked.to_string()]),
    ]
}

/// `off` is the attribute of those who are switched off; without one they are locked for good.
fn posix_state(
    state: State,
    end: &'static str,
    off: Option<&'static str>,
) -> Vec<(&'static str, Vec<String>)> {
    let (mut days, mut ends, mut locked, mut disabled) = (vec![], vec![], vec![], vec![]);
    match state {
        State::Usable => {}
        State::Disabled if off.is_some() => disabled.push("TRUE".to_owned()),
        State::Disabled => locked.push("000001010000Z".to_owned()),
        State::ExpiresOn(day) => days.push(day.to_string()),
        State::ExpiresAt(time) => ends.push(generalized(time)),
        State::LockedSince(time) => locked.push(generalized(time)),
    }
    let mut values = vec![("shadowExpire", days), (end, ends), ("pwdAccountLockedTime", locked)];
    values.extend(off.map(|attribute| (attribute, disabled)));
    values
}
