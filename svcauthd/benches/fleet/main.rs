//! A thousand hosts on one directory server: what they cost it when nothing happens, when one group changes, when all of
//! them start at once, and when the server comes back; and how long until the last of them knows of a change.
//!
//! `cargo bench -p svcauthd --bench fleet` as root; `-- --hosts 200 --seconds 10 --accounts 1000` for other sizes. Each host
//! is one [`svcauthd::directory::Source`], driven as the daemon's worker drives it, over LDAPS; the server is a real slapd and
//! counts its own requests and bytes (`cn=Monitor`). The hosts share the processors with the server, so that times are upper
//! limits; requests, bytes and the server's processor time are exact.
#![allow(clippy::print_stdout, missing_docs, reason = "a bench reports on standard output")]

mod host;
#[path = "../server/mod.rs"]
mod server;

use std::cell::Cell;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use svcauth_core::config::Config;
use svcauth_tests::failure::{Context, Failure, Outcome, require};
use svcauth_tests::packages;
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::{self, World};

use host::Fleet;
use server::{Size, Work, bytes, change, row};

/// How large the measurement is.
#[derive(Clone, Copy, Debug)]
struct Plan {
    hosts: usize,
    seconds: u64,
    refresh: u64,
    size: Size,
}

fn main() -> ExitCode {
    if let Some(code) = world::enter(|world, args| report(in_world(&world, args))) {
        return code;
    }
    report(outside())
}

fn report(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn outside() -> Outcome {
    packages::require_root()?;
    packages::ensure(packages::NEEDED, |line| println!("{line}"))?;
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    plan(&words)?;
    let status = world::launch(None, &words)?.status().doing("run the world")?;
    require(status.success(), || "the measurement failed".to_owned())
}

fn plan(words: &[&str]) -> Outcome<Plan> {
    let number = |name: &str, otherwise: u32| match words.iter().position(|word| *word == name) {
        Some(at) => words
            .get(at + 1)
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| Failure::new(format!("{name} needs a number"))),
        None => Ok(otherwise),
    };
    Ok(Plan {
        hosts: number("--hosts", 1000)? as usize,
        seconds: number("--seconds", 30)?.into(),
        refresh: number("--refresh", 15)?.into(),
        size: Size {
            accounts: number("--accounts", 200)?,
            people: number("--people", 200)?,
            groups: number("--groups", 50)?,
        },
    })
}

fn in_world(world: &World, args: &[String]) -> Outcome {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let plan = plan(&words)?;
    // One host has about eight descriptors here; the server inherits the limit.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).doing("look at RLIMIT_NOFILE")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).doing("raise RLIMIT_NOFILE")?;
    require(most >= 10 * plan.hosts as u64, || format!("ulimit -n is {most}; it takes 10 for each host"))?;
    let (slapd, site) = server::start(world, plan.size, Duration::from_secs(plan.refresh))?;
    // The hosts of the fleet would each read the machine's 140 authorities otherwise, which is not what is measured.
    world.copy("/run/world/slapd/ca.pem", "/etc/ssl/certs/ca-certificates.crt", 0o644)?;
    let secret = std::fs::read_to_string("/etc/svcauth/bind.secret")?;
    let look = Work::of_a_look(&slapd)?;
    let Plan { hosts, seconds, refresh, size } = plan;
    println!(
        "{hosts} hosts, refresh {refresh} s; directory: {} accounts, {} people, {} groups of {}; one slapd, LDAPS",
        size.accounts,
        size.people,
        size.groups,
        server::MEMBERS
    );
    let mut slapd = Some(slapd);
    for (round, mode) in (0..).zip(["off", "poll", "push"]) {
        println!("\nchanges = \"{mode}\"");
        let text = site.config.replacen("[directory]\n", &format!("[directory]\nchanges = \"{mode}\"\n"), 1);
        let config = Config::parse(&text).doing("read the configuration")?;
        let fleet = Arc::new(Fleet::new(config, secret.trim_end()));
        let mut bench = Bench { world, plan, look, fleet, hosts: Vec::new() };
        slapd = Some(bench.run(slapd.take().ok_or_else(|| Failure::new("no server"))?, round, seconds)?);
    }
    Ok(())
}

/// One fleet in one mode.
struct Bench<'a> {
    world: &'a World,
    plan: Plan,
    look: Work,
    fleet: Arc<Fleet>,
    hosts: Vec<(UnixStream, std::thread::JoinHandle<()>)>,
}

