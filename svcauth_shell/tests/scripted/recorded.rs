//! Interactive shells that are recorded: on a terminal of their own, as without the recording.

use std::time::{Duration, Instant};

use svcauth_core::command::protocol::{Answer, Told};
use svcauth_tests::failure::{Failure, Outcome, require};
use svcauth_tests::program::{Conversation, Program, wait_until};
use svcauth_tests::world::World;

use crate::peer::{HOME, Peer, shell};

crate::sharing!("recorded":
    what_the_terminal_shows_is_told_and_what_is_typed_unseen_is_not,
    job_control_keys_and_the_exit_status_are_those_of_a_shell,
    a_new_size_reaches_the_shell_and_is_told,
    the_terminal_is_afterwards_as_it_was,
    a_lost_terminal_ends_the_shell,
    without_a_terminal_what_is_printed_is_told_too,
    nothing_is_shown_that_the_daemon_has_not_taken,
    the_recording_goes_on_with_the_daemon_that_takes_over,
    a_recording_that_may_not_go_on_ends_the_session,
    a_daemon_that_stays_away_ends_the_session,
);

const SECONDS: Duration = Duration::from_secs(60);

/// Says when it has the terminal, at first and each time it goes on.
const SLEEPER: &str = "import signal, time\n\
    signal.signal(signal.SIGINT, signal.SIG_DFL)\n\
    signal.signal(signal.SIGCONT, lambda *_: print('going on', flush=True))\n\
    print('start', flush=True)\n\
    time.sleep(60)\n";

fn recorded() -> Answer {
    Answer::Shell { shell: "/bin/bash".to_owned(), id: "one".to_owned(), record: true }
}

fn session(world: &World) -> Program {
    let _ = world.write(
        format!("{HOME}/.bashrc"),
        0o644,
        "PS1='$ '\nbind 'set enable-bracketed-paste off' 2>/dev/null\n",
    );
    shell(world, &[]).dir(HOME).env("SSH_TTY", "/dev/pts/999")
}

fn begin(world: &World) -> Outcome<Conversation> {
    let mut talk = session(world).converse()?;
    talk.expect("$ ")?;
    Ok(talk)
}

fn what_the_terminal_shows_is_told_and_what_is_typed_unseen_is_not(world: &mut World) -> Outcome {
    let peer = Peer::saying(recorded())?;
    let mut talk = begin(world)?;
    talk.line("test -t 0 -a -t 1 -a -t 2 && test $SSH_TTY = $(tty) && echo on $((40+2))")?;
    talk.expect("on 42")?;
    talk.line("read -s -p 'Pass''word: ' secret; echo; echo ${#secret}")?;
    talk.answer("Password: ", "geheim")?;
    talk.expect("6")?;
    talk.line("exit 5")?;
    let (status, shown) = talk.end()?;
    require(status == 5, || format!("{status}\n{shown}"))?;
    require(peer.end()? == Told::Exited(5), || format!("{:?}", peer.heard()))?;
    let heard = peer.heard();
    require(heard.output() == shown && !shown.contains("geheim"), || {
        format!("{shown}\nand told\n{}", heard.output())
    })?;
    let first = heard.told.first();
    require(matches!(first, Some(Told::Size { .. })) && heard.asked[0].terminal, || format!("{heard:?}"))
}

