//! What counting a decision and spooling its record add to the decision, as ratios of one run.
//!
//! `open_session` is the phase as sshd runs it, counting included, for somebody who is let in and for somebody who is not;
//! `note` is the counting alone and `append` the spooling alone, on the same file system. Run by hand: `cargo bench -p pam_svcauth`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench that fails must stop"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::ffi::Phase;
use support::login::Login;
use support::site::{BOB, CAROL};
use support::world::{DENIED, SUCCESS, World, in_world};
use svcauth_core::audit::{Record, Verdict};
use svcauth_core::policy::Reason;
use svcauth_host::{decisions, paths, spool};

const ROUNDS: usize = 2000;
/// Below the size at which the file takes no more.
const NOTES: u32 = 10;

fn main() {
    in_world("counting", measure);
}

fn measure(world: &mut World) {
    let world: &World = world;
    let (mut allowed, mut denied, mut noted, mut spooled) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let record = record();
    for round in 0..ROUNDS {
        // Nobody empties it here, and a full one takes nothing.
        if round % 100 == 99 {
            std::fs::remove_file(paths::AUDIT_SPOOL).unwrap();
        }
        allowed.push(open(world, &Login::ssh("deployer", BOB), SUCCESS));
        denied.push(open(world, &Login::ssh("deployer", CAROL), DENIED));
        let start = Instant::now();
        (0..NOTES).for_each(|_| decisions::note(Some(Reason::NotInRole), "sshd"));
        noted.push(start.elapsed() / NOTES);
        let start = Instant::now();
        (0..NOTES).for_each(|_| spool::append(&record).unwrap());
        spooled.push(start.elapsed() / NOTES);
    }
    let length = std::fs::metadata(svcauth_host::paths::DECISIONS).unwrap().len();
    assert!(length > (ROUNDS as u64) * u64::from(NOTES) * 20, "nothing was noted");
    let (allowed, denied) = (median(allowed), median(denied));
    let (noted, spooled) = (median(noted), median(spooled));
    println!("open_session, let in   {allowed:>10.1?}");
    println!("open_session, refused  {denied:>10.1?}");
    println!("note                   {noted:>10.1?}");
    println!("append                 {spooled:>10.1?}");
    let share = |part: Duration, whole: Duration| 100.0 * part.as_secs_f64() / whole.as_secs_f64();
    println!(
        "note is {:.1} % of open_session, let in, {:.1} % refused",
        share(noted, allowed),
        share(noted, denied)
    );
    // Two records for who is let in, the decision and the start, and one for who is not.
    let (two, one) = (share(2 * spooled, allowed), share(spooled, denied));
    println!("append is {two:.1} % of open_session, let in, {one:.1} % refused");
}

/// As long as that of a login.
fn record() -> Record {
    let text = |text: &str| Some(text.to_owned());
    Record {
        time: Some(1_769_847_300_000_000),
        decision: Some(Verdict::Allow),
        account: text("deployer"),
        origin: text("bob"),
        evidence: text("publickey"),
        key_fingerprint: text("SHA256:AY3fxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        role: text("application"),
        service: text("sshd"),
        from: text("10.1.2.3"),
        session: text("b5ca04c2-52c8-18ea53a585df09ec"),
        host: text("web1.example.com"),
        ..Record::default()
    }
}

/// The time of the phase that decides.
fn open(world: &World, login: &Login, code: i32) -> Duration {
    let handle = login.start(world);
    assert_eq!(handle.run(Phase::Account, 0), SUCCESS);
    login.complete(&handle);
    let start = Instant::now();
    assert_eq!(handle.run(Phase::Open, 0), code);
    let spent = start.elapsed();
    let _ = handle.run(Phase::Close, 0);
    drop(handle);
    world.records();
    spent
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
