//! What an entry says about the time in which it may be used, and about the hosts.

use super::{ACCOUNT, account_refusal, mapped_with, refusals};

/// Disabled, expires and locked until of the one account with these lines; `keys` are of `[directory]`.
fn state(keys: &str, lines: &str) -> (bool, Option<u64>, Option<u64>) {
    let text = format!("dn: uid=x\n{ACCOUNT}{lines}\n");
    let candidate = mapped_with(&text, "", &text.replace("deployer", "bob"), keys);
    assert_eq!(refusals(&candidate), [] as [&str; 0], "{lines}");
    let [account] = candidate.accounts.as_slice() else { panic!("{lines}") };
    (account.disabled, account.expires, account.locked_until)
}

#[test]
fn disabled_locked_and_expired_are_understood() {
    const LATER: u64 = 1_738_324_800;
    for (line, found) in [
        ("", (false, None, None)),
        ("nsAccountLock: TRUE", (true, None, None)),
        ("nsAccountLock: false", (false, None, None)),
        ("pwdAccountLockedTime: 000001010000Z", (true, None, Some(u64::MAX))),
        ("pwdAccountLockedTime: 20250131120000Z", (false, None, Some(u64::MAX))),
        ("pwdStartTime: 20250131120000Z", (false, None, Some(LATER))),
        ("pwdEndTime: 20250131120000.5Z", (false, Some(LATER), None)),
        ("accountUnlockTime: 20250131120000Z", (false, None, Some(LATER))),
        ("accountUnlockTime: 19700101000000Z", (false, None, Some(u64::MAX))),
        ("krbPrincipalExpiration: 20250131120000Z", (false, Some(LATER), None)),
        ("shadowExpire: -1", (false, None, None)),
        ("shadowExpire: 0", (false, Some(0), None)),
        ("shadowExpire: 1", (false, Some(86_400), None)),
        ("shadowExpire: 30000\npwdEndTime: 20250131120000Z", (false, Some(LATER), None)),
        ("pwdStartTime: 20250131120000Z\naccountUnlockTime: 20240131120000Z", (false, None, Some(LATER))),
        // A password that has expired or must be changed keeps no key out.
        (
            "shadowLastChange: 0\nshadowMax: 1\npwdReset: TRUE\npwdChangedTime: 19990101000000Z",
            (false, None, None),
        ),
    ] {
        assert_eq!(state("", line), found, "{line}");
    }
}

#[test]
fn what_says_that_an_entry_is_out_and_cannot_be_understood_refuses_it() {
    for line in [
        "nsAccountLock: yes",
        "pwdAccountLockedTime: soon",
        "pwdStartTime: 2025",
        "pwdEndTime: 20250131120000",
        "accountUnlockTime: 0",
        "krbPrincipalExpiration: never",
        "shadowExpire: never",
        "shadowExpire: -2",
        "shadowExpire: 1\nshadowExpire: 2",
    ] {
        let (attribute, _) = line.split_once(':').unwrap();
        assert!(
            account_refusal(&format!("{ACCOUNT}{line}\n")).starts_with(&format!("uid=x | {attribute} |")),
            "{line}"
        );
    }
}

#[test]
fn a_lockout_ends_when_the_configuration_knows_how_long_one_lasts() {
    let half_an_hour = "lockout_duration = \"30m\"";
    assert_eq!(state(half_an_hour, "pwdAccountLockedTime: 20250131120000Z").2, Some(1_738_326_600));
    assert_eq!(state(half_an_hour, "pwdAccountLockedTime: 000001010000Z").2, Some(u64::MAX));
    assert_eq!(state(half_an_hour, "").2, None);
}

#[test]
fn hosts_are_read_only_where_the_configuration_names_their_attribute() {
    let hosts = |config: &str, lines: &str| {
        let candidate = mapped_with(&format!("dn: uid=x\n{ACCOUNT}{lines}"), "", "", config);
        candidate.accounts.first().map(|account| account.hosts.clone()).ok_or_else(|| refusals(&candidate))
    };
    let config = "[accounts]\nhost_attribute = \"Host\"";
    let listed = "host: web1.example.com\nhost: !db1 \nhost: *\n";
    assert_eq!(hosts("", listed), Ok(None));
    let found = ["web1.example.com", "!db1", "*"].map(str::to_owned).to_vec();
    assert_eq!(hosts(config, listed), Ok(Some(found)));
    assert_eq!(hosts(config, ""), Ok(Some(Vec::new())));
    for odd in ["host: web 1\n", "host:: AAE=\n", "host:: /w==\n", &format!("host: {}\n", "x".repeat(257))] {
        let refusal = hosts(config, odd).unwrap_err().join("");
        assert!(refusal.starts_with("uid=x | Host | \""), "{refusal}");
    }
}
