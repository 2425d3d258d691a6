//! The shell without a daemon, or with something else in its place; and those whom nobody limits.

use std::fs;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use svcauth_core::command::protocol::Answer;
use svcauth_tests::failure::{Failure, Outcome, require};
use svcauth_tests::program::{Background, Ended, Program};
use svcauth_tests::world::World;

use crate::peer::{Peer, SHELL, SOCKET, UID, install, own_shell, program, shell};

crate::sharing!("alone":
    a_daemon_that_is_started_anew_is_waited_for,
    without_a_daemon_nothing_runs_after_ten_seconds,
    a_daemon_that_says_nothing_is_waited_for_as_long,
    what_makes_no_sense_runs_nothing,
    a_socket_of_somebody_else_is_not_asked,
    root_and_local_users_need_no_daemon,
    a_local_user_that_is_managed_is_asked_for,
    who_is_not_managed_runs_the_own_shell,
);

fn nothing_ran(ended: &Ended, status: i32, why: &str) -> Outcome {
    let said = ended.stderr.lines().count() == 1
        && ended.stderr.starts_with("svcauth: ")
        && ended.stderr.contains(why);
    require(ended.code == status && ended.stdout.is_empty() && said, || ended.report())
}

fn away() -> Outcome {
    install()?;
    let _ = fs::remove_file(SOCKET);
    Ok(())
}

fn a_daemon_that_is_started_anew_is_waited_for(world: &mut World) -> Outcome {
    away()?;
    let late = std::thread::spawn(|| {
        // First nothing, then a socket where nobody listens, then a daemon that hangs up, then one that answers.
        std::thread::sleep(Duration::from_millis(500));
        let _ = fs::create_dir_all("/run/svcauth");
        drop(UnixListener::bind(SOCKET));
        let _ = fs::set_permissions(SOCKET, std::os::unix::fs::PermissionsExt::from_mode(0o666));
        std::thread::sleep(Duration::from_millis(500));
        Peer::hanging_up().map(|_| std::thread::sleep(Duration::from_millis(500)))?;
        Peer::saying(own_shell())
    });
    let ended = shell(world, &["-c", "echo done"]).run()?.expect_ok()?;
    late.join().map_err(|_| Failure::new("the daemon"))??;
    // Nobody else could have answered.
    require(ended.text() == "done", || ended.report())
}

fn without_a_daemon_nothing_runs_after_ten_seconds(world: &mut World) -> Outcome {
    away()?;
    let ended = shell(world, &["-c", "echo evil"]).run()?;
    nothing_ran(&ended, 255, "svcauthd did not answer for 10 s")?;
    require(ended.took.as_secs() >= 9, || ended.report())
}

