//! Peers that lie, are slow or silent, or send what svcauth-shell never sends.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require, require_eq};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::{svcauth, text_at};
use svcauth_tests::world::World;

use super::{Plan, SHELL, UPTIME, record_of, rule, says, start, steps};
use crate::host::no_passwords;
use crate::shared_use::OpenConnection;

cases!("command_socket_hostile":
    a_process_that_belongs_to_no_session_or_to_another_account_speaks_for_nobody,
    silence_and_garbage_are_dropped_and_hold_nobody_up,
    what_no_log_takes_does_not_run,
    what_no_log_takes_runs_where_audit_is_best_effort,
);

const SOCKET: &str = "/run/svcauth/command.sock";
const SPOOL: &str = "/run/svcauth/audit.spool";

fn a_process_that_belongs_to_no_session_or_to_another_account_speaks_for_nobody(
    world: &mut World,
) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.directory.account("jenkins", 7002, 7002);
    let rules = rule("deployer", "commands = [{ kind = \"any\" }]") + &rule("jenkins", UPTIME);
    let host = start(world, plan, &rules)?;
    no_passwords(world)?;
    let bob = OpenConnection::of("bob", &host, world)?;
    bob.command(&["uptime"])?.expect_ok()?;
    // As the account, and outside of every session: while bob has one open.
    let alone = Program::new("setpriv")
        .args(&["--reuid", "7001", "--regid", "7000", "--clear-groups", SHELL, "-c", "id alone"])
        .run()?
        .expect_code(126)?;
    require(alone.text().starts_with("refused no_origin"), || alone.report())?;
    let record = record_of("command", "id alone")?;
    says(&record, &[("reason", "no_origin".into()), ("account", "deployer".into()), ("uid", 7001.into())])?;
    require_eq("whose it is", text_at(&record, "/origin"), "")?;
    // Another account, whose uid the process has, in the same process tree as a session of deployer.
    let other = Program::new("su")
        .args(&["deployer", "-s", "/bin/sh", "-c", "exec python3 -c 'import os; os.execv(\"/usr/bin/svcauth-shell\", [\"svcauth-shell\", \"-c\", \"id root\"])'"])
        .run()?
        .expect_ok()?;
    require(other.text().starts_with("shell "), || other.report())?;
    says(&record_of("command", "id root")?, &[("origin", "root".into())])?;
    let drop = "import os; os.setgroups([]); os.setgid(7002); os.setuid(7002); \
                os.execv('/usr/bin/svcauth-shell', ['svcauth-shell', '-c', 'id other'])";
    // A child of root's session of deployer cannot change its uid; root's own child can, and is in none of jenkins.
    let other = Program::new("python3").args(&["-c", drop]).run()?.expect_code(126)?;
    require(other.text().starts_with("refused no_origin"), || other.report())?;
    says(
        &record_of("command", "id other")?,
        &[("account", "jenkins".into()), ("origin", serde_json::Value::Null)],
    )
}

fn silence_and_garbage_are_dropped_and_hold_nobody_up(world: &mut World) -> Outcome {
    let host = start(world, Plan::new(world)?, &rule("deployer", UPTIME))?;
    let connect = || UnixStream::connect(SOCKET).doing("connect");
    let silent: Vec<UnixStream> = (0..100).map(|_| connect()).collect::<Outcome<_>>()?;
    let started = Instant::now();
    host.ssh("bob", "deployer", &["uptime"])?.expect_ok()?;
    svcauth(&["status"])?.expect_ok()?;
    require(started.elapsed() < Duration::from_secs(60), || format!("{:?}", started.elapsed()))?;
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        require_eq("bytes for who says nothing", &stream.read(&mut [0; 16])?, &0)?;
    }
    let mut garbage: Vec<Vec<u8>> =
        [&b"\xff\xff\xff\xff"[..], b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\0", b"\x01\0\0\0\x07"]
            .map(<[u8]>::to_vec)
            .into();
    garbage.push([&5u32.to_le_bytes()[..], b"\x01\x02\0\0\0"].concat());
    for bytes in garbage {
        let mut stream = connect()?;
        stream.write_all(&bytes)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let answered = stream.read(&mut [0; 16]);
        require(matches!(answered, Ok(0) | Err(_)), || format!("{bytes:?} was answered: {answered:?}"))?;
    }
    // One byte now and then is not waited for either.
    let mut slow = connect()?;
    slow.write_all(&100u32.to_le_bytes())?;
    wait_until("the end of a slow peer", Duration::from_secs(60), || {
        std::thread::sleep(Duration::from_millis(100));
        slow.write_all(b"\x01").is_err().then_some(())
    })?;
    host.ssh("bob", "deployer", &["uptime"])?.expect_ok().map(drop)
}

/// Asks for a command while neither a log nor the spool takes anything; whether it ran, and what was said.
fn asked_unheard(world: &mut World, audit: &str) -> Outcome<(bool, String)> {
    let mut plan = Plan::new(world)?;
    plan.site.configure("audit = \"required\"", &format!("audit = \"{audit}\""))?;
    let host = start(world, plan, &rule("deployer", UPTIME))?;
    let bob = OpenConnection::of("bob", &host, world)?;
    bob.command(&["uptime"])?.expect_ok()?;
    // The spool is what anybody could have written, and cannot be removed.
    world.write("/run/world/others", 0o666, "")?;
    Program::new("mount").args(&["--bind", "/run/world/others", SPOOL]).run()?.expect_ok()?;
    world.stop_syslog()?;
    steps(world, &["touch /tmp/ran", "exited 0"])?;
    let ended = bob.command(&["/usr/bin/uptime"])?;
    Program::new("umount").arg(SPOOL).run()?.expect_ok()?;
    world.start_syslog()?;
    Ok((std::path::Path::new("/tmp/ran").exists(), ended.text().to_owned()))
}

fn what_no_log_takes_does_not_run(world: &mut World) -> Outcome {
    let (ran, said) = asked_unheard(world, "required")?;
    require(!ran && said.starts_with("refused audit_unavailable"), || said.clone())
}

fn what_no_log_takes_runs_where_audit_is_best_effort(world: &mut World) -> Outcome {
    let (ran, said) = asked_unheard(world, "best_effort")?;
    require(ran && said.starts_with("program"), || said.clone())
}
