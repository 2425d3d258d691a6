//! Ways out of the limits that have worked somewhere: none leaves a trace of having run, and each is recorded once.
//!
//! The host is as lenient as an administrator can make it: sshd takes every variable from the client and from files of the
//! account, PAM reads one more, everybody may write the home. An attempt is a row of a table. First a local user whose shell
//! nobody limits makes it, and the marker appears; then bob makes it as deployer, and it must not.

mod beside;
mod environment;
mod git;
mod lines;
mod rsync;
mod same_uid;
mod transfers;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use svcauth_tests::failure::{Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Background, Ended, Program, wait_until};
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use super::clients::Client;
use super::{REFUSED, asked, asked_once, limited, line_of_ours, own, own_folder};
use crate::host::Host;

svcauth_tests::cases!("commands_escapes":
    no_line_for_a_shell_runs_anything,
    no_program_is_reached_by_another_name,
    rsync_does_what_the_rule_says_and_nothing_else,
    git_does_what_the_rule_says_and_nothing_else,
    sftp_and_scp_stay_below_their_folder,
    no_variable_reaches_what_runs,
    no_file_of_the_home_is_run,
    no_process_of_the_same_uid_speaks_for_somebody_else,
);

use beside::no_file_of_the_home_is_run;
use environment::no_variable_reaches_what_runs;
use git::git_does_what_the_rule_says_and_nothing_else;
use lines::{no_line_for_a_shell_runs_anything, no_program_is_reached_by_another_name};
use rsync::rsync_does_what_the_rule_says_and_nothing_else;
use same_uid::no_process_of_the_same_uid_speaks_for_somebody_else;
use transfers::sftp_and_scp_stay_below_their_folder;

/// What an attempt wants to leave behind.
const MARK: &str = "/tmp/marks/mark";
/// What one wants to read, and what stands in it.
const SECRET: &str = "/srv/secret";
const WORDS: &str = "the words of the secret";
/// How the users of a trial differ.
const HOMES: [(&str, &str); 2] = [("local", "/home/local"), ("deployer", "/home/deployer")];

/// sshd as nobody should have it.
const LENIENT: &[&str] = &[
    "AcceptEnv *",
    "PermitUserEnvironment yes",
    "PermitUserRC yes",
    "PermitTunnel yes",
    "Subsystem evil /srv/trap",
];

/// One row of a table. In its texts `MARK` stands for the marker, `HOME` for the home of who makes the attempt, `LONG` for a
/// hundred thousand letters, and U+0001 for a byte that is no UTF-8.
#[derive(Clone, Copy)]
struct Attempt {
    line: &'static str,
    options: &'static [&'static str],
    /// Whether the same line leaves the marker, or shows the secret, where nobody limits it.
    proven: bool,
    ends: Ends,
}

/// What becomes of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// It is refused.
    Refused,
    /// It is allowed and does what it does; what it was meant to bring along is not there.
    Runs,
    /// The rule has it, and the kernel keeps it below the paths of the rule, so that it may fail.
    Confined,
}

/// A line that is refused.
const fn refused(line: &'static str) -> Attempt {
    Attempt { line, options: &[], proven: true, ends: Ends::Refused }
}

/// A line that is allowed, and what comes with it by these options of ssh is not.
const fn harmless(line: &'static str, options: &'static [&'static str]) -> Attempt {
    Attempt { line, options, proven: true, ends: Ends::Runs }
}

impl Attempt {
    /// Where nobody limits it, it leaves no marker either: another row of its table proves the trap.
    const fn unproven(self) -> Self {
        Self { proven: false, ..self }
    }

    /// The rule has the line, and it comes to nothing all the same.
    const fn confined(self) -> Self {
        Self { ends: Ends::Confined, ..self }
    }
}

/// A host to make attempts on, and an open connection of each user.
struct Range<'a> {
    world: &'a World,
    host: Host,
    _connections: Vec<Background>,
}

