//! What is wrong is said in one line, with the next step, and nothing is left behind.

use svcauth_tests::cases;
use svcauth_tests::directory::{Directory, Schema};
use svcauth_tests::failure::{Outcome, require_contains};
use svcauth_tests::program::Program;
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use super::servers::{LDAP, password};
use super::{RULE, base, fresh, refused, setup};

cases!("setup_errors":
    a_name_a_port_or_a_certificate_that_is_not_right_is_told,
    a_bind_or_a_base_that_is_not_right_is_told,
    a_host_that_does_not_answer_is_told_by_step,
    an_expired_certificate_is_told_as_such,
    local_ids_and_missing_accounts_stop_it,
);

/// The answers about slapd with one of them replaced.
fn with<'a>(from: &str, to: &'a str) -> Vec<&'a str> {
    [&LDAP[..], &RULE].concat().into_iter().map(|word| if word == from { to } else { word }).collect()
}

fn a_name_a_port_or_a_certificate_that_is_not_right_is_told(world: &mut World) -> Outcome {
    fresh(world)?;
    let _slapd = Slapd::start(world, &Directory::example(), Schema::Rfc2307bis)?;
    password(world, "reader of the directory")?;
    let (uri, ca_file) = ("ldaps://ldap1.example.com", "/run/world/slapd/ca.pem");
    refused(
        &with(uri, "ldaps://nowhere.example.com"),
        &["name: nowhere.example.com has no address", "resolv.conf"],
    )?;
    refused(&with(uri, "ldaps://ldap1.example.com:637"), &["connection: ", "port 637", "firewall"])?;
    let hosts = std::fs::read_to_string("/etc/hosts")?;
    world.write("/etc/hosts", 0o644, format!("{hosts}10.77.0.1 other.example.com\n"))?;
    let told = [
        "tls: ",
        "hostname mismatch",
        "CN=ldap1.example.com",
        "that the certificate has (ldap1.example.com)",
    ];
    refused(&with(uri, "ldaps://other.example.com"), &told)?;
    let another = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=another \
                   -keyout /run/world/other.key -out /run/world/other.pem";
    let words: Vec<&str> = another.split_whitespace().collect();
    Program::new("openssl").args(&words).run()?.expect_ok()?;
    let told = ["tls: ", "/run/world/other.pem does not hold", "CN=authority"];
    refused(&with(ca_file, "/run/world/other.pem"), &told)?;
    refused(&with(ca_file, "/etc/ssl/certs/ca-certificates.crt"), &["tls: ", "CN=authority", "--ca-file"])?;
    refused(&with(ca_file, "/run/world/none.pem"), &["/run/world/none.pem", "No such file"])?;
    let hidden = setup(&with(ca_file, "/root/ca.pem"))?.expect_code(2)?;
    require_contains("about a file that the service cannot see", &hidden.stderr, "copy it to /etc/svcauth/")?;
    setup(&with("", ""))?.expect_ok().map(drop)
}

fn a_bind_or_a_base_that_is_not_right_is_told(world: &mut World) -> Outcome {
    fresh(world)?;
    let _slapd = Slapd::start(world, &Directory::example(), Schema::Rfc2307bis)?;
    password(world, "reader of the directory")?;
    refused(&with(super::READER, "cn=nobody,dc=example,dc=com"), &["bind: ", "result 49", "--bind-dn"])?;
    password(world, "a wrong one")?;
    refused(&with("", ""), &["bind: ", "wrong bind DN or password"])?;
    password(world, "")?;
    refused(&with("", ""), &["/run/world/password", "empty"])?;
    password(world, "reader of the directory")?;
    let base = ["--accounts-base", "ou=none,dc=example,dc=com", "--id-range", "7000-7999"];
    refused(&[&with("", "")[..], &base].concat(), &["there is no entry \"ou=none,dc=example,dc=com\""])?;
    setup(&with("", ""))?.expect_ok().map(drop)
}

fn a_host_that_does_not_answer_is_told_by_step(world: &mut World) -> Outcome {
    fresh(world)?;
    let slapd = Slapd::start(world, &Directory::example(), Schema::Rfc2307bis)?;
    password(world, "reader of the directory")?;
    slapd.blackhole()?;
    refused(&with("", ""), &["connection: ", "port 636", "firewall"])?;
    slapd.leave_blackhole()?;
    slapd.stop()?;
    refused(&with("", ""), &["connection: ", "refused"])
}

fn an_expired_certificate_is_told_as_such(world: &mut World) -> Outcome {
    fresh(world)?;
    let slapd = Slapd::start(world, &Directory::example(), Schema::Rfc2307bis)?;
    slapd.stop()?;
    password(world, "reader of the directory")?;
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days -1 -extfile extensions -out server.pem";
    let words: Vec<&str> = sign.split(' ').collect();
    Program::new("openssl").args(&words).dir("/run/world/slapd").run()?.expect_ok()?;
    let _slapd = Slapd::start_again(world)?;
    refused(&with("", ""), &["tls: ", "expired", "valid until", "renew"])
}

fn local_ids_and_missing_accounts_stop_it(world: &mut World) -> Outcome {
    fresh(world)?;
    let _slapd = Slapd::start(world, &Directory::example(), Schema::Rfc2307bis)?;
    password(world, "reader of the directory")?;
    let people = base("people");
    let none = [&with("", "")[..], &["--accounts-base", &people, "--id-range", "7000-7999"]].concat();
    refused(&none, &["no account that may be used on this host", "ou=people"])?;
    let unknown = [&LDAP[..], &["--account", "deploier", "--role", "application"]].concat();
    refused(&unknown, &["account deploier", "--account"])?;
    let ended = setup(&LDAP)?.expect_code(2)?;
    require_contains("without a rule", &ended.stderr, "--account is missing")?;
    world.local_user("odd", 7001)?;
    refused(&with("", ""), &["user 7001", "--id-range"])
}
