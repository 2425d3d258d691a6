//! What outlives a fetch, with a DNS that says what the test wants.

use super::resolver_ffi::Silence;
use super::{Ask, Attempt, Reach, Way};
use crate::directory::FetchError;
use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use svcauth_core::config::{Bind, Changes, DirectoryUri, LdapDirectory, ServerSource, Tls};

const ALL: &str = "_ldap._tcp.dc._msdcs.example.com";
const BERLIN: &str = "_ldap._tcp.berlin._sites.dc._msdcs.example.com";
const WAIT: Duration = Duration::from_secs(5);

type Hosts = Result<Vec<&'static str>, Silence>;

/// A DNS of these SRV records, which can be changed; a name without an entry is not there.
#[derive(Clone, Default)]
struct Dns {
    hosts: Arc<Mutex<BTreeMap<&'static str, Hosts>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Dns {
    fn say(&self, name: &'static str, hosts: Result<&[&'static str], Silence>) {
        self.hosts.lock().unwrap().insert(name, hosts.map(<[_]>::to_vec));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn ask(&self) -> Ask {
        let dns = self.clone();
        Arc::new(move |name: &str| {
            dns.asked.lock().unwrap().push(name.to_owned());
            let hosts = dns.hosts.lock().unwrap().get(name).cloned().unwrap_or(Err(Silence::Absent))?;
            let records: Vec<u8> = hosts.iter().flat_map(|host| record(host)).collect();
            let count = u8::try_from(hosts.len()).unwrap();
            Ok([&[0, 0, 0x81, 0x80, 0, 0, 0, count, 0, 0, 0, 0], &records[..]].concat())
        })
    }
}

fn record(host: &str) -> Vec<u8> {
    let labels = host.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    let target: Vec<u8> = labels.chain([0]).collect();
    let length = u8::try_from(target.len() + 6).unwrap();
    let head = [0, 0, 33, 0, 1, 0, 0, 0x0e, 0x10, 0, length, 0, 0, 0, 100, 0x01, 0x85];
    [&head[..], &target].concat()
}

fn directory(servers: ServerSource) -> LdapDirectory {
    LdapDirectory { servers, bind: Bind::Anonymous, tls: Tls::Off, ca_file: None, changes: Changes::Off }
}

