//! A booted tree: a real systemd as process 1, its own network, files that are a copy on write of a release's tree.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};

use super::cgroup::Groups;
use super::release::Release;
use crate::failure::{Context, Failure, Outcome, require};
use crate::program::{Background, Program, as_pid, wait_until};

/// Where machines have their files; `/run` is the ground's own.
const PLACE: &str = "/run/machines";
/// How long a boot may take on a slow machine with many of them.
const PATIENCE: Duration = Duration::from_secs(300);
/// What systemd-nspawn says when the machine inside wants to be booted again.
const WANTS_REBOOT: i32 = 133;

/// Enters the control groups named before `--` and becomes the rest.
const ENTER: &str =
    r#"while [ "$1" != -- ]; do echo $$ >"$1" || exit 1; shift; done; shift; exec systemd-nspawn "$@""#;

/// Nothing of the machine outside is copied in, nobody outside is told, and no terminal is needed.
const NSPAWN: &[&str] = &[
    "--quiet",
    "--boot",
    "--private-network",
    "--register=no",
    "--keep-unit",
    "--hostname=web1",
    "--resolv-conf=off",
    "--timezone=off",
    "--link-journal=no",
    "--console=pipe",
    // A server confines programs to files (landlock(7)), which a container by default cannot.
    "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
];

/// A machine that runs, or that was switched off. Dropped: ended, and its files removed.
#[derive(Debug)]
pub struct Machine {
    release: Release,
    number: usize,
    folder: PathBuf,
    name: String,
    groups: Groups,
    running: Option<Running>,
}

/// systemd-nspawn, and the process inside that is 1 there.
#[derive(Debug)]
struct Running {
    nspawn: Background,
    leader: u32,
}

/// What a machine is made of.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) release: Release,
    /// The lower layers, the topmost first.
    pub(super) layers: &'a [PathBuf],
    /// The process id of the run, as the whole machine sees it.
    pub(super) run: &'a str,
    /// A number that no other machine of this release has.
    pub(super) number: usize,
}

impl Machine {
    /// Makes it and boots it; returns when everything that starts at boot has.
    pub(super) fn boot(parts: &Parts<'_>) -> Outcome<Self> {
        let mut machine = Self::make(parts)?;
        machine.start()?;
        machine.wait_for_boot()?;
        Ok(machine)
    }

