//! Real servers that die, freeze and vanish, idle and in the middle of an answer.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use svcauth_tests::evil::{Fault, Proxy};
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{as_pid, wait_until};
use svcauth_tests::samba::{self, DOMAIN, Samba};
use svcauth_tests::site::svcauth;
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use super::cuts::behind_proxy;
use super::stage::{Speed, generation, speed};
use crate::host::{Host, Plan};

/// What may happen to a server; each can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disaster {
    Killed,
    Frozen,
    Vanished,
}

const DISASTERS: [Disaster; 3] = [Disaster::Killed, Disaster::Frozen, Disaster::Vanished];

/// What is measured while nothing is wrong.
struct Usual {
    lookups: Speed,
    login: Duration,
}

fn usual(host: &Host) -> Outcome<Usual> {
    let mut logins = Vec::new();
    for _ in 0..3 {
        logins.push(host.ssh("bob", "deployer", &["true"])?.expect_ok()?.took);
    }
    logins.sort_unstable();
    Ok(Usual { lookups: speed(|| false)?, login: logins.get(1).copied().unwrap_or_default() })
}

/// Lookups and a login take no longer than before. A machine that stood still meanwhile does so once; what waits for a server
/// waits each time.
fn is_as_fast(host: &Host, usual: &Usual) -> Outcome {
    let slack = Duration::from_millis(400);
    let mut said = String::new();
    for _ in 0..6 {
        let now = speed(|| false)?;
        let login = host.ssh("bob", "deployer", &["true"])?.expect_ok()?.took;
        if now.median() < usual.lookups.median() * 3 + slack && login < usual.login * 3 + slack {
            return Ok(());
        }
        said = format!(
            "lookups: {:?}, and {now:?} now; a login: {:?}, and {login:?} now",
            usual.lookups, usual.login
        );
    }
    Err(Failure::new(said))
}

/// With the server gone: the same generation decides, as fast as ever.
fn goes_on(host: &mut Host, usual: &Usual, before: u64) -> Outcome {
    is_as_fast(host, usual)?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    host.daemon.wait_for_state("degraded")?;
    is_as_fast(host, usual)?;
    require_eq("the generation", &generation()?, &before)
}

/// Lets a fetch come to the byte, in another thread, and gives what ends it.
fn in_mid_fetch(proxy: &Proxy, place: u64) -> Outcome<std::thread::JoinHandle<Outcome<i32>>> {
    proxy.set(Fault::Stall(place));
    let sync = std::thread::spawn(|| Ok(svcauth(&["sync"])?.code));
    wait_until("the middle of a fetch", Duration::from_secs(60), || proxy.stalled().then_some(()))?;
    Ok(sync)
}

/// The fetch that was struck has failed.
fn failed(sync: Option<std::thread::JoinHandle<Outcome<i32>>>) -> Outcome {
    let Some(sync) = sync else { return Ok(()) };
    let code = sync.join().map_err(|_| Failure::new("the thread of sync panicked"))??;
    require_eq("exit status of sync", &code, &1)
}

pub(super) fn a_server_that_dies_freezes_or_vanishes_in_mid_fetch_slows_nothing(
    world: &mut World,
) -> Outcome {
    let (mut host, slapd, proxy) = behind_proxy(world, "refresh = \"1s\"\n")?;
    let (usual, mut slapd) = (usual(&host)?, Some(slapd));
    // Between two fetches slapd tells of changes on a connection that stays; each fetch here begins with a new one.
    proxy.set(Fault::None);
    host.daemon.sync()?;
    let early = proxy.passed() / 4;
    for disaster in DISASTERS {
        for place in [None, Some(10), Some(early)] {
            let what = format!("{disaster:?} after {place:?} bytes");
            let before = generation()?;
            let sync = place.map(|place| in_mid_fetch(&proxy, place)).transpose().doing(what.clone())?;
            strike(disaster, &proxy, &mut slapd)?;
            goes_on(&mut host, &usual, before).doing(what.clone())?;
            if let Some(sync) = sync {
                let code =
                    sync.join().map_err(|_| svcauth_tests::failure::Failure::new("sync panicked"))??;
                require_eq(&format!("sync: {what}"), &code, &1)?;
            }
            repair(world, disaster, &proxy, &mut slapd)?;
            host.daemon.wait_for_state("ok").doing(format!("recovery: {what}"))?;
        }
    }
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn strike(disaster: Disaster, proxy: &Proxy, slapd: &mut Option<Slapd>) -> Outcome {
    match (disaster, slapd.take()) {
        (Disaster::Killed, Some(running)) => {
            running.kill()?;
            proxy.release();
        }
        (Disaster::Frozen, Some(running)) => {
            running.freeze()?;
            *slapd = Some(running);
            proxy.release();
        }
        // Nothing more passes, and nobody is told.
        (_, running) => {
            *slapd = running;
            proxy.stall_all();
        }
    }
    Ok(())
}

fn repair(world: &World, disaster: Disaster, proxy: &Proxy, slapd: &mut Option<Slapd>) -> Outcome {
    match (disaster, slapd.as_ref()) {
        (Disaster::Killed, _) => *slapd = Some(Slapd::start_again(world)?),
        (Disaster::Frozen, Some(running)) => running.thaw()?,
        _ => {}
    }
    proxy.set(Fault::None);
    Ok(())
}

/// Every process of Samba in this world: one for each connection, and those around them.
fn samba_processes(signal: Signal) -> Outcome<usize> {
    let is_samba = |folder: &Path| {
        std::fs::read_link(folder.join("exe"))
            .is_ok_and(|exe| exe.file_name().is_some_and(|name| name == "samba"))
    };
    let mut count = 0;
    for entry in std::fs::read_dir("/proc")?.flatten().filter(|entry| is_samba(&entry.path())) {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            // One that has ended meanwhile is as good.
            count += usize::from(kill(as_pid(pid), signal).is_ok());
        }
    }
    Ok(count)
}

