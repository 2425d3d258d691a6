//! Variables that make a program run something else: sent by the client, or set by a file of the account.

use std::fs;
use std::path::Path;

use svcauth_tests::failure::{Context, Failure, Outcome};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use super::super::{own, program};
use super::{HOMES, Range, harmless};

const RULE: &str = r#"commands = [
    ["/usr/bin/ls", "<any>"], ["/usr/local/bin/linked"], ["/usr/local/bin/by-bash"], ["/usr/local/bin/by-sh"],
    ["/usr/local/bin/by-python"], ["/usr/local/bin/by-perl"],
]"#;

/// A command, and the variables that would make it leave the marker.
const TRAPS: &[(&str, &[(&str, &str)])] = &[
    ("ls /", &[("LD_PRELOAD", "/srv/evil/libneeded.so")]),
    ("ls /", &[("LD_AUDIT", "/srv/evil/libneeded.so")]),
    ("linked", &[("LD_LIBRARY_PATH", "/srv/evil")]),
    ("by-bash", &[("BASH_ENV", "/srv/trap")]),
    ("by-bash", &[("BASH_FUNC_ls%%", "() { touch /tmp/marks/mark; }")]),
    ("by-bash", &[("SHELLOPTS", "xtrace"), ("PS4", "$(touch /tmp/marks/mark)")]),
    ("by-sh", &[("ENV", "/srv/trap")]),
    ("by-python", &[("PYTHONPATH", "/srv/evil")]),
    ("by-perl", &[("PERL5OPT", "-Mevil"), ("PERL5LIB", "/srv/evil")]),
];
/// The same, which only a file of the account can set: sshd has the last word about what a client sends.
const OF_FILES: &[(&str, &[(&str, &str)])] = &[
    ("by-bash", &[("PATH", "/srv/evil:/usr/bin:/bin:/usr/local/bin")]),
    ("by-bash", &[("HOME", "/srv/evil")]),
];
/// Variables that a program behind the shell must not see, whether or not they do harm here.
const OTHERS: &[&str] = &[
    "IFS",
    "GCONV_PATH",
    "LOCPATH",
    "HOSTALIASES",
    "TMPDIR",
    "MALLOC_PERTURB_",
    "GIT_SSH_COMMAND",
    "RSYNC_RSH",
    "PAGER",
    "EDITOR",
    "LESSOPEN",
    "TAR_OPTIONS",
    "PYTHONSTARTUP",
    "RUBYOPT",
    "NODE_OPTIONS",
    "GLIBC_TUNABLES",
    "SSH_ORIGINAL_COMMAND",
    "--split-string",
    "SUDO_ASKPASS",
    "POSIXLY_CORRECT",
];

pub(super) fn no_variable_reaches_what_runs(world: &mut World) -> Outcome {
    let range = Range::open(world, RULE)?;
    traps(world)?;
    let mut failed = Vec::new();
    let mut note =
        |carrier: &str, outcome: Outcome| failed.extend(outcome.err().map(|why| format!("{carrier}: {why}")));
    for (line, variables) in TRAPS {
        note("SetEnv", sent(&range, line, variables));
        note("~/.ssh/environment", in_file(&range, ".ssh/environment", line, variables));
    }
    for (line, variables) in OF_FILES {
        note("~/.ssh/environment", in_file(&range, ".ssh/environment", line, variables));
    }
    for (line, variables) in
        TRAPS.iter().filter(|(_, variables)| variables.iter().all(|(_, value)| value.starts_with('/')))
    {
        note("~/.pam_environment", in_file(&range, ".pam_environment", line, variables));
    }
    note("others", nothing_else_is_seen(&range));
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(failed.join("\n"))) }
}

/// Sent by the client.
fn sent(range: &Range<'_>, line: &'static str, variables: &[(&str, &str)]) -> Outcome {
    let words: Vec<String> = variables.iter().map(|(name, value)| format!("\"{name}={value}\"")).collect();
    let option: &'static str = format!("-oSetEnv={}", words.join(" ")).leak();
    range.try_one(&harmless(line, vec![option].leak())).doing(option)
}

