//! Entries that get another name or another place, or go; and the groups that list them.

use std::time::Duration;

use super::change::Change;
use super::{Backend, Kind, Server, Who, group};
use crate::directory::BASE;
use crate::failure::{Failure, Outcome};
use crate::program::wait_until;

impl Backend {
    /// Gives an entry another name. Groups name it by the new one afterwards: the server or, where it does not, the
    /// administrator sees to that.
    pub fn rename(&mut self, who: &Who, name: &str) -> Outcome {
        let old = self.place(who)?;
        let (_, superior) = parent(&old)?;
        let new = who.called(name);
        self.relocate(who, &new, &self.kind.rdn(&new), superior)
    }

    /// Moves a person to another part of the tree: `ou=people`, or below it `ou=staff,ou=people`, or out of it to
    /// `ou=leavers`.
    pub fn move_to(&mut self, who: &Who, unit: &str) -> Outcome {
        let old = self.place(who)?;
        let (rdn, _) = parent(&old)?;
        self.relocate(who, who, rdn, &format!("{unit},{BASE}"))
    }

    /// Moves a part of the tree below another one, with everything in it: `ou=staff,ou=people` to `ou=leavers`. Groups name
    /// everybody in it by the new name afterwards.
    pub fn move_unit(&mut self, unit: &str, below: &str) -> Outcome {
        let (old, superior) = (format!("{unit},{BASE}"), format!("{below},{BASE}"));
        let (rdn, _) = parent(&old)?;
        let (rdn, new) = (rdn.to_owned(), format!("{rdn},{superior}"));
        let moved = |dn: &str| Some(format!("{}{new}", dn.strip_suffix(old.as_str())?));
        let inside = self.places.iter().filter_map(|(who, dn)| Some((who.clone(), moved(dn)?)));
        let inside: Vec<(Who, String)> = inside.collect();
        let before: Vec<String> =
            inside.iter().map(|(who, _)| self.listed_as(who)).collect::<Outcome<_>>()?;
        self.apply(&[Change::Move { dn: old.clone(), rdn, superior }])?;
        for ((who, dn), old_value) in inside.into_iter().zip(before) {
            self.places.insert(who.clone(), dn);
            self.rename_member(&who, &who, &old_value)?;
        }
        Ok(())
    }

    fn relocate(&mut self, who: &Who, new: &Who, rdn: &str, superior: &str) -> Outcome {
        let (old_dn, old_value) = (self.place(who)?, self.listed_as(who)?);
        let (dn, fresh) = (old_dn.clone(), format!("{rdn},{superior}"));
        let mut changes = vec![Change::Move { dn, rdn: rdn.to_owned(), superior: superior.to_owned() }];
        if let (Kind::Ad, true) = (self.kind, who != new) {
            let (dn, values) = (fresh.clone(), vec![new.name().to_owned()]);
            changes.push(Change::Set { dn, attribute: "sAMAccountName", values });
        }
        self.apply(&changes)?;
        self.places.remove(who);
        self.places.insert(new.clone(), fresh);
        if let (Who::Group(old), Who::Group(new)) = (who, new) {
            let listed = self.members.remove(old).unwrap_or_default();
            self.members.insert(new.clone(), listed);
        }
        self.rename_member(who, new, &old_value)
    }

    fn rename_member(&mut self, who: &Who, new: &Who, old_value: &str) -> Outcome {
        let value = self.listed_as(new)?;
        let mut changes = Vec::new();
        for (name, listed) in &mut self.members {
            for member in listed.iter_mut().filter(|member| *member == who) {
                *member = new.clone();
                let dn = self.places.get(&group(name)).cloned().unwrap_or_default();
                let attribute = self.kind.member();
                changes.push(Change::Take { dn: dn.clone(), attribute, value: old_value.to_owned() });
                changes.push(Change::Put { dn, attribute, value: value.clone() });
            }
        }
        match self.kind.keeps_groups_in_order() {
            true => self.wait_until_no_group_lists(old_value),
            false if old_value == value => Ok(()),
            false => self.apply(&changes),
        }
    }

    /// Deletes an entry. Whether groups go on listing it depends on the directory: see [`Backend::lists`].
    pub fn remove(&mut self, who: &Who) -> Outcome {
        let (dn, value) = (self.place(who)?, self.listed_as(who)?);
        self.apply(&[Change::Remove { dn }])?;
        self.places.remove(who);
        if let Who::Group(name) = who {
            self.members.remove(name);
        }
        if self.kind.keeps_groups_in_order() {
            self.members.values_mut().for_each(|listed| listed.retain(|member| member != who));
            self.wait_until_no_group_lists(&value)?;
        }
        Ok(())
    }

    /// slapd corrects its groups shortly after it has answered.
    fn wait_until_no_group_lists(&self, value: &str) -> Outcome {
        let Server::Slapd(slapd) = &self.server else {
            return Ok(());
        };
        let (unit, filter) = (format!("ou=groups,{BASE}"), format!("(member={value})"));
        let patience = Duration::from_secs(5);
        wait_until("the server to correct its groups", patience, || {
            let found = slapd.search(&["-b", &unit, &filter, "dn"]).ok()?;
            found.stdout.trim().is_empty().then_some(())
        })
    }
}

/// The first name of a DN, and the rest.
fn parent(dn: &str) -> Outcome<(&str, &str)> {
    let bare = |at: &usize| !dn.get(..*at).unwrap_or_default().ends_with('\\');
    let comma = dn.match_indices(',').map(|(at, _)| at).find(bare);
    let parts = comma.and_then(|at| Some((dn.get(..at)?, dn.get(at + 1..)?)));
    parts.ok_or_else(|| Failure::new(format!("{dn:?} has no parent")))
}
