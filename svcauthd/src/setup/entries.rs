//! Where in the tree accounts, groups and people are, and which ids the accounts have.

use svcauth_core::id::IdRange;

use super::Setup;
use super::choose::{self, Places};
use super::talk::Stop;
use crate::directory::look::Census;

/// Most places of which one is chosen.
const SHOWN: usize = 12;

impl Setup<'_> {
    /// Looks at the directory and fills in bases and ids. A step that failed can be tried anew with another answer.
    pub(super) fn entries(&mut self) -> Result<(), Stop> {
        self.talk.say("Looking at the directory:")?;
        let census = loop {
            let loaded = self.loaded()?;
            match self.look(&loaded) {
                Ok(census) => break census,
                Err(why) if self.talk.can_ask() => self.repair(why)?,
                Err(why) => return Err(why),
            }
        };
        self.bases(&census)?;
        self.ids(&census)
    }

    /// Asks for what can be another answer after a step has failed.
    fn repair(&mut self, why: Stop) -> Result<(), Stop> {
        let failed = self.report.steps.iter().rfind(|step| !step.ok).map(|step| step.what.clone());
        let next = self.report.steps.iter().rfind(|step| !step.ok).and_then(|step| step.next.clone());
        self.talk.say(&format!("          next        {}", next.unwrap_or_default()))?;
        let is_simple = self.answers.bind.as_deref() == Some("simple");
        match failed.as_deref() {
            Some("tls") => {
                let file = self.another("PEM file with the authority's certificate", why)?;
                match self.visible("--ca-file", Some(file.clone())) {
                    Ok(()) => self.answers.ca_file = Some(file),
                    Err(hidden) => self.talk.say(&hidden.to_string())?,
                }
                Ok(())
            }
            Some("bind") if is_simple => {
                let known = self.answers.bind_dn.clone();
                let dn = self.talk.ask("Name (DN) to bind with?", known.as_deref())?;
                self.secret = Some(self.talk.ask_secret(&format!("Password of {dn} (it is not shown)?"))?);
                self.answers.bind_dn = Some(dn);
                Ok(())
            }
            Some("dns") => {
                self.answers.domain = Some(self.another("Another domain", why)?);
                Ok(())
            }
            Some("name" | "connection") if self.answers.domain.is_none() => {
                self.answers.uri = vec![self.another("URI of another server", why)?];
                Ok(())
            }
            _ => Err(why),
        }
    }

    /// Another answer; an empty one ends it all for the reason that there was.
    fn another(&mut self, what: &str, why: Stop) -> Result<String, Stop> {
        let answer = self.talk.ask(&format!("{what} (empty: stop)?"), Some(""))?;
        if answer.is_empty() { Err(why) } else { Ok(answer) }
    }

    fn bases(&mut self, census: &Census) -> Result<(), Stop> {
        let is_file = self.answers.kind.as_deref() == Some("ldif");
        let given = self.answers.accounts_base.take();
        let accounts = self.base(given, "--accounts-base", "accounts", &choose::accounts(census), is_file)?;
        let given = self.answers.groups_base.take();
        let groups = self.base(given, "--groups-base", "groups", &choose::groups(census), is_file)?;
        let given = self.answers.people_base.take();
        let found = choose::people(census, accounts.as_deref().unwrap_or_default());
        let people = self.base(given, "--people-base", "people", &found, is_file)?;
        (self.answers.accounts_base, self.answers.groups_base, self.answers.people_base) =
            (accounts, groups, people);
        Ok(())
    }

    /// One base; of a file none is the whole file.
    fn base(
        &mut self,
        given: Option<String>,
        option: &str,
        what: &str,
        found: &Places,
        is_file: bool,
    ) -> Result<Option<String>, Stop> {
        if given.is_some() {
            return Ok(given);
        }
        if found.all.is_empty() && !self.talk.can_ask() {
            let why = format!(
                "no {what} were found, where the bind user may look; if they are elsewhere: {option} DN"
            );
            return if is_file { Ok(None) } else { Err(Stop::Failed(why)) };
        }
        let shown: Vec<String> =
            found.all.iter().take(SHOWN).map(|(dn, count)| format!("{dn} ({count})")).collect();
        if !self.talk.can_ask() && found.default.is_none() {
            let why = format!("{option} is missing: {what} may be in any of these: {}", shown.join("; "));
            return Err(Stop::Usage(why));
        }
        if self.talk.can_ask() && found.default.is_none() {
            self.talk.say(&format!("Entries that may be {what} are in:"))?;
            for line in &shown {
                self.talk.say(&format!("  {line}"))?;
            }
        }
        let question = format!("Where are the {what} (DN)?");
        self.answer(None, option, &question, found.default.as_deref()).map(Some)
    }

    fn ids(&mut self, census: &Census) -> Result<(), Stop> {
        let base = self.answers.accounts_base.clone().unwrap_or_default();
        if self.answers.kind.as_deref() == Some("ad") && self.answers.id_map.is_none() {
            let has_uid = choose::id_range(census, &base, false, &Default::default()).is_ok();
            let default = if has_uid { "posix" } else { "sid" };
            let question = "Ids from uidNumber and gidNumber (posix), or computed as sssd does (sid)?";
            self.answers.id_map = Some(self.answer(None, "--id-map", question, Some(default))?);
        }
        if let Some(range) = &self.answers.id_range {
            let range: IdRange =
                range.parse().map_err(|error| Stop::Usage(format!("--id-range {range}: {error}")))?;
            return self.free(range);
        }
        let by_sid = self.answers.id_map.as_deref() == Some("sid");
        let mut offered = match choose::id_range(census, &base, by_sid, &self.local) {
            // Of a file that is made to try, everything is known.
            Ok(range) if !self.talk.can_ask() || self.trial.is_some() => {
                self.answers.id_range = Some(range.to_string());
                return Ok(());
            }
            Ok(range) => Some(range.to_string()),
            Err(why) if !self.talk.can_ask() => return Err(Stop::Failed(why)),
            Err(why) => {
                self.talk.say(&why)?;
                None
            }
        };
        loop {
            let asked = self.talk.ask("Ids of managed accounts and groups?", offered.as_deref())?;
            let range = asked.parse::<IdRange>().map_err(|error| format!("{asked}: {error}"));
            match range.and_then(|range| self.free(range).map(|()| range).map_err(|why| why.to_string())) {
                Ok(range) => {
                    self.answers.id_range = Some(range.to_string());
                    return Ok(());
                }
                Err(why) => self.talk.say(&why)?,
            }
            offered = None;
        }
    }

    fn free(&self, range: IdRange) -> Result<(), Stop> {
        choose::taken(range, &self.local)
            .map_or(Ok(()), |who| Err(Stop::Failed(choose::in_the_way(range, &who))))
    }
}