fn job_control_keys_and_the_exit_status_are_those_of_a_shell(world: &mut World) -> Outcome {
    let peer = Peer::saying(recorded())?;
    world.write("/srv/sleeper.py", 0o644, SLEEPER)?;
    let mut talk = begin(world)?;
    // Ctrl-Z, jobs, fg, Ctrl-C; each key is pressed when what it is for has the terminal and has said so.
    talk.line("python3 /srv/sleeper.py")?;
    talk.expect("start")?;
    talk.keys("\x1a")?;
    talk.expect("Stopped")?;
    talk.expect("\n$ ")?;
    talk.line("jobs; echo do''ne")?;
    talk.expect("done")?;
    talk.expect("\n$ ")?;
    talk.line("fg; echo status $?")?;
    talk.expect("going on")?;
    talk.keys("\x03")?;
    talk.expect("\n$ ")?;
    talk.line("echo af''ter")?;
    talk.expect("after")?;
    // Ctrl-D, which is nothing before the shell reads the line by itself.
    talk.expect("\n$ ")?;
    talk.line("trap 'exit 7' EXIT")?;
    talk.expect("\n$ ")?;
    talk.keys("\x04")?;
    let (status, shown) = talk.end()?;
    require(status == 7, || format!("{status}\n{shown}"))?;
    require(peer.end()? == Told::Exited(7), || format!("{:?}", peer.heard()))?;
    // A death by signal.
    let peer = Peer::saying(recorded())?;
    let mut talk = begin(world)?;
    talk.line("kill -9 $$")?;
    require(talk.end()?.0 == 128 + 9 && peer.end()? == Told::Killed(9), || format!("{:?}", peer.heard()))
}

/// The process that has the other end of the terminal of the shell that talks.
fn process_of(talk: &mut Conversation) -> Outcome<String> {
    talk.line("echo pi''d=$PPID.")?;
    talk.expect("pid=")?;
    talk.expect(".")?;
    let pid = talk.shown().rsplit_once("pid=").and_then(|(_, rest)| rest.split_once('.'));
    pid.map(|(pid, _)| pid.to_owned()).ok_or_else(|| Failure::new("no pid"))
}

fn a_new_size_reaches_the_shell_and_is_told(world: &mut World) -> Outcome {
    let peer = Peer::saying(recorded())?;
    let mut talk = begin(world)?;
    let ours = format!("/proc/{}/fd/0", process_of(&mut talk)?);
    talk.line("trap 'echo res''ized' WINCH; echo se''t")?;
    talk.expect("set")?;
    Program::new("stty").args(&["-F", &ours, "cols", "123", "rows", "45"]).run()?.expect_ok()?;
    wait_until("the size to be told", SECONDS, || {
        peer.heard().told.contains(&Told::Size { columns: 123, rows: 45 }).then_some(())
    })?;
    talk.line("stty size")?;
    talk.expect("resized")?;
    talk.expect("45 123")?;
    talk.line("exit")?;
    talk.end().map(drop)
}

fn the_terminal_is_afterwards_as_it_was(world: &mut World) -> Outcome {
    let _peer = Peer::saying(recorded())?;
    let mut command = String::from("stty -icrnl erase ^H; stty -g; ");
    let ends = ["exit 0", "kill -9 $$"];
    for _ in ends {
        command.push_str("/usr/bin/svcauth-shell; ");
    }
    command.push_str("stty -g; echo th''e end");
    session(world).run()?;
    let mut talk = world
        .as_account("deployer", crate::peer::UID, crate::peer::UID, &["/bin/bash", "-c", &command])
        .converse()?;
    for end in ends {
        talk.expect("$ ")?;
        talk.keys(&format!("{end}\r"))?;
    }
    talk.expect("the end")?;
    let (_, shown) = talk.end()?;
    let settings: Vec<&str> = shown.lines().filter(|line| line.matches(':').count() > 20).collect();
    require(settings.len() == 2 && settings[0] == settings[1], || shown.clone())
}

fn a_lost_terminal_ends_the_shell(world: &mut World) -> Outcome {
    let peer = Peer::saying(recorded())?;
    let mut talk = begin(world)?;
    // The kernel tells the first process of a terminal's session; that of the shell's is the shell itself.
    talk.line("trap 'touch /home/deployer/hung-up; exit' HUP; echo re''ady; while :; do sleep 0.1; done")?;
    talk.expect("ready")?;
    let status = talk.hang_up()?;
    let told = peer.end()?;
    let is_so = std::fs::exists("/home/deployer/hung-up")? && told == Told::Exited(status);
    require(is_so, || format!("{status} {told:?}"))
}

