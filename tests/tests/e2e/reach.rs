//! Finding and reaching a server: by DNS and site, from a dead one to the next, and back.

use std::time::Duration;

use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::controllers::{self, Srv};
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::Schema;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::relay::Relay;
use svcauth_tests::samba::{Samba, example};
use svcauth_tests::site::{svcauth, svcauth_json, text_at};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent};

cases!("reach":
    controllers_are_found_by_dns_and_one_of_this_hosts_site_is_preferred,
    a_site_that_is_configured_counts_and_is_not_asked_for,
    a_controller_that_dies_or_hangs_is_replaced_and_used_again_when_it_is_back,
    a_name_in_dns_without_a_certificate_for_it_is_refused_and_the_next_one_is_asked,
    a_second_server_takes_over_from_a_dead_or_silent_one_until_that_is_back,
);

const URIS: &str = "uris = [\"ldaps://dc1.example.com\"]";
const DC1: &str = "ldaps://dc1.example.com:636";
const DC2: &str = "ldaps://dc2.example.com:636";
/// The address at which dc2 is a relay to dc1.
const SECOND: &str = "10.77.0.3";
/// The back-off after one failure: 5 s and a quarter, and time to notice it.
const BACK: Duration = Duration::from_secs(120);

/// A domain, and a host that is told its name alone and not yet started.
fn domain(world: &World, lines: &str) -> Outcome<(Plan, Samba)> {
    let mut plan = Plan::new(world)?;
    let people = [("alice", plan.key("alice")?), ("bob", plan.key("bob")?)];
    let samba = Samba::start(world, &example(&people, ""))?;
    controllers::resolve(world)?;
    Samba::serve(world, &mut plan.site)?;
    plan.site.configure(URIS, &format!("domain = \"example.com\"\n{lines}timeout = \"3s\""))?;
    Ok((plan, samba))
}

fn server() -> Outcome<String> {
    let (_, status) = svcauth_json(&["status"])?;
    Ok(text_at(&status, "/directory/server").to_owned())
}

fn wait_for_server(server_name: &str) -> Outcome<Value> {
    wait_until(&format!("{server_name} in the status"), BACK, || {
        let (_, status) = svcauth_json(&["status"]).ok()?;
        let is_ok = text_at(&status, "/state") == "ok";
        (is_ok && text_at(&status, "/directory/server") == server_name).then_some(status)
    })
}

