//! Logins by ticket, with a real KDC: the full principal names the person, and nothing less does.

use std::path::Path;

use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::person_dn;
use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::kdc::Kdc;
use svcauth_tests::program::Program;
use svcauth_tests::sshd::{Sshd, answering};
use svcauth_tests::world::World;

use crate::host::Plan;
use crate::story::{Story, no_decision_names};

cases!("kerberos":
    a_ticket_names_its_person_by_both_methods_and_beside_a_key,
    a_ticket_of_another_realm_instance_or_spelling_is_nobodys,
);

/// Principals that sshd lets in as deployer; who may is for svcauth to say.
const ACCEPTED: &[&str] = &[
    "alice@EXAMPLE.COM",
    "carol@EXAMPLE.COM",
    "Alice@EXAMPLE.COM",
    "alice/admin@EXAMPLE.COM",
    "alice@OTHER.REALM",
    "alice\\@EXAMPLE.COM@EXAMPLE.COM",
];

/// A host in a realm with people who have tickets. Its sshd is for each row to start.
pub(crate) struct Realm {
    plan: Plan,
    pub(crate) kdc: Kdc,
    _daemon: Daemon,
}

impl Realm {
    pub(crate) fn start(world: &World) -> Outcome<Self> {
        let mut plan = Plan::new(world)?;
        crate::story::three_accounts(&mut plan)?;
        for login in ["alice", "bob", "carol"] {
            let principal = format!("{login}@EXAMPLE.COM");
            plan.site.directory.add_value(&person_dn(login), "krbPrincipalName", &principal)?;
        }
        plan.install(world)?;
        let kdc = Kdc::start(world, ACCEPTED)?;
        Kdc::accept(world, "deployer", 7001, ACCEPTED)?;
        Ok(Self { plan, kdc, _daemon: Daemon::start(world)? })
    }

    /// sshd as it has to be for these methods.
    pub(crate) fn sshd(world: &World, methods: &str) -> Outcome<Sshd> {
        let required = format!("AuthenticationMethods {methods}");
        Sshd::start(world, &["GSSAPIAuthentication yes", "GSSAPIKeyExchange yes", &required])
    }

    /// The ssh client of somebody with a ticket, and perhaps a key.
    pub(crate) fn client(
        &self,
        world: &World,
        methods: &str,
        principal: &str,
        key: Option<&str>,
        command: &[&str],
    ) -> Outcome<Program> {
        let key = key.map(|name| self.plan.key(name)).transpose()?;
        let keys: Vec<&Path> = key.iter().map(|key| key.path()).collect();
        let preferred = format!("-oPreferredAuthentications={methods}");
        let keyex = format!("-oGSSAPIKeyExchange={}", if methods.contains("keyex") { "yes" } else { "no" });
        let options = ["-oGSSAPIAuthentication=yes", &keyex, &preferred];
        let ssh = answering(world, &options, "deployer", &keys, command)?;
        Ok(self.kdc.ticket(principal)?.with(ssh))
    }
}

fn a_ticket_names_its_person_by_both_methods_and_beside_a_key(world: &mut World) -> Outcome {
    let realm = Realm::start(world)?;
    let key = realm.plan.key("alice")?.fingerprint().to_owned();
    let alice = ("origin", "alice");
    let proof = [alice, ("evidence", "gssapi"), ("principal", "alice@EXAMPLE.COM"), ("role", "application")];
    let with_key = [&proof[..], &[("key", key.as_str())]].concat();
    for (methods, key, expected) in [
        ("gssapi-with-mic", None, &proof[..]),
        ("gssapi-keyex", None, &proof),
        ("gssapi-with-mic,publickey", Some("alice"), &with_key),
    ] {
        let sshd = Realm::sshd(world, methods)?;
        let mark = world.log().mark();
        let ended = realm.client(world, methods, "alice@EXAMPLE.COM", key, &["id", "-un"])?.run()?;
        require_eq(methods, ended.expect_ok()?.text(), "deployer")?;
        Story::since(world, mark, "sshd").allowed(expected)?;
        let accepted = methods.split(',').next_back().unwrap_or_default();
        world.log().wait_for_line(mark, &[&format!("Accepted {accepted} for deployer")])?;
        sshd.stop()?;
    }
    // Alice's ticket and bob's key.
    let methods = "gssapi-with-mic,publickey";
    let sshd = Realm::sshd(world, methods)?;
    let mark = world.log().mark();
    let ended = realm.client(world, methods, "alice@EXAMPLE.COM", Some("bob"), &["true"])?.run()?;
    ended.expect_refused()?;
    let record = world.log().wait_for(mark, "deny", &[("reason", "ambiguous_origin")])?;
    require(record.get("origin").is_empty(), || record.line.clone())?;
    sshd.stop()
}

fn a_ticket_of_another_realm_instance_or_spelling_is_nobodys(world: &mut World) -> Outcome {
    let realm = Realm::start(world)?;
    let methods = "gssapi-with-mic";
    let _sshd = Realm::sshd(world, methods)?;
    let login = |principal: &str| realm.client(world, methods, principal, None, &["id", "-un"])?.run();
    require_eq("alice", login("alice@EXAMPLE.COM")?.expect_ok()?.text(), "deployer")?;
    Story::since(world, 0, "sshd").allowed(&[("origin", "alice")])?;
    for (principal, reason) in [
        ("carol@EXAMPLE.COM", "not_in_role"),
        ("Alice@EXAMPLE.COM", "unknown_principal"),
        ("alice/admin@EXAMPLE.COM", "unknown_principal"),
        ("alice@OTHER.REALM", "unknown_principal"),
        ("alice\\@EXAMPLE.COM@EXAMPLE.COM", "unknown_principal"),
    ] {
        let mark = world.log().mark();
        login(principal)?.expect_refused()?;
        // sshd itself let it pass: what refused is svcauth.
        world.log().wait_for_line(mark, &["Accepted gssapi-with-mic for deployer"])?;
        let record = world.log().wait_for(mark, "deny", &[("account", "deployer"), ("reason", reason)])?;
        let named = record.get("principal") == principal || record.get("detail").contains("principal");
        require(named, || format!("{principal}: {}", record.line))?;
        no_decision_names(world, mark, "alice")?;
    }
    Ok(())
}