impl<'a> Range<'a> {
    /// `keys` are those of deployer's rule.
    fn open(world: &'a World, keys: &str) -> Outcome<Self> {
        let mut plan = limited(world, keys)?;
        LENIENT.iter().for_each(|line| plan.sshd_line(line));
        let host = plan.start(world)?;
        folders(world)?;
        let mut range = Self { world, host, _connections: Vec::new() };
        for (user, _) in HOMES {
            let key = range.host.key("bob")?;
            let path = format!("-oControlPath=/tmp/mux-{user}");
            let master = client(&["-N", "-oControlMaster=yes", &path], user, key, &[]);
            range._connections.push(master.start(world.log_file("mux.out")?)?);
            wait_until("a connection", Duration::from_secs(60), || {
                Path::new(&format!("/tmp/mux-{user}")).exists().then_some(())
            })?;
        }
        Ok(range)
    }

    /// Makes every attempt of a table; all that fail are told.
    fn try_all(&self, table: &[Attempt]) -> Outcome {
        require(table.iter().any(|attempt| attempt.proven), || {
            "no attempt of this table is proven".to_owned()
        })?;
        let mark = self.world.log().mark();
        let failed: Vec<String> = table
            .iter()
            .filter_map(|attempt| {
                self.try_one(attempt).err().map(|why| format!("{:?}: {why}", shorten(attempt.line)))
            })
            .collect();
        require(failed.is_empty(), || format!("{} of {}\n{}", failed.len(), table.len(), failed.join("\n")))?;
        // Nothing came late.
        require(!happened(), || "something ran after all".to_owned())?;
        require_eq("records of all", &asked(self.world, mark).len(), &table.len())
    }

    fn try_one(&self, attempt: &Attempt) -> Outcome {
        if attempt.proven {
            let ended = self.make(attempt, "local")?;
            // What was put into the background may take a moment.
            let seen = wait_until("the marker", Duration::from_secs(60), || {
                (happened() || shows(&ended)).then_some(())
            });
            seen.map_err(|why| Failure::new(format!("the trap does not work: {why}\n{}", ended.report())))?;
        }
        clear()?;
        let mark = self.world.log().mark();
        let ended = self.make(attempt, "deployer")?;
        require(!happened() && !shows(&ended), || format!("IT RAN\n{}", ended.report()))?;
        let record = asked_once(self.world, mark)?;
        let pairs = [("account", "deployer"), ("origin", "bob")];
        if attempt.ends != Ends::Refused {
            require(record.says("command", &pairs), || record.line.clone())?;
            return if attempt.ends == Ends::Runs { ended.expect_ok().map(drop) } else { Ok(()) };
        }
        require(record.says("command_refused", &pairs), || record.line.clone())?;
        require_eq("the reason", record.get("reason"), "command_not_allowed")?;
        let report = ended.report();
        line_of_ours(&ended.stderr).map_err(|why| Failure::new(format!("{why}\n{report}")))?;
        require_eq("standard output", ended.stdout.as_str(), "")?;
        let line = bytes(attempt.line, "/home/deployer");
        let shown = unescaped(record.get("command"));
        // A value of the log is cut at 1024 bytes, and one that is no UTF-8, or could be mistaken for one, is written in
        // another way.
        let plain =
            std::str::from_utf8(&line).is_ok_and(|line| !line.contains("\\x") && !line.contains("\\\\"));
        let comparable = line.len() < 1000 && plain;
        require(!comparable || shown == line, || {
            format!("recorded is {:?}", String::from_utf8_lossy(&shown))
        })?;
        ended.expect_code(REFUSED).map(drop)
    }

    fn make(&self, attempt: &Attempt, user: &str) -> Outcome<Ended> {
        let home = format!("/home/{user}");
        let line = OsString::from_vec(bytes(attempt.line, &home));
        let key = self.host.key("bob")?;
        let options: Vec<String> = attempt.options.iter().map(|option| fill(option, &home)).collect();
        let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
        let path = format!("-oControlPath=/tmp/mux-{user}");
        if options.is_empty() {
            options.extend([path.as_str(), "-oControlMaster=no", "-oProxyCommand=false"]);
        }
        // The line may look like an option of ssh.
        client(&options, user, key, &["--"]).arg(line).patience(Duration::from_secs(60)).run()
    }
}

