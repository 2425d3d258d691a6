//! What Prometheus is told, as the real node exporter reads it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::time::Duration;

use nix::sys::signal::Signal;
use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::Schema;
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_eq};
use svcauth_tests::program::{Background, Program, wait_until};
use svcauth_tests::site::{svcauth_json, text_at};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use crate::host::{Plan, no_passwords, su};

cases!("metrics":
    the_node_exporter_tells_who_was_let_in_who_was_not_and_how_old_the_snapshot_is,
    decisions_made_while_the_daemon_is_away_are_counted_by_the_next_one,
    a_directory_that_is_away_is_counted_by_kind_and_the_age_grows,
);

const FILE: &str = "/var/lib/svcauth/metrics.prom";
const EXPORTER: &str = "127.0.0.1:9100";
/// Longer than any interval of the daemon's.
const PATIENCE: Duration = Duration::from_secs(120);

type Series = BTreeMap<String, f64>;

fn series(text: &str) -> Series {
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    samples.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

fn file() -> Option<Series> {
    fs::read_to_string(FILE).ok().map(|text| series(&text))
}

/// Waits until the file says so.
fn wait_for(what: &str, is_so: impl Fn(&Series) -> bool) -> Outcome<Series> {
    let found = wait_until(what, PATIENCE, || file().filter(|series| is_so(series)));
    found.map_err(|why| Failure::new(format!("{why}\n{}", fs::read_to_string(FILE).unwrap_or_default())))
}

fn value(series: &Series, name: &str) -> f64 {
    series.get(name).copied().unwrap_or_default()
}

const ALLOW_SSHD: &str = "svcauth_decisions_total{decision=\"allow\",reason=\"\",service=\"sshd\"}";
const DENY_SSHD: &str = "svcauth_decisions_total{decision=\"deny\",reason=\"not_in_role\",service=\"sshd\"}";
const RECORDS: &str = "svcauth_audit_records_total";
const DENY_SU: &str = "svcauth_decisions_total{decision=\"deny\",reason=\"not_in_role\",service=\"su\"}";

/// Records come into the audit file.
fn is_recorded(told: &Series) -> bool {
    let is_written = value(told, "svcauth_audit_writable") > 0.0;
    is_written && told.contains_key("svcauth_audit_spool_bytes") && value(told, RECORDS) >= 3.0
}

/// The distribution's exporter, with the link that the documentation shows.
fn exporter(world: &World) -> Outcome<Background> {
    let folder = "/var/lib/prometheus/node-exporter";
    fs::create_dir_all(folder)?;
    symlink(FILE, format!("{folder}/svcauth.prom"))?;
    let nobody = ["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", "prometheus-node-exporter"];
    let program = Program::new("setpriv").args(&nobody).args(&[
        "--collector.disable-defaults",
        "--collector.textfile",
        &format!("--collector.textfile.directory={folder}"),
        &format!("--web.listen-address={EXPORTER}"),
    ]);
    program.start(world.log_file("node-exporter.out")?)
}

/// What a Prometheus server would be given.
fn scrape() -> Outcome<String> {
    let connected = || TcpStream::connect(EXPORTER).ok();
    let found = wait_until("the node exporter", Duration::from_secs(60), connected);
    let said = || fs::read_to_string("/var/log/node-exporter.out").unwrap_or_default();
    let mut stream = found.map_err(|why| Failure::new(format!("{why}\n{}", said())))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).doing("read the answer of the node exporter")?;
    Ok(answer)
}

