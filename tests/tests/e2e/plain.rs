//! The harness proves itself: without svcauth a world is an ordinary Debian host.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::directory::{Directory, Schema, group_dn};
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::packages;
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::{self, World};

cases!("plain":
    a_local_user_logs_in_and_the_log_says_so,
    a_wrong_key_is_refused,
    the_machine_is_out_of_reach,
    slapd_answers_over_tls_in_both_schemas,
    a_blackholed_slapd_answers_nobody,
    a_frozen_slapd_accepts_and_says_nothing,
    packages_are_installed_without_starting_a_service,
    an_interrupted_installation_leaves_no_policy_behind,
    a_world_ends_with_the_process_that_launched_it,
);

fn a_local_user_logs_in_and_the_log_says_so(world: &mut World) -> Outcome {
    world.local_user("local", 1010)?;
    let key = world.key("local")?;
    Sshd::authorize(world, "local", &[&key])?;
    let sshd = Sshd::start(world, &[])?;
    let ended = sshd.ssh("local", &key, &["id", "-u"])?.expect_ok()?;
    require_eq("the uid of the session", ended.text(), "1010")?;
    world.log().wait_for_line(0, &["Accepted publickey for local", key.fingerprint()])?;
    sshd.stop()
}

fn a_wrong_key_is_refused(world: &mut World) -> Outcome {
    world.local_user("local", 1010)?;
    let (right, wrong) = (world.key("right")?, world.key("wrong")?);
    Sshd::authorize(world, "local", &[&right])?;
    let sshd = Sshd::start(world, &[])?;
    sshd.ssh("local", &right, &["true"])?.expect_ok()?;
    let refused = sshd.ssh("local", &wrong, &["true"])?.expect_code(255)?;
    require_contains("what the client is told", &refused.stderr, "Permission denied")
}

fn the_machine_is_out_of_reach(world: &mut World) -> Outcome {
    world.write("/etc/only-here", 0o644, "x")?;
    require(std::fs::write("/only-here", "x").is_err(), || "the root folder can be written".to_owned())?;
    require(!Path::new("/run/systemd/system").exists(), || "the machine's /run shows".to_owned())?;
    for family in ["-4", "-6"] {
        let routes = Program::new("ip").args(&[family, "route", "show", "default"]).run()?;
        require_eq("the routes to elsewhere", routes.text(), "")?;
    }
    let processes =
        std::fs::read_dir("/proc")?.flatten().filter(|entry| entry.path().join("exe").exists()).count();
    require(processes < 10, || format!("{processes} processes: the machine's own show"))
}

/// Asks over TLS, with certificate and host name checked.
fn ask_over_tls() -> Outcome<bool> {
    ask_for("60")
}

/// The same in at most so many seconds.
fn ask_for(seconds: &str) -> Outcome<bool> {
    let reader = ["-x", "-D", "cn=svcauth,ou=system,dc=example,dc=com", "-w", "reader of the directory"];
    let search =
        Program::new("timeout").args(&[seconds, "ldapsearch", "-LLL", "-H", "ldaps://ldap1.example.com"]);
    let search = search.args(&reader).args(&["-b", &group_dn("application"), "cn"]);
    let search = search.env("LDAPTLS_CACERT", "/run/world/slapd/ca.pem").env("LDAPTLS_REQCERT", "demand");
    Ok(search.run()?.stdout.contains("cn: application"))
}

fn slapd_answers_over_tls_in_both_schemas(world: &mut World) -> Outcome {
    for (schema, member) in
        [(Schema::Rfc2307bis, "member: uid=bob,ou=people"), (Schema::Rfc2307, "memberUid: bob")]
    {
        let slapd = Slapd::start(world, &Directory::example(), schema)?;
        let group = slapd.search(&["-b", &group_dn("application")])?;
        require_contains("the group", &group.stdout, member)?;
        require(ask_over_tls()?, || "no answer over TLS".to_owned())?;
        slapd.stop()?;
        std::fs::remove_dir_all("/run/world/slapd")?;
        Program::new("ip").args(&["addr", "flush", "to", "10.77.0.1", "dev", "lo"]).run()?.expect_ok()?;
    }
    Ok(())
}

