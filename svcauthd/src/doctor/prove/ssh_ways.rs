//! Every way into an account that sshd offers, tried by the person who may and by the one who may not.

use std::path::Path;
use std::time::Duration;

use super::Step;
use super::cast::{Player, REFUSED};
use super::denied::Expected;
use super::fault::Done;
use super::forwards::{self, Target};
use super::program::{Program, Running, find, wait_for};
use super::scene::{Mark, Part, Scene, address};
use super::sshd::{Effective, Sshd};

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Command,
    Terminal,
    Sftp,
    Scp,
    ScpOld,
    LocalForward,
    RemoteForward,
    DynamicForward,
    LocalSocket,
    RemoteSocket,
    Agent,
    X11,
}

impl Way {
    pub(super) const ALL: [Self; 12] = [
        Self::Command,
        Self::Terminal,
        Self::Sftp,
        Self::Scp,
        Self::ScpOld,
        Self::LocalForward,
        Self::RemoteForward,
        Self::DynamicForward,
        Self::LocalSocket,
        Self::RemoteSocket,
        Self::Agent,
        Self::X11,
    ];

    /// For the name of the step, and for the sentence.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Command => ("command", "a command by ssh"),
            Self::Terminal => ("terminal", "a shell on a terminal by ssh -tt"),
            Self::Sftp => ("sftp", "a file by sftp"),
            Self::Scp => ("scp", "a file by scp"),
            Self::ScpOld => ("scp_old", "a file by scp -O"),
            Self::LocalForward => ("local_forward", "a port by ssh -L"),
            Self::RemoteForward => ("remote_forward", "a port by ssh -R"),
            Self::DynamicForward => ("dynamic_forward", "a port by ssh -D"),
            Self::LocalSocket => ("local_socket", "a Unix socket by ssh -L"),
            Self::RemoteSocket => ("remote_socket", "a Unix socket by ssh -R"),
            Self::Agent => ("agent", "an agent by ssh -A"),
            Self::X11 => ("x11", "a display by ssh -Y"),
        }
    }

    /// What in sshd's configuration forbids it to everybody.
    fn forbidden(self, sshd: &Effective) -> Option<String> {
        let forced = || sshd.other_than("forcecommand", &["none"]);
        let forwarding = |key, usual: [&str; 3]| {
            sshd.other_than("disableforwarding", &["no"]).or_else(|| sshd.other_than(key, &usual))
        };
        let (local, remote) = (["yes", "all", "local"], ["yes", "all", "remote"]);
        let way =
            match self {
                Self::Command | Self::ScpOld => forced(),
                Self::Terminal => forced().or_else(|| sshd.other_than("permittty", &["yes"])),
                Self::Sftp | Self::Scp if !sshd.has_subsystem("sftp") => Some("no subsystem sftp".to_owned()),
                Self::Sftp | Self::Scp => forced(),
                Self::LocalForward | Self::DynamicForward => forwarding("allowtcpforwarding", local)
                    .or_else(|| sshd.other_than("permitopen", &["any"])),
                Self::RemoteForward => forwarding("allowtcpforwarding", remote)
                    .or_else(|| sshd.other_than("permitlisten", &["any"])),
                // Without TCP, sshd forwards no sockets either.
                Self::LocalSocket => forwarding("allowstreamlocalforwarding", local)
                    .or_else(|| sshd.other_than("allowtcpforwarding", &local)),
                Self::RemoteSocket => forwarding("allowstreamlocalforwarding", remote)
                    .or_else(|| sshd.other_than("allowtcpforwarding", &remote)),
                Self::Agent => forced().or_else(|| forwarding("allowagentforwarding", ["yes"; 3])),
                Self::X11 => forced().or_else(|| forwarding("x11forwarding", ["yes"; 3])),
            };
        way.or_else(|| keys_alone_do_not_do(sshd)).or_else(|| sshd.other_than("chrootdirectory", &["none"]))
    }
}

/// What keeps everybody out who has a key and nothing else.
pub(super) fn keys_alone_do_not_do(sshd: &Effective) -> Option<String> {
    sshd.other_than("pubkeyauthentication", &["yes"])
        .or_else(|| sshd.other_than("authenticationmethods", &["any", "publickey"]))
}

