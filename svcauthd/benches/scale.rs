//! A hundred thousand accounts and twenty thousand people: the first load by the real daemon, its memory, and what ten
//! changes cost after it.
//!
//! `cargo bench -p svcauthd --bench scale` as root; `-- --accounts 10000` for another size. Everything real: slapd with LDAPS,
//! svcauthd as it would be installed, two processes, snapshots on a file system in memory. Times are of this machine; read
//! the ratios, and the counts, which are exact.
#![allow(clippy::print_stdout, missing_docs, reason = "a bench reports on standard output")]

#[path = "server/mod.rs"]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use svcauth_tests::artifacts::Artifacts;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::BASE;
use svcauth_tests::failure::{Context, Failure, Outcome, require};
use svcauth_tests::packages;
use svcauth_tests::program::wait_until;
use svcauth_tests::site::{svcauth, svcauth_json};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::{self, World};

use server::{Size, Work, bytes, row};

/// How much memory each process may have had at its peak, in bytes.
const MEMORY_MAX: f64 = 200.0 * 1024.0 * 1024.0;
const METRICS: &str = "/var/lib/svcauth/metrics.prom";
/// A first load on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

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
    let artifacts = Artifacts::build(|line| println!("{line}"))?;
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let status = world::launch(Some(&artifacts), &words)?.status().doing("run the world")?;
    require(status.success(), || "the measurement failed".to_owned())
}

fn size(words: &[String]) -> Outcome<Size> {
    let accounts = match words.iter().position(|word| word == "--accounts") {
        Some(at) => words.get(at + 1).and_then(|word| word.parse().ok()),
        None => Some(100_000),
    };
    let accounts = accounts.ok_or_else(|| Failure::new("--accounts needs a number"))?;
    Ok(Size { accounts, people: accounts / 5, groups: accounts / 20 })
}

fn in_world(world: &World, args: &[String]) -> Outcome {
    let size = size(args)?;
    // Nothing happens by the clock during the measurement.
    let (slapd, site) = server::start(world, size, Duration::from_secs(3600))?;
    site.install(world)?;
    let look = Work::of_a_look(&slapd)?;
    println!(
        "{} accounts, {} people, {} groups of {}; slapd over LDAPS, svcauthd with its worker",
        size.accounts,
        size.people,
        size.groups,
        server::MEMBERS
    );
    let mut bench = Bench { slapd, look, daemon: None, changing: Work::default() };
    bench.change_alone(size)?;
    let first = bench.first_load(world, size)?;
    let whole = bench.memory("after the first load")?;
    let ten = bench.ten_changes(size)?;
    let changed = bench.memory("after ten changes")?;
    let nothing = bench.nothing()?;
    print(&first, &ten, &nothing);
    for (name, peak) in whole.into_iter().chain(changed) {
        require(peak < MEMORY_MAX, || format!("the {name} had {}", bytes(peak)))?;
    }
    Ok(())
}

/// What one step cost, and whom.
struct Cost {
    name: &'static str,
    took: Duration,
    directory: Work,
    worker: f64,
    monitor: f64,
    metrics: BTreeMap<String, f64>,
}

struct Bench {
    slapd: Slapd,
    look: Work,
    daemon: Option<Daemon>,
    /// What making ten changes costs the directory, whoever hears of them.
    changing: Work,
}

impl Bench {
    /// Ten changes of other entries while nobody listens.
    fn change_alone(&mut self, size: Size) -> Outcome {
        let before = Work::now(&self.slapd)?;
        self.slapd.modify(&changes(size, 20))?;
        self.changing = Work::now(&self.slapd)?.since(before, self.look);
        Ok(())
    }