fn without_a_terminal_what_is_printed_is_told_too(world: &mut World) -> Outcome {
    let peer = Peer::saying(recorded())?;
    let ended =
        session(world).input("echo one; echo two >&2; test -t 1 || exit 6\n").run()?.expect_code(6)?;
    require(ended.stdout == "one\n" && ended.stderr == "two\n", || ended.report())?;
    require(peer.end()? == Told::Exited(6), || format!("{:?}", peer.heard()))?;
    let output = peer.heard().output();
    require(output == "one\ntwo\n" || output == "two\none\n", || output)
}

fn nothing_is_shown_that_the_daemon_has_not_taken(world: &mut World) -> Outcome {
    const BYTES: usize = 3_000_000;
    let print = format!("head -c {BYTES} /dev/zero | tr '\\0' x; exit\n");
    let peer = Peer::saying(recorded())?;
    let ended = session(world).input(print.as_str()).run()?.expect_ok()?;
    // The last that is told: all before it has been heard then.
    require(peer.end()? == Told::Exited(0), || format!("{:?}", peer.heard().told.last()))?;
    require(ended.stdout.len() == BYTES && peer.heard().output().len() == BYTES, || {
        format!("{}", ended.stdout.len())
    })?;
    // One that answers and then reads nothing: what is shown is what a socket holds.
    let peer = Peer::deaf(recorded())?;
    let patience = Duration::from_secs(180);
    let ended = session(world).input(print.as_str()).patience(patience).run()?.expect_code(255)?;
    require(ended.stdout.len() < BYTES / 2, || format!("{} bytes are shown", ended.stdout.len()))?;
    require(peer.heard().told.is_empty(), || ended.report())
}

fn the_recording_goes_on_with_the_daemon_that_takes_over(world: &mut World) -> Outcome {
    let first = Peer::saying(recorded())?;
    let mut talk = begin(world)?;
    talk.line("echo be''fore")?;
    talk.expect("before")?;
    first.cut();
    talk.line("echo mean''while")?;
    std::thread::sleep(Duration::from_secs(1));
    require(!talk.shown().contains("meanwhile"), || "it is shown, and nobody has recorded it".to_owned())?;
    let second = Peer::saying(Answer::Resumed)?;
    talk.expect("meanwhile")?;
    talk.line("exit 8")?;
    let (status, shown) = talk.end()?;
    require(status == 8 && second.end()? == Told::Exited(8), || format!("{status}\n{shown}"))?;
    let (before, after) = (first.heard(), second.heard());
    require(after.asked[0].resume.as_deref() == Some("one") && before.asked[0].resume.is_none(), || {
        format!("{after:?}")
    })?;
    require(after.output().contains("meanwhile"), || format!("{after:?}"))
}

fn a_recording_that_may_not_go_on_ends_the_session(world: &mut World) -> Outcome {
    let first = Peer::saying(recorded())?;
    let mut talk = begin(world)?;
    let pid = process_of(&mut talk)?;
    talk.line("echo mi''ne=$$.; sleep 60")?;
    talk.expect("mine=")?;
    first.cut();
    let refused =
        Answer::Refused { reason: "audit_unavailable".to_owned(), message: "no space is left".to_owned() };
    let _second = Peer::saying(refused)?;
    let (status, shown) = talk.end()?;
    let last = shown.lines().last().unwrap_or_default();
    let line = "svcauth: this session is recorded, and that cannot go on: no space is left";
    require(status == 255 && last.ends_with(line), || format!("{status}\n{shown}"))?;
    require(!std::fs::exists(format!("/proc/{pid}"))?, || "it runs on".to_owned())
}

fn a_daemon_that_stays_away_ends_the_session(world: &mut World) -> Outcome {
    let peer = Peer::saying(recorded())?;
    let talk = begin(world)?;
    let started = Instant::now();
    peer.cut();
    let (status, shown) = talk.end()?;
    require(status == 255 && shown.contains("that cannot go on: svcauthd is gone"), || {
        format!("{status}\n{shown}")
    })?;
    let took = started.elapsed();
    require(took >= Duration::from_secs(9), || format!("{took:?}"))
}
