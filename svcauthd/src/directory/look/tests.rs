//! What is counted where.

use super::census::Counter;
use super::certificate::remedy;
use crate::directory::ldif;
use svcauth_core::config::Config;

const CONFIG: &str = "[directory]\nkind = \"ldif\"\n[[access]]\naccounts = [\"x\"]\nroles = []\n";

#[test]
fn the_example_holds_one_account_one_group_and_three_people_with_keys() {
    let config = Config::parse(CONFIG).unwrap();
    let mut counter = Counter::new(&config);
    let example = include_bytes!("../../../../conf/directory.ldif");
    ldif::each(example, &mut |_, entry| counter.take(&entry)).unwrap();
    let census = counter.finish(Vec::new());
    let find = |dn: &str| census.containers.iter().find(|container| container.dn.starts_with(dn)).unwrap();
    let accounts = find("ou=accounts");
    assert_eq!(
        (accounts.posix, accounts.shared, accounts.people, accounts.ids),
        (1, 1, 0, Some((7000, 7001)))
    );
    let people = find("ou=people");
    assert_eq!((people.people, people.keys, people.posix), (3, 3, 0));
    assert_eq!(find("ou=groups").groups, 1);
}

#[test]
fn the_next_step_after_a_refused_certificate_is_what_that_refusal_needs() {
    let refused = |why: &str, file| remedy(&format!("the certificate is refused: {why}"), None, file);
    assert!(refused("certificate has expired", None).contains("renew"));
    assert!(refused("hostname mismatch", None).contains("names no host"));
    assert!(refused("self-signed certificate in certificate chain", None).contains("--ca-file FILE"));
    assert!(
        refused("unable to get local issuer certificate", Some("/x.pem")).contains("/x.pem does not hold")
    );
    assert!(remedy("wrong version number", None, None).contains("636"));
}