/// What came of an attempt.
pub(super) struct Tried {
    /// Whether it worked.
    pub(super) worked: bool,
    /// What the client said.
    pub(super) said: String,
}

/// One client.
pub(super) struct Client<'a> {
    pub(super) port: u16,
    pub(super) key: &'a Path,
    pub(super) account: &'a str,
    pub(super) from: &'a str,
}

impl Client<'_> {
    /// The command line up to what is asked for; `program` is ssh, scp or sftp.
    fn words(&self, program: &str, more: &[&str]) -> Vec<String> {
        let fixed = [
            program,
            "-F",
            "/dev/null",
            "-oIdentitiesOnly=yes",
            "-oBatchMode=yes",
            "-oStrictHostKeyChecking=no",
            "-oUserKnownHostsFile=/dev/null",
            "-oGlobalKnownHostsFile=/dev/null",
            "-oLogLevel=ERROR",
            "-oConnectTimeout=10",
            "-oExitOnForwardFailure=yes",
        ];
        let own = [
            "-i".to_owned(),
            self.key.to_string_lossy().into_owned(),
            format!("-oBindAddress={}", self.from),
            format!("-oPort={}", self.port),
        ];
        let agent = if more.contains(&"-A") { None } else { Some("-oIdentityAgent=none".to_owned()) };
        let words = fixed.iter().map(ToString::to_string).chain(own).chain(agent);
        words.chain(more.iter().map(ToString::to_string)).collect()
    }

    fn program(&self, program: &str, more: &[&str], rest: &[&str]) -> Program {
        let mut words = self.words(program, more);
        words.extend(rest.iter().map(ToString::to_string));
        Program::new(&words)
    }

    /// `user@host`
    fn destination(&self) -> String {
        format!("{}@127.0.0.1", self.account)
    }

    /// Runs a command that leaves a mark.
    pub(super) fn command(&self, uid: u32) -> Done<Tried> {
        let mark = Mark::new();
        let ended = self.program("ssh", &[], &[&self.destination(), &mark.command()]).run()?;
        Ok(Tried { worked: mark.is_of(uid), said: ended.said })
    }

    /// Asks for a line, or, with none, types into a shell; whether that ended well.
    pub(super) fn ssh(&self, options: &[&str], line: &str, typed: &str) -> Done<Tried> {
        let to = self.destination();
        let words: Vec<&str> =
            std::iter::once(to.as_str()).chain((!line.is_empty()).then_some(line)).collect();
        let ended = self.program("ssh", options, &words).typing(typed).run()?;
        Ok(Tried { worked: ended.code == Some(0), said: ended.said })
    }

    /// Stays connected and asks for nothing.
    pub(super) fn idle(&self) -> Done<Running> {
        self.program("ssh", &["-N"], &[&self.destination()]).start()
    }

    /// Tries a way in. `settled` says whether it is known by now that there is nothing more to come.
    fn attempt(&self, way: Way, uid: u32, target: &Target, settled: &dyn Fn() -> bool) -> Done<Tried> {
        let mark = Mark::new();
        let to = self.destination();
        let source = target.file();
        let marked = |program: Program| {
            let ended = program.run()?;
            Ok(Tried { worked: mark.is_there(), said: ended.said })
        };
        let test = |what: &str| format!("if {what}; then {}; fi", mark.command());
        match way {
            Way::Command => self.command(uid),
            Way::Terminal => {
                let shell =
                    self.program("ssh", &["-tt"], &[&to]).typing(&format!("{}; exit", mark.command()));
                marked(shell)
            }
            Way::Sftp => {
                let batch = target.batch(&mark.0)?;
                marked(self.program("sftp", &["-b", &batch], &[&to]))
            }
            Way::Scp => marked(self.program("scp", &[], &[&source, &format!("{to}:{}", mark.0)])),
            Way::ScpOld => marked(self.program("scp", &["-O"], &[&source, &format!("{to}:{}", mark.0)])),
            Way::Agent => {
                let ask = self.program("ssh", &["-A"], &[&to, &test("[ -S \"$SSH_AUTH_SOCK\" ]")]);
                marked(ask.env("SSH_AUTH_SOCK", target.agent()))
            }
            Way::X11 => {
                let ask = self.program("ssh", &["-Y"], &[&to, &test("[ -n \"$DISPLAY\" ]")]);
                marked(ask.env("DISPLAY", "127.0.0.1:9"))
            }
            Way::LocalForward
            | Way::RemoteForward
            | Way::DynamicForward
            | Way::LocalSocket
            | Way::RemoteSocket => {
                let forward = target.forward(way);
                let running = self.program("ssh", &["-N", forward.option, &forward.word], &[&to]).start()?;
                Ok(forwards::watch(running, &forward, settled))
            }
        }
    }
}

