//! A connection that breaks anywhere gives nothing: what a fetch returns is the whole directory or an error.
//!
//! The end-to-end tests cut the way to a real slapd at every kilobyte; here it is finer, and without a daemon around it.

use std::time::{Duration, Instant};

use svcauth_core::config::Config;
use svcauth_tests::evil::{Evil, Fault, Flavour, Greeting, Proxy, Tree};
use svcauthd::directory::{FetchError, Fetched, fetch};

/// Entries of each kind; together they are some 30 kB.
const ENTRIES: u32 = 45;

fn ldif() -> String {
    let root = "dn: dc=x\nobjectClass: domain\n\n".to_owned();
    let folders =
        ["accounts", "groups", "people"].map(|name| format!("dn: ou={name},dc=x\nobjectClass: ou\n\n"));
    let entries = (0..ENTRIES).map(|n| {
        format!(
            "dn: uid=a{n},ou=accounts,dc=x\nobjectClass: posixAccount\nuid: a{n}\nuidNumber: {}\ngidNumber: 7000\n\
             homeDirectory: /home/a{n}\n\ndn: cn=g{n},ou=groups,dc=x\nobjectClass: posixGroup\ncn: g{n}\ngidNumber: {}\n\
             member: uid=p1,ou=people,dc=x\n\ndn: uid=p{n},ou=people,dc=x\nobjectClass: person\nuid: p{n}\n\
             sshPublicKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n\n",
            7100 + n,
            7400 + n
        )
    });
    root + &folders.concat() + &entries.collect::<String>()
}

fn config(proxy: &Proxy) -> String {
    format!(
        "[directory]\nkind = \"ldap\"\ntls = \"off\"\nuris = [\"ldap://{}\"]\nbind = \"anonymous\"\ntimeout = \"5s\"\n\
         [accounts]\nbase = \"ou=accounts,dc=x\"\n[groups]\nbase = \"ou=groups,dc=x\"\n[people]\nbase = \"ou=people,dc=x\"\n\
         [[access]]\naccounts = [\"*\"]\nroles = []\n",
        proxy.address()
    )
}

/// What a fetch by way of the proxy gives, and how many bytes of the server it took.
fn fetched(proxy: &Proxy, config: &Config, fault: Fault) -> (Result<Fetched, FetchError>, u64) {
    proxy.set(fault);
    let found = fetch(config, None, Instant::now() + Duration::from_secs(90));
    (found, proxy.passed())
}

#[test]
fn a_directory_is_read_whole_or_not_at_all_wherever_the_connection_breaks() {
    let tree = Tree::parse(&ldif(), Flavour::Posix);
    let evil = Evil::start("127.0.0.1:0", tree, Greeting::Plain(None)).unwrap();
    let proxy = Proxy::start("127.0.0.1:0", &evil.address().to_string()).unwrap();
    let config = Config::parse(&config(&proxy)).unwrap();
    let (whole, size) = fetched(&proxy, &config, Fault::None);
    let whole = whole.unwrap();
    let entries = [&whole.accounts, &whole.groups, &whole.people].map(Vec::len);
    assert_eq!(entries, [ENTRIES as usize; 3]);
    assert!(size > 25 << 10, "{size} bytes");
    let last = (size.saturating_sub(64)..size).step_by(7);
    for cut in (0..size).step_by(64).chain(last) {
        let (found, passed) = fetched(&proxy, &config, Fault::Cut(cut));
        assert!(found.is_err(), "a directory after {cut} of {size} bytes");
        assert!(passed <= cut, "{passed} bytes passed, {cut} were allowed");
    }
    assert_eq!(fetched(&proxy, &config, Fault::Cut(size)).0, Ok(whole));
}
