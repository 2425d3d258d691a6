//! `svcauth roles`: which group each role of the access rules is, and the word of an administrator that another one is.

use std::process::ExitCode;

use serde::Serialize;
use svcauth_core::policy::Role;

use super::client::ask;
use super::output::{Failure, json, line, table};
use super::snapshot::{self, damaged};
use super::{Done, RolesArgs, RolesCommand};
use crate::control::{Reply, Request};

#[derive(Serialize)]
struct Row {
    role: String,
    group: Option<String>,
    id: Option<String>,
    state: &'static str,
    new_id: Option<String>,
}

pub(super) fn run(args: &RolesArgs) -> Done {
    match &args.command {
        Some(RolesCommand::Approve { role }) => approve(role, args.json.json),
        None => list(args.json.json),
    }
}

fn list(as_json: bool) -> Done {
    let policy = snapshot::open()?.policy().map_err(damaged)?;
    let mut rows: Vec<Row> = policy.roles.iter().flat_map(rows).collect();
    rows.sort_by(|a, b| a.role.cmp(&b.role));
    if as_json {
        json(&rows)?;
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        table(&["ROLE", "STATE", "GROUP", "ID", "NEW ID"], &cells)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A row for each word that access rules have for it.
fn rows(role: &Role) -> impl Iterator<Item = Row> {
    let state = state(role);
    role.words.iter().map(move |word| Row {
        role: word.clone(),
        group: role.id.as_ref().map(|_| role.name.clone()),
        id: role.id.clone().or_else(|| role.remembered.clone()),
        state,
        new_id: role.namesake.clone(),
    })
}

const fn state(role: &Role) -> &'static str {
    match (&role.id, &role.namesake) {
        (Some(_), _) => "ok",
        (None, Some(_)) => "re-created",
        (None, None) => "missing",
    }
}

fn cells(row: &Row) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    vec![row.role.clone(), row.state.to_owned(), text(&row.group), text(&row.id), text(&row.new_id)]
}

fn approve(role: &str, as_json: bool) -> Done {
    match ask(&Request::Approve { role: role.to_owned() }, None)? {
        Reply::Approved { id, generation } if as_json => {
            json(&serde_json::json!({ "role": role, "id": id, "generation": generation }))?;
        }
        Reply::Approved { id, generation } => {
            line(&format!("{role} is the group {id} from generation {generation} on"))?;
        }
        Reply::Failed { reason } => return Err(Failure::new(reason)),
        Reply::Status(_) | Reply::Progress(_) | Reply::Synced { .. } | Reply::Noted {} => {
            return Err(Failure::new("svcauthd gave an answer to another question; is it of this version?"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
