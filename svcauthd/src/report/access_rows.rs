//! The access report for scripts: rows for tables and CSV, one object of JSON.

use std::io::{self, Write};

use serde::Serialize;
use svcauth_core::policy::Need;

use super::about::About;
use super::access::{Grant, Inventory, Job, Which, Wish};
use super::json::List;
use super::summary::Summary;

/// The heads of the columns of a table.
pub const HEAD: [&str; 8] = ["ACCOUNT", "PERSON", "ROLE", "PATH", "RULE", "SERVICES", "FROM", "STATE"];

/// The state of a row that counts.
pub const ALLOWED: &str = "allowed";

/// The cells of a row, not yet escaped for where they go.
#[must_use]
pub fn cells(grant: &Grant<'_>) -> [String; 8] {
    let names: Vec<&str> = grant.roles.iter().map(|role| role.name).collect();
    let paths: Vec<String> = grant.roles.iter().map(|role| role.path.join(" > ")).collect();
    [
        grant.account.name.clone(),
        grant.person.login.clone(),
        names.join(", "),
        paths.join(", "),
        grant.rule.line.to_string(),
        grant.services.join(" "),
        from(grant),
        grant.suspended.map_or(ALLOWED, svcauth_core::policy::Reason::code).to_owned(),
    ]
}

/// The state of a row about jobs of the account itself, in which nobody is the person.
pub const JOB: &str = "job";

/// The same for jobs of the account itself.
#[must_use]
pub fn job_cells(job: &Job<'_>) -> [String; 8] {
    let [account, line] = [job.account.name.clone(), job.rule.line.to_string()];
    let services = job.services.join(" ");
    [account, String::new(), String::new(), String::new(), line, services, String::new(), JOB.to_owned()]
}

/// The addresses of a rule; `anywhere` when it names none.
#[must_use]
pub fn from(grant: &Grant<'_>) -> String {
    if grant.rule.from.is_empty() {
        return "anywhere".to_owned();
    }
    let networks: Vec<String> = grant.rule.from.iter().map(ToString::to_string).collect();
    networks.join(" ")
}

#[derive(Serialize)]
struct Row<'a> {
    account: &'a str,
    uid: Option<u32>,
    person: &'a str,
    person_id: &'a str,
    rule: u32,
    need: &'static str,
    roles: Vec<Role<'a>>,
    services: &'a [&'a str],
    from: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct JobRow<'a> {
    account: &'a str,
    uid: Option<u32>,
    rule: u32,
    services: &'a [&'a str],
}

#[derive(Serialize)]
struct Role<'a> {
    name: &'a str,
    id: Option<&'a str>,
    path: &'a [String],
}

fn row<'a>(grant: &'a Grant<'a>) -> Row<'a> {
    let role = |role: &super::access::ByRole<'a>| Role { name: role.name, id: role.id, path: role.path };
    Row {
        account: &grant.account.name,
        uid: grant.account.uid,
        person: &grant.person.login,
        person_id: &grant.person.id,
        rule: grant.rule.line,
        need: match grant.rule.need {
            Need::Any => "any",
            Need::Every => "every",
        },
        roles: grant.roles.iter().map(role).collect(),
        services: grant.services,
        from: grant.rule.from.iter().map(ToString::to_string).collect(),
        reason: grant.suspended.map(svcauth_core::policy::Reason::code),
    }
}

/// One object; each row on a line of its own, written as it is found.
///
/// # Errors
/// As the writer.
pub fn json(out: &mut dyn Write, about: &About, inventory: &Inventory<'_>, wish: Wish<'_>) -> io::Result<()> {
    let mut summary = Summary::default();
    super::json::open(out, about)?;
    let mut list = List::begin(out, "access")?;
    inventory.visit(Which::Access, wish, &mut |grant| {
        summary.add(grant);
        list.row(&row(grant))
    })?;
    let mut list = list.end()?.then("suspended")?;
    inventory.visit(Which::Suspended, wish, &mut |grant| {
        summary.add(grant);
        list.row(&row(grant))
    })?;
    let mut list = list.end()?.then("jobs")?;
    inventory.visit_jobs(wish, &mut |job| {
        let Job { account, rule, services } = job;
        list.row(&JobRow { account: &account.name, uid: account.uid, rule: rule.line, services })
    })?;
    list.end()?.close("counts", &summary.counts(inventory, wish))
}
