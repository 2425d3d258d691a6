//! What entries mean, and that whatever is odd is refused by name.

mod ad;
mod people;
mod sid;
mod state;

use super::map;
use crate::candidate::Candidate;
use crate::directory::{Entry, Fetched, ldif};
use crate::local_names::LocalNames;
use svcauth_core::config::Config;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const ACCOUNT: &str = "uid: deployer\nuidNumber: 7001\ngidNumber: 7001\n";

fn entries(text: &str) -> Vec<Entry> {
    ldif::parse(text.as_bytes()).unwrap()
}

fn mapped_with(accounts: &str, groups: &str, people: &str, config: &str) -> Candidate {
    let text =
        format!("[directory]\nkind = \"ldif\"\n{config}\n[[access]]\naccounts = [\"*\"]\nroles = []\n");
    let local = LocalNames::parse(
        "root:x:0:0::/:\npostgres:x:105:110::/:\njoe:x:7500:7500::/:\ntoor:x:0:0::/:\n",
        "root:x:0:\nsudo:x:27:\nstaff:x:7600:\n",
    );
    let fetched = Fetched {
        server: "test".into(),
        accounts: entries(accounts),
        groups: entries(groups),
        people: entries(people),
        domain: None,
    };
    map(fetched, &Config::parse(&text).unwrap(), &local)
}

fn mapped(accounts: &str, groups: &str, people: &str) -> Candidate {
    mapped_with(accounts, groups, people, "")
}

fn refusals(candidate: &Candidate) -> Vec<String> {
    candidate
        .refused
        .iter()
        .map(|refusal| format!("{} | {} | {}", refusal.dn, refusal.what, refusal.why))
        .collect()
}

/// The refusal of the one account `uid=x` with these lines.
fn account_refusal(lines: &str) -> String {
    let candidate = mapped(&format!("dn: uid=x\n{lines}"), "", "");
    assert!(candidate.accounts.is_empty(), "{lines}");
    refusals(&candidate).join(" && ")
}

#[test]
fn an_account_is_taken_over_as_it_is_written() {
    let text = format!(
        "dn: UID=Deployer, OU=Accounts\n{ACCOUNT}gecos: Deployment\nhomeDirectory: /srv/deployer\nloginShell: /bin/sh\n\
         memberOf: CN=App, DC=x\nentryUUID: 5b2b1a9a-3c4d-103e-8f00-0123456789ab\nshadowExpire: 20000\n"
    );
    let candidate = mapped(&text, "", "");
    assert_eq!(refusals(&candidate), [] as [&str; 0]);
    let [account] = candidate.accounts.as_slice() else { panic!("one account") };
    assert_eq!((account.dn.as_str(), account.name.as_str()), ("uid=deployer,ou=accounts", "deployer"));
    assert_eq!(account.id, "5b2b1a9a-3c4d-103e-8f00-0123456789ab");
    assert_eq!((account.uid, account.gid), (7001, 7001));
    assert_eq!(
        (account.gecos.as_str(), account.home.as_str(), account.shell.as_str()),
        ("Deployment", "/srv/deployer", "/bin/sh")
    );
    assert_eq!(account.member_of, ["cn=app,dc=x"]);
    assert_eq!((account.disabled, account.expires), (false, Some(20_000 * 86_400)));
}

#[test]
fn what_an_account_leaves_out_comes_from_the_configuration() {
    let candidate = mapped(&format!("dn: uid=deployer\n{ACCOUNT}cn: De:ployer\ncn: Deployer\n"), "", "");
    let [account] = candidate.accounts.as_slice() else { panic!("one account") };
    assert_eq!((account.home.as_str(), account.shell.as_str()), ("/home/deployer", "/bin/bash"));
    assert_eq!((account.id.as_str(), account.gecos.as_str()), ("uid=deployer", "Deployer"));
}