fn a_blackholed_slapd_answers_nobody(world: &mut World) -> Outcome {
    let slapd = Slapd::start(world, &Directory::example(), Schema::Rfc2307bis)?;
    require(ask_over_tls()?, || "no answer before".to_owned())?;
    slapd.blackhole()?;
    require(!ask_for("3")?, || "an answer out of the black hole".to_owned())?;
    slapd.leave_blackhole()?;
    require(ask_over_tls()?, || "no answer afterwards".to_owned())
}

fn a_frozen_slapd_accepts_and_says_nothing(world: &mut World) -> Outcome {
    let slapd = Slapd::start(world, &Directory::example(), Schema::Rfc2307bis)?;
    require(ask_over_tls()?, || "no answer before".to_owned())?;
    slapd.freeze()?;
    std::net::TcpStream::connect("10.77.0.1:636")?;
    require(!ask_for("3")?, || "an answer of a frozen server".to_owned())?;
    slapd.thaw()?;
    require(ask_over_tls()?, || "no answer afterwards".to_owned())
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Puts an apt-get in the place of the real one that writes down how it was called and then does `more`.
fn pretend(world: &World, more: &str) -> Outcome {
    let installed: String = packages::NEEDED
        .iter()
        .filter(|name| **name != "slapd")
        .map(|name| format!("{name} installed\\n"))
        .collect();
    world.write("/usr/bin/dpkg-query", 0o755, format!("#!/bin/sh\nprintf '{installed}'\n"))?;
    let apt = "#!/bin/sh\necho \"$* $DEBIAN_FRONTEND $RUNLEVEL\" >>/tmp/called\n/usr/sbin/policy-rc.d; echo policy $? >>/tmp/called\n";
    world.write("/usr/bin/apt-get", 0o755, format!("{apt}{more}\n"))
}

fn packages_are_installed_without_starting_a_service(world: &mut World) -> Outcome {
    let _ = std::fs::remove_file(POLICY);
    pretend(world, "true")?;
    let said = std::cell::RefCell::new(String::new());
    packages::ensure(packages::NEEDED, |line| said.borrow_mut().push_str(line))?;
    require_contains("what is said", &said.borrow(), "slapd")?;
    let called = std::fs::read_to_string("/tmp/called")?;
    require_contains("the call", &called, "--no-install-recommends")?;
    require_contains("the call", &called, "slapd noninteractive 1\npolicy 101\n")?;
    require(!Path::new(POLICY).exists(), || "the policy stayed".to_owned())?;
    // A policy of the machine's own is left alone.
    world.write(POLICY, 0o755, "#!/bin/sh\nexit 104\n")?;
    packages::ensure(packages::NEEDED, |_| ())?;
    require_contains("the call", &std::fs::read_to_string("/tmp/called")?, "policy 104\n")?;
    require(Path::new(POLICY).exists(), || "the machine's policy is gone".to_owned())
}

fn an_interrupted_installation_leaves_no_policy_behind(world: &mut World) -> Outcome {
    let _ = std::fs::remove_file(POLICY);
    pretend(world, "kill -INT $PPID; kill -TERM $PPID; exit 0")?;
    require(packages::ensure(packages::NEEDED, |_| ()).is_err(), || {
        "an interruption counts as success".to_owned()
    })?;
    require_contains("the call", &std::fs::read_to_string("/tmp/called")?, "policy 101\n")?;
    require(!Path::new(POLICY).exists(), || "the policy stayed".to_owned())
}

/// The processes below /proc that run this program; those of worlds inside this one show here as well.
fn running(program: &str) -> usize {
    let is_it = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == Path::new(program))
    };
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter(is_it).count()
}

fn a_world_ends_with_the_process_that_launched_it(_world: &mut World) -> Outcome {
    let mut inner = world::launch(None, &["plain::a_frozen_slapd_accepts_and_says_nothing"])?;
    let mut inner = inner.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    wait_until("slapd in the inner world", Duration::from_secs(60), || {
        (running("/usr/sbin/slapd") > 0).then_some(())
    })?;
    inner.kill()?;
    inner.wait()?;
    wait_until("the end of the inner world", Duration::from_secs(60), || {
        // Its programs end in no order; the log server that stays is this world's own.
        (running("/usr/sbin/slapd") == 0 && running("/usr/sbin/rsyslogd") == 1).then_some(())
    })
}
