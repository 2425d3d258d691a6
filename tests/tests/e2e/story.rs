//! What the records of one session say, from the decision to its end, and the entry of the registry while it lives.

use std::fs;

use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::log::Record;
use svcauth_tests::world::World;

use crate::host::Plan;

const SESSIONS: &str = "/run/svcauth/sessions";

/// The records since a mark of the log, of one service.
pub(crate) struct Story<'a> {
    world: &'a World,
    mark: usize,
    service: &'a str,
}

impl<'a> Story<'a> {
    pub(crate) fn since(world: &'a World, mark: usize, service: &'a str) -> Self {
        Self { world, mark, service }
    }

    /// Somebody was let in, and every record of that session says these pairs: its decision, its start and its end. The
    /// roles are the decision's own.
    pub(crate) fn allowed(&self, expected: &[(&str, &str)]) -> Outcome<Record> {
        let decision = self.wait("allow", expected)?;
        let session = decision.get("session").to_owned();
        require(!session.is_empty(), || decision.line.clone())?;
        let mut later: Vec<(&str, &str)> =
            expected.iter().copied().filter(|(key, _)| *key != "role").collect();
        later.push(("session", &session));
        self.wait("start", &later)?;
        self.wait("end", &later)?;
        Ok(decision)
    }

    /// Somebody was refused; the record says these pairs and names nobody beyond them.
    pub(crate) fn denied(&self, expected: &[(&str, &str)]) -> Outcome<Record> {
        let record = self.wait("deny", expected)?;
        let may_name = expected.iter().any(|(key, _)| *key == "origin");
        require(may_name || record.get("origin").is_empty(), || {
            format!("a name was made up: {}", record.line)
        })?;
        Ok(record)
    }

    fn wait(&self, verb: &str, expected: &[(&str, &str)]) -> Outcome<Record> {
        let pairs = [expected, &[("service", self.service)]].concat();
        self.world.log().wait_for(self.mark, verb, &pairs)
    }
}

/// No record since the mark has this origin, and no entry of the registry this person.
pub(crate) fn no_decision_names(world: &World, mark: usize, person: &str) -> Outcome {
    let named = |record: &Record| record.get("origin") == person && record.verb != "key_refused";
    let records: Vec<String> =
        world.log().records_since(mark).into_iter().filter(named).map(|record| record.line).collect();
    require_eq(&format!("records that name {person}"), &records, &Vec::<String>::new())?;
    let entries: Vec<String> =
        registry()?.into_iter().filter(|entry| entry.contains(&format!("\nperson {person}\n"))).collect();
    require_eq(&format!("sessions of {person}"), &entries, &Vec::<String>::new())
}

/// The entries of the registry, as they stand.
pub(crate) fn registry() -> Outcome<Vec<String>> {
    let folders = fs::read_dir(SESSIONS)?.flatten();
    let files =
        folders.filter_map(|folder| fs::read_dir(folder.path()).ok()).flat_map(|folder| folder.flatten());
    Ok(files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect())
}

/// Accounts jenkins and database beside deployer, under the same rule.
pub(crate) fn three_accounts(plan: &mut Plan) -> Outcome {
    plan.site.directory.account("jenkins", 7002, 7000);
    plan.site.directory.account("database", 7003, 7000);
    plan.site.configure(
        "accounts = [\"deployer\"]                 #",
        "accounts = [\"deployer\", \"jenkins\", \"database\"] #",
    )
}
