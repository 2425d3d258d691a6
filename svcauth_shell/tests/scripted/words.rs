//! What a command sees of what was asked and answered: words, environment, working directory.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use svcauth_core::command::protocol::{Answer, Told};
use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::world::World;

use crate::peer::{HOME, Peer, UID, own_shell, program, shell};

crate::sharing!("words":
    any_words_that_are_answered_are_the_words_of_the_program,
    the_own_shell_gets_the_line_and_the_environment_as_they_came,
    a_program_begins_in_the_home_directory_wherever_su_was_called,
    a_login_shell_is_one_when_ours_was_one,
    a_forced_command_is_asked_for_as_the_client_wrote_it,
    what_nobody_starts_a_login_shell_with_is_refused_unasked,
);

/// Words from a small generator with all the bytes that mean something to a shell; the seed makes a failure repeatable.
fn any_words(seed: u64) -> Vec<Vec<u8>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    const ODD: &[u8] = b" \n\t\r'\"\\$`;&|<>(){}[]*?!#~=%^-/.,:@+\x01\x1b\x7f\x80\xc3\xa9\xff";
    (0..next(9))
        .map(|_| {
            let length = if next(40) == 0 { 100_000 } else { next(24) };
            (0..length)
                .map(|_| match next(3) {
                    0 => ODD[usize::try_from(next(ODD.len() as u64)).unwrap_or(0)],
                    _ => u8::try_from(1 + next(255)).unwrap_or(1),
                })
                .collect()
        })
        .collect()
}

fn any_words_that_are_answered_are_the_words_of_the_program(world: &mut World) -> Outcome {
    for seed in 1..=100 {
        let words = any_words(seed);
        // What the kernel says that its words are.
        let mut arguments: Vec<&[u8]> =
            vec![b"-c", b"import os; os.write(1, open('/proc/self/cmdline','rb').read().hex().encode())"];
        arguments.extend(words.iter().map(Vec::as_slice));
        let peer = Peer::saying(program("/usr/bin/python3", &arguments))?;
        let ended = shell(world, &["-c", "whatever"]).run()?.expect_ok()?;
        let mut wanted = b"/usr/bin/python3\0".to_vec();
        for word in &arguments {
            wanted.extend_from_slice(word);
            wanted.push(0);
        }
        let wanted: String = wanted.iter().map(|byte| format!("{byte:02x}")).collect();
        require(ended.stdout == wanted, || format!("seed {seed}: {} and not {wanted}", ended.stdout))?;
        require(peer.end()? == Told::Exited(0), || format!("{:?}", peer.heard()))?;
    }
    Ok(())
}

fn the_own_shell_gets_the_line_and_the_environment_as_they_came(world: &mut World) -> Outcome {
    let peer = Peer::saying(own_shell())?;
    let line = "printf '%s|' \"$0\" \"$ODD\" \"$SHELL\" \"$PWD\"; shopt -q login_shell; echo $?";
    let ended = shell(world, &["-c", line])
        .env("ODD", "a b")
        .env("SHELL", "/usr/bin/svcauth-shell")
        .dir("/srv")
        .run()?;
    // A program that starts its user's shell starts the own one.
    require(ended.text() == "bash|a b|/bin/bash|/srv|1", || ended.report())?;
    let heard = peer.heard();
    let asked = &heard.asked[0];
    require(asked.line.as_deref() == Some(line.as_bytes()), || format!("{asked:?}"))?;
    require(asked.can_confine && !asked.terminal && asked.resume.is_none(), || format!("{asked:?}"))
}

/// A Makefile, a module of Python, `~/x` of a transfer: what programs find in their working directory.
fn a_program_begins_in_the_home_directory_wherever_su_was_called(world: &mut World) -> Outcome {
    let started = |answer| -> Outcome<String> {
        let _peer = Peer::saying(answer)?;
        let ended = shell(world, &["-c", "whatever"]).dir("/srv").run()?.expect_ok()?;
        Ok(ended.text().to_owned())
    };
    require(started(program("/usr/bin/pwd", &[]))? == HOME, || "not in the home directory".to_owned())?;
    // As sshd does it where there is none.
    let mut nowhere = program("/usr/bin/pwd", &[]);
    if let Answer::Program { home, .. } = &mut nowhere {
        *home = "/home/nobodys".to_owned();
    }
    require(started(nowhere)? == "/", || "without a home not in /".to_owned())
}

