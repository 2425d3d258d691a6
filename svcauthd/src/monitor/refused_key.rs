//! What the keys command says about a refused key. It runs as the user svcauth and cannot write to the spool, so the daemon
//! does it: from a few checked fields, and as nothing but a refused key.

use svcauth_core::audit::{Event, Record};
use svcauth_core::name::{check_account, check_login};
use svcauth_core::origin::Fingerprint;
use svcauth_core::policy::Reason;
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;

use crate::control::RefusedKey;

/// The record; `None` when a field is not what the keys command writes.
pub(super) fn record(refused: &RefusedKey, pid: Option<u32>) -> Option<Record> {
    let RefusedKey { account, reason, owner, fingerprint, generation, age_seconds } = refused;
    let reason: Reason = reason.parse().ok()?;
    let fingerprint: Fingerprint = fingerprint.parse().ok()?;
    check_account(account.as_bytes()).ok()?;
    owner.as_ref().map_or(Ok(()), |owner| check_login(owner.as_bytes())).ok()?;
    Some(Record {
        event: Event::KeyRefused,
        time: Some(Clock::now().wall.saturating_mul(1_000_000)),
        reason: Some(reason.code().to_owned()),
        account: Some(account.clone()),
        origin: owner.clone(),
        key_fingerprint: Some(fingerprint.to_string()),
        service: Some("sshd".to_owned()),
        generation: Some(*generation),
        age_seconds: *age_seconds,
        host: host_names().into_iter().next(),
        pid,
        ..Record::default()
    })
}

#[cfg(test)]
mod tests {
    use super::{RefusedKey, record};

    fn refused() -> RefusedKey {
        RefusedKey {
            account: "deployer".to_owned(),
            reason: "not_in_role".to_owned(),
            owner: Some("carol".to_owned()),
            fingerprint: format!("SHA256:{}", "A".repeat(43)),
            generation: 7,
            age_seconds: Some(3),
        }
    }

    #[test]
    fn a_refused_key_becomes_the_record_of_a_refused_key_and_of_nothing_else() {
        let record = record(&refused(), Some(9)).unwrap();
        let line = record.to_line();
        assert!(line.starts_with("key_refused account=deployer origin=carol reason=not_in_role key=SHA256:"));
        assert!(
            line.contains(" pid=9 proven=no") && record.is_refusal() && record.decision.is_none(),
            "{line}"
        );
    }

    #[test]
    fn fields_that_the_keys_command_never_writes_make_no_record() {
        let long = "x".repeat(200);
        for bad in [
            RefusedKey { account: "dep loyer".to_owned(), ..refused() },
            RefusedKey { account: "root".to_owned(), ..refused() },
            RefusedKey { account: long.clone(), ..refused() },
            RefusedKey { reason: "because".to_owned(), ..refused() },
            RefusedKey { owner: Some("carol\n".to_owned()), ..refused() },
            RefusedKey { owner: Some(long), ..refused() },
            RefusedKey { fingerprint: "MD5:00".to_owned(), ..refused() },
        ] {
            assert_eq!(record(&bad, None), None, "{bad:?}");
        }
    }
}