    fn first_load(&mut self, world: &World, size: Size) -> Outcome<Cost> {
        let before = Work::now(&self.slapd)?;
        let start = Instant::now();
        self.daemon = Some(Daemon::start_unready(world)?);
        let found = wait_until("the first generation", PATIENCE, || {
            let metrics = metrics().ok()?;
            (metrics.get("svcauth_generation").copied()? > 0.0).then_some(metrics)
        });
        let metrics = found.map_err(|why| {
            Failure::new(format!(
                "{why}\n{}",
                fs::read_to_string("/var/log/svcauthd.out").unwrap_or_default()
            ))
        })?;
        let took = start.elapsed();
        for (name, expected) in
            [("accounts", size.accounts), ("people", size.people), ("groups", size.groups)]
        {
            let published = metrics.get(&format!("svcauth_{name}")).copied().unwrap_or_default();
            // The example's own entries come on top.
            require(published >= f64::from(expected), || format!("{published} {name} of {expected}"))?;
        }
        self.cost("first load", took, before, [0.0; 2], BTreeMap::new())
    }

    /// Ten changes of every kind that are published together or one by one, as they come.
    fn ten_changes(&mut self, size: Size) -> Outcome<Cost> {
        let (before, told) = (Work::now(&self.slapd)?, settled_metrics()?);
        let cpu = self.cpu()?;
        let start = Instant::now();
        self.slapd.modify(&changes(size, 0))?;
        // Not `svcauth sync`, which lists the ids of everybody to be exact: the server tells of the changes.
        let mut seen = 0;
        wait_until("the publication of the changes", PATIENCE, || {
            let generation = svcauth_json(&["status"]).ok()?.1.get("generation")?.as_u64()?;
            if generation == std::mem::replace(&mut seen, generation) {
                return None;
            }
            let shown = svcauth(&["accounts", "--json"]).ok()?.expect_ok().ok()?.stdout;
            (shown.contains("\"new000009\"") && !shown.contains("\"svc000003\"")).then_some(())
        })?;
        let took = start.elapsed();
        let mut cost = self.cost("ten changes", took, before, cpu, told)?;
        cost.directory = cost.directory.since(Work::default(), self.changing);
        Ok(cost)
    }

    /// `svcauth sync` that finds nothing new: it asks for changes and lists the ids of everybody.
    fn nothing(&mut self) -> Outcome<Cost> {
        let (before, told) = (Work::now(&self.slapd)?, settled_metrics()?);
        let cpu = self.cpu()?;
        let start = Instant::now();
        svcauth(&["sync"])?.expect_ok()?;
        self.cost("nothing new", start.elapsed(), before, cpu, told)
    }

    fn cost(
        &self,
        name: &'static str,
        took: Duration,
        before: Work,
        cpu: [f64; 2],
        told: BTreeMap<String, f64>,
    ) -> Outcome<Cost> {
        let [monitor, worker] = self.cpu()?;
        let directory = Work::now(&self.slapd)?.since(before, self.look);
        let mut metrics = settled_metrics()?;
        for (key, value) in &mut metrics {
            *value -= told.get(key).copied().unwrap_or_default();
        }
        Ok(Cost { name, took, directory, monitor: monitor - cpu[0], worker: worker - cpu[1], metrics })
    }

    fn pids(&self) -> Outcome<[u32; 2]> {
        let monitor = self.daemon.as_ref().map(Daemon::pid).ok_or_else(|| Failure::new("no daemon"))?;
        let children = fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children"))?;
        let worker = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        Ok([monitor, worker.ok_or_else(|| Failure::new("svcauthd has no worker"))?])
    }

    /// Seconds of processor time of monitor and worker.
    fn cpu(&self) -> Outcome<[f64; 2]> {
        let [monitor, worker] = self.pids()?.map(|pid| server::processor_time_of(&pid.to_string()));
        Ok([monitor?, worker?])
    }

