//! Root's own look at what the worker sent. The worker meets the network and may be somebody else's by now: whatever it
//! could do wrong with ids and names is checked again here, and dropped with an alarm.

use svcauth_core::config::Config;
use svcauth_core::name::{NameError, check_account, check_field, check_group, check_login};

use super::settle::settle;
use crate::candidate::{AccountEntry, Candidate, GroupEntry, PersonEntry, Refusal};
use crate::local_names::LocalNames;

/// Longest text field of a passwd entry.
const FIELD_MAX: usize = 256;

/// Drops every entry that must not be published, by itself or beside another one, and says why.
pub fn recheck(candidate: &mut Candidate, config: &Config, local: &LocalNames) {
    let mut refused = Vec::new();
    let mut refuse = |dn: &str, fault: Fault| {
        refused.push(Refusal { dn: dn.to_owned(), what: fault.what.to_owned(), why: fault.why });
    };
    candidate.accounts.retain(|entry| keep(&entry.dn, account_fault(entry, config, local), &mut refuse));
    candidate.groups.retain(|entry| keep(&entry.dn, group_fault(entry, config, local), &mut refuse));
    candidate.people.retain(|entry| keep(&entry.dn, person_fault(entry), &mut refuse));
    candidate.refused.extend(refused);
    settle(candidate);
}

struct Fault {
    what: &'static str,
    why: String,
}

fn keep(dn: &str, fault: Option<Fault>, refuse: &mut impl FnMut(&str, Fault)) -> bool {
    let good = fault.is_none();
    if let Some(fault) = fault {
        refuse(dn, fault);
    }
    good
}

fn account_fault(entry: &AccountEntry, config: &Config, local: &LocalNames) -> Option<Fault> {
    let is_local = config.accounts.local_accounts.contains(&entry.name);
    let fields = [&entry.gecos, &entry.home, &entry.shell];
    name_fault(check_account(entry.name.as_bytes()))
        .or_else(|| fields.iter().find_map(|field| name_fault(check_field(field.as_bytes(), FIELD_MAX))))
        .or_else(|| if is_local { None } else { published_fault(entry, config, local) })
}

/// What is asked only of an account that NSS will show; one of /etc/passwd keeps what it has there.
fn published_fault(entry: &AccountEntry, config: &Config, local: &LocalNames) -> Option<Fault> {
    let range = config.accounts.id_range;
    if !range.contains(entry.uid) || !range.contains(entry.gid) {
        return Some(Fault {
            what: "id",
            why: format!("uid {} or gid {} is outside id_range {range}", entry.uid, entry.gid),
        });
    }
    if local.has_user(&entry.name) || local.has_uid(entry.uid) {
        return Some(Fault {
            what: "local",
            why: "the name or the uid is that of a user in /etc/passwd".to_owned(),
        });
    }
    None
}

fn group_fault(entry: &GroupEntry, config: &Config, local: &LocalNames) -> Option<Fault> {
    let range = config.accounts.id_range;
    if let Some(gid) = entry.gid {
        if !range.contains(gid) {
            return Some(Fault { what: "gid", why: format!("gid {gid} is outside id_range {range}") });
        }
        if local.has_group(&entry.name) || local.has_gid(gid) {
            return Some(Fault {
                what: "local",
                why: "the name or the gid is that of a group in /etc/group".to_owned(),
            });
        }
    }
    name_fault(check_group(entry.name.as_bytes()))
}

fn person_fault(entry: &PersonEntry) -> Option<Fault> {
    name_fault(check_login(entry.login.as_bytes()))
}

fn name_fault(checked: Result<(), NameError>) -> Option<Fault> {
    checked.err().map(|error| Fault { what: "name", why: error.to_string() })
}
