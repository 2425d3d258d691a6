//! One directory in words that every kind of server understands: a scenario that is written once runs on all of them.
//!
//! Here: what an administrator of the directory does, in the schema and with the tool of each kind. Never here: what
//! svcauth makes of it.

mod change;
mod dialect;
mod moves;

use std::collections::BTreeMap;

use crate::directory::{BASE, Directory, Schema};
use crate::failure::{Failure, Outcome};
use crate::keys::Key;
use crate::ldif::escaped;
use crate::samba::{self, Samba};
use crate::site::{LDIF, Site};
use crate::slapd::{Overlays, Slapd};
use crate::world::World;

use self::change::Change;

/// Which directory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The LDIF file of `kind = "ldif"`.
    Ldif,
    /// slapd with the schema of RFC 2307: `memberUid`. It is asked for changes.
    Rfc2307,
    /// slapd with rfc2307bis: `member`; the server keeps its groups in order (refint, memberof) and sends changes by itself.
    Rfc2307bis,
    /// slapd with rfc2307bis that does neither: everything is read.
    Plain,
    /// A Samba domain controller.
    Ad,
}

/// An entry by the name that people use: of a person the login.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A managed account.
    Account(String),
    /// A group.
    Group(String),
    /// A person.
    Person(String),
}

/// What the directory says about the use of an account or of a person. Times are seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing against it.
    Usable,
    /// Switched off by an administrator.
    Disabled,
    /// Not to be used from the beginning of this day on; days since 1970, as shadow(5) counts them.
    ExpiresOn(u64),
    /// Not to be used from this second on.
    ExpiresAt(u64),
    /// Locked out at this time.
    LockedSince(u64),
}

/// A part of an entry that every schema has, by whatever name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `uidNumber`
    Uid,
    /// `gidNumber`
    Gid,
    /// The home folder.
    Home,
    /// The login shell.
    Shell,
    /// The description in passwd.
    Gecos,
}

/// The directory of a world.
#[derive(Debug)]
pub struct Backend {
    kind: Kind,
    server: Server,
    /// Where each entry is.
    places: BTreeMap<Who, String>,
    /// Whom each group lists.
    members: BTreeMap<String, Vec<Who>>,
    /// How many entries were made.
    serial: u32,
}

#[derive(Debug)]
enum Server {
    File(Directory),
    Slapd(Slapd),
    Samba(Samba),
}

/// A managed account.
pub fn account(name: &str) -> Who {
    Who::Account(name.to_owned())
}

/// A group.
pub fn group(name: &str) -> Who {
    Who::Group(name.to_owned())
}

/// A person.
pub fn person(login: &str) -> Who {
    Who::Person(login.to_owned())
}

impl Who {
    /// The name by itself.
    pub fn name(&self) -> &str {
        match self {
            Self::Account(name) | Self::Group(name) | Self::Person(name) => name,
        }
    }

    fn called(&self, name: &str) -> Self {
        match self {
            Self::Account(_) => account(name),
            Self::Group(_) => group(name),
            Self::Person(_) => person(name),
        }
    }
}

impl Backend {
    /// Makes the directory of the example with the keys of alice, bob and carol, and points the site at it.
    pub fn start(world: &World, kind: Kind, people: &[(&str, &Key)], site: &mut Site) -> Outcome<Self> {
        let mut directory = Directory::example();
        people.iter().try_for_each(|(login, key)| directory.key(login, key))?;
        let overlays = Overlays { push: kind != Kind::Plain, references: kind == Kind::Rfc2307bis };
        let slapd = |schema| Slapd::start_with(world, &directory, schema, overlays).map(Server::Slapd);
        let server = match kind {
            Kind::Ldif => Server::File(directory),
            Kind::Rfc2307 => slapd(Schema::Rfc2307)?,
            Kind::Rfc2307bis | Kind::Plain => slapd(Schema::Rfc2307bis)?,
            Kind::Ad => Server::Samba(Samba::start(world, &samba::example(people, ""))?),
        };
        match kind {
            Kind::Ldif => {}
            Kind::Rfc2307bis | Kind::Plain => Slapd::serve(world, site)?,
            Kind::Rfc2307 => {
                Slapd::serve(world, site)?;
                site.configure("refresh = \"1s\"", "refresh = \"1s\"\nchanges = \"poll\"")?;
            }
            Kind::Ad => Samba::serve(world, site)?,
        }
        let known =
            [account("deployer"), group("application"), person("alice"), person("bob"), person("carol")];
        let places = known.map(|who| (who.clone(), kind.first_place(&who)));
        let members = BTreeMap::from([("application".to_owned(), vec![person("alice"), person("bob")])]);
        let mut backend = Self { kind, server, places: places.into(), members, serial: 0 };
        for unit in ["ou=staff,ou=people", "ou=leavers"] {
            backend.unit(unit)?;
        }
        Ok(backend)
    }

