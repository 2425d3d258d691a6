//! How a command ends, and what is sent to it meanwhile (W-09): as without the shell.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use svcauth_core::command::protocol::{Answer, Told};
use svcauth_tests::failure::{Failure, Outcome, require};
use svcauth_tests::program::{as_pid, wait_until};
use svcauth_tests::world::World;

use crate::peer::{Peer, SHELL, UID, own_shell, program, shell};

crate::sharing!("ends":
    every_exit_status_is_passed_on_and_told,
    a_death_by_signal_is_repeated_and_told,
    what_is_refused_or_cannot_start_has_its_own_status_and_one_line,
    signals_reach_the_command_and_those_of_its_own_group_once,
    what_sshd_sends_to_the_group_reaches_the_command_once,
    a_killed_shell_takes_its_command_along,
    a_stopped_command_stops_the_shell_until_it_goes_on,
    all_bytes_go_through_and_both_ends_are_seen,
    the_command_finds_descriptors_signals_and_limits_as_they_were,
    the_shell_itself_cannot_be_attached_to_and_its_command_can,
);

const SECONDS: Duration = Duration::from_secs(60);

/// The shell with pipes on all three, as the account.
fn start(line: &str) -> Outcome<Child> {
    let mut command = Command::new(SHELL);
    command.args(["-c", line]).uid(UID).gid(UID).env_clear().env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

/// The first line that it prints.
fn first_line(child: &mut Child) -> Outcome<String> {
    let stdout = child.stdout.as_mut().ok_or_else(|| Failure::new("no pipe"))?;
    let (mut line, mut byte) = (Vec::new(), [0]);
    while stdout.read(&mut byte)? == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn every_exit_status_is_passed_on_and_told(world: &mut World) -> Outcome {
    for status in 0..=255 {
        let peer = Peer::saying(own_shell())?;
        let line = format!("exit {status}");
        shell(world, &["-c", &line]).run()?.expect_code(status)?;
        require(peer.end()? == Told::Exited(status), || format!("{status}: {:?}", peer.heard()))?;
    }
    Ok(())
}

fn a_death_by_signal_is_repeated_and_told(_: &mut World) -> Outcome {
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGKILL,
        Signal::SIGTERM,
        Signal::SIGPIPE,
        Signal::SIGSEGV,
        Signal::SIGABRT,
    ] {
        let peer = Peer::saying(own_shell())?;
        let status = start(&format!("kill -{} $$; sleep 5", signal as i32))?.wait_with_output()?.status;
        require(status.signal() == Some(signal as i32) && !status.core_dumped(), || {
            format!("{signal}: {status}")
        })?;
        require(peer.end()? == Told::Killed(signal as i32), || format!("{:?}", peer.heard()))?;
    }
    // A real-time signal has no name.
    let peer = Peer::saying(own_shell())?;
    let status = start("kill -40 $$; sleep 5")?.wait_with_output()?.status;
    require(status.signal() == Some(40) && peer.end()? == Told::Killed(40), || format!("{status}"))
}

fn what_is_refused_or_cannot_start_has_its_own_status_and_one_line(world: &mut World) -> Outcome {
    let line = "ls / is not allowed for deployer: no rule names it";
    let refused = Answer::Refused { reason: "command_not_allowed".to_owned(), message: line.to_owned() };
    let _peer = Peer::saying(refused)?;
    for words in [&["-c", "ls /"][..], &[]] {
        let ended = shell(world, words).run()?.expect_code(126)?;
        require(ended.stderr == format!("svcauth: {line}\n") && ended.stdout.is_empty(), || ended.report())?;
    }
    let folder = || program("/usr/bin", &[]);
    world.write("/srv/bare", 0o755, "echo a script without a first line\n")?;
    for (answer, errno) in [(program("/nowhere", &[]), 2), (folder(), 13), (program("/srv/bare", &[]), 8)] {
        let peer = Peer::saying(answer)?;
        let ended = shell(world, &["-c", "x"]).run()?.expect_code(127)?;
        require(ended.stderr.lines().count() == 1 && ended.stdout.is_empty(), || ended.report())?;
        require(peer.end()? == Told::NotStarted(errno), || format!("{:?}", peer.heard()))?;
    }
    let peer = Peer::saying(program("usr/bin/true", &[]))?;
    shell(world, &["-c", "x"]).run()?.expect_code(255)?;
    require(peer.heard().told.is_empty(), || format!("{:?}", peer.heard()))
}

fn signals_reach_the_command_and_those_of_its_own_group_once(_: &mut World) -> Outcome {
    let _peer = Peer::saying(own_shell())?;
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
    ] {
        let number = signal as i32;
        let mut child = start(&format!(
            "trap 'echo got {number}; exit 9' {number}; echo ready; while :; do sleep 0.05; done"
        ))?;
        require(first_line(&mut child)? == "ready", || "not ready".to_owned())?;
        kill(as_pid(child.id()), signal)?;
        let got = first_line(&mut child)?;
        let status = child.wait()?;
        require(got == format!("got {number}") && status.code() == Some(9), || {
            format!("{signal}: {got} {status}")
        })?;
    }
    // The command signals all of its group, with the shell in it: it hears that once itself.
    let count =
        "n=0; trap 'n=$((n+1))' USR1; kill -USR1 0; for i in 1 2 3 4 5 6; do sleep 0.05; done; echo $n";
    let mut command = Command::new(SHELL);
    command.args(["-c", count]).uid(UID).gid(UID).process_group(0).stdout(Stdio::piped());
    let output = command.spawn()?.wait_with_output()?;
    // (What sleeps in the group dies of it, without a trap.)
    require(output.stdout == b"1\n", || format!("{output:?}"))
}

