//! A host that reads a real Active Directory (Samba) with its own key, by Kerberos over TLS.

use std::fs;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::kerberos::{HOST, KDC, KEYTAB, bind_with_kerberos, configure, machine, new_key, service};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::samba::{Samba, example, group, group_dn, person, person_dn};
use svcauth_tests::site::{svcauth, svcauth_json, text_at};
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent};

cases!("ad_kerberos":
    the_host_reads_with_its_key_exactly_what_a_user_reads_with_a_password,
    a_new_key_is_taken_without_a_restart_and_a_wrong_one_is_told_in_one_line,
    a_silent_kdc_takes_no_longer_than_the_timeout_and_no_login_waits,
    the_key_stays_with_the_keeper,
);

const LDAPS: &str = "uris = [\"ldaps://dc1.example.com\"]";
const STARTTLS: &str = "uris = [\"ldap://dc1.example.com\"]\ntls = \"starttls\"";

/// A host whose domain has these entries more, and that still reads it with a password; its key is in place.
fn start(world: &World, more: &str) -> Outcome<(Host, Samba)> {
    let mut plan = Plan::new(world)?;
    let people = ["alice", "bob", "carol"].map(|login| Ok((login, plan.key(login)?)));
    let people: Vec<_> = people.into_iter().collect::<Outcome<_>>()?;
    let samba = Samba::start(world, &example(&people, &format!("{}{more}", machine())))?;
    samba.modify(&service())?;
    configure(world, KDC)?;
    new_key("The key of host 1", KEYTAB)?;
    Samba::serve(world, &mut plan.site)?;
    Ok((plan.start(world)?, samba))
}

fn with_kerberos(world: &World, host: &mut Host) -> Outcome {
    bind_with_kerberos(&mut host.site)?;
    fs::remove_file("/etc/svcauth/bind.secret")?;
    host.site.write(world)?;
    host.daemon.reload(world)
}

fn generation() -> Outcome<u64> {
    let (_, status) = svcauth_json(&["status"])?;
    Ok(status.pointer("/generation").and_then(serde_json::Value::as_u64).unwrap_or_default())
}

/// The one line of a sync that fails.
fn refused_sync() -> Outcome<String> {
    Ok(svcauth(&["sync"])?.expect_code(1)?.stderr)
}

fn the_host_reads_with_its_key_exactly_what_a_user_reads_with_a_password(world: &mut World) -> Outcome {
    const MEMBERS: usize = 1600;
    let logins: Vec<String> = (0..MEMBERS).map(|number| format!("m{number:04}")).collect();
    let crowd: String = logins.iter().map(|login| person(login, "description: x")).collect();
    let members: Vec<String> = logins.iter().map(|login| person_dn(login)).collect();
    let (mut host, samba) = start(world, &(crowd + &group("big", "gidNumber: 7050", &members)))?;
    let listed = getent("group", "big")?.expect_ok()?;
    require_eq("members", &listed.text().split(',').count(), &MEMBERS)?;
    let by_password = generation()?;
    with_kerberos(world, &mut host)?;
    require_eq("the generation over LDAPS", &generation()?, &by_password)?;
    host.site.configure("# as the principal of the host", &format!("principal = \"{HOST}\""))?;
    host.site.configure(LDAPS, STARTTLS)?;
    host.site.configure("# in /etc/krb5.keytab\n", "")?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    require_eq("the generation over StartTLS", &generation()?, &by_password)?;
    // What it reads is what is there: a change is seen, in the large group too.
    let (group, late) = (group_dn("big"), person_dn("m1599"));
    samba.modify(&format!("dn: {group}\nchangetype: modify\ndelete: member\nmember: {late}\n"))?;
    host.daemon.sync()?;
    let listed = getent("group", "big")?.expect_ok()?;
    require_eq("members but one", &listed.text().split(',').count(), &(MEMBERS - 1))?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    // Without TLS there is no bind with Kerberos; the daemon says so and goes on as it was configured before.
    host.site.configure("tls = \"starttls\"", "tls = \"off\"")?;
    host.site.configure("ldap://dc1.example.com", "ldap://127.0.0.1")?;
    host.site.write(world)?;
    let checked = Program::new("/usr/sbin/svcauthd").arg("--check").run()?.expect_code(1)?;
    require_contains("the error", &checked.stderr, "needs tls = \"ldaps\" or \"starttls\"")
}

