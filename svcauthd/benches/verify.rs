//! `svcauth log verify` over 128 MiB in two files, and SHA-256 of the same bytes alone, as MB/s of one run.
//!
//! Run by hand: `cargo bench -p svcauthd --bench verify`. The files are in the page cache, and what is counted is the time on the
//! processor: what else the machine does makes no difference.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench that cannot set itself up must stop"
)]

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use svcauth_core::audit::chain::{Anchor, Head};
use svcauth_core::audit::{Event, Record, Verdict};
use svcauthd::proof::{Against, prove};
use svcauthd::trail::Trail;

const SIZE: usize = 64 << 20;
const ROUNDS: usize = 7;

fn main() {
    let folder = std::env::temp_dir().join(format!("svcauth-bench-verify-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut at = Anchor::default();
    let paths: Vec<PathBuf> = ["audit.jsonl.1", "audit.jsonl"].map(|name| folder.join(name)).into();
    paths.iter().for_each(|path| fs::write(path, file(&mut at)).unwrap());
    let bytes: u64 = paths.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    let (mut verified, mut hashed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        verified.push(verify(&folder.join("audit.jsonl"), at));
        hashed.push(hash(&paths));
    }
    let speed = |mut times: Vec<Duration>| {
        times.sort();
        let median = times.get(ROUNDS / 2).unwrap().as_secs_f64();
        (bytes as f64 / 1e6) / median
    };
    let (verified, hashed) = (speed(verified), speed(hashed));
    println!("{} records, {} MB", at.seq, bytes / 1_000_000);
    println!("log verify      {verified:>8.0} MB/s");
    println!("SHA-256 alone   {hashed:>8.0} MB/s");
    println!("ratio           {:>8.2}", hashed / verified);
    fs::remove_dir_all(&folder).unwrap();
    assert!(verified >= 100.0, "slower than 100 MB/s");
}

/// A file of records as logins make them.
fn file(at: &mut Anchor) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SIZE + 4096);
    at.begin(Record { event: Event::FileBegin, ..Record::default() }.to_json().as_bytes(), &mut bytes);
    while bytes.len() < SIZE {
        let text = |text: &str| Some(text.to_owned());
        let record = Record {
            time: Some(1_769_847_300_000_000 + at.seq),
            decision: Some(Verdict::Allow),
            account: text("deployer"),
            uid: Some(7001),
            origin: text("alice"),
            origin_kind: text("person"),
            evidence: text("publickey"),
            key_fingerprint: text("SHA256:AY3fxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
            role: text("application"),
            service: text("sshd"),
            from: text("10.1.2.3"),
            tty: text("ssh"),
            session: text("b5ca04c2-52c8-18ea53a585df09ec"),
            generation: Some(42),
            age_seconds: Some(3),
            host: text("web1.example.com"),
            pid: Some(4711),
            ..Record::default()
        };
        at.seal(record.to_json().as_bytes(), &mut bytes);
    }
    bytes
}

fn verify(current: &Path, last: Anchor) -> Duration {
    let start = on_the_processor();
    let trail = Trail::of(current).unwrap();
    let against = Against { head: Some(Head { last, first: 1 }), ..Against::default() };
    let report = prove(trail.files(), &against).unwrap();
    assert!(report.fault.is_none() && report.lines == last.seq, "{report:?}");
    on_the_processor() - start
}

fn hash(paths: &[PathBuf]) -> Duration {
    let start = on_the_processor();
    let mut buffer = vec![0; 1 << 20];
    for path in paths {
        let (mut file, mut digest) = (File::open(path).unwrap(), Sha256::new());
        loop {
            match file.read(&mut buffer).unwrap() {
                0 => break,
                count => digest.update(buffer.get(..count).unwrap()),
            }
        }
        std::hint::black_box(digest.finalize());
    }
    on_the_processor() - start
}

/// What this thread has had of the processor (proc_pid_schedstat(5)).
fn on_the_processor() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
