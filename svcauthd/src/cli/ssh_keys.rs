//! `svcauth ssh-keys`: sshd asks with an offered key, and gets it back only if its owner may use the account.
//!
//! An offered key proves nothing (anybody can offer anybody's public key): a refusal here is recorded as `key_refused
//! ... proven=no`, never as somebody's login, and the session phase decides again on the key that sshd saw proven. Exit
//! status is 0 also for a refused key: to sshd_config(5) anything else is a broken command.

use std::process::ExitCode;

use svcauth_core::audit::{Event, Record};
use svcauth_core::origin::PublicKey;
use svcauth_core::policy::{Circumstances, Decision, Origin, Reason, Source, decide, granting};
use svcauth_core::snapshot::Invalid;
use svcauth_host::audit;
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;
use svcauth_host::snapshot_file::open_access;
use svcauth_host::{confirmed, paths};

use nix::unistd::geteuid;

use super::client::tell;
use super::output::{Failure, json, line};
use super::{Done, SshKeysArgs};
use crate::control::{RefusedKey, Request};
use crate::limits;

/// What is known about a refused key.
struct Refusal {
    reason: Reason,
    owner: Option<String>,
    fingerprint: String,
    generation: u64,
    age: Option<u64>,
}

pub(super) fn run(args: &SshKeysArgs) -> Done {
    let offered = format!("{} {}", args.key_type, args.key);
    let answer = match PublicKey::parse(&offered) {
        Ok(key) => ask(&args.account, &key)?,
        Err(_) => Answer::NotAKey,
    };
    if let Answer::Refused(refusal) = &answer {
        record(args, refusal);
    }
    if args.json.json {
        json(&shown(args, &answer))?;
    } else if let Answer::Accepted { options, .. } = answer {
        line(&options.map_or_else(|| offered.clone(), |options| format!("{options} {offered}")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What sshd's question comes to.
enum Answer {
    /// The owner may use the account; with what goes before the key if all rules that say so limit him.
    Accepted { owner: String, options: Option<String> },
    /// The owner may not, or there is none.
    Refused(Refusal),
    /// Not an account of ours: sshd goes by its own files.
    NotManaged,
    /// Not a key of a kind that svcauth knows.
    NotAKey,
}

/// The answer for people and scripts that try the command by hand.
fn shown(args: &SshKeysArgs, answer: &Answer) -> serde_json::Value {
    let (decision, reason, origin) = match answer {
        Answer::Accepted { owner, .. } => (Some("allow"), None, Some(owner.as_str())),
        Answer::Refused(refusal) => (Some("deny"), Some(refusal.reason.code()), refusal.owner.as_deref()),
        Answer::NotManaged => (None, Some("not_managed"), None),
        Answer::NotAKey => (None, Some("not_a_key"), None),
    };
    let options = match answer {
        Answer::Accepted { options, .. } => options.as_deref(),
        _ => None,
    };
    serde_json::json!({
        "account": args.account, "decision": decision, "reason": reason, "origin": origin, "options": options
    })
}

fn ask(account: &str, key: &PublicKey) -> Result<Answer, Failure> {
    let snapshot =
        open_access().map_err(|error| Failure::new(format!("{}: {error}", paths::ACCESS_SNAPSHOT)))?;
    let damaged = |error: Invalid| Failure::new(format!("{}: {error}", paths::ACCESS_SNAPSHOT));
    let Some(account) = snapshot.account(account).map_err(damaged)? else {
        return Ok(Answer::NotManaged);
    };
    let policy = snapshot.policy().map_err(damaged)?;
    let owner = snapshot.person_by_key(&key.fingerprint()).map_err(damaged)?;
    let now = Clock::now();
    let names = host_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let age = confirmed::age(snapshot.header(), &now);
    let at = Circumstances {
        service: Some("sshd"),
        hosts: &names,
        source: Source::NotYetKnown,
        now: snapshot.header().not_before(now.wall),
        age,
    };
    let origin =
        owner.as_ref().map_or(Origin::Unproven(Reason::UnknownKey), |known| Origin::Person(&known.person));
    let decision = decide(&policy, &account, origin, &at).decision;
    let options = limits::options(&granting(&policy, &account, origin, &at));
    let owner = owner.map(|known| known.person.login);
    Ok(match (decision, owner) {
        (Decision::Allow, Some(owner)) => Answer::Accepted { owner, options },
        (Decision::Allow, None) => {
            return Err(Failure::new("a key of nobody was allowed; this is a fault of svcauth"));
        }
        (Decision::Deny(reason), owner) => Answer::Refused(Refusal {
            reason,
            owner,
            fingerprint: key.fingerprint().to_string(),
            generation: snapshot.header().generation,
            age: age.0,
        }),
    })
}

fn record(args: &SshKeysArgs, refusal: &Refusal) {
    let record = Record {
        event: Event::KeyRefused,
        time: Some(Clock::now().wall.saturating_mul(1_000_000)),
        reason: Some(refusal.reason.code().to_owned()),
        account: Some(args.account.clone()),
        origin: refusal.owner.clone(),
        key_fingerprint: Some(refusal.fingerprint.clone()),
        service: Some("sshd".to_owned()),
        generation: Some(refusal.generation),
        age_seconds: refusal.age,
        host: host_names().into_iter().next(),
        pid: Some(std::process::id()),
        ..Record::default()
    };
    // The key is refused whether or not anybody takes the record.
    let _ = audit::write(&record);
    if !geteuid().is_root() {
        tell(&Request::KeyRefused(RefusedKey {
            account: args.account.clone(),
            reason: refusal.reason.code().to_owned(),
            owner: refusal.owner.clone(),
            fingerprint: refusal.fingerprint.clone(),
            generation: refusal.generation,
            age_seconds: refusal.age,
        }));
    }
}
