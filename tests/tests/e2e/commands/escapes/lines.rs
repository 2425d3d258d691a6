//! Lines that mean more to a shell than to a splitter of words, and other names of programs (T-B.14: one record each).

use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::world::World;

use super::super::{REFUSED, asked_once, program};
use super::{Attempt, Range, clear, happened, harmless, refused};

const RULE: &str = r#"commands = [
    ["/usr/bin/echo", "<rest>"],
    ["/usr/bin/ls", "<any>"],
    ["/usr/local/bin/deploy", "<re:[a-z0-9-]+>"],
]"#;

/// A program with a hole of its own, which the rule's expression closes.
const DEPLOY: &str = "#!/bin/sh\nsh -c \"echo $1\"\n";

const LISTS: &[Attempt] = &[
    refused("touch MARK"),
    refused("echo a; touch MARK"),
    refused("echo a;touch MARK"),
    refused("ls / && touch MARK"),
    refused("ls /missing || touch MARK"),
    refused("echo a | tee MARK"),
    refused("echo a |& tee MARK"),
    refused("echo a & touch MARK"),
    refused("touch MARK & echo a"),
    refused("echo a\ntouch MARK"),
    refused("echo a # b\ntouch MARK"),
    refused("echo a\r\ntouch MARK"),
    refused("\ntouch MARK"),
    refused("echo \\\na; touch MARK"),
    refused("! touch MARK"),
    refused("(touch MARK)"),
    refused("{ touch MARK; }"),
    refused("if true; then touch MARK; fi"),
    refused("case a in a) touch MARK;; esac"),
    refused("while touch MARK; do break; done"),
    refused("coproc touch MARK"),
    refused("f() { touch MARK; }; f"),
    refused("trap 'touch MARK' EXIT"),
];

const EXPANSIONS: &[Attempt] = &[
    refused("echo $(touch MARK)"),
    refused("echo `touch MARK`"),
    refused("echo \"$(touch MARK)\""),
    refused("echo \"`touch MARK`\""),
    refused("echo ${X:=$(touch MARK)}"),
    refused("echo $((X[$(touch MARK)]))"),
    refused("echo <(touch MARK)"),
    refused("touch${IFS}MARK"),
    refused("{touch,MARK}"),
    refused("$'touch' MARK"),
    refused("$'\\x74ouch' MARK"),
    refused("/usr/bin/touc? MARK"),
    refused("/usr/bin/[t]ouch MARK"),
    refused("/usr/bin/touc* MARK"),
    refused("~/evil MARK"),
    refused("X=touch; $X MARK"),
    refused("X=1 touch MARK"),
    refused("PATH=HOME:$PATH evil MARK"),
    refused("echo a > MARK"),
    refused("echo a>MARK"),
    refused("echo a >> MARK"),
    refused("echo a >| MARK"),
    refused("echo a &> MARK"),
    refused("echo a 2>MARK"),
    refused("sh <<E\ntouch MARK\nE"),
    refused("sh <<< 'touch MARK'"),
    refused("cat < /srv/secret"),
    refused("echo $(</srv/secret)"),
];

const WORDS: &[Attempt] = &[
    refused("\"touch\" MARK"),
    refused("'touch' MARK"),
    refused("t\\ouch MARK"),
    refused("'t'o\"u\"ch MARK"),
    refused("deploy 'a;touch MARK'"),
    refused("deploy a\\;touch\\ MARK"),
    refused("deploy \"a\ntouch MARK\""),
    refused("deploy 'a$(touch MARK)'"),
    refused("/usr/local/bin/deploy '`touch MARK`'"),
    refused("deploy 'a\u{1};touch MARK'"),
    refused("echo LONG; touch MARK"),
    refused("touch MARK LONG"),
    refused("echo \u{1}; touch MARK"),
    refused("echo '\u{1b}]0;x\u{7}\u{9b}'; touch MARK"),
    refused("echo '\u{202e}' ; touch MARK"),
    refused("echo 'a; touch MARK").unproven(),
    refused("echo \"a; touch MARK").unproven(),
    refused("echo a\\").unproven(),
    refused("-c 'touch MARK'").unproven(),
    refused("--forced").unproven(),
    refused("echo a\u{a0};touch MARK"),
    refused("echo $'a\\0'; touch MARK"),
];

