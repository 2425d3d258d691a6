//! The session that the tests of the monitor's rooms begin with.

use svcauth_host::sessions::{Process, Session, SessionOrigin};

/// A session of an account through sshd.
pub(super) fn session(account: &str, origin: SessionOrigin, from: &str) -> Session {
    Session {
        id: "4d8f1c2a-1f3-9b2e7".to_owned(),
        boot_id: "boot".to_owned(),
        audit_session: Some(7),
        process: Process { pid: 1, start: 1 },
        account: account.to_owned(),
        uid: Some(7001),
        origin,
        evidence: None,
        key_fingerprint: None,
        cert_key_id: None,
        cert_serial: None,
        cert_ca: None,
        principal: None,
        first_evidence: None,
        on_behalf_of: None,
        service: "sshd".to_owned(),
        from: Some(from.to_owned()),
        tty: None,
        chain: None,
        since: 1,
        since_boot: 1,
        generation: Some(1),
        ended: None,
    }
}
