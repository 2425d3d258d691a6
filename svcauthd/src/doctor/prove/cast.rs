//! Who plays: two accounts, two people, a local user, and the directory that has the first four in it.

use nix::unistd::{Gid, Group, Uid, User};
use svcauth_core::id::{IdRange, is_assignable};
use svcauth_core::policy::AuditMode;

use super::fault::{Done, Fault};
use super::limits::PROGRAM;
use crate::config_file::Loaded;

/// Both people may come by sshd, su and sudo as far as sshd and sudoers go; one of them holds the role. Its jobs may run.
pub(super) const ACCOUNT: &str = "svcauth-probe";
/// The same without jobs, and without an authorized_keys file.
pub(super) const SECOND: &str = "svcauth-probe2";
/// An account whose rule allows one program.
pub(super) const LIMITED: &str = "svcauth-probe3";
/// The role.
const ROLE: &str = "svcauth-probe-role";
/// The person who holds it.
pub(super) const ALLOWED: &str = "svcauth-allowed";
/// The person who does not.
pub(super) const REFUSED: &str = "svcauth-refused";
/// Somebody of /etc/passwd whom svcauth must leave alone.
pub(super) const LOCAL: &str = "svcauth-local";

/// A name and its ids.
#[derive(Clone, Debug)]
pub(super) struct Player {
    pub(super) name: &'static str,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) account: Player,
    pub(super) second: Player,
    /// Where the rules of this host limit accounts.
    pub(super) limited: Option<Player>,
    pub(super) allowed: Player,
    pub(super) refused: Player,
    pub(super) local: Player,
    /// Root, and where its home is.
    pub(super) root_home: String,
    range: IdRange,
    audit: &'static str,
}

impl Cast {
    /// Takes ids that nobody has on this host: of the range of managed ids for the accounts, outside of it for the others.
    pub(super) fn choose() -> Done<Self> {
        let config =
            Loaded::read().map_err(|why| Fault::new(format!("the configuration is faulty: {why}")))?.config;
        let range = config.accounts.id_range;
        for name in [ACCOUNT, SECOND, LIMITED, ALLOWED, REFUSED, LOCAL] {
            if matches!(User::from_name(name), Ok(Some(_))) || matches!(Group::from_name(name), Ok(Some(_))) {
                return Err(Fault::new(format!(
                    "the name {name} is taken on this host, and the proof needs it"
                )));
            }
        }
        let few = || {
            Fault::new(format!(
                "id_range = \"{range}\" has no three free uids and a free gid for the probe accounts"
            ))
        };
        let managed = || (range.first()..=range.last()).rev().filter(|id| is_assignable(*id)).take(TRIES);
        let mut uids = managed().filter(|id| is_free_uid(*id));
        let gid = managed().find(|id| is_free_gid(*id)).ok_or_else(few)?;
        let mut account = |name| uids.next().map(|uid| Player { name, uid, gid }).ok_or_else(few);
        let (first, second) = (account(ACCOUNT)?, account(SECOND)?);
        let limits = config.access.iter().any(|rule| rule.limits.is_some());
        let limited = limits.then(|| account(LIMITED)).transpose()?;
        let mut others =
            (1000..60_000).rev().filter(|id| !range.contains(*id) && is_free_uid(*id) && is_free_gid(*id));
        let none = || Fault::new("this host has no three free ids outside of id_range for local probe users");
        let mut local = |name| others.next().map(|id| Player { name, uid: id, gid: id }).ok_or_else(none);
        let audit = if config.limits.audit == AuditMode::Required { "required" } else { "best_effort" };
        let root = User::from_uid(Uid::from_raw(0)).ok().flatten();
        let root_home =
            root.map_or_else(|| "/root".to_owned(), |root| root.dir.to_string_lossy().into_owned());
        let (allowed, refused, local) = (local(ALLOWED)?, local(REFUSED)?, local(LOCAL)?);
        Ok(Self { account: first, second, limited, allowed, refused, local, root_home, range, audit })
    }

    /// Those who stand in /etc/passwd.
    pub(super) fn local_users(&self) -> [&Player; 3] {
        [&self.allowed, &self.refused, &self.local]
    }