fn a_daemon_that_says_nothing_is_waited_for_as_long(world: &mut World) -> Outcome {
    away()?;
    let listener = UnixListener::bind(SOCKET)?;
    fs::set_permissions(SOCKET, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    let ended = shell(world, &["-c", "echo evil"]).run()?;
    drop(listener);
    nothing_ran(&ended, 255, "it takes too long")?;
    require(ended.took.as_secs() >= 9, || ended.report())
}

fn what_makes_no_sense_runs_nothing(world: &mut World) -> Outcome {
    let _peer = Peer::saying(own_shell())?;
    shell(world, &["-c", "true"]).run()?.expect_ok()?;
    let mut shell_answer = own_shell().encode();
    shell_answer.push(0);
    for (bytes, why) in [
        (vec![255, 255, 255, 255], "too long"),
        (vec![1, 0, 0, 0, 99], "does not understand"),
        (vec![0, 0, 0, 0], "does not understand"),
        (
            [&u32::try_from(shell_answer.len()).unwrap_or(0).to_le_bytes()[..], &shell_answer].concat(),
            "does not understand",
        ),
    ] {
        let _peer = Peer::writing(bytes)?;
        nothing_ran(&shell(world, &["-c", "echo evil"]).run()?, 255, why)?;
    }
    let _peer = Peer::saying(Answer::Resumed)?;
    nothing_ran(&shell(world, &["-c", "echo evil"]).run()?, 255, "what was not asked")?;
    let nul = program("/bin/echo", &[b"a\0b"]);
    let _peer = Peer::saying(nul)?;
    nothing_ran(&shell(world, &["-c", "echo evil"]).run()?, 126, "byte 0")
}

/// A server of the account's own at the place of the daemon's, as if it could put one there.
fn a_socket_of_somebody_else_is_not_asked(world: &mut World) -> Outcome {
    away()?;
    let _ = world.home("deployer", UID, UID);
    fs::create_dir_all("/run/svcauth")?;
    std::os::unix::fs::chown("/run/svcauth", Some(UID), Some(UID))?;
    let script = format!(
        "import socket,struct\ns=socket.socket(socket.AF_UNIX)\ns.bind('{SOCKET}')\ns.listen()\nwhile 1:\n c,_=s.accept()\n \
         m=bytes({:?})\n c.sendall(struct.pack('<I',len(m))+m)\n",
        own_shell().encode()
    );
    let log = world.log_file("fake.out")?;
    let fake: Background =
        world.as_account("deployer", UID, UID, &["/usr/bin/python3", "-c", &script]).start(log)?;
    svcauth_tests::program::wait_until("the fake", Duration::from_secs(60), || {
        fs::exists(SOCKET).ok()?.then_some(())
    })?;
    let ended = shell(world, &["-c", "echo evil"]).run()?;
    drop(fake);
    std::os::unix::fs::chown("/run/svcauth", Some(0), Some(0))?;
    nothing_ran(&ended, 255, "not served by root")
}

fn root_and_local_users_need_no_daemon(world: &mut World) -> Outcome {
    away()?;
    let _ = world.local_user("alice", 1001);
    world.write("/var/lib/svcauth/local_accounts", 0o644, "postgres\n")?;
    let line = "echo $0 $UID; exit 3";
    for (user, wanted) in [("root", "bash 0"), ("alice", "bash 1001")] {
        for run in [&["-c", line][..], &["--forced"]] {
            let words = [&[SHELL], run].concat();
            let own_shell = || -> Outcome<bool> {
                let program =
                    if user == "root" { Program::new(SHELL).args(run) } else { world.as_user(user, &words) };
                let ended = program.env("SSH_ORIGINAL_COMMAND", line).run()?.expect_code(3)?;
                require(ended.text() == wanted, || ended.report())?;
                Ok(ended.took < Duration::from_secs(5))
            };
            // A busy machine delays some; who waits for a daemon is late each time.
            let mut is_at_once = false;
            for _ in 0..10 {
                is_at_once = is_at_once || own_shell()?;
            }
            require(is_at_once, || format!("{user} waits"))?;
        }
    }
    // Who made it root's shell has locked nobody out.
    let passwd = fs::read_to_string("/etc/passwd")?;
    let rest = passwd.split_once('\n').map(|(_, rest)| rest).unwrap_or_default();
    fs::write("/etc/passwd", format!("root:x:0:0:root:/root:{SHELL}\n{rest}"))?;
    let ended = Program::new(SHELL).args(&["-c", "echo $0"]).run();
    fs::write("/etc/passwd", passwd)?;
    let ended = ended?.expect_ok()?;
    require(ended.text() == "sh", || ended.report())
}

fn a_local_user_that_is_managed_is_asked_for(world: &mut World) -> Outcome {
    let _ = world.local_user("postgres", 1002);
    let refused = Answer::Refused { reason: "no_rule".to_owned(), message: "no".to_owned() };
    for managed in ["mysql\npostgres\n", "postgres"] {
        world.write("/var/lib/svcauth/local_accounts", 0o644, managed)?;
        let _peer = Peer::saying(refused.clone())?;
        nothing_ran(&world.as_user("postgres", &[SHELL, "-c", "echo evil"]).run()?, 126, "no")?;
    }
    // Nobody knows whether it is.
    fs::remove_file("/var/lib/svcauth/local_accounts")?;
    let _peer = Peer::saying(refused)?;
    nothing_ran(&world.as_user("postgres", &[SHELL, "-c", "echo evil"]).run()?, 126, "no")?;
    world.write("/var/lib/svcauth/local_accounts", 0o644, "mysql\n")?;
    world.as_user("postgres", &[SHELL, "-c", "true"]).run()?.expect_ok().map(drop)
}

fn who_is_not_managed_runs_the_own_shell(world: &mut World) -> Outcome {
    let _peer = Peer::saying(Answer::NotManaged)?;
    // Of another source than /etc/passwd: sshd and su have named the shell.
    let ended = shell(world, &["--forced"])
        .env("SHELL", "/bin/dash")
        .env("SSH_ORIGINAL_COMMAND", "echo $0")
        .run()?
        .expect_ok()?;
    require(ended.text() == "dash", || ended.report())?;
    for odd in [SHELL, "dash", ""] {
        nothing_ran(
            &shell(world, &["-c", "echo evil"]).env("SHELL", odd).run()?,
            126,
            "svcauth does not manage it",
        )?;
    }
    Ok(())
}