fn a_login_shell_is_one_when_ours_was_one(world: &mut World) -> Outcome {
    world.write("/home/deployer/.bash_profile", 0o644, "echo profile\n")?;
    // argv[0] with a dash, as login, su - and sudo -i write it; what they start is told by the line and standard input.
    let by = |words: &[&str]| {
        let words = words.join(" ");
        let start = format!("exec -a -svcauth-shell /usr/bin/svcauth-shell {words}");
        world.as_account("deployer", UID, UID, &["/bin/bash", "-c", &start])
    };
    let _peer = Peer::saying(own_shell())?;
    let ended = by(&["-c", "'echo $0'"]).run()?.expect_ok()?;
    require(ended.text() == "profile\n-bash", || ended.report())?;
    let peer = Peer::saying(own_shell())?;
    let ended = by(&[]).input("echo $0; exit 3\n").run()?.expect_code(3)?;
    require(ended.text() == "profile\n-bash", || ended.report())?;
    require(peer.heard().asked[0].line.is_none(), || format!("{:?}", peer.heard()))?;
    // su without a dash.
    let ended = shell(world, &[]).input("echo $0\n").run()?.expect_ok()?;
    require(ended.text() == "bash", || ended.report())
}

fn a_forced_command_is_asked_for_as_the_client_wrote_it(world: &mut World) -> Outcome {
    for words in [&["--forced"][..], &["-c", "/usr/bin/svcauth-shell --forced"]] {
        let peer = Peer::saying(own_shell())?;
        let ended = shell(world, words).env("SSH_ORIGINAL_COMMAND", "echo 'a  b'").run()?.expect_ok()?;
        require(ended.text() == "a  b", || ended.report())?;
        require(peer.heard().asked[0].line.as_deref() == Some(b"echo 'a  b'"), || {
            format!("{:?}", peer.heard())
        })?;
        let peer = Peer::saying(own_shell())?;
        let ended = shell(world, words).input("echo $0\n").run()?.expect_ok()?;
        require(ended.text().ends_with("-bash"), || ended.report())?;
        require(peer.heard().asked[0].line.is_none(), || format!("{:?}", peer.heard()))?;
    }
    // Not forced: a variable that a client has sent says nothing.
    let peer = Peer::saying(own_shell())?;
    let ended =
        shell(world, &["-c", "echo asked"]).env("SSH_ORIGINAL_COMMAND", "echo evil").run()?.expect_ok()?;
    require(ended.text() == "asked", || ended.report())?;
    require(peer.heard().asked[0].line.as_deref() == Some(b"echo asked"), || format!("{:?}", peer.heard()))
}

fn what_nobody_starts_a_login_shell_with_is_refused_unasked(world: &mut World) -> Outcome {
    let peer = Peer::start(|_| own_shell())?;
    shell(world, &["-c", "true"]).run()?.expect_ok()?;
    for words in [
        &["-c"][..],
        &["-i"],
        &["--rcfile", "/tmp/x"],
        &["script"],
        &["-c", "true", "name"],
        &["--forced", "x"],
        &["--help"],
    ] {
        let ended = shell(world, words).run()?.expect_code(126)?;
        let one_line = ended.stderr.lines().count() == 1 && ended.stderr.starts_with("svcauth: ");
        require(one_line && ended.stdout.is_empty(), || ended.report())?;
    }
    require(peer.heard().asked.len() == 1, || format!("{:?}", peer.heard()))?;
    // Words that are no text are quoted in what is said.
    let odd = OsString::from_vec(b"\xff\x1b".to_vec());
    let ended = shell(world, &[]).arg(odd).run()?.expect_code(126)?;
    require(ended.stderr.contains(r"\xff\x1b is no option"), || ended.report())
}
