//! The environment of a program that runs without a shell.

use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use crate::peer::{Peer, program, shell};

crate::sharing!("environment":
    a_program_gets_a_clean_environment,
    values_that_such_a_variable_never_has_are_left_out,
);

/// Variables by which programs are made to run something else, or to read it (W-06).
const EVIL: &str = "LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT BASH_ENV ENV BASH_FUNC_ls%% SHELLOPTS BASHOPTS PS4 IFS GIT_SSH_COMMAND \
    GIT_EXEC_PATH GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS GIT_CONFIG_GLOBAL GIT_DIR GIT_EXTERNAL_DIFF RSYNC_RSH RSYNC_OLD_ARGS \
    POPT_TRACE PYTHONSTARTUP PYTHONPATH PERL5OPT PERL5LIB RUBYOPT NODE_OPTIONS JAVA_TOOL_OPTIONS TAR_OPTIONS GREP_OPTIONS LESSOPEN \
    LESSCLOSE PAGER EDITOR VISUAL TERMINFO TERMCAP LOCPATH NLSPATH GCONV_PATH HOSTALIASES RESOLV_HOST_CONF TMPDIR MALLOC_CHECK_ \
    GLIBC_TUNABLES SSH_ORIGINAL_COMMAND SSH_USER_AUTH CDPATH LC_EVIL lang PWD OLDPWD XDG_CONFIG_HOME";

/// What a session has, and a program keeps.
const GOOD: &[(&str, &str)] = &[
    ("GIT_PROTOCOL", "version=2"),
    ("LANG", "de_DE.UTF-8"),
    ("LC_ALL", "C"),
    ("SSH_CONNECTION", "2001:db8::1 50000 fe80::1%eth0 22"),
    ("SSH_TTY", "/dev/pts/3"),
    ("SVCAUTH_ORIGIN", "bob"),
    ("SVCAUTH_SESSION", "42"),
    ("TERM", "dumb"),
    ("TZ", "Europe/Berlin"),
];

/// What is so whatever comes.
const FIXED: &[(&str, &str)] = &[
    ("HOME", "/home/deployer"),
    ("LOGNAME", "deployer"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("SHELL", "/usr/bin/svcauth-shell"),
    ("USER", "deployer"),
];

fn environment(run: Program) -> Outcome<Vec<String>> {
    let ended = run.run()?.expect_ok()?;
    let mut found: Vec<String> = ended.stdout.split_terminator('\0').map(str::to_owned).collect();
    found.sort_unstable();
    Ok(found)
}

fn a_program_gets_a_clean_environment(world: &mut World) -> Outcome {
    let _peer = Peer::saying(program("/usr/bin/env", &[b"-0"]))?;
    let mut run = shell(world, &["-c", "x"]).env("PATH", "/tmp/evil:/usr/bin");
    for name in EVIL.split_whitespace().chain(["HOME", "USER", "LOGNAME", "SHELL"]) {
        run = run.env(name, "/tmp/evil");
    }
    for (name, value) in GOOD {
        run = run.env(name, value);
    }
    let found = environment(run)?;
    let mut wanted: Vec<String> =
        GOOD.iter().chain(FIXED).map(|(name, value)| format!("{name}={value}")).collect();
    wanted.sort_unstable();
    require(found == wanted, || format!("{found:#?}"))
}

fn values_that_such_a_variable_never_has_are_left_out(world: &mut World) -> Outcome {
    let _peer = Peer::saying(program("/usr/bin/env", &[b"-0"]))?;
    for (name, bad) in [
        ("TZ", "/tmp/evil"),
        ("TZ", ":/tmp/evil"),
        ("LANG", "../../tmp/evil"),
        ("LC_ALL", "x\ny"),
        ("TERM", "/x"),
        ("SSH_TTY", "dev/pts/3"),
        ("SSH_TTY", "/dev/../etc"),
        ("SSH_CONNECTION", "1 2;id"),
        ("GIT_PROTOCOL", "$(id)"),
        ("SVCAUTH_ORIGIN", "a b"),
        ("SSH_AUTH_SOCK", "/tmp/`id`"),
    ] {
        let found = environment(shell(world, &["-c", "x"]).env(name, bad))?;
        let there = found.iter().any(|pair| pair.split_once('=').is_some_and(|(found, _)| found == name));
        require(!there && found.len() >= FIXED.len(), || format!("{name}={bad}: {found:?}"))?;
    }
    Ok(())
}