fn domain(site: Option<&str>, tls: Tls) -> LdapDirectory {
    let source = ServerSource::Domain { domain: "example.com".to_owned(), site: site.map(str::to_owned) };
    LdapDirectory { tls, ..directory(source) }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn soon() -> Instant {
    Instant::now() + WAIT * 10
}

async fn begin<'a>(reach: &'a mut Reach, ldap: &'a LdapDirectory) -> Attempt<'a> {
    reach.begin(ldap, WAIT, soon()).await.unwrap()
}

fn shown(reach: &Reach) -> Vec<String> {
    reach.servers.uris().map(ToString::to_string).collect()
}

#[test]
fn the_controllers_of_the_configured_site_come_first_and_all_others_after_them() {
    let dns = Dns::default();
    dns.say(ALL, Ok(&["dc1.example.com", "dc2.example.com"]));
    dns.say(BERLIN, Ok(&["dc2.example.com"]));
    for seed in 0..20 {
        let mut reach = Reach::new(dns.ask(), seed);
        let ldap = domain(Some("berlin"), Tls::Ldaps);
        run(async { drop(begin(&mut reach, &ldap).await) });
        assert_eq!(shown(&reach), ["ldaps://dc2.example.com:636", "ldaps://dc1.example.com:636"]);
        assert_eq!(reach.discovery.pings, 0);
    }
    let mut reach = Reach::new(dns.ask(), 1);
    run(async { drop(begin(&mut reach, &domain(Some("berlin"), Tls::StartTls)).await) });
    assert_eq!(shown(&reach), ["ldap://dc2.example.com:389", "ldap://dc1.example.com:389"]);
}

#[test]
fn dns_is_asked_again_when_its_answer_has_expired_and_not_before() {
    let (dns, ldap) = (Dns::default(), domain(None, Tls::Ldaps));
    dns.say(ALL, Ok(&["dc1.example.com"]));
    let mut reach = Reach::new(dns.ask(), 1);
    for _ in 0..3 {
        run(async { drop(begin(&mut reach, &ldap).await) });
    }
    assert_eq!(dns.asked(), [ALL]);
    let hour = reach.discovery.until.unwrap() - Instant::now();
    assert!(hour > Duration::from_secs(3000) && hour <= Duration::from_secs(3600), "{hour:?}");
    reach.discovery.until = Some(Instant::now());
    dns.say(ALL, Ok(&["dc9.example.com"]));
    run(async { drop(begin(&mut reach, &ldap).await) });
    assert_eq!(shown(&reach), ["ldaps://dc9.example.com:636"]);
}

#[test]
fn what_is_known_stays_when_dns_fails_or_forgets_the_domain() {
    let (dns, ldap) = (Dns::default(), domain(Some("berlin"), Tls::Ldaps));
    dns.say(BERLIN, Ok(&["dc1.example.com"]));
    let mut reach = Reach::new(dns.ask(), 1);
    for silence in [Silence::Failed, Silence::Absent] {
        run(async { drop(begin(&mut reach, &ldap).await) });
        dns.say(BERLIN, Err(silence));
        dns.say(ALL, Err(silence));
        reach.discovery.until = Some(Instant::now());
        run(async { drop(begin(&mut reach, &ldap).await) });
        assert_eq!(shown(&reach), ["ldaps://dc1.example.com:636"]);
        let wait = reach.discovery.until.unwrap() - Instant::now();
        assert!(wait > Duration::from_secs(5) && wait <= Duration::from_secs(60), "{wait:?}");
    }
}

#[test]
fn a_dns_that_hangs_leaves_most_of_the_time_for_the_servers_that_are_known() {
    let (dns, ldap) = (Dns::default(), domain(Some("berlin"), Tls::Ldaps));
    dns.say(ALL, Ok(&["dc1.example.com"]));
    let mut reach = Reach::new(dns.ask(), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { drop(begin(&mut reach, &ldap).await) });
    let (hangs, ended) = std::sync::mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    reach.ask = Arc::new(move |_: &str| {
        let _ = ended.lock().unwrap().recv();
        Err(Silence::Failed)
    });
    // A busy machine delays some; one that waits for the DNS is late each time.
    let mut leaves_most = |_| {
        reach.discovery.until = Some(Instant::now());
        let start = Instant::now();
        runtime.block_on(async {
            drop(reach.begin(&ldap, WAIT, start + Duration::from_secs(4)).await.unwrap())
        });
        start.elapsed() < Duration::from_secs(3)
    };
    assert!((0..20).any(&mut leaves_most));
    assert_eq!(shown(&reach), ["ldaps://dc1.example.com:636"]);
    drop(hangs);
}

#[test]
fn no_controller_at_all_is_an_error_that_says_why() {
    let (dns, ldap) = (Dns::default(), domain(None, Tls::Ldaps));
    let said = |dns: &Dns| {
        let mut reach = Reach::new(dns.ask(), 1);
        let begun = run(async { reach.begin(&ldap, WAIT, soon()).await.map(drop) });
        let Err(FetchError::Discovery { what, .. }) = begun else { panic!("{begun:?}") };
        what
    };
    assert_eq!(said(&dns), "DNS has no record of one");
    dns.say(ALL, Ok(&["dc1.evil.net"]));
    assert_eq!(said(&dns), "DNS names dc1.evil.net, which is no host of the domain");
    dns.say(ALL, Err(Silence::Failed));
    assert_eq!(said(&dns), format!("{ALL}: no name server answers"));
}

#[test]
fn a_controller_of_another_site_is_left_for_one_of_this_hosts_own() {
    let (dns, ldap) = (Dns::default(), domain(None, Tls::Ldaps));
    dns.say(ALL, Ok(&["far.example.com", "near.example.com"]));
    dns.say(BERLIN, Ok(&["near.example.com"]));
    let mut reach = Reach::new(dns.ask(), 1);
    let uri = |host: &str| DirectoryUri::Host { host: host.to_owned(), port: 636, ldaps: true };
    let berlin = || Some("berlin".to_owned());
    run(async {
        drop(begin(&mut reach, &ldap).await);
        assert_eq!(reach.discovery.pings, 2);
        assert!(!reach.is_in(berlin(), &uri("far.example.com"), soon()).await.unwrap());
    });
    assert_eq!(shown(&reach), ["ldaps://near.example.com:636", "ldaps://far.example.com:636"]);
    assert_eq!((dns.asked().len(), reach.discovery.pings), (3, 0));
    // The site is known now; when it has no controller, any will do, and so it is when no site is known.
    run(async {
        assert!(reach.is_in(berlin(), &uri("near.example.com"), soon()).await.unwrap());
        dns.say(BERLIN, Ok(&[]));
        reach.find(soon()).await.unwrap();
        assert!(reach.is_in(berlin(), &uri("far.example.com"), soon()).await.unwrap());
    });
    let mut reach = Reach::new(dns.ask(), 1);
    run(async {
        drop(begin(&mut reach, &ldap).await);
        assert!(reach.is_in(None, &uri("far.example.com"), soon()).await.unwrap());
    });
}

struct Sockets(PathBuf);

impl Sockets {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("svcauth-reach-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
    fn listen(&self, name: &str) -> UnixListener {
        UnixListener::bind(self.0.join(name)).unwrap()
    }
    fn directory(&self, names: &[&str]) -> LdapDirectory {
        let uris = names.iter().map(|name| DirectoryUri::Ldapi { path: self.0.join(name) });
        directory(ServerSource::Uris(uris.collect()))
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn reached(attempt: &mut Attempt<'_>) -> Option<String> {
    attempt.next().await.map(|Way { uri, .. }| uri.to_string().rsplit('/').next().unwrap().to_owned())
}

#[test]
fn a_dead_server_costs_one_attempt_and_not_one_at_every_fetch() {
    let sockets = Sockets::new("dead");
    let _listening = sockets.listen("second");
    let ldap = sockets.directory(&["first", "second"]);
    let mut reach = Reach::new(Dns::default().ask(), 1);
    run(async {
        let mut attempt = begin(&mut reach, &ldap).await;
        assert_eq!(reached(&mut attempt).await.as_deref(), Some("second"));
        assert_eq!(attempt.failures.len(), 1);
        let second = DirectoryUri::Ldapi { path: sockets.0.join("second") };
        attempt.worked(&second);
        let mut attempt = begin(&mut reach, &ldap).await;
        assert_eq!(reached(&mut attempt).await.as_deref(), Some("second"));
        assert!(attempt.failures.is_empty());
        attempt.failed(&second, FetchError::Deadline);
        // Both are put back: the first, which is due soonest, has one more attempt.
        assert_eq!(reached(&mut attempt).await, None);
        assert_eq!(attempt.failures.len(), 2);
        assert!(matches!(attempt.failure(), FetchError::NoServer(failures) if failures.len() == 2));
    });
}

#[test]
fn a_server_that_took_a_whole_fetch_and_did_not_end_it_is_put_back() {
    let sockets = Sockets::new("slow");
    let _listening = (sockets.listen("first"), sockets.listen("second"));
    let ldap = sockets.directory(&["first", "second"]);
    let mut reach = Reach::new(Dns::default().ask(), 1);
    run(async {
        // Dropped in the middle, as at a deadline.
        assert_eq!(reached(&mut begin(&mut reach, &ldap).await).await.as_deref(), Some("first"));
        assert_eq!(reached(&mut begin(&mut reach, &ldap).await).await.as_deref(), Some("second"));
        // Another configuration forgets what was learned under the old one.
        let other = LdapDirectory { bind: Bind::External, ..ldap.clone() };
        assert_eq!(reached(&mut begin(&mut reach, &other).await).await.as_deref(), Some("first"));
    });
}