/// A host that reaches Samba only through the proxy, and how many bytes of a fetch are its middle.
fn behind_samba(world: &World) -> Outcome<(Host, Samba, Proxy, u64)> {
    let mut plan = Plan::new(world)?;
    let keys = ["alice", "bob", "carol"].iter().map(|login| Ok((*login, plan.key(login)?)));
    let controller = Samba::start(world, &samba::example(&keys.collect::<Outcome<Vec<_>>>()?, ""))?;
    Samba::serve(world, &mut plan.site)?;
    // At the root of its domain a controller refers to other naming contexts, unless it is asked not to.
    plan.site.configure("base = \"ou=people,dc=example,dc=com\"", "base = \"dc=example,dc=com\"")?;
    let root = controller.search(&["-b", DOMAIN, "(cn=nobody)"])?;
    require_contains("a search at the root", &root.stdout, "CN=Configuration,DC=example,DC=com")?;
    plan.site
        .configure("uris = [\"ldaps://dc1.example.com\"]\n", "uris = [\"ldaps://dc1.example.com:6361\"]\n")?;
    plan.site.configure("refresh = \"1s\"\n", "refresh = \"1s\"\ntimeout = \"2s\"\n")?;
    let proxy = Proxy::start("10.77.0.2:6361", "10.77.0.2:636")?;
    let host = plan.start(world)?;
    proxy.set(Fault::None);
    host.daemon.sync()?;
    // Behind the handshake, with searches still to come.
    let middle = proxy.passed() / 2;
    Ok((host, controller, proxy, middle))
}

pub(super) fn a_controller_that_dies_freezes_or_vanishes_in_mid_fetch_slows_nothing(
    world: &mut World,
) -> Outcome {
    let (mut host, controller, proxy, middle) = behind_samba(world)?;
    let (usual, mut controller) = (usual(&host)?, Some(controller));
    for disaster in DISASTERS {
        for place in [None, Some(middle)] {
            let what = format!("{disaster:?} after {place:?} bytes");
            let before = generation()?;
            let sync = place.map(|place| in_mid_fetch(&proxy, place)).transpose().doing(what.clone())?;
            strike_samba(disaster, &proxy, &mut controller)?;
            goes_on(&mut host, &usual, before).doing(what.clone())?;
            failed(sync).doing(what.clone())?;
            match disaster {
                Disaster::Killed => controller = Some(Samba::start_again(world)?),
                Disaster::Frozen => drop(samba_processes(Signal::SIGCONT)?),
                Disaster::Vanished => {}
            }
            proxy.set(Fault::None);
            host.daemon.wait_for_state("ok").doing(format!("recovery: {what}"))?;
        }
    }
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn strike_samba(disaster: Disaster, proxy: &Proxy, controller: &mut Option<Samba>) -> Outcome {
    let signal = match disaster {
        Disaster::Killed => Signal::SIGKILL,
        Disaster::Frozen => Signal::SIGSTOP,
        Disaster::Vanished => {
            proxy.stall_all();
            return Ok(());
        }
    };
    require(samba_processes(signal)? > 0, || format!("no samba for {signal}"))?;
    if disaster == Disaster::Killed {
        drop(controller.take());
    }
    proxy.release();
    Ok(())
}
