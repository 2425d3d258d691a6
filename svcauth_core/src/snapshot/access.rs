//! `access.snap`: policy, accounts and people, encoded as the `wire` module says, each type in the order of its fields.

use core::net::IpAddr;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::builder::{BuildError, Builder, Stamp};
use super::layout::{FileKind, Header, RecordKind, Table};
use super::limits;
use super::reader::{Location, ReadAt, Snapshot};
use super::wire::{Reader, Writer};
use super::{Cursor, Invalid};
use crate::id::IdRange;
use crate::origin::Fingerprint;
use crate::policy::{
    AccessRule, Account, AuditMode, Held, Need, Network, Pattern, Person, Policy, Role, RoleRef, Roles,
};

/// A record beyond this is damaged, or not worth a login's time: 16 MiB.
const RECORD_MAX: u32 = 16 << 20;

/// `access.snap` in the making.
pub struct AccessFile(pub(super) Builder);

impl AccessFile {
    /// A file with a policy and nobody in it.
    ///
    /// # Errors
    /// As [`Builder::new`] and [`Builder::record`].
    pub fn new(stamp: Stamp, policy: &Policy) -> Result<Self, BuildError> {
        let tables = [
            Table::Policy,
            Table::Account,
            Table::Person,
            Table::PersonByKey,
            Table::PersonByPrincipal,
            Table::Limits,
        ];
        let mut builder = Builder::new(FileKind::Access, stamp, &tables)?;
        let place = builder.record(RecordKind::Policy, &write_policy(policy))?;
        builder.key(Table::Policy, b"", place)?;
        let place = builder.record(RecordKind::Limits, &limits::write(&policy.rules))?;
        builder.key(Table::Limits, b"", place)?;
        Ok(Self(builder))
    }

    /// Adds an account.
    ///
    /// # Errors
    /// [`BuildError::TooLong`].
    pub fn account(&mut self, account: &Account) -> Result<(), BuildError> {
        let place = self.0.record(RecordKind::Account, &write_account(account))?;
        self.0.key(Table::Account, account.name.as_bytes(), place)
    }

    /// Adds a person with the keys and Kerberos principals that are theirs and nobody else's.
    ///
    /// # Errors
    /// [`BuildError::TooLong`].
    pub fn person(
        &mut self,
        person: &Person,
        keys: &[Fingerprint],
        principals: &[String],
    ) -> Result<(), BuildError> {
        let place = self.0.record(RecordKind::Person, &write_person(person, keys, principals))?;
        self.0.key(Table::Person, person.login.as_bytes(), place)?;
        for key in keys {
            self.0.key(Table::PersonByKey, key.as_bytes(), place)?;
        }
        for principal in principals {
            self.0.key(Table::PersonByPrincipal, principal.as_bytes(), place)?;
        }
        Ok(())
    }

    /// The whole file.
    ///
    /// # Errors
    /// [`BuildError::DuplicateKey`] when two accounts, people, keys or principals are the same.
    pub fn finish(self) -> Result<Vec<u8>, BuildError> {
        self.0.finish()
    }
}

/// A person with the keys and principals that name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPerson {
    /// The person.
    pub person: Person,
    /// Fingerprints of their public keys.
    pub keys: Vec<Fingerprint>,
    /// Their Kerberos principals.
    pub principals: Vec<String>,
}

/// `access.snap`, open.
#[derive(Clone, Copy, Debug)]
pub struct AccessSnapshot<R>(Snapshot<R>);

impl<R: ReadAt> AccessSnapshot<R> {
    /// As [`Snapshot::open`].
    ///
    /// # Errors
    /// As [`Snapshot::open`].
    pub fn open(source: R, file_len: u64) -> Result<Self, Invalid> {
        Snapshot::open(source, file_len, FileKind::Access).map(Self)
    }

