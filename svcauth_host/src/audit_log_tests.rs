//! The sender against real sockets in a folder of its own.

use super::{DEADLINE, Sink, Sinks, SyslogWriter, send};
use nix::errno::Errno;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use svcauth_core::audit::{Event, Record, Verdict};

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder with the two sockets' paths, removed at the end.
struct Host {
    folder: PathBuf,
    sinks: Sinks,
}

impl Host {
    fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("svcauth-log-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let sinks = Sinks { journal: folder.join("journal"), syslog: folder.join("log") };
        Self { folder, sinks }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn denial() -> Record {
    Record {
        decision: Some(Verdict::Deny),
        account: Some("deployer".into()),
        origin: Some("carol".into()),
        reason: Some("not_in_role".into()),
        ..Record::default()
    }
}

fn receive(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let size = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..size].to_vec()).unwrap()
}

/// Fills the queue of a receiver that does not read, as a stopped journald would leave it; returns how many it took.
fn fill(host: &Host) -> u32 {
    let mut taken = 0;
    while send(&denial(), &host.sinks, Duration::ZERO).is_ok() {
        taken += 1;
        assert!(taken < 100_000, "the queue never fills");
    }
    taken
}

/// How often something that a busy machine delays is tried: a sender that blocks is late each time.
const TRIES: u32 = 100;

/// How long the first run took that ended before `bound`, or the last one.
fn within(bound: Duration, mut run: impl FnMut()) -> Duration {
    let mut took = Duration::MAX;
    for _ in 0..TRIES {
        let start = Instant::now();
        run();
        took = start.elapsed();
        if took < bound {
            break;
        }
    }
    took
}

#[test]
fn a_record_goes_to_journald_with_its_fields() {
    let host = Host::new();
    let journal = UnixDatagram::bind(&host.sinks.journal).unwrap();
    let syslog = UnixDatagram::bind(&host.sinks.syslog).unwrap();
    assert_eq!(send(&denial(), &host.sinks, DEADLINE), Ok(Sink::Journal));
    let text = receive(&journal);
    assert!(text.starts_with("MESSAGE=deny account=deployer origin=carol reason=not_in_role\n"), "{text}");
    assert!(text.contains("\nPRIORITY=5\n") && text.contains("\nSVCAUTH_ORIGIN=carol\n"), "{text}");
    syslog.set_nonblocking(true).unwrap();
    assert!(syslog.recv(&mut [0; 8]).is_err(), "the record went to both");
}

#[test]
fn without_journald_a_record_goes_to_syslog_with_facility_severity_and_tag() {
    let host = Host::new();
    let syslog = UnixDatagram::bind(&host.sinks.syslog).unwrap();
    for (record, priority, line) in [
        (denial(), 85, "deny account=deployer origin=carol reason=not_in_role"),
        (Record { decision: Some(Verdict::Allow), ..Record::default() }, 86, "allow"),
        (Record { event: Event::Alarm, ..Record::default() }, 84, "alarm"),
    ] {
        assert_eq!(send(&record, &host.sinks, DEADLINE), Ok(Sink::Syslog));
        let tag = format!("<{priority}>svcauth[{}]: ", std::process::id());
        assert_eq!(receive(&syslog), format!("{tag}{line}"));
    }
}

#[test]
fn a_socket_that_nobody_holds_any_more_is_passed_over() {
    let host = Host::new();
    drop(UnixDatagram::bind(&host.sinks.journal).unwrap());
    let syslog = UnixDatagram::bind(&host.sinks.syslog).unwrap();
    assert!(host.sinks.journal.exists());
    assert_eq!(send(&denial(), &host.sinks, DEADLINE), Ok(Sink::Syslog));
    assert!(receive(&syslog).ends_with("reason=not_in_role"));
}

#[test]
fn without_any_log_the_answer_comes_at_the_deadline_and_names_both_sockets() {
    let host = Host::new();
    let late = within(3 * DEADLINE, || drop(send(&denial(), &host.sinks, DEADLINE)));
    assert!(late >= DEADLINE && late < 3 * DEADLINE, "{late:?}");
    let error = send(&denial(), &host.sinks, Duration::ZERO).unwrap_err();
    assert_eq!(error.journal, (host.sinks.journal.clone(), Errno::ENOENT));
    assert_eq!(error.syslog, (host.sinks.syslog.clone(), Errno::ENOENT));
    let text = error.to_string();
    for path in [&host.sinks.journal, &host.sinks.syslog] {
        assert!(text.contains(&format!("{}: No such file", path.display())), "{text}");
    }
    let long = Sinks { journal: "/x".repeat(200).into(), syslog: host.sinks.syslog.clone() };
    assert_eq!(send(&denial(), &long, DEADLINE).unwrap_err().journal.1, Errno::ENAMETOOLONG);
}