fn bob_is_in(host: &Host) -> Outcome {
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn controllers_are_found_by_dns_and_one_of_this_hosts_site_is_preferred(world: &mut World) -> Outcome {
    let (plan, samba) = domain(world, "")?;
    // What the domain's own provisioning wrote: one controller, in the one site there is.
    let mut host = plan.start(world)?;
    require_eq("the only controller", server()?.as_str(), DC1)?;
    bob_is_in(&host)?;
    // A site for this host, and a controller that only that site has. No record names it for the whole domain.
    controllers::make_site("Berlin")?;
    let near = controllers::second(world, "dc2", SECOND)?;
    controllers::set_site(&samba, "Berlin", &[Srv { priority: 0, host: "dc2" }])?;
    require_eq("connections before it is known", &near.accepted(), &0)?;
    host.daemon.stop()?;
    host.daemon = Daemon::start(world)?;
    wait_for_server(DC2)?;
    require_eq("connections at one time", &near.most(), &1)?;
    require_contains("names", &getent("passwd", "deployer")?.expect_ok()?.stdout, "deployer:*:7001")?;
    // Another site has a controller that is as good as any other one for DNS, but comes behind that of this host's own.
    controllers::set_all(&samba, &[Srv { priority: 0, host: "dc1" }, Srv { priority: 9, host: "dc2" }])?;
    host.daemon.stop()?;
    host.daemon = Daemon::start(world)?;
    wait_for_server(DC2)?;
    bob_is_in(&host)
}

fn a_site_that_is_configured_counts_and_is_not_asked_for(world: &mut World) -> Outcome {
    let (plan, samba) = domain(world, "site = \"Paris\"\n")?;
    controllers::make_site("Berlin")?;
    let relay = controllers::second(world, "dc2", SECOND)?;
    let (dc1, dc2) = (Srv { priority: 0, host: "dc1" }, Srv { priority: 0, host: "dc2" });
    controllers::set_site(&samba, "Berlin", &[dc1])?;
    controllers::set_site(&samba, "Paris", &[dc2])?;
    controllers::set_all(&samba, &[dc1, dc2])?;
    let mut host = plan.start(world)?;
    require_eq("the controller of Paris", server()?.as_str(), DC2)?;
    require(relay.accepted() > 0, || "dc2 was not asked".to_owned())?;
    host.site.configure("site = \"Paris\"", "site = \"Berlin\"")?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    wait_for_server(DC1)?;
    host.daemon.wait_for_state("ok").map(drop)
}

fn a_controller_that_dies_or_hangs_is_replaced_and_used_again_when_it_is_back(world: &mut World) -> Outcome {
    let (plan, samba) = domain(world, "site = \"Berlin\"\n")?;
    controllers::make_site("Berlin")?;
    let near = controllers::second(world, "dc2", SECOND)?;
    controllers::set_site(&samba, "Berlin", &[Srv { priority: 0, host: "dc2" }])?;
    let host = plan.start(world)?;
    wait_for_server(DC2)?;
    drop(near);
    wait_for_server(DC1)?;
    bob_is_in(&host)?;
    let near = controllers::second_again(SECOND)?;
    wait_for_server(DC2)?;
    require(near.accepted() > 0 && near.most() == 1, || format!("{near:?}"))?;
    // One that takes connections and never answers costs its time-out once, and the refresh is a good one all the same.
    near.hang();
    wait_for_server(DC1)?;
    let asked = near.accepted();
    for _ in 0..3 {
        host.daemon.sync()?;
        require_eq("the controller meanwhile", server()?.as_str(), DC1)?;
    }
    require(near.accepted() <= asked + 1, || format!("it was asked again at once: {near:?}"))?;
    drop(near);
    let _near = controllers::second_again(SECOND)?;
    wait_for_server(DC2)?;
    bob_is_in(&host)
}

fn a_name_in_dns_without_a_certificate_for_it_is_refused_and_the_next_one_is_asked(
    world: &mut World,
) -> Outcome {
    let (plan, samba) = domain(world, "site = \"Berlin\"\n")?;
    controllers::make_site("Berlin")?;
    // dc3 leads to the same controller, whose certificate names dc1 and dc2.
    let liar = controllers::second(world, "dc3", "10.77.0.4")?;
    controllers::set_site(&samba, "Berlin", &[Srv { priority: 0, host: "dc3" }])?;
    let mut host = plan.start(world)?;
    wait_for_server(DC1)?;
    require(liar.accepted() > 0, || "the liar was not even asked".to_owned())?;
    bob_is_in(&host)?;
    // Where there is no other one, the status says what is wrong with it.
    controllers::set_all(&samba, &[])?;
    host.daemon.stop()?;
    host.daemon = Daemon::start_unready(world)?;
    let why = wait_until("the reason in the status", BACK, || {
        let (_, status) = svcauth_json(&["status"]).ok()?;
        let why = text_at(&status, "/last_error").to_owned();
        why.contains("dc3").then_some(why)
    })?;
    require_contains("the reason", &why, "ldaps://dc3.example.com:636: TLS failed")?;
    require_contains("the reason", &why, "the certificate is refused: hostname mismatch")?;
    bob_is_in(&host)
}

fn a_second_server_takes_over_from_a_dead_or_silent_one_until_that_is_back(world: &mut World) -> Outcome {
    const FIRST: &str = "ldaps://ldap1.example.com:1636";
    const SECOND: &str = "ldaps://ldap1.example.com:636";
    let mut plan = Plan::new(world)?;
    let slapd = Slapd::start(world, &plan.site.directory, Schema::Rfc2307bis)?;
    Slapd::serve(world, &mut plan.site)?;
    let uris = "uris = [\"ldaps://ldap1.example.com:1636\", \"ldaps://ldap1.example.com\"]";
    plan.site.configure("uris = [\"ldaps://ldap1.example.com\"]", uris)?;
    let first = || Relay::start("10.77.0.1:1636", "10.77.0.1:636");
    let relay = first()?;
    let host = plan.start(world)?;
    require_eq("the preferred server", server()?.as_str(), FIRST)?;
    drop(relay);
    wait_for_server(SECOND)?;
    bob_is_in(&host)?;
    let relay = first()?;
    wait_for_server(FIRST)?;
    relay.hang();
    wait_for_server(SECOND)?;
    bob_is_in(&host)?;
    drop(relay);
    let relay = first()?;
    wait_for_server(FIRST)?;
    require_eq("connections at one time", &relay.most(), &1)?;
    bob_is_in(&host)?;
    // Where all are dead, what is known of them is kept, because the worker is.
    let worker = host.worker()?;
    slapd.stop()?;
    for _ in 0..2 {
        svcauth(&["sync"])?.expect_code(1)?;
    }
    require_eq("the worker", &host.worker()?, &worker)?;
    let _slapd = Slapd::start_again(world)?;
    wait_for_server(FIRST)?;
    require_eq("the worker", &host.worker()?, &worker)
}
