//! The host that is looked at: its files below a root folder, and the programs that know about themselves.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Bytes of a configuration file that are read.
const TEXT_MAX: u64 = 4 << 20;
/// Bytes of what a program says that are kept.
const OUTPUT_MAX: u64 = 16 << 20;
/// How long a program may take. None of them has to ask anybody but this host; `getent` may ask a directory.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Where to look.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
    owner: u32,
}

/// What a program said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) success: bool,
    pub(super) out: String,
    pub(super) err: String,
}

impl Host {
    /// This host.
    #[must_use]
    pub fn this() -> Self {
        Self { root: PathBuf::from("/"), owner: 0 }
    }

    /// A folder with files as a host has them; `owner` is who must own what root owns on a host. No program is run.
    #[cfg(test)]
    pub(super) fn in_folder(root: &Path) -> Self {
        Self { root: root.to_owned(), owner: nix::unistd::geteuid().as_raw() }
    }

    /// The root folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Who must own what only root may change.
    pub(super) fn owner(&self) -> u32 {
        self.owner
    }

    /// Where a path of the host is.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The path as the host sees it.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).map_or_else(|_| path.to_owned(), |below| Path::new("/").join(below))
    }

    /// The text of a file that only root can have made; nothing if there is none, or it is no plain file.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK | O_NOCTTY)
            .open(self.path(path))
            .ok()
            .filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))?;
        Some(String::from_utf8_lossy(&all_of(file, TEXT_MAX)).into_owned())
    }

    /// The names in a folder, in alphabetical order.
    pub(super) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// Whether this is the host that the command runs on, and not a folder.
    pub(super) fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Runs a program of the host with an empty environment; an error says why there is no answer.
    pub(super) fn run(&self, program: &str, args: &[&str]) -> Result<Said, String> {
        if !self.is_this() || !self.has(program) {
            return Err(format!("{program} is not here"));
        }
        run(Command::new(program).args(args), PATIENCE).map_err(|why| format!("{program}: {why}"))
    }
}

/// Runs a command to its end, or ends it and all that it has started.
fn run(command: &mut Command, patience: Duration) -> Result<Said, String> {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let until = Instant::now() + patience;
    let status = wait(&mut child, until);
    if status.is_none() {
        end(&mut child);
        return Err(format!("no answer within {} seconds", patience.as_secs()));
    }
    // Somebody who was left behind may hold the pipe; then what was said so far is lost, and that is an error.
    let heard = |from: &Receiver<Vec<u8>>| from.recv_timeout(until.saturating_duration_since(Instant::now()));
    let (Ok(out), Ok(err)) = (heard(&out), heard(&err)) else {
        end(&mut child);
        return Err("it has ended, and something that it started still holds its output".to_owned());
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { success: status == Some(true), out: text(out), err: text(err) })
}

fn wait(child: &mut Child, until: Instant) -> Option<bool> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // It may have ended by itself.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.wait();
}

fn reader(from: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let bytes = from.map(|from| all_of(from, OUTPUT_MAX)).unwrap_or_default();
        // Nobody waits any more when the program took too long.
        let _ = sender.send(bytes);
    });
    receiver
}

fn all_of(from: impl Read, max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error counts.
    let _ = from.take(max).read_to_end(&mut bytes);
    bytes
}

/// The first bytes of a file, never waiting; nothing if it is no plain file or cannot be opened.
pub(super) fn beginning(path: &Path, max: u64) -> Option<Vec<u8>> {
    let file: File = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path).ok()?;
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(all_of(file, max))
}

#[cfg(test)]
mod tests {
    use super::{Command, Duration, Instant, run};

    #[test]
    fn a_program_that_does_not_end_is_ended_with_its_children() {
        let started = Instant::now();
        let script = |text: &str, patience: u64| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", text]);
            run(&mut command, Duration::from_millis(patience))
        };
        let said = script("echo a; echo b >&2; exit 3", 60_000).unwrap();
        assert_eq!((said.success, said.out.as_str(), said.err.as_str()), (false, "a\n", "b\n"));
        assert!(script("sleep 3600", 300).unwrap_err().contains("no answer within"));
        // A shell that ends at once has ended by then, unless the machine is busy.
        let holds = |patience| {
            script("sleep 3600 & echo x", patience).unwrap_err().contains("still holds its output")
        };
        assert!([300, 3_000, 30_000].into_iter().any(holds));
        assert!(started.elapsed() < Duration::from_secs(600));
    }
}