fn a_new_key_is_taken_without_a_restart_and_a_wrong_one_is_told_in_one_line(world: &mut World) -> Outcome {
    let (mut host, _samba) = start(world, "")?;
    with_kerberos(world, &mut host)?;
    fs::copy(KEYTAB, "/etc/svcauth/old.keytab")?;
    let pid = host.daemon.pid();
    new_key("The next key of host 1", "/etc/svcauth/new.keytab")?;
    // The machine's password has changed, and the file has its new key.
    fs::rename("/etc/svcauth/new.keytab", KEYTAB)?;
    host.daemon.sync().doing("the new key")?;
    fs::rename("/etc/svcauth/old.keytab", KEYTAB)?;
    let old = refused_sync()?;
    require_contains("an old key", &old, "the keytab has an old key of this principal; export it anew")?;
    let (_, status) = svcauth_json(&["status"])?;
    require_contains("status", text_at(&status, "/last_error"), "the keytab has an old key")?;
    require_eq("the state", text_at(&status, "/state"), "degraded")?;
    fs::write(KEYTAB, "no keytab at all")?;
    require_contains("nonsense", &refused_sync()?, "the keytab cannot be used: it is no keytab")?;
    fs::remove_file(KEYTAB)?;
    require_contains("no file", &refused_sync()?, "/etc/krb5.keytab: there is no such file")?;
    new_key("The last key of host 1", KEYTAB)?;
    Program::new("chmod").args(&["0644", KEYTAB]).run()?.expect_ok()?;
    require_contains("an open file", &refused_sync()?, "everybody on this host can read the key")?;
    Program::new("chmod").args(&["0600", KEYTAB]).run()?.expect_ok()?;
    host.daemon.sync().doing("a good key again")?;
    let check = || Program::new("/usr/sbin/svcauthd").arg("--check").run();
    check()?.expect_ok()?;
    require_eq("the daemon", &host.daemon.pid(), &pid)?;
    host.site.configure("# as the principal of the host", "principal = \"HOST2$@EXAMPLE.COM\"")?;
    host.site.write(world)?;
    let why = "it has no key of HOST2$@EXAMPLE.COM; it has keys of HOST1$@EXAMPLE.COM";
    require_contains("--check", &check()?.expect_code(1)?.stderr, why)?;
    host.daemon.signal(nix::sys::signal::Signal::SIGHUP)?;
    let told = wait_until("the wrong principal", Duration::from_secs(60), || {
        let (_, status) = svcauth_json(&["status"]).ok()?;
        text_at(&status, "/last_error").contains(why).then_some(())
    });
    told.doing(refused_sync()?)
}

fn a_silent_kdc_takes_no_longer_than_the_timeout_and_no_login_waits(world: &mut World) -> Outcome {
    let (mut host, _samba) = start(world, "")?;
    host.site.configure("refresh = \"1s\"\n", "refresh = \"1s\"\ntimeout = \"3s\"\n")?;
    with_kerberos(world, &mut host)?;
    // A socket that takes every question and answers none.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let _also = std::net::TcpListener::bind(silent.local_addr()?)?;
    configure(world, &silent.local_addr()?.to_string())?;
    // Another key, so that no ticket that was got before is used.
    new_key("The next key of host 1", KEYTAB)?;
    let start = std::time::Instant::now();
    let said = refused_sync()?;
    let took = start.elapsed();
    require_contains("a silent KDC", &said, "no ticket within 3 s; check that the KDC of the realm answers")?;
    require(took < Duration::from_secs(60), || format!("it took {took:?}"))?;
    let start = std::time::Instant::now();
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    require(start.elapsed() < Duration::from_secs(60), || format!("logins took {:?}", start.elapsed()))?;
    configure(world, KDC)?;
    host.daemon.sync()
}