impl Bench<'_> {
    fn run(&mut self, slapd: Slapd, round: u32, seconds: u64) -> Outcome<Slapd> {
        println!(
            "{}",
            row(
                "",
                &["seconds", "requests", "per host", "bytes", "slapd CPU s", "connections", "slapd memory"]
                    .map(str::to_owned)
            )
        );
        let hosts = self.plan.hosts;
        for _ in 0..hosts {
            let (ours, theirs) = UnixStream::pair()?;
            let fleet = Arc::clone(&self.fleet);
            let thread = std::thread::Builder::new().stack_size(512 << 10);
            self.hosts.push((ours, thread.spawn(move || fleet.host(theirs))?));
        }
        self.measured(&slapd, "all start at once", |bench| {
            bench.tell_all()?;
            bench.until("every host to have everything", |fleet| {
                fleet.complete.load(Ordering::Relaxed) >= hosts
            })
        })?;
        println!("hosts that are told of changes: {}", self.fleet.live.load(Ordering::Relaxed));
        let idle = self.measured(&slapd, "idle", |bench| bench.tick(seconds, |_| false))?;
        self.propagate(&slapd, round, &idle)?;
        let slapd = self.restart(slapd)?;
        self.hosts.drain(..).for_each(|(ours, thread)| {
            drop(ours);
            let _ = thread.join();
        });
        Ok(slapd)
    }

    /// Tells every host to fetch.
    fn tell_all(&self) -> Outcome {
        self.hosts.iter().try_for_each(|(host, _)| (&*host).write_all(b"x")).doing("tell a host")
    }

    /// Does what every host's monitor does: says when a refresh is due, each host at its own time.
    fn tick(&self, seconds: u64, enough: impl Fn(&Fleet) -> bool) -> Outcome {
        let refresh = Duration::from_secs(self.plan.refresh);
        let start = Instant::now();
        let hosts = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let mut due: Vec<Instant> = (0..hosts).map(|index| start + refresh * index / hosts).collect();
        while start.elapsed() < Duration::from_secs(seconds) && !enough(&self.fleet) {
            let now = Instant::now();
            for ((host, _), due) in self.hosts.iter().zip(&mut due).filter(|(_, due)| **due <= now) {
                (&*host).write_all(b"x").doing("tell a host")?;
                *due += refresh;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn until(&self, what: &str, enough: impl Fn(&Fleet) -> bool) -> Outcome {
        self.tick_until(what, enough, 0)
    }

    /// Waits with or without refreshes in between.
    fn tick_until(&self, what: &str, enough: impl Fn(&Fleet) -> bool, refreshes: u64) -> Outcome {
        let start = Instant::now();
        while !enough(&self.fleet) {
            if refreshes > 0 {
                self.tick(refreshes, &enough)?;
            }
            let failures = self.fleet.failures.lock().unwrap_or_else(PoisonError::into_inner).clone();
            require(start.elapsed() < Duration::from_secs(300), || {
                format!(
                    "{what}: not after 300 s; {} failures, the last {:?}",
                    failures.len(),
                    failures.last()
                )
            })?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Does something and prints what it cost the server.
    fn measured(
        &self,
        slapd: &Slapd,
        name: &str,
        act: impl FnOnce(&Self) -> Outcome,
    ) -> Outcome<(Work, Duration)> {
        let before = Work::now(slapd)?;
        let start = Instant::now();
        act(self)?;
        let took = start.elapsed();
        let work = Work::now(slapd)?.since(before, self.look);
        self.print(name, &work, took)?;
        Ok((work, took))
    }

    fn print(&self, name: &str, work: &Work, took: Duration) -> Outcome {
        let hosts = self.plan.hosts as f64;
        let cells = [
            format!("{:.2}", took.as_secs_f64()),
            format!("{:.0}", work.requests),
            format!("{:.2}", work.requests / hosts),
            bytes(work.bytes),
            format!("{:.2}", work.cpu),
            format!("{:.0}", work.open),
            bytes(work.memory),
        ];
        println!("{}", row(name, &cells));
        let failures =
            std::mem::take(&mut *self.fleet.failures.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(last) = failures.last() {
            println!("  {} fetches failed, the last: {last}", failures.len());
        }
        Ok(())
    }

    /// One change, and how long until every host has it.
    fn propagate(&self, slapd: &Slapd, round: u32, (idle, length): &(Work, Duration)) -> Outcome {
        self.fleet.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let count = |fleet: &Fleet| fleet.seen.lock().unwrap_or_else(PoisonError::into_inner).len();
        let hosts = self.plan.hosts;
        let changed = Cell::new(Instant::now());
        let (work, took) = self.measured(slapd, "one group changes", |bench| {
            let member = server::person_dn(bench.plan.size.people - 1 - round);
            *bench.fleet.awaited.write().unwrap_or_else(PoisonError::into_inner) = member;
            changed.set(Instant::now());
            change(slapd, bench.plan.size, round)?;
            bench.tick_until("every host to see the change", |fleet| count(fleet) >= hosts, 60)
        })?;
        let share = took.as_secs_f64() / length.as_secs_f64();
        let mut times: Vec<Duration> = {
            let seen = self.fleet.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.iter().map(|at| at.saturating_duration_since(changed.get())).collect()
        };
        times.sort();
        let at =
            |part: f64| times.get(((times.len() - 1) as f64 * part) as usize).copied().unwrap_or_default();
        println!(
            "  seen by half after {:.0?}, by 99 % after {:.0?}, by all {hosts} after {:.0?}; beyond the idle rate: {:.0} requests, {}, {:.2} s CPU",
            at(0.5),
            at(0.99),
            at(1.0),
            work.requests - idle.requests * share,
            bytes(work.bytes - idle.bytes * share),
            work.cpu - idle.cpu * share
        );
        Ok(())
    }

    /// The server is stopped and started again; hosts come back at their own refresh.
    fn restart(&self, slapd: Slapd) -> Outcome<Slapd> {
        slapd.stop()?;
        std::thread::sleep(Duration::from_secs(1));
        let slapd = Slapd::start_again(self.world)?;
        let before = self.fleet.fetches.load(Ordering::Relaxed);
        let hosts = self.plan.hosts as u64;
        self.measured(&slapd, "the server was restarted", |bench| {
            let back = |fleet: &Fleet| fleet.fetches.load(Ordering::Relaxed) - before >= hosts;
            bench.tick_until("every host to be back", back, 60)
        })?;
        Ok(slapd)
    }
}