    fn make(parts: &Parts<'_>) -> Outcome<Self> {
        let name = format!("{}-{}", parts.release, parts.number);
        let folder = Path::new(PLACE).join(&name);
        for part in ["upper", "work", "root"] {
            fs::create_dir_all(folder.join(part)).doing(format!("make {}", folder.display()))?;
        }
        let lower: Vec<String> = parts.layers.iter().map(|layer| layer.display().to_string()).collect();
        let at = |part: &str| folder.join(part).display().to_string();
        let options = format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), at("upper"), at("work"));
        mount(
            Some("overlay"),
            &folder.join("root"),
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .doing(format!("mount the files of {name} ({options})"))?;
        let groups = Groups::make(parts.run, &name)?;
        Ok(Self { release: parts.release, number: parts.number, folder, name, groups, running: None })
    }

    /// Boots it and waits for its process 1 only.
    fn start(&mut self) -> Outcome {
        let console = File::options().create(true).append(true).open(self.folder.join("console"))?;
        let entries: Vec<PathBuf> = self.groups.entries().collect();
        let command = Program::new("sh").args(&["-c", ENTER, "enter"]).args(&entries).arg("--").args(NSPAWN);
        let root = self.folder.join("root");
        let command = command.arg(format!("--machine={}", self.name)).arg("-D").arg(root);
        let mut nspawn = command.start(console)?;
        let leader = wait_until(&format!("process 1 of {}", self.name), PATIENCE, || {
            let ended = nspawn.ended().map(|code| Err(Failure::new(format!("it ended with status {code}"))));
            ended.or_else(|| child_that_is_one(nspawn.pid()).map(Ok))
        });
        let leader = leader.and_then(|found| found).map_err(|why| {
            let said = fs::read_to_string(self.folder.join("console")).unwrap_or_default();
            Failure::new(format!("boot {}: {why}\n{said}", self.name))
        })?;
        self.running = Some(Running { nspawn, leader });
        Ok(())
    }

    /// Waits until everything that starts at boot has started, or failed.
    pub fn wait_for_boot(&self) -> Outcome {
        let done = |state: &str| matches!(state, "running" | "degraded");
        let ask = || self.run(&["systemctl", "is-system-running", "--wait"]).ok();
        let booted = wait_until(&format!("{} to be up", self.name), PATIENCE, || {
            ask().filter(|answer| done(answer.text())).map(drop)
        });
        booted.map_err(|why| self.explain(&why))
    }

    /// Waits until systemd calls a unit active, e.g. one that starts before others can.
    pub fn wait_for_unit(&self, unit: &str) -> Outcome {
        let active = wait_until(&format!("{unit} of {}", self.name), PATIENCE, || {
            self.run(&["systemctl", "is-active", "--quiet", unit])
                .is_ok_and(|answer| answer.ok())
                .then_some(())
        });
        active.map_err(|why| self.explain(&why))
    }

    /// Boots it again, in good order, with the same files; returns when everything that starts at boot has.
    pub fn reboot(&mut self) -> Outcome {
        self.reboot_in_part()?;
        self.wait_for_boot()
    }

    /// The same, and waits for its process 1 only.
    pub fn reboot_in_part(&mut self) -> Outcome {
        let code = self.end_by(&["systemctl", "reboot"])?;
        require(code == WANTS_REBOOT, || {
            format!("{} ended with status {code} in place of a reboot", self.name)
        })?;
        self.start()
    }

    /// Ends it in good order; its files stay until it is dropped.
    pub fn power_off(&mut self) -> Outcome {
        let code = self.end_by(&["systemctl", "poweroff"])?;
        require(code == 0, || format!("{} was powered off with status {code}", self.name))
    }

    /// Ends it as a power cut would: every process at once, no sync.
    pub fn cut_power(&mut self) -> Outcome {
        let Some(Running { nspawn, leader }) = self.running.take() else {
            return Ok(());
        };
        kill(as_pid(leader), Signal::SIGKILL).doing(format!("end {}", self.name))?;
        nspawn.wait(PATIENCE).map(drop)
    }

    /// Boots it after [`Machine::power_off`] or [`Machine::cut_power`].
    pub fn power_on(&mut self) -> Outcome {
        self.start()?;
        self.wait_for_boot()
    }

    fn end_by(&mut self, words: &[&str]) -> Outcome<i32> {
        // The answer may be lost when the machine goes down faster than it is read.
        let _ = self.run(words)?;
        let running = self.running.take().ok_or_else(|| Failure::new("the machine is off"))?;
        running.nspawn.wait(PATIENCE).doing(format!("wait for the end of {}", self.name))
    }

    /// Which release this is.
    pub fn release(&self) -> Release {
        self.release
    }

    /// A number that no other machine of this release has.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Its folder on the ground, where servers for it can have their files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Process 1 of the machine, by its id outside.
    pub fn leader(&self) -> Outcome<u32> {
        self.running.as_ref().map(|running| running.leader).ok_or_else(|| Failure::new("the machine is off"))
    }

    /// The folder with all files of the machine, seen from outside; with those that exist only while it runs (`/run`,
    /// `/tmp`) when it does. An absolute symbolic link in it leads out of it.
    pub fn root(&self) -> PathBuf {
        match &self.running {
            Some(running) => PathBuf::from(format!("/proc/{}/root", running.leader)),
            None => self.folder.join("root"),
        }
    }

    /// What has been changed since it was made: a layer for others. The machine must be off.
    pub(super) fn into_layer(mut self) -> Outcome<PathBuf> {
        self.power_off()?;
        let layer = Path::new(PLACE).join(format!("layer-{}", self.name));
        unmount(&self.folder.join("root"))?;
        fs::rename(self.folder.join("upper"), &layer).doing("keep a layer")?;
        Ok(layer)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.cut_power();
        let _ = unmount(&self.folder.join("root"));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Lazily: a process of the machine that is still being ended may hold it for a moment.
fn unmount(at: &Path) -> Outcome {
    umount2(at, MntFlags::MNT_DETACH).doing(format!("unmount {}", at.display()))
}

/// The child that is process 1 of its own namespace and has become systemd.
fn child_that_is_one(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        let is_one = value("NSpid:").and_then(|ids| ids.split_whitespace().next_back()) == Some("1");
        is_one && value("Name:").map(str::trim) == Some("systemd")
    })
}
