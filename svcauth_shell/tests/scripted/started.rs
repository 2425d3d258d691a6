//! The programs that start login shells: what they ask for by the words that they use (sshd is in the end-to-end tests).

use std::fs;

use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use crate::peer::{Peer, SHELL, own_shell};

crate::sharing!("started":
    su_and_sudo_are_understood,
    login_is_understood,
);

const USER: &str = "keeper";

/// A local account that is managed, with this shell.
fn account(world: &World) -> Outcome {
    if !fs::exists("/home/keeper")? {
        world.local_user(USER, 1003)?;
        let passwd = fs::read_to_string("/etc/passwd")?;
        fs::write("/etc/passwd", passwd.replace("/home/keeper:/bin/bash", &format!("/home/keeper:{SHELL}")))?;
    }
    world.write("/var/lib/svcauth/local_accounts", 0o644, format!("{USER}\n"))
}

fn su_and_sudo_are_understood(world: &mut World) -> Outcome {
    account(world)?;
    let line = Some("echo $0 $SHELL");
    for (words, asked, prints) in [
        (&["su", "-", USER, "-c", "echo $0 $SHELL"][..], line, "-bash /bin/bash"),
        (&["su", USER, "-c", "echo $0 $SHELL"], line, "bash /bin/bash"),
        (&["su", "-", USER], None, "-bash /bin/bash"),
        (&["su", USER], None, "bash /bin/bash"),
        (&["sudo", "-i", "-u", USER], None, "-bash /bin/bash"),
        // It escapes what is special to a shell.
        (&["sudo", "-i", "-u", USER, "printf", "a b"], Some("printf a\\ b"), "a b"),
        (&["runuser", "-l", USER, "-c", "echo $0 $SHELL"], line, "-bash /bin/bash"),
    ] {
        let peer = Peer::saying(own_shell())?;
        let ended = Program::from_words(words)?.input("echo $0 $SHELL\nexit\n").run()?.expect_ok()?;
        require(ended.stdout.lines().any(|line| line == prints), || ended.report())?;
        let heard = peer.heard();
        let lines: Vec<_> = heard.asked.iter().map(|ask| ask.line.as_deref()).collect();
        require(lines == [asked.map(str::as_bytes)], || format!("{words:?}: {heard:?}"))?;
    }
    Ok(())
}

fn login_is_understood(world: &mut World) -> Outcome {
    account(world)?;
    let peer = Peer::saying(own_shell())?;
    let mut talk = Program::new("login").args(&["-f", USER]).converse()?;
    talk.line("echo $0 is $((40+2))")?;
    talk.expect("-bash is 42")?;
    talk.line("exit 4")?;
    talk.end()?;
    let heard = peer.heard();
    require(heard.asked.len() == 1 && heard.asked[0].line.is_none() && heard.asked[0].terminal, || {
        format!("{heard:?}")
    })
}