/// All ways, each first by the person who may.
pub(super) fn parts<'a>(scene: &'a Scene, sshd: &'a Sshd, target: &'a Target) -> Vec<Part<'a>> {
    let way = |way: Way| -> Part<'a> { Box::new(move || both(scene, sshd, target, way)) };
    let mut parts: Vec<Part<'a>> = Way::ALL.into_iter().map(way).collect();
    parts.push(Box::new(move || by_directory(scene, sshd)));
    parts
}

fn both(scene: &Scene, sshd: &Sshd, target: &Target, way: Way) -> Vec<Step> {
    let (word, thing) = way.words();
    let account = &scene.cast.account;
    let (step, what) = (format!("sshd_{word}_allowed"), format!("the allowed person gets {thing}"));
    if way == Way::X11 && find("xauth").is_none() {
        return vec![Step::skipped(
            format!("sshd_{word}"),
            thing,
            "sshd needs xauth for it, which is not installed",
        )];
    }
    let from = address();
    let mark = scene.log.mark();
    let client = Client { port: sshd.port, key: &scene.keys.allowed, account: account.name, from: &from };
    let tried = client.attempt(way, account.uid, target, &|| false).unwrap_or_else(not_run);
    if !tried.worked {
        let forbidden = way.forbidden(&sshd.account).or_else(|| not_listed(scene, mark, account.name));
        return vec![match forbidden {
            Some(line) => Step::skipped(
                format!("sshd_{word}"),
                thing,
                format!("forbidden by sshd_config for everybody: {line}"),
            ),
            None => Step::failed(step, what, why(scene, mark, &tried)),
        }];
    }
    vec![Step::ok(step, what, ""), refused(scene, sshd, target, way)]
}

fn refused(scene: &Scene, sshd: &Sshd, target: &Target, way: Way) -> Step {
    let (word, thing) = way.words();
    let account = &scene.cast.account;
    let (step, what) = (format!("sshd_{word}_refused"), format!("the refused person does not get {thing}"));
    let (from, mark) = (address(), scene.log.mark());
    let settled = || !scene.log.since(mark, &["deny ", &format!("from={from}")]).is_empty();
    let client = Client { port: sshd.port, key: &scene.keys.refused, account: account.name, from: &from };
    let tried = client.attempt(way, account.uid, target, &settled).unwrap_or_else(not_run);
    if tried.worked {
        return Step::failed(step, what, "it worked");
    }
    match record(sshd, account, &from).wait(0) {
        Ok(record) => Step::ok(step, what, record),
        Err(missing) => {
            Step::failed(step, what, format!("refused, but {missing}; {}", why(scene, mark, &tried)))
        }
    }
}

/// What the refusal of a key must leave behind: where sshd takes keys from files it is the session that is refused.
fn record<'a>(sshd: &Sshd, account: &Player, from: &'a str) -> Expected<'a> {
    let in_file = sshd.account.keys_file(account.name, account.uid, "/").is_some();
    if in_file {
        return Expected::denial(account.name, "sshd", "not_in_role").of(REFUSED).from(from);
    }
    refused_key(account.name)
}