pub(super) fn no_line_for_a_shell_runs_anything(world: &mut World) -> Outcome {
    program(world, "/usr/local/bin/deploy", DEPLOY)?;
    let range = Range::open(world, RULE)?;
    // What the rule has runs.
    range.host.ssh("bob", "deployer", &["deploy web-1"])?.expect_ok()?;
    range.host.ssh("bob", "deployer", &["/usr/bin/echo 'a;b' \"c\""])?.expect_ok()?;
    [LISTS, EXPANSIONS, WORDS].into_iter().try_for_each(|table| range.try_all(table))
}

const NAMES: &[Attempt] = &[
    refused("eval touch MARK"),
    refused("exec touch MARK"),
    refused("command touch MARK"),
    refused("builtin eval touch MARK"),
    refused(". /srv/evil.sh"),
    refused("source /srv/evil.sh"),
    refused("env touch MARK"),
    refused("/usr/bin/env -S 'touch MARK'"),
    refused("xargs -a /dev/null touch MARK"),
    refused("find / -maxdepth 0 -exec touch MARK \\;"),
    refused("nice touch MARK"),
    refused("timeout 5 touch MARK"),
    refused("setsid -w touch MARK"),
    refused("python3 -c 'open(\"MARK\", \"w\")'"),
    refused("perl -e 'open(F, \">MARK\")'"),
    refused("awk 'BEGIN { print > \"MARK\" }'"),
    refused("dd if=/dev/null of=MARK"),
    refused("/usr/bin/../bin/touch MARK"),
    refused("/usr/bin/echo/../touch MARK").unproven(),
    refused("/proc/self/root/usr/bin/touch MARK"),
    refused("/usr/bin//touch MARK"),
    refused("/lib64/ld-linux-x86-64.so.2 /usr/bin/touch MARK"),
    refused("./evil MARK"),
    refused("evil MARK").unproven(),
    refused("/srv/evil.sh MARK"),
    refused("su -s /bin/sh deployer -c 'touch MARK'").unproven(),
    refused("chsh -s /bin/bash deployer").unproven(),
    refused("/usr/bin/svcauth-shell -c 'touch MARK'"),
    refused("svcauth-shell -c 'touch MARK'"),
    harmless("ls /srv", &["-oSetEnv=\"SSH_ORIGINAL_COMMAND=touch MARK\""]).unproven(),
    refused("internal-sftp").unproven(),
    refused("busybox touch MARK").unproven(),
    refused("git-shell -c 'touch MARK'").unproven(),
];

pub(super) fn no_program_is_reached_by_another_name(world: &mut World) -> Outcome {
    let range = Range::open(world, RULE)?;
    for name in ["echo a", "/usr/bin/echo a", "/bin/echo a"] {
        range.host.ssh("bob", "local", &[name])?.expect_ok()?;
    }
    range.host.ssh("bob", "deployer", &["echo a"])?.expect_ok()?;
    range.try_all(NAMES)?;
    a_forced_shell_asks_about_what_the_client_sent(&range)
}

/// `--forced` takes the command from a variable, which is as good as asking for the command itself.
fn a_forced_shell_asks_about_what_the_client_sent(range: &Range<'_>) -> Outcome {
    let option = ["-oSetEnv=\"SSH_ORIGINAL_COMMAND=touch /tmp/marks/mark\""];
    let run = |user: &str| {
        clear()?;
        let key = range.host.key("bob")?;
        range.host.sshd.ssh_with(&option, user, key, &["/usr/bin/svcauth-shell --forced"])
    };
    run("local")?.expect_ok()?;
    require(happened(), || "the trap does not work".to_owned())?;
    let mark = range.world.log().mark();
    run("deployer")?.expect_code(REFUSED)?;
    require(!happened(), || "IT RAN".to_owned())?;
    let record = asked_once(range.world, mark)?;
    require(record.says("command_refused", &[("command", "touch /tmp/marks/mark")]), || record.line.clone())
}
