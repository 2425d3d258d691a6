//! Real servers: slapd with both schemas, and a domain that DNS names.

use std::fs;

use svcauth_tests::cases;
use svcauth_tests::controllers;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::Schema;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::kerberos::{KDC, KEYTAB, configure, machine, new_key, service};
use svcauth_tests::keys::Key;
use svcauth_tests::samba::{Samba, example};
use svcauth_tests::site::{CONFIG, Site, svcauth};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::World;

use super::{READER, RULE, SECRET, access, fresh, is_changed, mode, people, report, setup};

cases!("setup_servers":
    an_ldap_server_with_rfc2307bis_is_found_out_and_used,
    an_ldap_server_with_rfc2307_is_found_out_and_used,
    a_domain_is_found_by_dns_and_used,
);

pub(super) const LDAP: [&str; 8] = [
    "--uri",
    "ldaps://ldap1.example.com",
    "--bind-dn",
    READER,
    "--password-file",
    "/run/world/password",
    "--ca-file",
    "/run/world/slapd/ca.pem",
];

pub(super) fn password(world: &World, password: &str) -> Outcome {
    world.write("/run/world/password", 0o600, format!("{password}\n"))
}

fn both() -> Vec<String> {
    vec!["alice -> deployer".to_owned(), "bob -> deployer".to_owned()]
}

fn an_ldap_server_is_used(world: &World, schema: Schema) -> Outcome {
    fresh(world)?;
    let (directory, [_, bob, carol]) = people(world)?;
    let slapd = Slapd::start(world, &directory, schema)?;
    password(world, "reader of the directory")?;
    let ended = setup(&[&LDAP[..], &RULE].concat())?.expect_ok()?;
    for part in [
        "ldap1.example.com is 10.77.0.1",
        "port 636 answers",
        "certificate of CN=ldap1.example.com for ldap1.example.com, signed by CN=authority",
        "trusted by /run/world/slapd/ca.pem",
        "as cn=svcauth,ou=system,dc=example,dc=com",
        "dc=example,dc=com",
        "alice -> deployer",
        "Nobody else: 1 of 3",
    ] {
        require_contains("what setup shows", &ended.stdout, part)?;
    }
    require_lacks("what setup shows", &(ended.stdout + &ended.stderr), "reader of the directory")?;
    require_eq("the password", fs::read_to_string(SECRET)?.as_str(), "reader of the directory\n")?;
    require_eq("the password's file", mode(SECRET)?.as_str(), "600 root")?;
    let text = fs::read_to_string(CONFIG)?;
    for line in [
        "base = \"ou=accounts,dc=example,dc=com\"",
        "base = \"ou=people,dc=example,dc=com\"",
        "id_range = \"7000-7999\"",
    ] {
        require_contains("what was found out", &text, &format!("\n{line}"))?;
    }
    let daemon = Daemon::start(world)?;
    is_decided_as_shown(world, &bob, &carol)?;
    let (code, again) = report(&[&LDAP[..], &RULE].concat())?;
    require_eq("the second run", &(code, is_changed(&again)), &(0, Some(false)))?;
    require_eq("who may", &access(&again), &both())?;
    daemon.stop()?;
    slapd.stop()
}

fn is_decided_as_shown(world: &World, bob: &Key, carol: &Key) -> Outcome {
    svcauth(&["explain", "alice", "deployer"])?.expect_ok()?;
    svcauth(&["explain", "carol", "deployer"])?.expect_code(1)?;
    world.home("deployer", 7001, 7000)?;
    Site::keys_from_directory(world)?;
    let sshd = Sshd::start(world, &[])?;
    sshd.ssh("deployer", bob, &["true"])?.expect_ok()?;
    sshd.ssh("deployer", carol, &["true"])?.expect_refused().map(drop)
}

fn an_ldap_server_with_rfc2307bis_is_found_out_and_used(world: &mut World) -> Outcome {
    an_ldap_server_is_used(world, Schema::Rfc2307bis)
}

fn an_ldap_server_with_rfc2307_is_found_out_and_used(world: &mut World) -> Outcome {
    an_ldap_server_is_used(world, Schema::Rfc2307)
}

fn a_domain_is_found_by_dns_and_used(world: &mut World) -> Outcome {
    fresh(world)?;
    let keys =
        [("alice", &world.key("alice")?), ("bob", &world.key("bob")?), ("carol", &world.key("carol")?)];
    let samba = Samba::start(world, &example(&keys, &machine()))?;
    controllers::resolve(world)?;
    password(world, "Reader of 1 directory")?;
    let domain = [
        "--domain",
        "example.com",
        "--bind-dn",
        "svcauth@example.com",
        "--password-file",
        "/run/world/password",
        "--ca-file",
        "/run/world/samba/ca.pem",
    ];
    let ended = setup(&[&domain[..], &["--people-base", "OU=people,DC=example,DC=com"], &RULE].concat())?
        .expect_ok()?;
    for part in
        ["the controllers of example.com: ldaps://dc1.example.com:636", "bob -> deployer", "Nobody else"]
    {
        require_contains("what setup shows", &ended.stdout, part)?;
    }
    let text = fs::read_to_string(CONFIG)?;
    for line in [
        "kind = \"ad\"",
        "domain = \"example.com\"",
        "id_map = \"posix\"",
        "base = \"OU=accounts,DC=example,DC=com\"",
    ] {
        require_contains("what was found out", &text, &format!("\n{line}"))?;
    }
    let daemon = Daemon::start(world)?;
    svcauth(&["explain", "bob", "deployer"])?.expect_ok()?;
    svcauth(&["explain", "carol", "deployer"])?.expect_code(1)?;
    daemon.stop()?;
    with_the_key_of_the_host(world, &samba)
}

/// The same domain, read with the keytab, as a host that has joined it is set up.
fn with_the_key_of_the_host(world: &World, samba: &Samba) -> Outcome {
    samba.modify(&service())?;
    configure(world, KDC)?;
    new_key("The key of host 1", KEYTAB)?;
    let text = fs::read_to_string(CONFIG)?;
    let people = ["--people-base", "OU=people,DC=example,DC=com", "--ca-file", "/run/world/samba/ca.pem"];
    let by_key = [&["--domain", "example.com"], &people[..], &RULE, &["--replace"]].concat();
    let ended = setup(&by_key)?.expect_ok()?;
    for part in ["with Kerberos as this host, by the key in /etc/krb5.keytab", "bob -> deployer"] {
        require_contains("what setup shows", &ended.stdout, part)?;
    }
    let now = fs::read_to_string(CONFIG)?;
    require_contains("the configuration", &now, "\nbind = \"gssapi\"")?;
    require(now != text, || "nothing was replaced".to_owned())?;
    let daemon = Daemon::start(world)?;
    svcauth(&["explain", "bob", "deployer"])?.expect_ok()?;
    daemon.stop()?;
    fs::remove_file(KEYTAB)?;
    let gone = [&by_key[..], &["--bind", "gssapi"]].concat();
    let ended = setup(&gone)?.expect_code(1)?;
    require_contains("without a keytab", &ended.stderr, "/etc/krb5.keytab: there is no such file")
}