/// Role and process id of the daemon's processes.
fn processes(host: &Host) -> Outcome<Vec<(String, String)>> {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", host.daemon.pid()))?;
    let role = |pid: &str| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split('\0').nth(1).unwrap_or_default().to_owned()
    };
    let mut roles: Vec<_> = children.split_whitespace().map(|pid| (role(pid), pid.to_owned())).collect();
    roles.sort_unstable();
    Ok(roles)
}

fn the_key_stays_with_the_keeper(world: &mut World) -> Outcome {
    let (mut host, _samba) = start(world, "")?;
    with_kerberos(world, &mut host)?;
    host.daemon.sync()?;
    let roles = processes(&host)?;
    let names: Vec<&str> = roles.iter().map(|(role, _)| role.as_str()).collect();
    require_eq("the processes", &names, &vec!["keeper", "worker"])?;
    for (role, pid) in &roles {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        for line in [
            "Uid:\t991\t991\t991\t991",
            "Gid:\t991\t991\t991\t991",
            "CapEff:\t0000000000000000",
            "NoNewPrivs:\t1",
        ] {
            require_contains(role, &status, line)?;
        }
        require_contains(role, &status, "CapPrm:\t0000000000000000")?;
        // Whoever else is the user svcauth sees nothing of it: neither memory nor descriptors.
        let file = format!("/proc/{pid}/fd/0");
        let other = ["--reuid=991", "--regid=991", "--clear-groups", "cat", &file];
        Program::new("setpriv").args(&other).run()?.expect_refused().doing(file)?;
    }
    let keytab = fs::read(KEYTAB)?;
    let of = |wanted: &str| roles.iter().find(|(role, _)| role == wanted).map_or("", |(_, pid)| pid);
    let given = fs::read(format!("/proc/{}/fd/0", of("keeper")))?;
    require(given == keytab, || "the keeper has another keytab".to_owned())?;
    for descriptor in fs::read_dir(format!("/proc/{}/fd", of("worker")))? {
        // What is no file cannot be read in this way.
        let has_it = fs::metadata(descriptor?.path()).is_ok_and(|meta| meta.len() == keytab.len() as u64);
        require(!has_it, || "the worker has a file as long as the keytab".to_owned())?;
    }
    // The last key of the file, as the monitor has it, which has read it.
    let key = keytab.get(keytab.len().saturating_sub(24)..).unwrap_or_default();
    let has_key = |pid: &str| Ok(memory(pid)?.windows(key.len()).any(|bytes| bytes == key)) as Outcome<bool>;
    require(has_key(&host.daemon.pid().to_string())?, || "the key is not in the monitor".to_owned())?;
    require(!has_key(of("worker"))?, || "the key is in the worker".to_owned())
}

/// What root can read of a process.
fn memory(pid: &str) -> Outcome<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let memory = fs::File::open(format!("/proc/{pid}/mem"))?;
    let mut all = Vec::new();
    for line in fs::read_to_string(format!("/proc/{pid}/maps"))?.lines() {
        let Some((range, rest)) = line.split_once(' ') else { continue };
        let ends = range
            .split_once('-')
            .map(|(from, to)| (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)));
        if let (Some((Ok(from), Ok(to))), true) = (ends, rest.starts_with("rw")) {
            let mut part = vec![0; usize::try_from(to - from).unwrap_or_default()];
            // A guard page has nothing to read.
            if memory.read_exact_at(&mut part, from).is_ok() {
                all.extend(part);
            }
        }
    }
    Ok(all)
}