#[test]
fn ids_that_no_directory_may_hand_out_are_refused_and_none_is_truncated() {
    for id in [
        "0",
        "1",
        "999",
        "6999",
        "8000",
        "65534",
        "2147483648",
        "4294967294",
        "4294967295",
        "4294967296",
        "4294974297",
        "-1",
        "+7001",
        "07001",
        "7e3",
        "99999999999999999999",
        "\u{667}001",
    ] {
        for (attribute, other) in [("uidNumber", "gidNumber"), ("gidNumber", "uidNumber")] {
            let refusal = account_refusal(&format!("uid: x\n{attribute}: {id}\n{other}: 7001\n"));
            assert!(refusal.starts_with(&format!("uid=x | {attribute} | \"{id}\": is ")), "{refusal}");
        }
    }
    assert_eq!(account_refusal("uid: x\ngidNumber: 7001\n"), "uid=x | uidNumber | is missing");
    assert_eq!(
        account_refusal("uid: x\nuidNumber: 7001\nuidNumber: 7002\n"),
        "uid=x | uidNumber | has 2 values; one is expected"
    );
    assert_eq!(
        account_refusal("uid: x\nuidNumber: 7500\ngidNumber: 7001\n"),
        "uid=x | uidNumber | \"7500\": is the uid of a user of this host"
    );
}

#[test]
fn names_of_this_host_and_names_that_are_none_are_refused() {
    for name in ["root", "ROOT", "postgres", "Postgres", "a:b", "../x", "-x", "0day", "a b", "a$", "\u{e4}"] {
        let refusal = account_refusal(&format!("uid: {name}\nuidNumber: 7001\ngidNumber: 7001\n"));
        assert!(refusal.starts_with(&format!("uid=x | uid | \"{name}\": ")), "{refusal}");
    }
    let newline = account_refusal("uid:: YQpi\nuidNumber: 7001\n");
    assert_eq!(newline, "uid=x | uid | \"a\nb\": the name holds a character that is not allowed in it");
    let long = account_refusal(&format!("uid: {}\nuidNumber: 7001\n", "a".repeat(4000)));
    assert_eq!(long, format!("uid=x | uid | \"{}...\": the name is longer than 32 bytes", "a".repeat(80)));
}

#[test]
fn fields_that_would_break_a_passwd_line_are_refused() {
    for (attribute, value) in [
        ("gecos", "a:b"),
        ("homeDirectory", "srv/x"),
        ("homeDirectory", "/"),
        ("homeDirectory", "/home/../root"),
        ("homeDirectory", "/home/a:b"),
        ("loginShell", "bash"),
        ("loginShell", "/bin/sh\u{1b}[0m"),
    ] {
        let refusal = account_refusal(&format!("{ACCOUNT}{attribute}: {value}\n"));
        assert!(refusal.starts_with(&format!("uid=x | {attribute} | \"")), "{refusal}");
    }
    assert!(
        account_refusal(&format!("{ACCOUNT}loginShell:: L2Jpbi9zaAovYg==\n")).contains("\"/bin/sh\n/b\"")
    );
    assert!(account_refusal(&format!("{ACCOUNT}gecos:: /w==\n")).contains("\"\\xff\": "));
    assert!(account_refusal(&format!("{ACCOUNT}gecos: {}\n", "x".repeat(257))).contains("longer than 256"));
    assert!(account_refusal(&format!("{ACCOUNT}memberOf: nonsense\n")).contains("memberOf"));
}

#[test]
fn a_local_account_keeps_its_own_ids_and_root_is_never_one() {
    let config = "[accounts]\nlocal_accounts = [\"postgres\", \"toor\", \"ghost\"]";
    let text = "dn: uid=postgres\nuid: postgres\nuidNumber: 0\n\ndn: uid=toor\nuid: toor\n\ndn: uid=ghost\nuid: ghost\nuidNumber: 7001\ngidNumber: 7001\n";
    let candidate = mapped_with(text, "", "", config);
    let found: Vec<_> = candidate.accounts.iter().map(|a| (a.name.as_str(), a.uid, a.gid)).collect();
    assert_eq!(found, [("postgres", 105, 110)]);
    assert_eq!(
        refusals(&candidate),
        [
            "uid=ghost | uid | \"ghost\": is in local_accounts, but not in /etc/passwd",
            "uid=toor | uid | \"toor\": has uid 0 on this host; root is never managed",
        ]
    );
}
