//! What one question costs, asked as glibc asks it: through the loaded module, from the snapshot at its real path.
//!
//! `cargo bench -p nss_svcauth --bench lookup`. The bench runs in a private world (see `tests/room/world.rs`). Read the
//! tables across: a lookup shall cost the same with 1,000 accounts and with 1,000,000. Behind them two ratios of one run:
//! a group of 5,000 members against memcpy of its record (target: at most 8), and 1,000,000 accounts against 1,000.

#![allow(clippy::unwrap_used, reason = "a bench that cannot set up its scene ends with the reason")]
#![allow(clippy::print_stdout, reason = "the ratios are this program's result")]

use std::ffi::CString;
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use divan::Bencher;
use room::module_ffi::{Module, NOT_FOUND, SUCCESS, module};
use room::snapshots::{FIRST_ID, PATH, large, publish};
use room::world;
use svcauth_core::snapshot::{FileKind, Snapshot, Table};

#[path = "../tests/room/mod.rs"]
mod room;

const ACCOUNTS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn main() {
    if !world::is_inside() {
        if let Some(mut command) = world::entering() {
            let status = command.args(std::env::args_os().skip(1)).status().unwrap();
            std::process::exit(status.code().unwrap_or(1));
        }
        return;
    }
    for count in ACCOUNTS {
        fs::write(prepared(count), large(count)).unwrap();
    }
    divan::main();
    print_ratios();
}

fn prepared(count: u32) -> String {
    format!("{PATH}.{count}")
}

/// Serves the snapshot with so many accounts.
fn serve(count: u32) -> &'static Module {
    let link = format!("{PATH}.link");
    // A rename of one name of a file over another name of it does nothing, rename(2): the link would stay.
    let _ = fs::remove_file(&link);
    fs::hard_link(prepared(count), &link).unwrap();
    fs::rename(&link, PATH).unwrap();
    module()
}

/// Names of accounts all over the table, so that no bucket stays in the processor's cache for the whole bench.
fn names(count: u32) -> Vec<CString> {
    (0..1024u64)
        .map(|step| CString::new(format!("svc{:06}", step * 7_919 % u64::from(count))).unwrap())
        .collect()
}

#[divan::bench(args = ACCOUNTS)]
fn account_by_name(bencher: Bencher, count: u32) {
    let (module, mut buffer) = (serve(count), [0; 1024]);
    let names = names(count);
    let mut next = names.iter().cycle();
    bencher.bench_local(|| assert_eq!(module.passwd_status(next.next().unwrap(), &mut buffer), SUCCESS));
}

#[divan::bench(args = ACCOUNTS)]
fn account_by_id(bencher: Bencher, count: u32) {
    let (module, mut buffer) = (serve(count), [0; 1024]);
    let uids: Vec<_> = (0..1024).map(|step| FIRST_ID + 100_000 + step * 7_919 % count).collect();
    let mut uids = uids.iter().copied().cycle();
    bencher.bench_local(|| assert_eq!(module.passwd_id_status(uids.next().unwrap(), &mut buffer), SUCCESS));
}

#[divan::bench(args = ACCOUNTS)]
fn account_that_is_not_there(bencher: Bencher, count: u32) {
    let (module, mut buffer) = (serve(count), [0; 1024]);
    bencher.bench_local(|| assert_eq!(module.passwd_status(c"nobody-here", &mut buffer), NOT_FOUND));
}

#[divan::bench]
fn root_who_is_never_managed(bencher: Bencher) {
    let (module, mut buffer) = (serve(1000), [0; 1024]);
    bencher.bench_local(|| assert_eq!(module.passwd_status(c"root", &mut buffer), NOT_FOUND));
}

#[divan::bench(args = ACCOUNTS)]
fn group_of_5(bencher: Bencher, count: u32) {
    let (module, mut buffer) = (serve(count), [0; 1024]);
    bencher.bench_local(|| assert_eq!(module.group_status(c"five", &mut buffer), SUCCESS));
}

#[divan::bench(args = ACCOUNTS)]
fn group_of_5000(bencher: Bencher, count: u32) {
    let (module, mut buffer) = (serve(count), vec![0; 1 << 18]);
    bencher.bench_local(|| assert_eq!(module.group_status(c"many", &mut buffer), SUCCESS));
}

#[divan::bench]
fn group_of_5000_memcpy_of_its_record(bencher: Bencher) {
    let (from, mut to) = (record_of_5000(), vec![0; 1 << 18]);
    bencher.bench_local(|| copy(&from, &mut to));
}

#[divan::bench(args = ACCOUNTS)]
fn groups_of_an_account(bencher: Bencher, count: u32) {
    let module = serve(count);
    let names = names(count);
    let mut next = names.iter().cycle();
    bencher.bench_local(|| {
        let (status, _, gids) = module.initgroups(next.next().unwrap(), 0, &[0], [16, -1]);
        assert_eq!((status, gids.filled > 1), (SUCCESS, true));
    });
}

/// The bytes of the record of the group `many`.
fn record_of_5000() -> Vec<u8> {
    let file = fs::read(prepared(1000)).unwrap();
    let snapshot = Snapshot::open(&*file, file.len() as u64, FileKind::Accounts).unwrap();
    let place = snapshot.find(Table::GroupByName, b"many").unwrap().next().unwrap();
    let start = usize::try_from(place.offset).unwrap();
    file.get(start..start + place.len as usize).unwrap().to_vec()
}

fn copy(from: &[u8], to: &mut [u8]) {
    to.get_mut(..from.len()).unwrap().copy_from_slice(black_box(from));
    black_box(to);
}

/// The best time of one call, in two interleaved series: what the neighbours do hits both.
fn best(mut one: impl FnMut(), mut other: impl FnMut()) -> [Duration; 2] {
    let mut best = [Duration::MAX; 2];
    for _ in 0..300 {
        best[0] = best[0].min(time(&mut one));
        best[1] = best[1].min(time(&mut other));
    }
    best
}

fn time(work: &mut impl FnMut()) -> Duration {
    const CALLS: u32 = 50;
    let start = Instant::now();
    (0..CALLS).for_each(|_| work());
    start.elapsed() / CALLS
}

fn print_ratios() {
    let (module, record) = (serve(1_000_000), record_of_5000());
    let (mut buffer, mut copied) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    let lookup = || assert_eq!(module.group_status(c"many", &mut buffer), SUCCESS);
    let [group, memcpy] = best(lookup, || copy(&record, &mut copied));
    println!(
        "group of 5,000 / memcpy of its {} bytes: {group:?} / {memcpy:?} = {:.1}   (target: at most 8)",
        record.len(),
        ratio(group, memcpy)
    );
    let [mut most, mut fewest] = [Duration::MAX; 2];
    for _ in 0..10 {
        most = most.min(one_lookup(1_000_000));
        fewest = fewest.min(one_lookup(1_000));
    }
    println!(
        "account among 1,000,000 / among 1,000: {most:?} / {fewest:?} = {:.2}   (target: 1, within the noise)",
        ratio(most, fewest)
    );
    publish(&[]);
}

fn one_lookup(count: u32) -> Duration {
    let (module, names, mut buffer) = (serve(count), names(count), [0; 1024]);
    let mut next = names.iter().cycle();
    let lookup = || assert_eq!(module.passwd_status(next.next().unwrap(), &mut buffer), SUCCESS);
    best(lookup, || ())[0]
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
