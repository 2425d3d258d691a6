//! An entry as a managed account.

use super::ad::{self, Lockout};
use super::values::{dns, field, identity, name, path, required};
use super::{Fault, state};
use crate::candidate::AccountEntry;
use crate::directory::Entry;
use crate::directory::schema::Schema;
use crate::local_names::{Ids, LocalNames};
use svcauth_core::config::Config;
use svcauth_core::id::{IdRange, parse_id};
use svcauth_core::id_map::IdMap;
use svcauth_core::name::{check_account, check_field};

/// Longest name of a host in bytes (RFC 1035, 2.3.4), with the `!` before it.
const HOST_MAX: usize = 256;

pub(super) fn read(
    entry: &Entry,
    config: &Config,
    local: &LocalNames,
    lockout: Lockout,
) -> Result<AccountEntry, Fault> {
    let schema = Schema::of(config);
    let (id, dn) = identity(entry, config)?;
    let name = name(entry, &dn, schema.account, check_account)?;
    let Ids { uid, gid } = if config.accounts.local_accounts.contains(&name) {
        local_ids(&name, schema, local)?
    } else {
        ids(entry, &name, config, local)?
    };
    let state = state::read(entry, config, lockout)?;
    Ok(AccountEntry {
        dn,
        uid,
        gid,
        gecos: gecos(entry)?,
        home: path(entry, schema.home)?.unwrap_or_else(|| config.accounts.home_of(&name)),
        shell: path(entry, "loginShell")?.unwrap_or_else(|| config.accounts.shell.clone()),
        // A role that is lost here would be one less that a person needs.
        member_of: dns(entry, "memberOf")?,
        disabled: state.disabled,
        expires: state.expires,
        locked_until: state.locked_until,
        hosts: config.accounts.host_attribute.as_ref().map(|name| hosts(entry, name)).transpose()?,
        primary: if config.directory.kind.is_ad() { ad::primary(entry, &id)? } else { None },
        id,
        name,
    })
}

/// The hosts that the entry names. A value that cannot be read was meant to say something, so it refuses the entry.
fn hosts(entry: &Entry, attribute: &str) -> Result<Vec<String>, Fault> {
    let host = |value: &Vec<u8>| {
        let text = std::str::from_utf8(value).ok().map(str::trim);
        let host = text.filter(|text| {
            text.len() <= HOST_MAX && !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
        });
        host.map(str::to_owned)
            .ok_or_else(|| Fault::of(attribute, value, "expected the name of a host, !NAME or *"))
    };
    entry.values(&attribute.to_ascii_lowercase()).iter().map(host).collect()
}

/// An account of `/etc/passwd` that the configuration names: the directory says who may use it, the host what it is.
fn local_ids(name: &str, schema: &Schema, local: &LocalNames) -> Result<Ids, Fault> {
    match local.ids_of(name) {
        Some(Ids { uid: 0, .. }) => {
            Err(Fault::of(schema.account, name.as_bytes(), "has uid 0 on this host; root is never managed"))
        }
        Some(ids) => Ok(ids),
        None => {
            Err(Fault::of(schema.account, name.as_bytes(), "is in local_accounts, but not in /etc/passwd"))
        }
    }
}

fn ids(entry: &Entry, name: &str, config: &Config, local: &LocalNames) -> Result<Ids, Fault> {
    let (schema, range) = (Schema::of(config), config.accounts.id_range);
    if local.has_user(name) {
        let why = "is a user of this host; rename one of the two, or add it to local_accounts";
        return Err(Fault::of(schema.account, name.as_bytes(), why));
    }
    let (source, uid, gid) = match config.accounts.id_map {
        IdMap::Posix => ("uidNumber", posix(entry, "uidNumber", range)?, posix(entry, "gidNumber", range)?),
        IdMap::Sid(slices) => {
            let id = |attribute, sid: &str| {
                let id = slices.id_of(sid).map_err(|why| Fault::of(attribute, sid.as_bytes(), why))?;
                let why = || format!("gives the id {id}, which is outside id_range {range}, or reserved");
                range.contains(id).then_some(id).ok_or_else(|| Fault::of(attribute, sid.as_bytes(), why()))
            };
            let uid = id("objectSid", &ad::id(entry)?)?;
            ("objectSid", uid, id("primaryGroupID", &ad::primary_group(entry)?)?)
        }
    };
    if local.has_uid(uid) {
        return Err(Fault::of(source, uid.to_string().as_bytes(), "is the uid of a user of this host"));
    }
    Ok(Ids { uid, gid })
}

fn posix(entry: &Entry, attribute: &str, range: IdRange) -> Result<u32, Fault> {
    let value = required(entry, attribute)?;
    let number = parse_id(value).ok_or_else(|| Fault::of(attribute, value, "is no id"))?;
    if range.contains(number) {
        Ok(number)
    } else {
        Err(Fault::of(attribute, value, format!("is outside id_range {range}, or reserved")))
    }
}

/// `gecos`, or the common name where it can stand in a passwd entry.
fn gecos(entry: &Entry) -> Result<String, Fault> {
    if let Some(gecos) = field(entry, "gecos")? {
        return Ok(gecos);
    }
    let usable = |value: &&Vec<u8>| check_field(value, 256).is_ok();
    Ok(entry
        .values("cn")
        .iter()
        .find(usable)
        .map_or_else(String::new, |cn| String::from_utf8_lossy(cn).into_owned()))
}