fn the_node_exporter_tells_who_was_let_in_who_was_not_and_how_old_the_snapshot_is(
    world: &mut World,
) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    no_passwords(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    su(world, "carol", "deployer", "true")?.expect_refused()?;
    // What svcauth does not manage is not counted.
    host.ssh("carol", "local", &["true"])?.expect_ok()?;
    wait_for("the decisions and records", |it| value(it, DENY_SU) > 0.0 && is_recorded(it))?;
    let meta = fs::symlink_metadata(FILE)?;
    require_eq("owner and mode", &(meta.uid(), meta.mode() & 0o7777), &(0, 0o644))?;
    let _exporter = exporter(world)?;
    let text = scrape()?;
    let told = series(&text);
    require(told.contains_key("node_textfile_scrape_error"), || text.clone())?;
    require_eq("faults that the exporter finds", &value(&told, "node_textfile_scrape_error"), &0.0)?;
    for (name, expected) in [(ALLOW_SSHD, 1.0), (DENY_SSHD, 1.0), (DENY_SU, 1.0)] {
        require_eq(name, &value(&told, name), &expected)?;
    }
    let decisions: f64 = told
        .iter()
        .filter(|(name, _)| name.starts_with("svcauth_decisions_total"))
        .map(|(_, value)| value)
        .sum();
    require_eq("all decisions", &decisions, &3.0)?;
    let (_, status) = svcauth_json(&["status"])?;
    for (name, pointer) in [
        ("svcauth_generation", "/generation"),
        ("svcauth_accounts", "/counts/accounts"),
        ("svcauth_groups", "/counts/groups"),
        ("svcauth_people", "/counts/people"),
        ("svcauth_max_stale_seconds", "/max_stale_seconds"),
    ] {
        let expected = status.pointer(pointer).and_then(serde_json::Value::as_f64);
        require_eq(name, &told.get(name).copied(), &expected)?;
    }
    require_eq("the state", text_at(&status, "/state"), "ok")?;
    require_eq("the state told", &value(&told, "svcauth_state{state=\"ok\"}"), &1.0)?;
    require(value(&told, "svcauth_snapshot_age_seconds") < 60.0, || text.clone())?;
    require(is_recorded(&told), || text.clone())?;
    require(value(&told, "svcauth_refresh_total{result=\"success\"}") > 0.0, || text.clone())
}

fn decisions_made_while_the_daemon_is_away_are_counted_by_the_next_one(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    wait_for("the first decision", |series| value(series, ALLOW_SSHD) > 0.0)?;
    let started = |series: &Series| value(series, "svcauth_start_time_seconds");
    let before = started(&file().unwrap_or_default());
    require(before > 0.0, || "no start time".to_owned())?;
    host.daemon.signal(Signal::SIGKILL)?;
    for _ in 0..3 {
        host.ssh("bob", "deployer", &["true"])?.expect_ok().doing("without the daemon")?;
    }
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    drop(host.daemon);
    let _daemon = Daemon::start(world)?;
    let told = wait_for("the decisions", |series| {
        started(series) > before && value(series, ALLOW_SSHD) + value(series, DENY_SSHD) >= 4.0
    })?;
    // Counted from the start of the daemon; Prometheus knows a counter that begins anew.
    require_eq("who was let in", &value(&told, ALLOW_SSHD), &3.0)?;
    require_eq("who was not", &value(&told, DENY_SSHD), &1.0)
}

fn a_directory_that_is_away_is_counted_by_kind_and_the_age_grows(world: &mut World) -> Outcome {
    const CONNECT: &str = "svcauth_refresh_errors_total{kind=\"connect\"}";
    const FAILURES: &str = "svcauth_refresh_total{result=\"failure\"}";
    const REQUESTS: &str = "svcauth_directory_requests_total";
    const RECEIVED: &str = "svcauth_directory_bytes_total{direction=\"received\"}";
    let mut plan = Plan::new(world)?;
    let slapd = Slapd::start(world, &plan.site.directory, Schema::Rfc2307bis)?;
    Slapd::serve(world, &mut plan.site)?;
    let _host = plan.start(world)?;
    // A bind and three searches, and a first load of some hundred bytes an entry.
    let well = wait_for("a first load", |series| value(series, REQUESTS) >= 4.0)?;
    require(value(&well, RECEIVED) > 500.0, || format!("{well:?}"))?;
    require_eq("failures so far", &value(&well, FAILURES), &0.0)?;
    slapd.stop()?;
    let away = wait_for("failures", |series| value(series, CONNECT) >= 2.0)?;
    // The refresh that was under way when the server went may have ended otherwise.
    require(value(&away, FAILURES) <= value(&away, CONNECT) + 1.0, || format!("{away:?}"))?;
    wait_for("the alarm", |series| value(series, "svcauth_alarms_total{kind=\"refresh_failed\"}") >= 1.0)?;
    wait_for("an older snapshot", |series| value(series, "svcauth_snapshot_age_seconds") >= 4.0)?;
    let confirmed = "svcauth_snapshot_confirmed_timestamp_seconds";
    let last = value(&file().unwrap_or_default(), confirmed);
    let now = Program::new("date").arg("+%s").run()?.expect_ok()?;
    let now: f64 = now.text().parse().doing("read the time")?;
    require(last <= now - 4.0 && last > now - 120.0, || format!("confirmed at {last}, now is {now}"))?;
    let _slapd = Slapd::start_again(world)?;
    let count = value(&file().unwrap_or_default(), CONNECT);
    wait_for("a younger snapshot", |series| value(series, confirmed) > last + 4.0)?;
    require(value(&file().unwrap_or_default(), CONNECT) >= count, || "a counter went back".to_owned())
}
