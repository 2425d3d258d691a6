//! An entry as a group: a role, and with a gid of the configured range a Unix group, too.

use super::values::{dn_of, identity, name, one};
use super::{Fault, ad};
use crate::candidate::{GroupEntry, Member};
use crate::directory::Entry;
use crate::directory::schema::Schema;
use crate::local_names::LocalNames;
use svcauth_core::config::Config;
use svcauth_core::id::{is_assignable, parse_id};
use svcauth_core::id_map::{IdMap, Slices, Unmapped};
use svcauth_core::name::{check_group, check_login};

pub(super) fn read(
    entry: &Entry,
    config: &Config,
    local: &LocalNames,
    odd: &mut Vec<Fault>,
) -> Result<GroupEntry, Fault> {
    let (id, dn) = identity(entry, config)?;
    if config.directory.kind.is_ad() {
        ad::is_security_group(entry)?;
    }
    let attribute = Schema::of(config).group;
    let name = name(entry, &dn, attribute, check_group)?;
    if local.has_group(&name) {
        let why = "is a group of this host; rename one of the two";
        return Err(Fault::of(attribute, name.as_bytes(), why));
    }
    let gid = match config.accounts.id_map {
        IdMap::Posix => gid(entry, config, local, odd)?,
        IdMap::Sid(slices) => computed(&id, slices, config, local, odd),
    };
    let members = members(entry, &config.groups.member, odd);
    Ok(GroupEntry { id, dn, name, gid, members })
}

/// The gid, if it may be one here. One outside the range leaves a role: companies have more groups than accounts.
fn gid(
    entry: &Entry,
    config: &Config,
    local: &LocalNames,
    odd: &mut Vec<Fault>,
) -> Result<Option<u32>, Fault> {
    let Some(value) = one(entry, "gidNumber")? else {
        return Ok(None);
    };
    let gid = parse_id(value).ok_or_else(|| Fault::of("gidNumber", value, "is no id"))?;
    if !is_assignable(gid) {
        return Err(Fault::of("gidNumber", value, "is reserved for the system"));
    }
    if local.has_gid(gid) {
        return Err(Fault::of("gidNumber", value, "is the gid of a group of this host"));
    }
    if !config.accounts.id_range.contains(gid) {
        let range = config.accounts.id_range;
        let why =
            format!("is outside id_range {range}; the group can be a role, but is no group of this host");
        odd.push(Fault::of("gidNumber", value, why));
        return Ok(None);
    }
    Ok(Some(gid))
}

/// The gid that the SID gives. Nobody chose it, so one outside the range is nothing to tell of.
fn computed(
    sid: &str,
    slices: Slices,
    config: &Config,
    local: &LocalNames,
    odd: &mut Vec<Fault>,
) -> Option<u32> {
    let why = match slices.id_of(sid) {
        Ok(gid) if !config.accounts.id_range.contains(gid) => return None,
        Ok(gid) if local.has_gid(gid) => {
            format!("gives the gid {gid}, which is that of a group of this host")
        }
        Ok(gid) => return Some(gid),
        // Built-in groups have none in sssd either.
        Err(Unmapped::NoDomain) => return None,
        Err(why) => why.to_string(),
    };
    odd.push(Fault::of(
        "objectSid",
        sid.as_bytes(),
        why + "; the group can be a role, but is no group of this host",
    ));
    None
}

/// The members, each once. One that cannot be read is left out (it can match nobody); the first of them is told.
fn members(entry: &Entry, attributes: &[String], odd: &mut Vec<Fault>) -> Vec<Member> {
    let mut members = Vec::new();
    let mut first = None;
    for attribute in attributes {
        for value in entry.values(&attribute.to_ascii_lowercase()) {
            match member(attribute, value) {
                Some(member) => members.push(member),
                None => {
                    first.get_or_insert_with(|| {
                        Fault::of(attribute, value, "is no member that could be found; it is left out")
                    });
                }
            }
        }
    }
    odd.extend(first);
    members.sort_unstable();
    members.dedup();
    members
}

fn member(attribute: &str, value: &[u8]) -> Option<Member> {
    if attribute.eq_ignore_ascii_case("memberUid") {
        check_login(value).ok()?;
        return Some(Member::Login(String::from_utf8_lossy(value).into_owned()));
    }
    dn_of(value).map(Member::Dn)
}