/// The folder of the markers, what attempts are made with, and a home with the same files for both users.
fn folders(world: &World) -> Outcome {
    clear()?;
    world.write(SECRET, 0o644, format!("{WORDS}\n"))?;
    world.write("/srv/evil.sh", 0o755, format!("#!/bin/sh\ntouch \"${{1:-{MARK}}}\"\n"))?;
    world.write("/srv/trap", 0o755, format!("#!/bin/sh\ntouch {MARK}\n"))?;
    own_folder("/srv/data")?;
    for (user, home) in HOMES {
        world.copy("/srv/evil.sh", format!("{home}/evil"), 0o755)?;
        if user == "deployer" {
            own(home)?;
            own(format!("{home}/evil"))?;
        }
    }
    Ok(())
}

/// Takes away what was left.
fn clear() -> Outcome {
    let _ = fs::remove_dir_all("/tmp/marks");
    fs::create_dir_all("/tmp/marks")?;
    Program::new("chmod").args(&["1777", "/tmp/marks"]).run()?.expect_ok().map(drop)
}

/// Whether anything was left.
fn happened() -> bool {
    fs::read_dir("/tmp/marks").is_ok_and(|mut folder| folder.next().is_some())
}

/// Whether somebody was shown what is secret.
fn shows(ended: &Ended) -> bool {
    ended.stdout.contains(WORDS) || ended.stderr.contains(WORDS)
}

fn fill(text: &str, home: &str) -> String {
    text.replace("LONG", &"a".repeat(100_000)).replace("MARK", MARK).replace("HOME", home)
}

fn bytes(text: &str, home: &str) -> Vec<u8> {
    fill(text, home).into_bytes().into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect()
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

/// The bytes behind a value of the log.
fn unescaped(value: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), value.as_bytes());
    while let [first, after @ ..] = rest {
        let (byte, more) = match (first, after) {
            (b'\\', [b'x', high, low, more @ ..]) => {
                let digits = String::from_utf8_lossy(&[*high, *low]).into_owned();
                (u8::from_str_radix(&digits, 16).unwrap_or(b'?'), more)
            }
            (b'\\', [next, more @ ..]) => (*next, more),
            (byte, more) => (*byte, more),
        };
        out.push(byte);
        rest = more;
    }
    out
}

/// Makes a program of a client, given the user to be.
type Start = dyn Fn(&Client<'_>, &str) -> Program;

/// An attempt with a client of its own.
struct ByClient {
    what: String,
    program: Box<Start>,
    proven: bool,
}

impl ByClient {
    fn new(what: impl Into<String>, program: impl Fn(&Client<'_>, &str) -> Program + 'static) -> Self {
        Self { what: what.into(), program: Box::new(program), proven: true }
    }
}

impl Range<'_> {
    /// Makes every attempt of a table with the clients; what is there before each is what `prepare` makes.
    fn try_clients(&self, table: &[ByClient], prepare: impl Fn() -> Outcome) -> Outcome {
        let failed: Vec<String> = table
            .iter()
            .filter_map(|attempt| {
                self.try_client(attempt, &prepare).err().map(|why| format!("{}: {why}", attempt.what))
            })
            .collect();
        require(failed.is_empty(), || format!("{} of {}\n{}", failed.len(), table.len(), failed.join("\n")))
    }

    fn try_client(&self, attempt: &ByClient, prepare: impl Fn() -> Outcome) -> Outcome {
        let run = |user: &str| -> Outcome<Ended> {
            clear()?;
            prepare()?;
            let client = Client::of("bob", &self.host)?.over(&format!("/tmp/mux-{user}"));
            (attempt.program)(&client, user).patience(Duration::from_secs(60)).run()
        };
        if attempt.proven {
            let ended = run("local")?;
            require(happened() || shows(&ended), || format!("the trap does not work\n{}", ended.report()))?;
        }
        let mark = self.world.log().mark();
        let ended = run("deployer")?;
        require(!happened() && !shows(&ended), || format!("IT WORKED\n{}", ended.report()))?;
        let record =
            asked_once(self.world, mark).map_err(|why| Failure::new(format!("{why}\n{}", ended.report())))?;
        require_contains("the record", &record.line, "origin=bob")
    }
}
