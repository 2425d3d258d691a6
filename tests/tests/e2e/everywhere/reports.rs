//! What reports say is what PAM and `svcauth explain` say.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use svcauth_tests::backend::{State, group, person};
use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::site::{list_at, svcauth, text_at};

use super::scene::Scene;

/// Every service of the rules of these scenarios, one that proves nobody, and `su -`.
const SERVICES: &[&str] = &["sshd", "su", "su-l", "sudo", "sudo-i", "login"];

fn report(words: &[&str]) -> Outcome<Value> {
    let ended = svcauth(&[words, &["--format", "json"]].concat())?.expect_ok()?;
    serde_json::from_str(&ended.stdout).map_err(|error| Failure::new(format!("{error}\n{}", ended.report())))
}

/// Whether a row of the report is about a service: `su` stands for `su -`, too.
fn covers(row: &Value, service: &str) -> bool {
    let base = service.trim_end_matches("-l").trim_end_matches("-i");
    list_at(row, "/services").iter().filter_map(Value::as_str).any(|word| word == service || word == base)
}

pub(super) fn the_access_report_lists_exactly_those_whom_explain_allows(scene: &mut Scene<'_>) -> Outcome {
    for login in ["rae", "rio", "roy", "rex"] {
        scene.person(login)?;
    }
    for name in ["rep-one", "rep-two", "rep-three"] {
        scene.account(name)?;
    }
    scene.group("rep-inner", &[person("rio"), person("rex")])?;
    scene.group("rep-outer", &[person("rae"), group("rep-inner")])?;
    scene.group("rep-other", &[person("roy"), person("rae")])?;
    scene.allow("rep-one", "rep-outer");
    scene.rule("rep-two", "roles = [\"rep-outer\", \"rep-other\"]\nneed = \"every\"");
    scene.directory.set_state(&person("rex"), State::Disabled)?;
    scene.publish()?;
    scene.is_in("rae", "rep-one", "rep-outer")?;
    let report = report(&["report", "access"])?;
    let people = ["rae", "rio", "roy", "rex", "alice", "carol"];
    let mut allowed = BTreeSet::new();
    for account in ["rep-one", "rep-two", "rep-three", "deployer"] {
        for (login, service) in people.iter().flat_map(|login| SERVICES.iter().map(move |word| (login, word)))
        {
            let explained = svcauth(&["explain", login, account, "--service", service])?;
            let is_it = |row: &&Value| {
                text_at(row, "/account") == account
                    && text_at(row, "/person") == *login
                    && covers(row, service)
            };
            let is_listed = list_at(&report, "/access").iter().any(|row| is_it(&row));
            require_eq(&format!("{login} as {account} by {service}"), &is_listed, &explained.ok())?;
            allowed.extend(is_listed.then_some((account, *login)));
        }
    }
    require(allowed.contains(&("rep-two", "rae")) && !allowed.contains(&("rep-two", "roy")), || {
        format!("{allowed:?}")
    })?;
    suspended_and_paths(scene, &report)
}

fn suspended_and_paths(scene: &Scene<'_>, report: &Value) -> Outcome {
    let row = |list: &str, login: &str| {
        let mut rows = list_at(report, list).iter();
        let found =
            rows.find(|row| text_at(row, "/person") == login && text_at(row, "/account") == "rep-one");
        found.cloned().unwrap_or_default()
    };
    let nests = scene.kind().nests_groups();
    let way = ["rep-inner", "rep-outer"].map(Value::from).to_vec();
    let path = |row: &Value| list_at(row, "/roles/0/path").to_vec();
    require_eq(
        "the way of rio",
        &path(&row("/access", "rio")),
        &if nests { way.clone() } else { Vec::new() },
    )?;
    require_eq("rex with access", &row("/access", "rex"), &Value::Null)?;
    let reason = if nests { "person_disabled" } else { "" };
    require_eq("why rex is suspended", text_at(&row("/suspended", "rex"), "/reason"), reason)
}

pub(super) fn keys_in_local_files_are_told_by_whose_they_are_and_access_by_who_used_it(
    scene: &mut Scene<'_>,
) -> Outcome {
    scene.person("kim")?;
    scene.person("kurt")?;
    scene.account("keyed")?;
    scene.person("kora")?;
    scene.group("keepers", &[person("kim"), person("kora")])?;
    scene.allow("keyed", "keepers");
    let stray = scene.new_key("stray")?;
    scene.publish()?;
    scene.is_in("kim", "keyed", "keepers")?;
    scene.is_out("kurt", "keyed", "not_in_role")?;
    let report = report_with_login_of(scene, "kim")?;
    let state = |account: &str, fingerprint: &str| {
        let is_it =
            |row: &&Value| text_at(row, "/account") == account && text_at(row, "/fingerprint") == fingerprint;
        let row = list_at(&report, "/local_keys").iter().find(is_it).cloned().unwrap_or_default();
        (text_at(&row, "/state").to_owned(), text_at(&row, "/owner").to_owned())
    };
    // Every key is in one file, which sshd reads for every account.
    for (account, key, told) in [
        ("keyed", scene.key("kim")?, ("owned", "kim")),
        ("keyed", scene.key("kurt")?, ("no_access", "kurt")),
        ("deployer", scene.key("kim")?, ("no_access", "kim")),
        ("keyed", &stray, ("nobody", "")),
    ] {
        let (state, owner) = state(account, key.fingerprint());
        require_eq(&format!("{account} {told:?}"), &(state.as_str(), owner.as_str()), &told)?;
    }
    let unused =
        |list: &str, login: &str| list_at(&report, list).iter().any(|row| text_at(row, "/person") == login);
    require(unused("/unused_access", "kora") && unused("/unused_keys", "kora"), || report.to_string())?;
    require(unused("/unused_keys", "kurt") && !unused("/unused_access", "kurt"), || report.to_string())?;
    require(!unused("/unused_access", "kim"), || report.to_string())
}

/// The report once the daemon has put the login of a person into the trail.
fn report_with_login_of(scene: &Scene<'_>, login: &str) -> Outcome<Value> {
    let key = scene.key(login)?.fingerprint();
    let is_used = |report: &Value| {
        let has = |row: &Value| text_at(row, "/fingerprint") == key;
        !text_at(report, "/trail/since").is_empty() && !list_at(report, "/unused_keys").iter().any(has)
    };
    wait_until("the login in the trail", Duration::from_secs(60), || {
        report(&["report", "keys"]).ok().filter(|report| is_used(report))
    })
}
