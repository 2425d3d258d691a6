//! What a test does in a machine: programs, files, logins.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::boot::Machine;
use crate::failure::{Context, Failure, Outcome, indent};
use crate::keys::Key;
use crate::program::{Background, Ended, Program};
use crate::sshd::CLIENT;

/// How long a program may take when nobody says: several machines do something at a time.
const PATIENCE: Duration = Duration::from_secs(300);
/// Where the machine has the private keys of the people of a test; root's alone.
const KEYS: &str = "/root/keys";

impl Machine {
    /// A program of the machine, as root, in all of its namespaces; for one that needs input, patience or a variable.
    pub fn program(&self, words: &[&str]) -> Outcome<Program> {
        let leader = self.leader()?.to_string();
        Ok(Program::new("nsenter").patience(PATIENCE).args(&["-t", &leader, "-a", "--"]).args(words))
    }

    /// Runs a program to its end; any exit status will do.
    pub fn run(&self, words: &[&str]) -> Outcome<Ended> {
        self.program(words)?.run()
    }

    /// Runs a script with `sh -eu`; any exit status will do.
    pub fn shell(&self, script: &str) -> Outcome<Ended> {
        self.run(&["sh", "-euc", script])
    }

    /// Runs a program that must succeed and gives what it printed, without its last line end.
    pub fn ask(&self, words: &[&str]) -> Outcome<String> {
        Ok(self.run(words)?.expect_ok()?.text().to_owned())
    }

    /// Runs a script that must succeed and gives what it printed, without its last line end.
    pub fn tell(&self, script: &str) -> Outcome<String> {
        self.ask(&["sh", "-euc", script])
    }

    /// Starts a program that is ended when the handle is dropped; its output goes to `/root/<label>.out`.
    pub fn spawn(&self, label: &str, words: &[&str]) -> Outcome<Background> {
        let log = File::create(self.path(format!("/root/{label}.out"))).doing("open the output")?;
        // nsenter stays outside as the parent, and its end ends the program.
        let words = [&["setpriv", "--pdeathsig", "KILL", "--"], words].concat();
        self.program(&words)?.start(log)
    }

    /// Where a file of the machine is, seen from outside.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        self.root().join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Writes a file with its folders, owner root, exactly this mode, by rename.
    pub fn write(&self, path: &str, mode: u32, bytes: impl AsRef<[u8]>) -> Outcome {
        let place = self.path(path);
        let fresh = self.path(format!("{path}.test-new"));
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).doing(format!("make the folder of {path}"))?;
        }
        fs::write(&fresh, bytes).doing(format!("write {path}"))?;
        fs::set_permissions(&fresh, Permissions::from_mode(mode)).doing(format!("set the mode of {path}"))?;
        fs::rename(&fresh, &place).doing(format!("put {path} in its place"))
    }

    /// Copies a file of the machine outside into this one, owner root, exactly this mode, by rename.
    pub fn copy_in(&self, from: &Path, to: &str, mode: u32) -> Outcome {
        let bytes = fs::read(from).doing(format!("read {}", from.display()))?;
        self.write(to, mode, bytes)
    }

    /// What a file holds.
    pub fn read(&self, path: &str) -> Outcome<String> {
        let bytes = fs::read(self.path(path)).doing(format!("read {path} of the machine"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether there is something at this path, be it a link that leads nowhere.
    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// A new key pair for somebody.
    pub fn key(&self, name: &str) -> Outcome<Key> {
        Key::generate(&self.path(KEYS), name)
    }

    /// The public key of somebody who has a pair: `ssh-ed25519 AAAA... name@laptop`.
    pub fn public_key(&self, name: &str) -> Outcome<String> {
        Ok(self.read(&format!("{KEYS}/{name}.pub"))?.trim_end().to_owned())
    }

    /// A login over loopback, by the real ssh client, as `user` with the key of `person`.
    pub fn ssh(&self, person: &str, user: &str, command: &[&str]) -> Outcome<Ended> {
        self.ssh_program(person, user, command)?.run()
    }

    /// The same, for one that needs more patience.
    pub fn ssh_program(&self, person: &str, user: &str, command: &[&str]) -> Outcome<Program> {
        let (key, target) = (format!("{KEYS}/{person}"), format!("{user}@127.0.0.1"));
        let ssh = self.program(&["ssh"])?.args(CLIENT).args(&["-oBatchMode=yes", "-i", &key, &target]);
        Ok(ssh.args(command))
    }

    /// The lines of the audit trail so far, to look only at what comes later.
    pub fn records(&self) -> Vec<String> {
        let text = self.read("/var/log/svcauth/audit.jsonl").unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits for a record behind the first `mark` ones that holds every part, e.g. `"decision":"deny"`.
    pub fn wait_for_record(&self, mark: usize, parts: &[&str]) -> Outcome<String> {
        let has = |line: &String| parts.iter().all(|part| line.contains(part));
        self.wait_until(&format!("a record with {parts:?}"), Duration::from_secs(60), |machine| {
            machine.records().into_iter().skip(mark).find(has)
        })
    }

    /// The last lines of the journal, for a message.
    pub fn journal(&self, lines: usize) -> String {
        let count = lines.to_string();
        let asked = self.run(&["journalctl", "--no-pager", "-q", "-o", "short-precise", "-n", &count]);
        asked.map_or_else(|why| why.to_string(), |ended| ended.stdout)
    }

    /// A failure with what the machine can say about it.
    pub fn explain(&self, why: &Failure) -> Failure {
        let failed = self.run(&["systemctl", "--no-pager", "--plain", "--failed", "--no-legend"]);
        let failed = failed.map_or_else(|why| why.to_string(), |ended| ended.stdout);
        let journal = indent(&self.journal(60));
        Failure::new(format!(
            "{why}\nfailed units of the machine:\n{}the end of its journal:\n{journal}",
            indent(&failed)
        ))
    }

    /// Runs `step`; a failure carries the end of the journal.
    pub fn explaining<T>(&self, step: impl FnOnce(&Self) -> Outcome<T>) -> Outcome<T> {
        step(self).map_err(|why| self.explain(&why))
    }

    /// Calls `ready` until it gives a value; a failure carries the end of the journal.
    pub fn wait_until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut ready: impl FnMut(&Self) -> Option<T>,
    ) -> Outcome<T> {
        let end = Instant::now() + patience;
        loop {
            if let Some(value) = ready(self) {
                return Ok(value);
            }
            if Instant::now() >= end {
                return Err(self.explain(&Failure::new(format!("{what}: not after {patience:?}"))));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