/// Set by a file in the home.
fn in_file(range: &Range<'_>, name: &str, line: &'static str, variables: &[(&str, &str)]) -> Outcome {
    let text: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    for (user, home) in HOMES {
        let path = format!("{home}/{name}");
        range.world.write(&path, 0o600, &text)?;
        let owner = if user == "deployer" { own } else { own_by_local };
        owner(&path)?;
        owner(&Path::new(&path).parent().unwrap_or(Path::new("/")).display().to_string())?;
    }
    // A connection of its own: the file is read when one begins.
    let outcome = range.try_one(&harmless(line, &["-oControlPath=none"])).doing(&text);
    for (_, home) in HOMES {
        fs::remove_file(format!("{home}/{name}"))?;
    }
    outcome
}

fn own_by_local(path: &String) -> Outcome {
    Ok(std::os::unix::fs::chown(path, Some(1010), Some(1010))?)
}

/// Sends all of them at once and looks at the environment of what runs.
fn nothing_else_is_seen(range: &Range<'_>) -> Outcome {
    program(range.world, "/usr/local/bin/linked", "#!/bin/sh\nexec cat /proc/self/environ\n")?;
    let words: Vec<String> = OTHERS.iter().map(|name| format!("\"{name}=/srv/trap\"")).collect();
    let option = format!("-oSetEnv={} LANG=de_DE.UTF-8", words.join(" "));
    let shown = |user: &str| -> Outcome<String> {
        let ended = range.host.sshd.ssh_with(&[&option], user, range.host.key("bob")?, &["linked"])?;
        Ok(ended.expect_ok()?.stdout)
    };
    svcauth_tests::failure::require_contains("a local user's", &shown("local")?, "RSYNC_RSH=/srv/trap")?;
    let seen = shown("deployer")?;
    svcauth_tests::failure::require_lacks("deployer's", &seen, "/srv/trap")?;
    for expected in [
        "HOME=/home/deployer\0",
        "USER=deployer\0",
        "LOGNAME=deployer\0",
        "LANG=de_DE.UTF-8\0",
        "SVCAUTH_ORIGIN=bob\0",
    ] {
        svcauth_tests::failure::require_contains("deployer's", &seen, expected)?;
    }
    Ok(())
}

/// What the variables point at, and the programs that would follow them.
fn traps(world: &World) -> Outcome {
    const LIBRARY: &str = "int creat(const char *, unsigned);\n\
        __attribute__((constructor)) static void go(void) { creat(\"/tmp/marks/mark\", 0666); }\n\
        unsigned la_version(unsigned version) { return version; }\nint needed(void) { return 0; }\n";
    const PROGRAM: &str = "int needed(void);\nint main(void) { return needed(); }\n";
    world.write("/srv/evil/library.c", 0o644, LIBRARY)?;
    world.write("/srv/evil/program.c", 0o644, PROGRAM)?;
    world.write("/srv/evil/harmless.c", 0o644, "int needed(void) { return 0; }\n")?;
    let compile = |words: &[&str]| {
        Program::new("cc").args(words).run().and_then(svcauth_tests::program::Ended::expect_ok)
    };
    let shared = ["-shared", "-fPIC", "-Wl,-soname,libneeded.so", "-o"];
    compile(&[&shared[..], &["/usr/lib/libneeded.so", "/srv/evil/harmless.c"]].concat())?;
    compile(&[&shared[..], &["/srv/evil/libneeded.so", "/srv/evil/library.c"]].concat())?;
    compile(&["-o", "/usr/local/bin/linked", "/srv/evil/program.c", "/usr/lib/libneeded.so"])?;
    program(
        world,
        "/usr/local/bin/by-bash",
        "#!/bin/bash\nls / >/dev/null\n. ~/settings 2>/dev/null || true\n",
    )?;
    program(world, "/usr/local/bin/by-sh", "#!/bin/sh -i\nexit 0\n")?;
    program(world, "/usr/local/bin/by-python", "#!/usr/bin/python3\nprint('ok')\n")?;
    program(world, "/usr/local/bin/by-perl", "#!/usr/bin/perl\nprint 'ok';\n")?;
    world.write("/srv/evil/sitecustomize.py", 0o644, "open('/tmp/marks/mark', 'w')\n")?;
    world.write("/srv/evil/evil.pm", 0o644, "package evil;\nopen(F, '>', '/tmp/marks/mark');\n1;\n")?;
    world.write("/srv/evil/settings", 0o644, "touch /tmp/marks/mark\n")?;
    world.copy("/srv/trap", "/srv/evil/ls", 0o755)
}
