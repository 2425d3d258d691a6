//! Running the programs of the proof, each with an end: when it takes too long it is killed with all that it started.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::fault::{Doing as _, Done};

/// Where programs are looked for.
pub(super) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// What the programs print.
const OUTPUT: &str = "/run/svcauth-prove/output";
/// Between two looks at whether something has happened.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// How long a single program may take, on a slow host.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Between two lines typed at a terminal that may throw away what comes too early.
const TYPING: Duration = Duration::from_millis(400);

/// Numbers what must not have the name of another.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A number that nobody else has.
pub(super) fn number() -> usize {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The file of this program, if it is installed.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    PATH.split(':').map(|folder| Path::new(folder).join(name)).find(|file| file.is_file())
}

/// A program to run as root or as somebody.
#[derive(Debug)]
pub(super) struct Program {
    command: Command,
    output: PathBuf,
    typed: Option<String>,
}

/// A program that runs. It is killed when this goes.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    output: PathBuf,
    typed: Option<(ChildStdin, String, Instant)>,
}

/// A program that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The exit status; 128 + n after signal n; nothing when it had to be killed.
    pub(super) code: Option<i32>,
    /// What it printed, at the end of it, in one line.
    pub(super) said: String,
}

impl Program {
    /// The first word is the program.
    pub(super) fn new<S: AsRef<str>>(words: &[S]) -> Self {
        let mut words = words.iter().map(AsRef::as_ref);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env_clear().current_dir("/").process_group(0);
        command.env("PATH", PATH).env("HOME", "/root").env("LANG", "C.UTF-8").env("TERM", "dumb");
        Self { command, output: Path::new(OUTPUT).join(number().to_string()), typed: None }
    }

    /// As somebody with this id for user and group, and no other groups.
    pub(super) fn by(mut self, name: &str, uid: u32, gid: u32) -> Self {
        // std::process drops the supplementary groups of root when it changes the user.
        self.command
            .uid(uid)
            .gid(gid)
            .env("USER", name)
            .env("LOGNAME", name)
            .env("HOME", format!("/home/{name}"));
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// What somebody types; again and again, because a terminal that is being set up forgets what came before.
    pub(super) fn typing(mut self, line: &str) -> Self {
        self.typed = Some(format!("{line}\n"));
        self
    }

    pub(super) fn start(mut self) -> Done<Running> {
        let name = self.command.get_program().to_string_lossy().into_owned();
        fs::create_dir_all(OUTPUT).doing("make the folder for output")?;
        let file = File::create(&self.output).doing("keep the output")?;
        let second = file.try_clone().doing("keep the output")?;
        let input = if self.typed.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child =
            self.command.stdin(input).stdout(file).stderr(second).spawn().doing(format!("run {name}"))?;
        let typed = child.stdin.take().zip(self.typed).map(|(to, line)| (to, line, Instant::now() - TYPING));
        Ok(Running { child, output: self.output, typed })
    }

    /// To its end, or until it takes too long.
    pub(super) fn run(self) -> Done<Ended> {
        let mut running = self.start()?;
        let code = running.wait();
        let hung = if code.is_none() { "it hung; " } else { "" };
        Ok(Ended { code, said: format!("{hung}{}", running.said()) })
    }

    /// The same, with all that it printed, lines and all.
    pub(super) fn run_for_output(self) -> Done<Ended> {
        let mut running = self.start()?;
        let code = running.wait();
        Ok(Ended { code, said: running.output() })
    }
}

impl Running {
    /// The exit status, once there is one.
    pub(super) fn ended(&mut self) -> Option<i32> {
        self.type_again();
        self.child.try_wait().ok().flatten().map(code)
    }

    /// Waits for its end; nothing when that takes too long.
    fn wait(&mut self) -> Option<i32> {
        let mut code = None;
        wait_for(PATIENCE, || {
            code = self.ended();
            code.is_some()
        });
        code
    }

    fn type_again(&mut self) {
        if let Some((to, line, last)) = self.typed.as_mut().filter(|(_, _, last)| last.elapsed() >= TYPING) {
            // It may have ended, which shows elsewhere.
            let _ = to.write_all(line.as_bytes());
            *last = Instant::now();
        }
    }

    /// Asks it to end, and waits.
    pub(super) fn stop(mut self) {
        let _ = nix::sys::signal::kill(self.pid(), Signal::SIGTERM);
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && self.ended().is_none() {
            std::thread::sleep(PAUSE);
        }
    }

    /// What it has printed, at the end of it, in one line.
    pub(super) fn said(&self) -> String {
        let text = self.output();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join(" | ")
    }

    fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Whether something comes true in time.
pub(super) fn wait_for(patience: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    loop {
        if ready() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}
