//! The access rule: which accounts, and members of which groups.

use svcauth_core::config::Config;

use super::answers::Answers;
use super::choose::{self, Held};
use super::rehearsal::{self, Findings, Rehearsal};
use super::talk::Stop;
use super::{Setup, draft, screen};

/// Most groups of which one is offered; with more, nobody reads the list.
const GROUPS_MAX: usize = 500;
/// Most names that are shown.
const SHOWN: usize = 10;

impl Setup<'_> {
    /// Shows what was found, completes the rule, and gives the configuration that will be written.
    pub(super) fn rule(&mut self, rehearsal: &Rehearsal) -> Result<Config, Stop> {
        let config = self.loaded()?.config;
        let state = rehearsal::state(&rehearsal.candidate, &config, Vec::new());
        let found = rehearsal::findings(rehearsal, &config, &state)?;
        if self.report.findings.is_none() {
            screen::findings(&found, self.talk)?;
        }
        self.report.findings = Some(Findings { unknown: Vec::new(), ..found.clone() });
        if found.accounts.is_empty() {
            return Err(no_account(&config, &found));
        }
        if self.is_without_rule() {
            return Ok(config);
        }
        if self.answers.account.is_empty() {
            self.answers.account = self.accounts(rehearsal, &found)?;
        }
        if self.answers.role.is_empty() {
            self.answers.role = vec![self.role(rehearsal)?];
        }
        Ok(self.loaded()?.config)
    }

    /// Whether the directory alone is to be tested.
    pub(super) fn is_without_rule(&self) -> bool {
        self.options.check && self.answers.account.is_empty() && self.answers.role.is_empty()
    }

    fn accounts(&mut self, rehearsal: &Rehearsal, found: &Findings) -> Result<Vec<String>, Stop> {
        let offered = choose::account(&rehearsal.candidate).filter(|_| self.talk.can_ask());
        let all: Vec<&str> = found.accounts.iter().take(SHOWN).map(|account| account.name.as_str()).collect();
        let question = format!("Which account may be used (several with spaces; found: {})?", all.join(" "));
        let words = self.answer(None, "--account", &question, offered.as_deref())?;
        Ok(words.split_whitespace().map(str::to_owned).collect())
    }

    fn role(&mut self, rehearsal: &Rehearsal) -> Result<String, Stop> {
        let roles = self.roles(rehearsal)?;
        let offered = choose::role(&roles).filter(|_| self.talk.can_ask());
        let all: Vec<String> =
            roles.iter().take(SHOWN).map(|role| format!("{} ({} people)", role.name, role.people)).collect();
        let question = format!("Members of which group may use it (found: {})?", all.join(", "));
        self.answer(None, "--role", &question, offered.as_deref())
    }

    /// The groups that some people are in, and not all.
    fn roles(&self, rehearsal: &Rehearsal) -> Result<Vec<Held>, Stop> {
        let groups = &rehearsal.candidate.groups;
        if groups.len() > GROUPS_MAX {
            return Ok(Vec::new());
        }
        let role = groups.iter().map(|group| group.name.clone()).collect();
        let every = Answers { account: vec!["*".to_owned()], role, ..self.answers.clone() };
        let config = Config::parse(&draft::text(&every, None)).map_err(Stop::failed)?;
        Ok(choose::roles(&rehearsal::state(&rehearsal.candidate, &config, Vec::new())))
    }
}

fn no_account(config: &Config, found: &Findings) -> Stop {
    let why = found.dropped.first().map_or_else(
        || "check --accounts-base and --accounts-filter".to_owned(),
        |first| format!("the first that was dropped: {}: {}: {}", first.dn, first.what, first.why),
    );
    Stop::Failed(format!(
        "no account that may be used on this host was found below \"{}\"; {why}",
        config.accounts.search.base
    ))
}