const fn refused_key(account: &'static str) -> Expected<'static> {
    let record = Expected::denial(account, "sshd", "not_in_role").of(REFUSED);
    Expected { event: "key_refused", service: None, ..record }
}

/// The second account has no authorized_keys: what opens it is the key in the directory alone.
fn by_directory(scene: &Scene, sshd: &Sshd) -> Vec<Step> {
    let (name, thing) = ("sshd_directory_key", "in with a key that only the directory has");
    let ours = sshd.account.get("authorizedkeyscommand").contains("svcauth ssh-keys");
    if !ours {
        let line =
            format!("AuthorizedKeysCommand is not svcauth's ({})", sshd.account.get("authorizedkeyscommand"));
        return vec![Step::skipped(name, thing, line)];
    }
    let second = &scene.cast.second;
    let (from, mark) = (address(), scene.log.mark());
    let client = |key| Client { port: sshd.port, key, account: second.name, from: &from };
    let tried = client(&scene.keys.allowed).command(second.uid).unwrap_or_else(not_run);
    let (step, what) = (format!("{name}_allowed"), format!("the allowed person gets {thing}"));
    if !tried.worked {
        let forbidden =
            Way::Command.forbidden(&sshd.account).or_else(|| not_listed(scene, mark, second.name));
        return vec![match forbidden {
            Some(line) => {
                Step::skipped(name, thing, format!("forbidden by sshd_config for everybody: {line}"))
            }
            None => Step::failed(step, what, why(scene, mark, &tried)),
        }];
    }
    let tried = client(&scene.keys.refused).command(second.uid).unwrap_or_else(not_run);
    let (refused, not) = (format!("{name}_refused"), format!("the refused person does not get {thing}"));
    let verdict = match refused_key(second.name).wait(0) {
        _ if tried.worked => Step::failed(refused, not, "it worked"),
        Ok(record) => Step::ok(refused, not, record),
        Err(missing) => Step::failed(refused, not, format!("refused, but {missing}; {}", tried.said)),
    };
    vec![Step::ok(step, what, ""), verdict]
}

/// A connection without a session: neither a process nor anything else comes of it. Nobody else may be in the account.
pub(super) fn idle(scene: &Scene, sshd: &Sshd) -> Vec<Step> {
    let (step, what) = (
        "sshd_idle_refused",
        "the refused person who stays connected (ssh -N) has no process in the account",
    );
    if Way::Command.forbidden(&sshd.account).is_some() {
        return vec![Step::skipped(
            "sshd_idle",
            "an idle connection",
            "forbidden by sshd_config for everybody",
        )];
    }
    let account = &scene.cast.account;
    let (from, mark) = (address(), scene.log.mark());
    let client = Client { port: sshd.port, key: &scene.keys.refused, account: account.name, from: &from };
    let running = match client.idle() {
        Ok(running) => running,
        Err(fault) => return vec![Step::failed(step, what, fault.to_string())],
    };
    let expected = record(sshd, account, &from);
    let recorded = expected.wait(0);
    let stray = || processes_of(account.uid);
    let still = wait_for(Duration::from_secs(2), || stray().is_empty());
    let said = running.said();
    drop(running);
    vec![match recorded {
        _ if !still => Step::failed(step, what, format!("there is: {}", stray().join(", "))),
        Ok(record) => Step::ok(step, what, record),
        Err(missing) => {
            Step::failed(step, what, format!("{missing}; {} {said}", scene.log.last(mark, &["sshd"])))
        }
    }]
}

/// The programs that run with a uid, without sshd's own halves of a connection.
fn processes_of(uid: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let real = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse().ok());
        let name = status.lines().find_map(|line| line.strip_prefix("Name:")).unwrap_or_default().trim();
        if real == Some(uid) && !name.starts_with("sshd") && !status.contains("\nState:\tZ") {
            found.push(name.to_owned());
        }
    }
    found
}

/// AllowUsers and the like are about names: what sshd said about this one.
pub(super) fn not_listed(scene: &Scene, mark: usize, user: &str) -> Option<String> {
    let lines = scene.log.since(mark, &["sshd", &format!("User {user} from"), "not allowed because"]);
    lines
        .first()
        .and_then(|line| line.split_once("not allowed because "))
        .map(|(_, why)| format!("{user} is {}", why.trim()))
}

/// For the administrator: what client and server said.
pub(super) fn why(scene: &Scene, mark: usize, tried: &Tried) -> String {
    format!("the client said: {}; the log: {}", tried.said, scene.log.last(mark, &["sshd"]))
}

pub(super) fn not_run(fault: super::fault::Fault) -> Tried {
    Tried { worked: false, said: fault.to_string() }
}