fn what_sshd_sends_to_the_group_reaches_the_command_once(world: &mut World) -> Outcome {
    let _peer = Peer::saying(own_shell())?;
    // Signals wait until they are counted: as many as must come, however late, and those that come soon after. Two of a
    // real-time one are always two; two SIGHUP are one when the second comes before the first is taken.
    let count = "import signal, sys\nexpected = int(sys.argv[1])\nwanted = {40, 1}\nsignal.pthread_sigmask(signal.SIG_BLOCK, wanted)\n\
        open('/srv/ready', 'w').close()\ncount = 0\n\
        while signal.sigtimedwait(wanted, 60 if count < expected else 0.5): count += 1\nprint(count)\n";
    world.write("/srv/count.py", 0o644, count)?;
    fs::set_permissions("/srv", fs::Permissions::from_mode(0o777))?;
    for (signal, of_another) in [(40, &["2"][..]), (1, &["1", "2"])] {
        for (parent, times) in [("sshd", &["1"][..]), ("other", of_another)] {
            let path = format!("/srv/{parent}");
            fs::copy("/bin/bash", &path)?;
            let _ = fs::remove_file("/srv/ready");
            // Job control puts the shell at the head of a group, as setsid(2) does where sshd starts it.
            let script = format!(
                "set -m; {SHELL} -c 'exec /usr/bin/python3 /srv/count.py {}' & \
                 until [ -e /srv/ready ]; do sleep 0.02; done; kill -{signal} -- -$!; wait $!",
                times[0]
            );
            let mut command = Command::new(&path);
            command.args(["-c", &script]).uid(UID).gid(UID).env("PATH", "/usr/bin:/bin");
            let ended = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
            let counted = String::from_utf8_lossy(&ended.stdout);
            require(times.contains(&counted.trim()), || format!("{parent} {signal}: {ended:?}"))?;
        }
    }
    Ok(())
}

fn a_killed_shell_takes_its_command_along(_: &mut World) -> Outcome {
    for answer in [own_shell(), program("/bin/bash", &[b"-c", b"echo $$; exec sleep 60"])] {
        let _peer = Peer::saying(answer)?;
        let mut child = start("echo $$; exec sleep 60")?;
        let pid = first_line(&mut child)?;
        let alive =
            || fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        require(alive(), || format!("{pid} does not run"))?;
        child.kill()?;
        child.wait()?;
        wait_until("the command to end", SECONDS, || (!alive()).then_some(()))?;
    }
    Ok(())
}

fn a_stopped_command_stops_the_shell_until_it_goes_on(_: &mut World) -> Outcome {
    let peer = Peer::saying(own_shell())?;
    let mut child = start("echo $$; kill -STOP $$; echo again; exit 4")?;
    let pid: i32 = first_line(&mut child)?.parse().map_err(|_| Failure::new("no pid"))?;
    let state = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
    };
    let shell = as_pid(child.id());
    wait_until("both to stop", SECONDS, || {
        (state(shell.as_raw()) == Some('T') && state(pid) == Some('T')).then_some(())
    })?;
    // As a job control shell does: whoever is told to go on is its child, and that is us.
    kill(shell, Signal::SIGCONT)?;
    require(first_line(&mut child)? == "again" && child.wait()?.code() == Some(4), || {
        "it did not go on".to_owned()
    })?;
    require(peer.end()? == Told::Exited(4), || format!("{:?}", peer.heard()))
}

