//! The limits of access rules, and the own shells of limited accounts: a table of `access.snap` that older readers pass over.

use std::string::{String, ToString as _};
use std::vec::Vec;

use super::Invalid;
use super::access::{AccessFile, AccessSnapshot};
use super::builder::BuildError;
use super::layout::{RecordKind, Table};
use super::reader::ReadAt;
use super::wire::{Reader, Writer};
use crate::command::protocol::{read_files, write_files};
use crate::command::{CommandRule, Forwarding, Limits, Mode};
use crate::policy::AccessRule;

/// What a limited account would have without its limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnShell {
    /// Its login shell in the directory.
    pub shell: String,
    /// Its home directory.
    pub home: String,
}

impl AccessFile {
    /// Adds the own shell of an account whose login shell is [`crate::command::SHELL_PATH`].
    ///
    /// # Errors
    /// [`BuildError::TooLong`].
    pub fn shell(&mut self, account: &str, own: &OwnShell) -> Result<(), BuildError> {
        let place = self.0.record(RecordKind::Shell, &write_shell(account, own))?;
        self.0.key(Table::Limits, account.as_bytes(), place)
    }
}

impl<R: ReadAt> AccessSnapshot<R> {
    /// The limits of each access rule; `None` in a file that was written before there were any.
    pub(super) fn limits(&self) -> Result<Option<Vec<Option<Limits>>>, Invalid> {
        match self.lookup(Table::Limits, b"", RecordKind::Limits, read, |_| true) {
            Err(Invalid::NoTable) => Ok(None),
            found => found?.ok_or(Invalid::Structure).map(Some),
        }
    }

    /// The own shell and home of an account whose login shell is [`crate::command::SHELL_PATH`]; `None`: it has no other.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn shell(&self, account: &str) -> Result<Option<OwnShell>, Invalid> {
        let is_it = |(name, _): &(String, OwnShell)| name == account;
        let found = self.lookup(Table::Limits, account.as_bytes(), RecordKind::Shell, read_shell, is_it);
        match found {
            Err(Invalid::NoTable) => Ok(None),
            found => Ok(found?.map(|(_, own)| own)),
        }
    }
}

pub(super) fn write(rules: &[AccessRule]) -> Vec<u8> {
    let mut out = Writer::default();
    out.list(rules, |out, rule| out.option(rule.limits.as_ref(), write_limits));
    out.0
}

fn read(payload: &[u8]) -> Result<Vec<Option<Limits>>, Invalid> {
    let mut from = Reader(payload);
    let limits = from.list(|from| from.option(read_limits))?;
    from.end()?;
    Ok(limits)
}

fn write_shell(account: &str, own: &OwnShell) -> Vec<u8> {
    let mut out = Writer::default();
    [account, &own.shell, &own.home].iter().for_each(|text| out.text(text));
    out.0
}

fn read_shell(payload: &[u8]) -> Result<(String, OwnShell), Invalid> {
    let mut from = Reader(payload);
    let found = (from.text()?, OwnShell { shell: from.text()?, home: from.text()? });
    from.end()?;
    Ok(found)
}

fn write_limits(out: &mut Writer, limits: &Limits) {
    out.u8(u8::from(limits.mode == Mode::Learn));
    out.u8(u8::from(limits.shell));
    out.list(&limits.commands, write_command);
    out.u8(match limits.forwarding {
        Forwarding::No => 0,
        Forwarding::Local => 1,
        Forwarding::Remote => 2,
        Forwarding::Any => 3,
    });
    out.u8(u8::from(limits.record));
}

fn read_limits(from: &mut Reader<'_>) -> Result<Limits, Invalid> {
    Ok(Limits {
        mode: if from.flag()? { Mode::Learn } else { Mode::Enforce },
        shell: from.flag()?,
        commands: from.list(read_command)?,
        forwarding: match from.u8()? {
            0 => Forwarding::No,
            1 => Forwarding::Local,
            2 => Forwarding::Remote,
            3 => Forwarding::Any,
            _ => return Err(Invalid::Structure),
        },
        record: from.flag()?,
    })
}

fn write_command(out: &mut Writer, command: &CommandRule) {
    let (kind, files) = match command {
        CommandRule::Words(words) => {
            out.u8(1);
            out.list(words, |out, word| out.text(&word.to_string()));
            return;
        }
        CommandRule::Any => return out.u8(2),
        CommandRule::Rsync(files) => (3, files),
        CommandRule::Scp(files) => (4, files),
        CommandRule::Sftp(files) => (5, files),
        CommandRule::Git(files) => (6, files),
    };
    out.u8(kind);
    write_files(out, files);
}

fn read_command(from: &mut Reader<'_>) -> Result<CommandRule, Invalid> {
    let files = match from.u8()? {
        1 => {
            let pattern = |from: &mut Reader<'_>| from.text()?.parse().map_err(|_| Invalid::Structure);
            return from.list(pattern).map(CommandRule::Words);
        }
        2 => return Ok(CommandRule::Any),
        3 => CommandRule::Rsync,
        4 => CommandRule::Scp,
        5 => CommandRule::Sftp,
        6 => CommandRule::Git,
        _ => return Err(Invalid::Structure),
    };
    read_files(from).map(files)
}
