//! What counting a decision adds to the decision, as a ratio of one run.
//!
//! `open_session` is the phase as sshd runs it, counting included, for somebody who is let in and for somebody who is not;
//! `note` is the counting alone, on the same file system. Run by hand: `cargo bench -p pam_svcauth`.
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
use svcauth_core::policy::Reason;
use svcauth_host::decisions;

const ROUNDS: usize = 2000;
/// Below the size at which the file takes no more.
const NOTES: u32 = 10;

fn main() {
    in_world("counting", measure);
}

fn measure(world: &mut World) {
    let world: &World = world;
    let (mut allowed, mut denied, mut noted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        allowed.push(open(world, &Login::ssh("deployer", BOB), SUCCESS));
        denied.push(open(world, &Login::ssh("deployer", CAROL), DENIED));
        let start = Instant::now();
        (0..NOTES).for_each(|_| decisions::note(Some(Reason::NotInRole), "sshd"));
        noted.push(start.elapsed() / NOTES);
    }
    let length = std::fs::metadata(svcauth_host::paths::DECISIONS).unwrap().len();
    assert!(length > (ROUNDS as u64) * u64::from(NOTES) * 20, "nothing was noted");
    let (allowed, denied, noted) = (median(allowed), median(denied), median(noted));
    println!("open_session, let in   {allowed:>10.1?}");
    println!("open_session, refused  {denied:>10.1?}");
    println!("note                   {noted:>10.1?}");
    let share = |whole: Duration| 100.0 * noted.as_secs_f64() / whole.as_secs_f64();
    println!("share of open_session: {:.1} % let in, {:.1} % refused", share(allowed), share(denied));
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
