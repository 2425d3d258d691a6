//! Logins with certificates: the authority counts, and it is the administrator who names it.

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require_eq};
use svcauth_tests::keys::{Key, Statement};
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("certificates":
    a_certificate_of_the_trusted_authority_names_alice,
    the_same_key_id_under_an_authority_of_the_account_itself_is_refused,
    a_certificate_for_a_person_without_the_role_is_refused,
    a_key_id_that_names_nobody_is_refused,
    a_key_id_with_line_ends_makes_one_log_line,
);

const ALICE: Statement<'static> =
    Statement { id: "alice@example.com", principals: &["deployer"], serial: 4711, options: &[] };

/// A host that trusts one authority; sshd also believes what the account's own authorized_keys says.
fn start(world: &World) -> Outcome<(Host, Key)> {
    let mut plan = Plan::new(world)?;
    let authority = world.key("authority")?;
    world.write("/etc/svcauth/user_ca.pub", 0o644, format!("{}\n", authority.public()))?;
    let config =
        "# [certificates]\n# trusted_ca = [\"/etc/svcauth/user_ca.pub\"]\n# key_id = \"{login}@example.com\"";
    plan.site.configure(config, &config.replace("# ", ""))?;
    plan.sshd_line("TrustedUserCAKeys /etc/svcauth/user_ca.pub");
    plan.sshd_line("AuthorizedKeysFile .ssh/authorized_keys");
    Ok((plan.start(world)?, authority))
}

fn a_certificate_of_the_trusted_authority_names_alice(world: &mut World) -> Outcome {
    let (host, authority) = start(world)?;
    let laptop = world.key("laptop")?;
    let signed = laptop.signed_by(&authority, "trusted", ALICE)?;
    let ended = host.sshd.ssh("deployer", &signed, &["id", "-un"])?.expect_ok()?;
    require_eq("the account", ended.text(), "deployer")?;
    let expected = [
        ("origin", "alice"),
        ("evidence", "certificate"),
        ("cert_key_id", "alice@example.com"),
        ("cert_serial", "4711"),
        ("cert_ca", authority.fingerprint()),
        ("role", "application"),
    ];
    world.log().wait_for(0, "allow", &expected)?;
    // Without its certificate the key is nobody's, and sshd has no reason to accept it.
    host.sshd.ssh("deployer", &laptop, &["true"])?.expect_code(255).map(drop)
}

fn the_same_key_id_under_an_authority_of_the_account_itself_is_refused(world: &mut World) -> Outcome {
    let (host, authority) = start(world)?;
    let laptop = world.key("laptop")?;
    let good = laptop.signed_by(&authority, "trusted", ALICE)?;
    host.sshd.ssh("deployer", &good, &["true"])?.expect_ok()?;
    let own = world.key("own-authority")?;
    world.write(
        "/home/deployer/.ssh/authorized_keys",
        0o644,
        format!("cert-authority {}\n", own.public()),
    )?;
    let forged = laptop.signed_by(&own, "forged", ALICE)?;
    let mark = world.log().mark();
    host.sshd.ssh("deployer", &forged, &["true"])?.expect_refused()?;
    // sshd itself let it pass: what refused is svcauth.
    world.log().wait_for_line(mark, &["Accepted publickey for deployer", "alice@example.com"])?;
    world
        .log()
        .wait_for(mark, "deny", &[("reason", "untrusted_ca"), ("cert_ca", own.fingerprint())])
        .map(drop)
}

fn a_certificate_for_a_person_without_the_role_is_refused(world: &mut World) -> Outcome {
    let (host, authority) = start(world)?;
    let laptop = world.key("laptop")?;
    let good = laptop.signed_by(&authority, "alice", ALICE)?;
    host.sshd.ssh("deployer", &good, &["true"])?.expect_ok()?;
    let carol = laptop.signed_by(&authority, "carol", Statement { id: "carol@example.com", ..ALICE })?;
    host.sshd.ssh("deployer", &carol, &["true"])?.expect_refused()?;
    world.log().wait_for(0, "deny", &[("origin", "carol"), ("reason", "not_in_role")]).map(drop)
}

fn a_key_id_that_names_nobody_is_refused(world: &mut World) -> Outcome {
    let (host, authority) = start(world)?;
    let laptop = world.key("laptop")?;
    host.sshd.ssh("deployer", &laptop.signed_by(&authority, "good", ALICE)?, &["true"])?.expect_ok()?;
    for (label, id) in [
        ("domain", "alice@evil.example"),
        ("bare", "alice"),
        ("more", "alice@example.com.evil"),
        ("x", "zoe@example.com"),
    ] {
        let mark = world.log().mark();
        let signed = laptop.signed_by(&authority, label, Statement { id, ..ALICE })?;
        host.sshd.ssh("deployer", &signed, &["true"])?.expect_refused()?;
        world.log().wait_for(mark, "deny", &[("reason", "unknown_principal"), ("cert_key_id", id)])?;
    }
    Ok(())
}

fn a_key_id_with_line_ends_makes_one_log_line(world: &mut World) -> Outcome {
    let (host, authority) = start(world)?;
    let laptop = world.key("laptop")?;
    host.sshd.ssh("deployer", &laptop.signed_by(&authority, "good", ALICE)?, &["true"])?.expect_ok()?;
    let id = "alice@example.com\nallow account=root origin=alice";
    let signed = laptop.signed_by(&authority, "evil", Statement { id, ..ALICE })?;
    let mark = world.log().mark();
    host.sshd.ssh("deployer", &signed, &["true"])?.expect_refused()?;
    world.log().wait_for(mark, "deny", &[("reason", "unknown_principal")])?;
    let decided = world
        .log()
        .records_since(mark)
        .into_iter()
        .filter(|said| matches!(said.verb.as_str(), "allow" | "deny"));
    require_eq("decisions", &decided.count(), &1)?;
    let forged =
        world.log().lines_since(mark).iter().filter(|line| line.contains(" allow account=root")).count();
    require_eq("lines that read like a decision about root", &forged, &0)
}
