//! What an entry of OpenLDAP says about when and where it may be used.

use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::directory::{Schema, account_dn, person_dn};
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::site::{svcauth, svcauth_json, text_at};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("state":
    a_lockout_ends_when_its_time_is_over_although_the_directory_says_nothing_any_more,
    an_account_is_usable_only_on_the_hosts_that_its_entry_names,
);

fn start(world: &World, configure: impl Fn(&mut Plan) -> Outcome) -> Outcome<(Host, Slapd)> {
    let mut plan = Plan::new(world)?;
    let slapd = Slapd::start(world, &plan.site.directory, Schema::Rfc2307bis)?;
    Slapd::serve(world, &mut plan.site)?;
    configure(&mut plan)?;
    Ok((plan.start(world)?, slapd))
}

fn is_in(world: &World, host: &Host, login: &str) -> Outcome {
    let mark = world.log().mark();
    host.ssh(login, "deployer", &["true"])?.expect_ok()?;
    world.log().wait_for(mark, "allow", &[("origin", login)]).map(drop)
}

fn is_out(world: &World, host: &Host, login: &str, reason: &str) -> Outcome {
    let mark = world.log().mark();
    host.ssh(login, "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(mark, "deny", &[("account", "deployer"), ("reason", reason)]).map(drop)
}

/// Locks an entry out, looks that it counts, silences the directory, and waits for the end of the lockout.
fn lockout_ends_in_silence(world: &World, host: &Host, slapd: &Slapd, dn: &str, reason: &str) -> Outcome {
    is_in(world, host, "bob")?;
    slapd.lock_out(dn)?;
    host.daemon.sync()?;
    is_out(world, host, "bob", reason)?;
    slapd.freeze()?;
    wait_until("the end of the lockout", Duration::from_secs(60), || {
        host.ssh("bob", "deployer", &["true"]).is_ok_and(|ended| ended.ok()).then_some(())
    })?;
    slapd.thaw()?;
    let shown = slapd.search(&["-b", dn, "-s", "base", "(objectClass=*)", "pwdAccountLockedTime"])?;
    require_contains("what the directory says", &shown.stdout, "pwdAccountLockedTime: ")?;
    host.daemon.sync()?;
    is_in(world, host, "bob")
}

fn a_lockout_ends_when_its_time_is_over_although_the_directory_says_nothing_any_more(
    world: &mut World,
) -> Outcome {
    let key = "timeout = \"2s\"\n";
    let (host, slapd) =
        start(world, |plan| plan.site.configure(key, &format!("{key}lockout_duration = \"20s\"\n")))?;
    lockout_ends_in_silence(world, &host, &slapd, &person_dn("bob"), "person_locked")?;
    lockout_ends_in_silence(world, &host, &slapd, &account_dn("deployer"), "account_disabled")
}

fn an_account_is_usable_only_on_the_hosts_that_its_entry_names(world: &mut World) -> Outcome {
    let (mut host, slapd) = start(world, |_| Ok(()))?;
    let dn = account_dn("deployer");
    let hosts = |values: &[&str]| {
        let values: String = values.iter().map(|value| format!("host: {value}\n")).collect();
        slapd.modify(&format!("dn: {dn}\nchangetype: modify\nreplace: host\n{values}"))?;
        host.daemon.sync()
    };
    hosts(&["db1.example.com"])?;
    is_in(world, &host, "bob")?;
    host.site.configure("[accounts]\n", "[accounts]\nhost_attribute = \"host\"\n")?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    let hosts = |values: &[&str]| {
        let values: String = values.iter().map(|value| format!("host: {value}\n")).collect();
        slapd.modify(&format!("dn: {dn}\nchangetype: modify\nreplace: host\n{values}"))?;
        host.daemon.sync()
    };
    is_out(world, &host, "bob", "host_not_allowed")?;
    let told = svcauth(&["explain", "bob", "deployer"])?.expect_code(1)?;
    require_contains("the next step", &told.stdout, "name this host in the entry of deployer")?;
    for (values, may) in [
        (&["db1.example.com", "WEB1.example.com"][..], true),
        (&["*", "!web1"], false),
        (&["*"], true),
        (&["!db1.example.com"], false),
        (&["web1"], true),
        (&[], false),
    ] {
        hosts(values)?;
        let (code, why) = svcauth_json(&["explain", "bob", "deployer", "--service", "sshd"])?;
        require_eq(&format!("{values:?}"), &(code == 0), &may)?;
        require(may == text_at(&why, "/reason").is_empty(), || why.to_string())?;
        if may { is_in(world, &host, "bob")? } else { is_out(world, &host, "bob", "host_not_allowed")? }
    }
    Ok(())
}
