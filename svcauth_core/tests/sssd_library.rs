//! The ids of SIDs against sssd's own library, libsss_idmap. It need not be there, so the tests that load it are ignored
//! unless they are asked for: `cargo test -p svcauth_core --test sssd_library -- --ignored` (Debian: libsss-idmap0).
//!
//! `UPDATE_GOLDEN=1` writes what the library says to `src/id_map/sssd.txt`, which the unit tests read without it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set up its scene ends with the reason"
)]

#[path = "sssd_library/idmap_ffi.rs"]
mod idmap_ffi;

use idmap_ffi::Sssd;
use svcauth_core::id_map::{Slices, Unmapped};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/id_map/sssd.txt");

/// `ldap_idmap_range_min`, `_max` and `_size`.
type Range = (u32, u32, u32);

/// sssd's default, then what sites make of it: larger slices, small ones, few ones, ends that do not meet.
const RANGES: [Range; 6] = [
    (200_000, 2_000_200_000, 200_000),
    (200_000, 2_000_200_000, 1_000_000),
    (1_000_000, 2_000_000_000, 20_000),
    (10_000, 20_000, 100),
    (100_000, u32::MAX, 3_333_333),
    (5, 17_000, 999),
];

/// Numbers that look like chance and are the same in every run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn take(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 32).unwrap_or_default()
    }
}

/// The SIDs of domains: short, long, at the ends of what a number can be, and as chance has it.
fn domains() -> Vec<String> {
    let mut numbers = Numbers(1);
    let fixed = [[0, 0, 0], [1, 2, 3], [u32::MAX; 3], [3_623_811_015, 3_361_044_348, 30_300_820]];
    let chance: Vec<[u32; 3]> = (0..60).map(|_| [numbers.take(), numbers.take(), numbers.take()]).collect();
    fixed.iter().chain(&chance).map(|[a, b, c]| format!("S-1-5-21-{a}-{b}-{c}")).collect()
}

/// RIDs on both sides of every end of a slice, well-known ones, and as chance has it.
fn rids(size: u32) -> Vec<u32> {
    let mut numbers = Numbers(u64::from(size));
    let ends = (1..=12).flat_map(|part| [part * size - 1, part * size, part * size + 1]);
    let chance = (0..20).map(|_| numbers.take() % (14 * size));
    let known = [0, 1, 500, 512, 513, 1000, 1103, 199_999, 200_000, 1_999_999, 2_000_000, 2_200_000];
    known.into_iter().filter(|rid| rid / size < 1000).chain(ends).chain(chance).collect()
}

fn slices((min, max, size): Range) -> Slices {
    Slices::new(min, max, size).unwrap()
}

/// What sssd says of every SID of so many domains, each asked of a host that has met no other.
fn answers(domains_asked: usize) -> Vec<(Range, String, Result<u32, u32>)> {
    let sssd = Sssd::load();
    let mut found = Vec::new();
    for range in RANGES {
        for domain in domains().iter().take(domains_asked) {
            for rid in rids(range.2) {
                let sid = format!("{domain}-{rid}");
                let id = sssd.host(range, domain).id_of(&sid);
                found.push((range, sid, id));
            }
        }
    }
    found
}

#[test]
#[ignore = "needs libsss_idmap of sssd"]
fn every_id_is_the_one_that_the_library_of_sssd_computes() {
    let (mut same, mut shared) = (0, 0);
    for (range, sid, theirs) in answers(usize::MAX) {
        match slices(range).id_of(&sid) {
            Ok(ours) => {
                assert_eq!(Ok(ours), theirs, "{range:?} {sid}");
                same += 1;
            }
            Err(why) => {
                assert_eq!(why, Unmapped::Shared, "{range:?} {sid}");
                shared += 1;
            }
        }
    }
    assert!(same > 10_000 && shared > 100, "{same} {shared}");
}

#[test]
#[ignore = "needs libsss_idmap of sssd"]
fn what_we_refuse_as_shared_sssd_gives_to_whichever_it_meets_first() {
    let (sssd, range, domain) = (Sssd::load(), (200_000, 205_000, 1000), "S-1-5-21-1-2-3");
    let sid = |part: u32| format!("{domain}-{}", part * range.2);
    let alone = |part: u32| sssd.host(range, domain).id_of(&sid(part));
    let is_shared = |part: &u32| slices(range).id_of(&sid(*part)) == Err(Unmapped::Shared);
    let shared: Vec<u32> = (1..=10).filter(is_shared).collect();
    let twins = shared.iter().flat_map(|one| shared.iter().map(move |other| (*one, *other)));
    let (one, other) = twins
        .filter(|(one, other)| one != other)
        .find(|(one, other)| alone(*one).is_ok() && alone(*one) == alone(*other))
        .unwrap();
    let host = sssd.host(range, domain);
    assert_eq!(host.id_of(&sid(one)), alone(one));
    assert_ne!(host.id_of(&sid(other)), alone(other));
}

#[test]
#[ignore = "needs libsss_idmap of sssd"]
fn the_golden_file_is_what_the_library_says() {
    let mut text = String::from("# min max size SID id: what libsss_idmap of sssd computes\n");
    for (range, sid, id) in answers(3) {
        let known = slices(range).id_of(&sid).is_ok();
        if let Some(id) = id.ok().filter(|_| known) {
            text += &format!("{} {} {} {sid} {id}\n", range.0, range.1, range.2);
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(GOLDEN).unwrap(), text);
}