#[test]
fn a_log_that_does_not_read_costs_the_deadline_and_no_more() {
    let host = Host::new();
    let _journal = UnixDatagram::bind(&host.sinks.journal).unwrap();
    let _syslog = UnixDatagram::bind(&host.sinks.syslog).unwrap();
    assert!(fill(&host) > 0);
    let error = send(&denial(), &host.sinks, DEADLINE).unwrap_err();
    assert_eq!((error.journal.1, error.syslog.1), (Errno::EAGAIN, Errno::EAGAIN));
    assert!(error.to_string().starts_with("no log took the record within 100 ms"), "{error}");
    let took = within(2 * DEADLINE, || assert!(send(&denial(), &host.sinks, DEADLINE).is_err()));
    assert!(took >= DEADLINE && took < 2 * DEADLINE, "{took:?}");
    let bound = Duration::from_millis(1500);
    let took = within(bound, || assert!(send(&denial(), &host.sinks, Duration::MAX).is_err()));
    assert!(took < bound, "{took:?}");
}

#[test]
fn a_log_that_catches_up_before_the_deadline_gets_the_record() {
    // The log catches up a moment later; on a busy machine that may be too late for some.
    let is_waited_for = |_| {
        let host = Host::new();
        let syslog = UnixDatagram::bind(&host.sinks.syslog).unwrap();
        let queued = fill(&host);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                (0..queued).for_each(|_| drop(receive(&syslog)));
            });
            send(&denial(), &host.sinks, Duration::from_secs(1)) == Ok(Sink::Syslog)
        }) && receive(&syslog).ends_with("reason=not_in_role")
    };
    assert!((0..TRIES).any(is_waited_for));
}

#[test]
fn a_restarted_log_is_found_again() {
    let host = Host::new();
    let first = UnixDatagram::bind(&host.sinks.syslog).unwrap();
    assert_eq!(send(&denial(), &host.sinks, DEADLINE), Ok(Sink::Syslog));
    receive(&first);
    drop(first);
    assert!(send(&denial(), &host.sinks, DEADLINE).is_err());
    std::fs::remove_file(&host.sinks.syslog).unwrap();
    let second = UnixDatagram::bind(&host.sinks.syslog).unwrap();
    assert_eq!(send(&denial(), &host.sinks, DEADLINE), Ok(Sink::Syslog));
    assert!(receive(&second).ends_with("reason=not_in_role"));
}

#[test]
fn a_log_that_is_restarting_gets_the_record_when_it_is_back() {
    // It is back a moment later; on a busy machine that may be too late for some.
    let is_waited_for = |_| {
        let host = Host::new();
        let (sent, back) = std::thread::scope(|scope| {
            let back = scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                UnixDatagram::bind(&host.sinks.syslog).unwrap()
            });
            (send(&denial(), &host.sinks, Duration::from_millis(900)), back.join().unwrap())
        });
        sent == Ok(Sink::Syslog) && receive(&back).ends_with("reason=not_in_role")
    };
    assert!((0..TRIES).any(is_waited_for));
}

#[test]
fn a_record_too_long_for_a_datagram_arrives_shortened_and_says_so() {
    let host = Host::new();
    let journal = UnixDatagram::bind(&host.sinks.journal).unwrap();
    let record = Record { command: Some("a".repeat(2_000_000)), ..denial() };
    assert_eq!(send(&record, &host.sinks, DEADLINE), Ok(Sink::Journal));
    let text = receive(&journal);
    let marker = "a...(+1998976 bytes)\n";
    assert!(text.len() < 8192 && text.contains("SVCAUTH_COMMAND=aaa") && text.contains(marker));
    assert!(text.contains("SVCAUTH_ORIGIN=carol\n"));
}

#[test]
fn a_writer_for_formatters_sends_one_escaped_line_per_message_and_does_not_block() {
    let host = Host::new();
    let syslog = UnixDatagram::bind(&host.sinks.syslog).unwrap();
    let mut writer = SyslogWriter::new(&host.sinks, DEADLINE);
    write!(writer, "<86>svcauthd[{}]: one\n{}", 7, "two \u{1b}[2J".trim()).unwrap();
    assert_eq!(receive(&syslog), "<86>svcauthd[7]: one\\x0atwo \\x1b[2J");
    writer.write_all(&[b'\n'; 100_000]).unwrap();
    assert!(receive(&syslog).len() <= svcauth_core::audit::LINE_MAX);
    assert!(fill(&host) > 0);
    let error = writer.write(b"x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    let took = within(2 * DEADLINE, || assert!(writer.write(b"x").is_err()));
    assert!(took < 2 * DEADLINE, "{took:?}");
}
