//! Why the `syslog` crate's own writer is not used (docs/decisions/0002-syslog-crate.md), shown on the crate as it is
//! today. When `the_crates_own_writer_hangs...` fails, the crate has been mended and the decision can be looked at again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests: a failure is a panic")]

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use svcauth_core::audit::Record;
use svcauth_host::audit_log::{DEADLINE, Sinks, SyslogWriter, send};
use syslog::{Facility, Formatter3164, Logger};

/// Far longer than any queue needs, far shorter than a patient person.
const WATCHDOG: Duration = Duration::from_secs(2);
/// What takes longer hangs, on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a syslog socket that nobody reads unless the test does.
struct Unread {
    folder: PathBuf,
    sinks: Sinks,
    receiver: UnixDatagram,
}

impl Unread {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("svcauth-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let sinks = Sinks { journal: folder.join("none"), syslog: folder.join("log") };
        let receiver = UnixDatagram::bind(&sinks.syslog).unwrap();
        Self { folder, sinks, receiver }
    }

    /// The message that waits in the queue.
    fn next(&self) -> String {
        self.receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 1024];
        let size = self.receiver.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(buffer.get(..size).unwrap_or_default()).into_owned()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn formatter() -> Formatter3164 {
    Formatter3164 {
        facility: Facility::LOG_AUTHPRIV,
        hostname: None,
        process: "svcauthd".into(),
        pid: std::process::id(),
    }
}

#[test]
fn the_crates_own_writer_hangs_when_the_log_does_not_read() {
    let log = Unread::new("crate");
    let mut logger = syslog::unix_custom(formatter(), &log.sinks.syslog).unwrap();
    let (progress, watch) = channel();
    let writer = std::thread::spawn(move || {
        // Ends only with an error: here, when the receiver below goes away.
        while logger.info("a message").is_ok() {
            if progress.send(()).is_err() {
                break;
            }
        }
    });
    let mut sent = 0;
    let stop = loop {
        match watch.recv_timeout(if sent == 0 { PATIENCE } else { WATCHDOG }) {
            Ok(()) => sent += 1,
            Err(stop) => break stop,
        }
        assert!(sent < 100_000, "the queue never fills");
    };
    assert!(sent > 0, "the crate sent nothing at all");
    assert_eq!(stop, RecvTimeoutError::Timeout, "the crate no longer blocks");
    assert!(!writer.is_finished(), "the crate no longer blocks");
    drop(log);
    writer.join().unwrap();
}

#[test]
fn the_crates_own_writer_passes_newlines_and_loses_everything_after_a_restart_of_the_log() {
    let mut log = Unread::new("restart");
    let mut logger = syslog::unix_custom(formatter(), &log.sinks.syslog).unwrap();
    logger.info("one\ntwo").unwrap();
    assert!(log.next().ends_with("one\ntwo"));
    std::fs::remove_file(&log.sinks.syslog).unwrap();
    log.receiver = UnixDatagram::bind(&log.sinks.syslog).unwrap();
    for _ in 0..3 {
        assert!(logger.info("lost").is_err(), "the crate connects again");
    }
    let mut logger = Logger::new(SyslogWriter::new(&log.sinks, DEADLINE), formatter());
    logger.info("found").unwrap();
    assert!(log.next().ends_with("found"));
}

#[test]
fn the_crates_formatter_over_our_writer_gives_up_at_the_deadline() {
    let log = Unread::new("formatter");
    let mut logger = Logger::new(SyslogWriter::new(&log.sinks, DEADLINE), formatter());
    logger.info("one\ntwo").unwrap();
    let text = log.next();
    assert!(text.starts_with("<86>"), "{text}");
    assert!(text.ends_with(&format!(" svcauthd[{}]: one\\x0atwo", std::process::id())), "{text}");
    let start = Instant::now();
    while logger.info("a message").is_ok() {
        assert!(start.elapsed() < 10 * PATIENCE, "the queue never fills");
    }
    let start = Instant::now();
    assert!(logger.info("a message").is_err());
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[test]
fn the_audit_sender_gives_up_at_the_deadline() {
    let log = Unread::new("sender");
    let record = Record::default();
    assert!(send(&record, &log.sinks, DEADLINE).is_ok());
    while send(&record, &log.sinks, Duration::ZERO).is_ok() {}
    let start = Instant::now();
    assert!(send(&record, &log.sinks, DEADLINE).is_err());
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}