fn all_bytes_go_through_and_both_ends_are_seen(_: &mut World) -> Outcome {
    let _peer = Peer::saying(program("/bin/cat", &[]))?;
    let bytes: Vec<u8> = (0..4_000_000_u32).flat_map(|i| [(i % 256) as u8, (i / 7 % 256) as u8]).collect();
    let mut child = start("x")?;
    let (mut input, copy) = (child.stdin.take().ok_or_else(|| Failure::new("no pipe"))?, bytes.clone());
    let feeder = std::thread::spawn(move || input.write_all(&copy));
    let output = child.wait_with_output()?;
    require(output.stdout == bytes && output.stderr.is_empty(), || format!("{} bytes", output.stdout.len()))?;
    require(feeder.join().is_ok_and(|fed| fed.is_ok()), || "not all was read".to_owned())?;
    // It closes its standard output and input long before it ends: whoever is on the other side sees that at once.
    let _peer = Peer::saying(own_shell())?;
    let mut child = start("echo now; exec >&- 2>&- <&-; sleep 60")?;
    require(first_line(&mut child)? == "now", || "not now".to_owned())?;
    let mut rest = Vec::new();
    child.stdout.take().ok_or_else(|| Failure::new("no pipe"))?.read_to_end(&mut rest)?;
    let mut input = child.stdin.take().ok_or_else(|| Failure::new("no pipe"))?;
    let closed = wait_until("standard input to be closed", SECONDS, || input.write_all(&[0]).err())?;
    require(closed.kind() == std::io::ErrorKind::BrokenPipe, || closed.to_string())?;
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// What /proc and the shell say of a process that somebody has started.
const LOOK: &str = "grep -E '^(Sig(Blk|Ign)|NoNewPrivs|Seccomp|CoreDumping|Umask)' /proc/self/status; ls /proc/self/fd; ulimit -a; \
                    cut -d' ' -f5-8 /proc/self/stat; pwd; id";

fn the_command_finds_descriptors_signals_and_limits_as_they_were(_: &mut World) -> Outcome {
    let _peer =
        Peer::saying(Answer::Shell { shell: "/bin/bash".to_owned(), id: "one".to_owned(), record: false })?;
    // Signals that are ignored (SIGHUP by nohup, SIGPIPE by some daemons), a descriptor of its own, closed ones, limits.
    for set_up in [
        "",
        "trap '' HUP PIPE CHLD TERM;",
        "exec 7</etc/passwd;",
        "exec <&-;",
        "exec 2>&-;",
        "umask 077; ulimit -c 100; ulimit -n 64;",
        "cd /srv;",
    ] {
        let run = |what: &str| -> Outcome<String> {
            let mut command = Command::new("/usr/bin/setsid");
            // A session of its own: the numbers of group and session are those of the process that becomes the shell.
            command.args([
                "-w",
                "/bin/bash",
                "-c",
                &format!("{set_up} echo $$; exec {what} -c \"$1\""),
                "x",
                LOOK,
            ]);
            command
                .uid(UID)
                .gid(UID)
                .current_dir("/")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let output = command.output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let (pid, rest) = text.split_once('\n').ok_or_else(|| Failure::new(format!("{output:?}")))?;
            Ok(rest.replace(&format!("\n{pid} {pid} "), "\nPID PID "))
        };
        let (with, without) = (run(SHELL)?, run("/bin/bash")?);
        require(without.lines().count() > 20, || without.clone())?;
        require(with == without, || format!("{set_up}\n{with}\nand without\n{without}"))?;
    }
    Ok(())
}

fn the_shell_itself_cannot_be_attached_to_and_its_command_can(world: &mut World) -> Outcome {
    let _peer = Peer::saying(own_shell())?;
    let mut child = start("echo $$; exec sleep 60")?;
    let command = first_line(&mut child)?;
    let memory = |pid: &str| {
        let open = format!("exec 3</proc/{pid}/mem");
        world.as_account("deployer", UID, UID, &["/bin/bash", "-c", &open]).run()
    };
    wait_until("the command to be another program", SECONDS, || {
        fs::read_link(format!("/proc/{command}/exe")).ok().filter(|exe| exe.ends_with("sleep"))
    })?;
    memory(&command)?.expect_ok()?;
    let refused = memory(&child.id().to_string())?.expect_refused()?;
    require(refused.stderr.contains("Permission denied"), || refused.report())?;
    child.kill()?;
    child.wait()?;
    Ok(())
}