    /// The peaks so far, in bytes.
    fn memory(&self, when: &str) -> Outcome<[(&'static str, f64); 2]> {
        let [monitor, worker] = self.pids()?.map(|pid| server::memory_of(&pid.to_string(), "VmHWM"));
        let peaks = [("monitor", monitor?), ("worker", worker?)];
        for (name, peak) in peaks {
            println!("{}", row(&format!("peak memory, {name}, {when}"), &[bytes(peak)]));
        }
        Ok(peaks)
    }
}

/// Series and values of the metrics file.
fn metrics() -> Outcome<BTreeMap<String, f64>> {
    let text = fs::read_to_string(METRICS)?;
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    Ok(samples.filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?))).collect())
}

/// The same once what has just been done is in it: it is written at most every second.
fn settled_metrics() -> Outcome<BTreeMap<String, f64>> {
    std::thread::sleep(Duration::from_millis(2500));
    metrics()
}

/// Three members join, two accounts change, three come, two go; `first` keeps one call apart from another.
fn changes(size: Size, first: u32) -> String {
    let mut text = String::new();
    let mut add = |change: String| text.push_str(&change);
    for group in first..first + 3 {
        let member = server::person_dn(size.people - 1 - group);
        add(format!(
            "dn: {}\nchangetype: modify\nadd: member\nmember: {member}\n\n",
            server::group_dn(group)
        ));
    }
    for account in first + 1..first + 3 {
        add(format!(
            "dn: uid=svc{account:06},ou=accounts,{BASE}\nchangetype: modify\nreplace: loginShell\nloginShell: /bin/dash\n\n"
        ));
    }
    for account in first + 3..first + 5 {
        add(format!("dn: uid=svc{account:06},ou=accounts,{BASE}\nchangetype: delete\n\n"));
    }
    for account in first + 7..first + 10 {
        let id = 500_000 + account;
        add(format!(
            "dn: uid=new{account:06},ou=accounts,{BASE}\nchangetype: add\nobjectClass: account\nobjectClass: posixAccount\n\
             uid: new{account:06}\ncn: new\nuidNumber: {id}\ngidNumber: {id}\nhomeDirectory: /srv/new\n\n"
        ));
    }
    text
}

fn print(first: &Cost, ten: &Cost, nothing: &Cost) {
    let columns = [first, ten, nothing];
    let titles = [first.name, ten.name, nothing.name, "ten/first", "nothing/first"];
    println!("\n{}", row("", &titles.map(str::to_owned)));
    let line = |name: &str, value: &dyn Fn(&Cost) -> f64, show: &dyn Fn(f64) -> String| {
        let mut cells: Vec<String> = columns.iter().map(|cost| show(value(cost))).collect();
        let base = value(first);
        cells.extend([ten, nothing].map(|cost| {
            if base > 0.0 { format!("{:.3} %", 100.0 * value(cost) / base) } else { "-".to_owned() }
        }));
        println!("{}", row(name, &cells));
    };
    let seconds = |value: f64| format!("{value:.3} s");
    let number = |value: f64| format!("{value:.0}");
    line("wall time", &|cost| cost.took.as_secs_f64(), &seconds);
    line("directory: requests", &|cost| cost.directory.requests, &number);
    line("directory: entries sent", &|cost| cost.directory.entries, &number);
    line("directory: bytes sent", &|cost| cost.directory.bytes, &bytes);
    line("directory: processor", &|cost| cost.directory.cpu, &seconds);
    line("worker: processor", &|cost| cost.worker, &seconds);
    line("monitor: processor", &|cost| cost.monitor, &seconds);
    let told = |name: &'static str| {
        move |cost: &Cost| {
            cost.metrics.iter().filter(|(key, _)| key.starts_with(name)).map(|(_, value)| value).sum()
        }
    };
    line("refreshes", &told("svcauth_refresh_duration_seconds_count"), &number);
    line("fetch and apply", &told("svcauth_refresh_seconds_total{step=\"fetch\"}"), &seconds);
    line("publish", &told("svcauth_refresh_seconds_total{step=\"publish\"}"), &seconds);
    println!("the directory's part is without what making the changes costs it");
}