    /// The checked header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        self.0.header()
    }

    /// The policy.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn policy(&self) -> Result<Policy, Invalid> {
        let found = self.lookup(Table::Policy, b"", RecordKind::Policy, read_policy, |_| true)?;
        let mut policy = found.ok_or(Invalid::Structure)?;
        let Some(limits) = self.limits()? else { return Ok(policy) };
        if limits.len() != policy.rules.len() {
            return Err(Invalid::Structure);
        }
        policy.rules.iter_mut().zip(limits).for_each(|(rule, limits)| rule.limits = limits);
        Ok(policy)
    }

    /// A managed account by name; `None`: not managed.
    ///
    /// # Errors
    /// When the file is damaged: then nobody knows.
    pub fn account(&self, name: &str) -> Result<Option<Account>, Invalid> {
        self.lookup(Table::Account, name.as_bytes(), RecordKind::Account, read_account, |account| {
            account.name == name
        })
    }

    /// A person by login name.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn person(&self, login: &str) -> Result<Option<KnownPerson>, Invalid> {
        self.lookup(Table::Person, login.as_bytes(), RecordKind::Person, read_person, |known| {
            known.person.login == login
        })
    }

    /// The owner of a public key.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn person_by_key(&self, key: &Fingerprint) -> Result<Option<KnownPerson>, Invalid> {
        self.lookup(Table::PersonByKey, key.as_bytes(), RecordKind::Person, read_person, |known| {
            known.keys.contains(key)
        })
    }

    /// The owner of a Kerberos principal, compared byte by byte, realm included.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn person_by_principal(&self, principal: &str) -> Result<Option<KnownPerson>, Invalid> {
        let is_theirs = |known: &KnownPerson| known.principals.iter().any(|own| own == principal);
        self.lookup(
            Table::PersonByPrincipal,
            principal.as_bytes(),
            RecordKind::Person,
            read_person,
            is_theirs,
        )
    }

    /// All accounts, in no order.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn accounts(&self) -> Result<Vec<Account>, Invalid> {
        self.all(Table::Account, RecordKind::Account, read_account)
    }

    /// All people, in no order.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn people(&self) -> Result<Vec<KnownPerson>, Invalid> {
        self.all(Table::Person, RecordKind::Person, read_person)
    }

    fn all<T>(
        &self,
        table: Table,
        kind: RecordKind,
        parse: fn(&[u8]) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, Invalid> {
        let mut found = Vec::new();
        let mut cursor = Cursor::default();
        while let Some((place, next)) = self.0.next(table, cursor)? {
            found.push(self.record(place, kind, parse)?);
            cursor = next;
        }
        Ok(found)
    }

    pub(super) fn lookup<T>(
        &self,
        table: Table,
        key: &[u8],
        kind: RecordKind,
        parse: fn(&[u8]) -> Result<T, Invalid>,
        is_it: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, Invalid> {
        for place in self.0.find(table, key)? {
            let value = self.record(place, kind, parse)?;
            if is_it(&value) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn record<T>(
        &self,
        place: Location,
        kind: RecordKind,
        parse: fn(&[u8]) -> Result<T, Invalid>,
    ) -> Result<T, Invalid> {
        if place.len > RECORD_MAX || u64::from(place.len) > self.header().file_len {
            return Err(Invalid::Structure);
        }
        parse(self.0.read(place, kind, &mut vec![0; place.len as usize])?)
    }
}

fn write_policy(policy: &Policy) -> Vec<u8> {
    let mut out = Writer::default();
    out.list(&policy.roles, |out, role| {
        out.text(&role.name);
        out.option(role.id.as_ref(), |out, id| out.text(id));
        out.list(&role.words, |out, word| out.text(word));
        out.option(role.remembered.as_ref(), |out, id| out.text(id));
        out.option(role.namesake.as_ref(), |out, id| out.text(id));
    });
    out.list(&policy.rules, write_rule);
    out.u64(policy.max_stale);
    out.u8(u8::from(policy.audit == AuditMode::Required));
    out.list(&policy.trusted_ca, |out, ca| out.bytes(ca.as_bytes()));
    out.option(policy.key_id.as_ref(), |out, template| out.text(template));
    out.u32(policy.id_range.first());
    out.u32(policy.id_range.last());
    out.list(&policy.local_accounts, |out, name| out.text(name));
    out.0
}

fn read_policy(payload: &[u8]) -> Result<Policy, Invalid> {
    let mut from = Reader(payload);
    let policy = Policy {
        roles: from.list(read_role)?,
        rules: from.list(read_rule)?,
        max_stale: from.u64()?,
        audit: if from.flag()? { AuditMode::Required } else { AuditMode::BestEffort },
        trusted_ca: from.list(read_fingerprint)?,
        key_id: from.option(Reader::text)?,
        id_range: IdRange::new(from.u32()?, from.u32()?).map_err(|_| Invalid::Structure)?,
        local_accounts: from.list(Reader::text)?,
    };
    from.end()?;
    Ok(policy)
}

fn read_role(from: &mut Reader<'_>) -> Result<Role, Invalid> {
    Ok(Role {
        name: from.text()?,
        id: from.option(Reader::text)?,
        words: from.list(Reader::text)?,
        remembered: from.option(Reader::text)?,
        namesake: from.option(Reader::text)?,
    })
}

fn write_rule(out: &mut Writer, rule: &AccessRule) {
    out.u32(rule.line);
    out.list(&rule.accounts, |out, pattern| out.text(pattern.as_str()));
    let named = match &rule.roles {
        Roles::Named(roles) => Some(roles),
        Roles::MemberOf => None,
    };
    out.option(named, |out, roles| write_roles(out, roles));
    out.u8(u8::from(rule.need == Need::Every));
    out.list(&rule.services, |out, service| out.text(service));
    out.list(&rule.hosts, |out, pattern| out.text(pattern.as_str()));
    out.list(&rule.from, |out, network| {
        match network.address() {
            IpAddr::V4(address) => out.bytes(&address.octets()),
            IpAddr::V6(address) => out.bytes(&address.octets()),
        }
        out.u8(network.prefix());
    });
}

fn read_rule(from: &mut Reader<'_>) -> Result<AccessRule, Invalid> {
    Ok(AccessRule {
        line: from.u32()?,
        accounts: from.list(|from| from.text().map(Pattern::new))?,
        roles: from.option(read_roles)?.map_or(Roles::MemberOf, Roles::Named),
        need: if from.flag()? { Need::Every } else { Need::Any },
        services: from.list(Reader::text)?,
        hosts: from.list(|from| from.text().map(Pattern::new))?,
        from: from.list(read_network)?,
        limits: None,
    })
}

fn read_network(from: &mut Reader<'_>) -> Result<Network, Invalid> {
    let octets = from.bytes()?;
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let address =
        v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).map_err(|_| Invalid::Structure)?;
    Network::new(address, from.u8()?).map_err(|_| Invalid::Structure)
}

fn write_roles(out: &mut Writer, roles: &[RoleRef]) {
    out.list(roles, |out, role| out.u32(role.0));
}

fn read_roles(from: &mut Reader<'_>) -> Result<Vec<RoleRef>, Invalid> {
    from.list(|from| from.u32().map(RoleRef))
}

fn read_fingerprint(from: &mut Reader<'_>) -> Result<Fingerprint, Invalid> {
    from.bytes()?.try_into().map(Fingerprint::from_bytes).map_err(|_| Invalid::Structure)
}

fn write_account(account: &Account) -> Vec<u8> {
    let mut out = Writer::default();
    out.text(&account.name);
    out.text(&account.id);
    out.option(account.uid, Writer::u32);
    out.u8(u8::from(account.disabled));
    out.option(account.expires, Writer::u64);
    out.option(account.locked_until, Writer::u64);
    out.option(account.hosts.as_ref(), |out, hosts| out.list(hosts, |out, host| out.text(host)));
    write_roles(&mut out, &account.roles);
    out.0
}

fn read_account(payload: &[u8]) -> Result<Account, Invalid> {
    let mut from = Reader(payload);
    let account = Account {
        name: from.text()?,
        id: from.text()?,
        uid: from.option(Reader::u32)?,
        disabled: from.flag()?,
        expires: from.option(Reader::u64)?,
        locked_until: from.option(Reader::u64)?,
        hosts: from.option(|from| from.list(Reader::text))?,
        roles: read_roles(&mut from)?,
    };
    from.end()?;
    Ok(account)
}

fn write_person(person: &Person, keys: &[Fingerprint], principals: &[String]) -> Vec<u8> {
    let mut out = Writer::default();
    out.text(&person.login);
    out.text(&person.id);
    out.u8(u8::from(person.disabled));
    out.option(person.expires, Writer::u64);
    out.option(person.locked_until, Writer::u64);
    out.list(&person.held, |out, held| {
        out.u32(held.role.0);
        out.list(&held.path, |out, group| out.text(group));
    });
    out.list(keys, |out, key| out.bytes(key.as_bytes()));
    out.list(principals, |out, principal| out.text(principal));
    out.0
}

fn read_person(payload: &[u8]) -> Result<KnownPerson, Invalid> {
    let mut from = Reader(payload);
    let person = Person {
        login: from.text()?,
        id: from.text()?,
        disabled: from.flag()?,
        expires: from.option(Reader::u64)?,
        locked_until: from.option(Reader::u64)?,
        held: from.list(|from| Ok(Held { role: RoleRef(from.u32()?), path: from.list(Reader::text)? }))?,
    };
    let known =
        KnownPerson { person, keys: from.list(read_fingerprint)?, principals: from.list(Reader::text)? };
    from.end()?;
    Ok(known)
}