    /// Which directory it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn unit(&mut self, rdns: &str) -> Outcome {
        let dn = format!("{rdns},{BASE}");
        self.apply(&[Change::Add { dn, values: vec![("objectClass", "organizationalUnit".to_owned())] }])
    }

    /// Adds an account; the ids are written as they are.
    pub fn account(&mut self, name: &str, uid: &str, gid: &str) -> Outcome {
        self.add(&account(name), name, None, |kind| kind.account_values(name, uid, gid))
    }

    /// Adds an account under another name than its own: `called` is the name of the entry, and the one to use here.
    pub fn account_called(&mut self, called: &str, name: &str, uid: &str, gid: &str) -> Outcome {
        self.add(&account(called), name, Some(called), |kind| kind.account_values(name, uid, gid))
    }

    /// Adds a person with these keys.
    pub fn person(&mut self, login: &str, keys: &[&Key]) -> Outcome {
        self.add(&person(login), login, None, |kind| kind.person_values(login, keys))
    }

    /// Adds a person whose entry has a name of its own.
    pub fn person_called(&mut self, login: &str, called: &str, keys: &[&Key]) -> Outcome {
        self.add(&person(login), login, Some(called), |kind| kind.person_values(login, keys))
    }

    /// Adds a group with a gid and members.
    pub fn group(&mut self, name: &str, gid: u32, members: &[Who]) -> Outcome {
        let kind = self.kind;
        let listed = members.iter().map(|member| Ok((kind.member(), self.listed_as(member)?)));
        let listed = listed.collect::<Outcome<Vec<_>>>()?;
        self.add(&group(name), name, None, |kind| [kind.group_values(name, gid), listed.clone()].concat())?;
        self.members.insert(name.to_owned(), members.to_vec());
        Ok(())
    }

    fn add(
        &mut self,
        who: &Who,
        name: &str,
        called: Option<&str>,
        values: impl Fn(Kind) -> Vec<(&'static str, String)>,
    ) -> Outcome {
        let kind = self.kind;
        let dn = match called {
            Some(called) => format!("cn={},{}", escaped(called), kind.unit_of(who)),
            None => kind.first_place(who),
        };
        let mut values = values(kind);
        // The common name must be there anyway; where it is the name of the entry it is that name.
        let common = called.map_or_else(|| name.to_owned(), str::to_owned);
        if kind != Kind::Ad {
            values.push(("cn", common));
        }
        self.serial += 1;
        if kind == Kind::Ldif {
            values.push(("entryUUID", format!("5b2b1a9a-3c4d-103e-8f00-{:012}", self.serial)));
        }
        self.apply(&[Change::Add { dn: dn.clone(), values }])?;
        self.places.insert(who.clone(), dn);
        Ok(())
    }

    /// Puts a member into a group. RFC 2307 has names of users there and nothing else; a group becomes such a name.
    pub fn join(&mut self, member: &Who, into: &str) -> Outcome {
        let (dn, attribute, value) = (self.place(&group(into))?, self.kind.member(), self.listed_as(member)?);
        self.apply(&[Change::Put { dn, attribute, value }])?;
        self.members.entry(into.to_owned()).or_default().push(member.clone());
        Ok(())
    }

    /// Takes a member out of a group.
    pub fn leave(&mut self, member: &Who, from: &str) -> Outcome {
        let (dn, attribute, value) = (self.place(&group(from))?, self.kind.member(), self.listed_as(member)?);
        self.apply(&[Change::Take { dn, attribute, value }])?;
        self.members.entry(from.to_owned()).or_default().retain(|known| known != member);
        Ok(())
    }

    /// Says something about the use of an account or a person, in place of what was said before.
    pub fn set_state(&mut self, who: &Who, state: State) -> Outcome {
        let dn = self.place(who)?;
        let set = |(attribute, values)| Change::Set { dn: dn.clone(), attribute, values };
        let changes: Vec<Change> = self.kind.state_values(state).into_iter().map(set).collect();
        self.apply(&changes)
    }

    /// Makes a person ready for [`Backend::lock_out`].
    pub fn give_password(&self, login: &str) -> Outcome {
        match &self.server {
            Server::Slapd(slapd) => slapd.give_password(&self.place(&person(login))?),
            Server::Samba(samba) => samba.give_password(login),
            Server::File(_) => Ok(()),
        }
    }

    /// Locks a person out as the directory itself does it: by wrong passwords, where it has passwords.
    pub fn lock_out(&mut self, login: &str) -> Outcome {
        match &self.server {
            Server::Slapd(slapd) => slapd.enter_wrong_passwords(&self.place(&person(login))?),
            Server::Samba(samba) => samba.enter_wrong_passwords(login),
            Server::File(_) => self.set_state(&person(login), State::LockedSince(crate::clock::now())),
        }
    }

    /// Puts another value in the place of one.
    pub fn set(&mut self, who: &Who, field: Field, value: &str) -> Outcome {
        let (dn, attribute) = (self.place(who)?, self.kind.field(field));
        self.apply(&[Change::Set { dn, attribute, values: vec![value.to_owned()] }])
    }

    /// Gives a person these keys in place of those they had.
    pub fn set_keys(&mut self, login: &str, keys: &[&Key]) -> Outcome {
        let (dn, attribute) = (self.place(&person(login))?, self.kind.key());
        let values = keys.iter().map(|key| self.kind.key_value(key)).collect();
        self.apply(&[Change::Set { dn, attribute, values }])
    }

    /// Makes a group, which the person is a member of, the primary one: it lists them no more, the person's entry has its
    /// number. What a number means is for the kind of directory to say.
    pub fn make_primary(&mut self, login: &str, name: &str, gid: u32) -> Outcome {
        let (dn, place) = (self.place(&person(login))?, self.place(&group(name))?);
        let number = match &self.server {
            Server::Samba(samba) => samba.rid(&place)?,
            Server::File(_) | Server::Slapd(_) => gid,
        };
        let (attribute, values) = (self.kind.primary(), vec![number.to_string()]);
        self.apply(&[Change::Set { dn, attribute, values }])?;
        if self.kind.has_primary_groups() {
            self.members.entry(name.to_owned()).or_default().retain(|member| *member != person(login));
            return Ok(());
        }
        self.leave(&person(login), name)
    }

    /// Whether the directory itself lists somebody in a group, be the entry there or not.
    pub fn lists(&self, into: &str, member: &Who) -> Outcome<bool> {
        let value = self.places.get(member).cloned().unwrap_or_else(|| self.kind.first_place(member));
        let value = if self.kind == Kind::Rfc2307 { member.name().to_owned() } else { value };
        let line = format!("\n{}: {value}\n", self.kind.member()).to_ascii_lowercase();
        let dn = self.place(&group(into))?;
        let base = ["-o", "ldif-wrap=no", "-s", "base", "-b", &dn, "(objectClass=*)", self.kind.member()];
        let shown = match &self.server {
            Server::File(directory) => directory.entry_text(&dn)?,
            Server::Slapd(slapd) => slapd.search(&base)?.stdout,
            Server::Samba(samba) => samba.search(&base)?.stdout,
        };
        Ok(shown.to_ascii_lowercase().contains(&line))
    }

    fn listed_as(&self, member: &Who) -> Outcome<String> {
        match self.kind {
            Kind::Rfc2307 => Ok(member.name().to_owned()),
            _ => self.place(member),
        }
    }

    fn place(&self, who: &Who) -> Outcome<String> {
        let known = self.places.get(who).cloned();
        known.ok_or_else(|| Failure::new(format!("the directory of this test has no {who:?}")))
    }

    fn apply(&mut self, changes: &[Change]) -> Outcome {
        let ldif: String = changes.iter().map(Change::ldif).collect();
        match &mut self.server {
            Server::File(directory) => {
                changes.iter().try_for_each(|change| change.apply(directory))?;
                directory.write(LDIF)
            }
            Server::Slapd(slapd) => slapd.modify(&ldif),
            Server::Samba(samba) => samba.modify(&ldif),
        }
    }
}
