//! Writing `accounts.snap`.

use std::string::String;
use std::vec::Vec;

use super::builder::{BuildError, Builder, Stamp};
use super::layout::{FileKind, RecordKind, Table};
use super::record::padding;
use crate::id::{Gid, Uid};

/// A managed account, as getent(1) shall show it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewAccount {
    /// The account's name, checked by [`crate::name::check_account`].
    pub name: String,
    /// The account's uid.
    pub uid: Uid,
    /// The account's primary group.
    pub gid: Gid,
    /// The comment field.
    pub gecos: String,
    /// The home directory.
    pub home: String,
    /// The login shell.
    pub shell: String,
    /// The managed groups it is in, directly or through other groups.
    pub gids: Vec<Gid>,
}

/// A managed group, as getent(1) shall show it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewGroup {
    /// The group's name, checked by [`crate::name::check_group`].
    pub name: String,
    /// The group's gid.
    pub gid: Gid,
    /// Login names of its members, direct and nested, people and accounts.
    pub members: Vec<String>,
}

/// `accounts.snap` in the making.
pub struct AccountsFile(Builder);

impl AccountsFile {
    /// An empty file.
    ///
    /// # Errors
    /// As [`Builder::new`].
    pub fn new(stamp: Stamp) -> Result<Self, BuildError> {
        let tables = [
            Table::PasswdByName,
            Table::PasswdById,
            Table::GroupByName,
            Table::GroupById,
            Table::AccountGids,
        ];
        Builder::new(FileKind::Accounts, stamp, &tables).map(Self)
    }

    /// Adds an account.
    ///
    /// # Errors
    /// [`BuildError::TooLong`].
    pub fn account(&mut self, account: &NewAccount) -> Result<(), BuildError> {
        let fields = [&account.name, &account.gecos, &account.home, &account.shell];
        let mut payload = Vec::new();
        payload.extend_from_slice(&account.uid.get().to_le_bytes());
        payload.extend_from_slice(&account.gid.get().to_le_bytes());
        for field in fields {
            payload.extend_from_slice(&short(field)?);
        }
        for field in fields {
            string(&mut payload, field);
        }
        let place = self.0.record(RecordKind::Passwd, &payload)?;
        self.0.key(Table::PasswdByName, account.name.as_bytes(), place)?;
        self.0.key(Table::PasswdById, &account.uid.get().to_le_bytes(), place)?;
        self.gids(account)
    }

    fn gids(&mut self, account: &NewAccount) -> Result<(), BuildError> {
        let count = u32::try_from(account.gids.len()).map_err(|_| BuildError::TooLong)?;
        let mut payload = Vec::new();
        payload.extend_from_slice(&count.to_le_bytes());
        payload.extend_from_slice(&short(&account.name)?);
        payload.extend_from_slice(&[0; 2]);
        string(&mut payload, &account.name);
        payload.resize(payload.len() + padding(account.name.len()), 0);
        account.gids.iter().for_each(|gid| payload.extend_from_slice(&gid.get().to_le_bytes()));
        let place = self.0.record(RecordKind::AccountGids, &payload)?;
        self.0.key(Table::AccountGids, account.name.as_bytes(), place)
    }

    /// Adds a group.
    ///
    /// # Errors
    /// [`BuildError::TooLong`].
    pub fn group(&mut self, group: &NewGroup) -> Result<(), BuildError> {
        let count = u32::try_from(group.members.len()).map_err(|_| BuildError::TooLong)?;
        let mut payload = Vec::new();
        payload.extend_from_slice(&group.gid.get().to_le_bytes());
        payload.extend_from_slice(&count.to_le_bytes());
        payload.extend_from_slice(&short(&group.name)?);
        payload.extend_from_slice(&[0; 2]);
        string(&mut payload, &group.name);
        let mut members = Vec::new();
        for member in &group.members {
            let before = members.len();
            string(&mut members, member);
            payload.push(u8::try_from(members.len() - before).map_err(|_| BuildError::TooLong)?);
        }
        payload.extend_from_slice(&members);
        let place = self.0.record(RecordKind::Group, &payload)?;
        self.0.key(Table::GroupByName, group.name.as_bytes(), place)?;
        self.0.key(Table::GroupById, &group.gid.get().to_le_bytes(), place)
    }

    /// The whole file.
    ///
    /// # Errors
    /// [`BuildError::DuplicateKey`] when two accounts or groups share a name or an id.
    pub fn finish(self) -> Result<Vec<u8>, BuildError> {
        self.0.finish()
    }
}

fn short(text: &str) -> Result<[u8; 2], BuildError> {
    u16::try_from(text.len()).map(u16::to_le_bytes).map_err(|_| BuildError::TooLong)
}

/// A NUL inside would end the string early; names are checked long before, so it is simply left out.
fn string(payload: &mut Vec<u8>, text: &str) {
    payload.extend(text.bytes().filter(|byte| *byte != 0));
    payload.push(0);
}
