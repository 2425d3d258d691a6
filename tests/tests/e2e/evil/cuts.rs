//! A way to a real server that breaks anywhere: what is published is the whole of before or the whole of after.

use std::time::Duration;

use svcauth_tests::directory::{Schema, group_dn, person_dn};
use svcauth_tests::evil::{Fault, Proxy};
use svcauth_tests::failure::{Context, Outcome, require, require_eq};
use svcauth_tests::program::Program;
use svcauth_tests::site::svcauth;
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use super::stage::{generation, while_syncing};
use crate::host::{Host, Plan};

const KILOBYTE: u64 = 1024;
/// What a lookup that waits for a server takes at least.
const LONG: Duration = Duration::from_secs(1);
/// Accounts, and as many groups: enough for 100 kB.
const ENTRIES: u32 = 250;

/// Everything is read each time: how changes alone are cut is tested with svcauthd's own `content_sync`.
const WHOLE: &str = "changes = \"off\"\nrefresh = \"1h\"\n";

/// Everything that the host shows of the directory.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    generation: u64,
    passwd: String,
    groups: String,
    carol: i32,
}

fn picture() -> Outcome<Picture> {
    let all = |database| {
        Ok::<_, svcauth_tests::failure::Failure>(
            Program::new("getent").arg(database).run()?.expect_ok()?.stdout,
        )
    };
    let carol = svcauth(&["explain", "carol", "deployer", "--service", "sshd"])?.code;
    Ok(Picture { generation: generation()?, passwd: all("passwd")?, groups: all("group")?, carol })
}

/// A host that reaches slapd only through the proxy, without TLS, so that cuts fall between and into messages; `lines` are
/// more of its configuration.
pub(super) fn behind_proxy(world: &World, lines: &str) -> Outcome<(Host, Slapd, Proxy)> {
    let mut plan = Plan::new(world)?;
    for number in 0..ENTRIES {
        plan.site.directory.account(&format!("svc{number:03}"), 7100 + number, 7000);
        plan.site.directory.group(
            &format!("grp{number:03}"),
            7400 + number,
            &[person_dn("alice"), person_dn("bob")],
        );
    }
    let slapd = Slapd::start(world, &plan.site.directory, Schema::Rfc2307bis)?;
    Slapd::serve(world, &mut plan.site)?;
    plan.site.configure(
        "uris = [\"ldaps://ldap1.example.com\"]\n",
        "uris = [\"ldap://127.0.0.1:3891\"]\ntls = \"off\"\n",
    )?;
    plan.site.configure(
        "ca_file = \"/run/world/slapd/ca.pem\"\nrefresh = \"1s\"\ntimeout = \"2s\"\n",
        &format!("{lines}timeout = \"1s\"\n"),
    )?;
    let proxy = Proxy::start("127.0.0.1:3891", "127.0.0.1:389")?;
    Ok((plan.start(world)?, slapd, proxy))
}

/// Changes all over the directory at once: the first and the last account, the role.
fn change(slapd: &Slapd) -> Outcome {
    let mut ldif = format!(
        "dn: {}\nchangetype: modify\nadd: member\nmember: {}\n\n",
        group_dn("application"),
        person_dn("carol")
    );
    for number in 0..ENTRIES {
        let dn = svcauth_tests::directory::account_dn(&format!("svc{number:03}"));
        ldif += &format!("dn: {dn}\nchangetype: modify\nreplace: loginShell\nloginShell: /bin/dash\n\n");
    }
    slapd.modify(&ldif)
}

pub(super) fn a_connection_cut_at_every_kilobyte_never_gives_half_a_directory(world: &mut World) -> Outcome {
    let (host, slapd, proxy) = behind_proxy(world, WHOLE)?;
    proxy.set(Fault::None);
    host.daemon.sync()?;
    let whole = proxy.passed();
    require(whole > 60 * KILOBYTE, || format!("the whole answer has {whole} bytes only"))?;
    let before = picture()?;
    require_eq("carol", &before.carol, &1)?;
    change(&slapd)?;
    let mut cut = 0;
    loop {
        proxy.set(Fault::Cut(cut));
        let ended = svcauth(&["sync"])?;
        if ended.ok() {
            break;
        }
        require_eq(&format!("cut after {cut} bytes"), &picture()?, &before)?;
        cut += KILOBYTE;
        require(cut < 2 * whole, || format!("no success even after {cut} bytes\n{}", ended.report()))?;
    }
    require(cut > 60 * KILOBYTE, || format!("a success after {cut} bytes of about {whole}"))?;
    let after = picture()?;
    require_eq("carol", &after.carol, &0)?;
    require_eq("changed accounts", &after.passwd.matches(":/bin/dash\n").count(), &(ENTRIES as usize))?;
    require_eq("generations", &after.generation, &(before.generation + 1))?;
    host.ssh("carol", "deployer", &["true"])?.expect_ok().map(drop)
}

pub(super) fn a_connection_that_stalls_or_is_bent_gives_nothing(world: &mut World) -> Outcome {
    let (host, slapd, proxy) = behind_proxy(world, WHOLE)?;
    proxy.set(Fault::None);
    host.daemon.sync()?;
    let (whole, before) = (proxy.passed(), picture()?);
    change(&slapd)?;
    let pause = Duration::from_secs(2);
    for place in [0, 5, whole / 3, whole / 2, whole - 20] {
        for fault in [Fault::Stall(place), Fault::Drip(place, pause), Fault::Erase(place)] {
            proxy.set(fault);
            let (mut ended, mut during) = while_syncing()?;
            // A machine that stood still does so once, a lookup that waits for a server waits each time.
            for _ in 0..4 {
                if during.longest() < LONG || ended.ok() {
                    break;
                }
                (ended, during) = while_syncing()?;
            }
            // Eight zeros may fall into a text, where nobody can tell; then everything else must have come.
            if !(ended.ok() && matches!(fault, Fault::Erase(_))) {
                ended.expect_code(1).doing(format!("{fault:?}"))?;
                require_eq(&format!("{fault:?}"), &picture()?, &before)?;
            }
            require(during.longest() < LONG, || format!("{fault:?}: {during:?}"))?;
        }
    }
    proxy.set(Fault::None);
    host.daemon.sync()?;
    require_eq("carol", &picture()?.carol, &0)?;
    host.ssh("carol", "deployer", &["true"])?.expect_ok().map(drop)
}