    /// The configuration of svcauth in there. The rules name every service that is tried.
    pub(super) fn config(&self) -> String {
        let rule = |account: &str, services: &str| {
            format!("[[access]]\naccounts = [\"{account}\"]\nroles = [\"{ROLE}\"]\nservices = [{services}]\n")
        };
        let by_people = "\"sshd\", \"su\", \"sudo\", \"login\"";
        let base = |unit: &str| format!("[{unit}]\nbase = \"ou={unit},{BASE}\"\n");
        format!(
            "[directory]\nkind = \"ldif\"\nfile = \"{DIRECTORY}\"\n{}id_range = \"{}\"\n{}{}[limits]\naudit = \"{}\"\n{}{}{}",
            base("accounts"),
            self.range,
            base("groups"),
            base("people"),
            self.audit,
            rule(ACCOUNT, by_people),
            rule(SECOND, by_people),
            rule(ACCOUNT, "\"cron\", \"crond\", \"atd\""),
        ) + &self.limited.as_ref().map_or_else(String::new, |account| {
            rule(account.name, "\"sshd\"") + &format!("commands = [[\"{PROGRAM}\", \"<any>\"]]\n")
        })
    }

    /// The directory: the keys are lines as in authorized_keys.
    pub(super) fn directory(&self, allowed_key: &str, refused_key: &str) -> String {
        let unit =
            |name: &str| format!("dn: ou={name},{BASE}\nobjectClass: organizationalUnit\nou: {name}\n\n");
        let account = |player: &Player| {
            let Player { name, uid, gid } = player;
            format!(
                "dn: uid={name},ou=accounts,{BASE}\nobjectClass: account\nobjectClass: posixAccount\nuid: {name}\ncn: {name}\n\
                 uidNumber: {uid}\ngidNumber: {gid}\nhomeDirectory: /home/{name}\nloginShell: /bin/sh\n\n"
            )
        };
        let person = |login: &str, key: &str| {
            format!(
                "dn: uid={login},ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: ldapPublicKey\nuid: {login}\n\
                 cn: {login}\nsn: {login}\nsshPublicKey: {key}\n\n"
            )
        };
        let role = format!(
            "dn: cn={ROLE},ou=groups,{BASE}\nobjectClass: groupOfNames\nobjectClass: posixGroup\ncn: {ROLE}\ngidNumber: {}\n\
             member: uid={ALLOWED},ou=people,{BASE}\n",
            self.account.gid
        );
        let root = format!("dn: {BASE}\nobjectClass: domain\ndc: svcauth-probe\n\n");
        let units = ["accounts", "groups", "people"].map(unit).concat();
        let limited = self.limited.as_ref().map(account).unwrap_or_default();
        let accounts = account(&self.account) + &account(&self.second) + &limited;
        root + &units + &accounts + &person(ALLOWED, allowed_key) + &person(REFUSED, refused_key) + &role
    }
}

const BASE: &str = "dc=svcauth-probe";
/// Where the directory is, in there.
pub(super) const DIRECTORY: &str = "/etc/svcauth/directory.ldif";
/// How many ids are looked at: each may ask a directory server.
const TRIES: usize = 2000;

/// A source of names that does not answer (svcauth's own without a snapshot) has no say.
fn is_free_uid(id: u32) -> bool {
    !matches!(User::from_uid(Uid::from_raw(id)), Ok(Some(_)))
}

fn is_free_gid(id: u32) -> bool {
    !matches!(Group::from_gid(Gid::from_raw(id)), Ok(Some(_)))
}

impl Player {
    /// A line of passwd(5), with a home below /home and a shell that every host has.
    pub(super) fn passwd_line(&self) -> String {
        let Self { name, uid, gid } = self;
        format!("{name}:x:{uid}:{gid}:svcauth doctor --prove:/home/{name}:/bin/sh\n")
    }

    /// A line of group(5).
    pub(super) fn group_line(&self) -> String {
        format!("{}:x:{}:\n", self.name, self.gid)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cast, IdRange, Player};
    use svcauth_core::config::Config;

    #[test]
    fn what_is_written_for_the_proof_is_a_configuration() {
        let player = |name| Player { name, uid: 7001, gid: 7001 };
        let cast = Cast {
            account: player("a"),
            second: player("b"),
            limited: Some(player("f")),
            allowed: player("c"),
            refused: player("d"),
            local: player("e"),
            root_home: "/root".into(),
            range: IdRange::new(7000, 7999).unwrap(),
            audit: "required",
        };
        let config = Config::parse(&cast.config()).unwrap();
        assert_eq!((config.access.len(), config.accounts.id_range.to_string().as_str()), (4, "7000-7999"));
        assert!(config.access.last().unwrap().limits.is_some());
    }
}
