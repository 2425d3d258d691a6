//! What every attempt needs to know, and how steps are told.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use super::cast::Cast;
use super::fault::Done;
use super::log::Log;
use super::private::HERE;
use super::program::number;
use super::sshd::{Sshd, make_key};
use super::{Said, Step, Verdict};

/// The private world, ready.
pub(super) struct Scene {
    pub(super) cast: Cast,
    pub(super) log: Log,
    pub(super) keys: Keys,
    pub(super) sshd: Option<Sshd>,
}

/// Private keys of three people, in files that only root reads.
pub(super) struct Keys {
    pub(super) allowed: PathBuf,
    pub(super) refused: PathBuf,
    pub(super) local: PathBuf,
}

impl Keys {
    pub(super) fn make() -> Done<Self> {
        let key = |name: &str| {
            let path = Path::new(HERE).join(format!("key-{name}"));
            make_key(&path).map(|()| path)
        };
        Ok(Self { allowed: key("allowed")?, refused: key("refused")?, local: key("local")? })
    }

    /// The line of authorized_keys.
    pub(super) fn public(private: &Path) -> String {
        std::fs::read_to_string(private.with_extension("pub")).unwrap_or_default().trim_end().to_owned()
    }
}

/// Where a command of somebody leaves its mark, for everybody to write.
pub(super) const MARKS: &str = "/run/svcauth-prove/marks";

/// A file that is not there yet, and will be if a command runs.
#[derive(Debug)]
pub(super) struct Mark(pub(super) String);

impl Mark {
    pub(super) fn new() -> Self {
        Self(format!("{MARKS}/{}", number()))
    }

    /// The command that leaves it; `id` tells as whom.
    pub(super) fn command(&self) -> String {
        format!("id -u >{}", self.0)
    }

    /// Whether the command ran, and with this uid.
    pub(super) fn is_of(&self, uid: u32) -> bool {
        std::fs::read_to_string(&self.0).is_ok_and(|text| text.trim() == uid.to_string())
    }

    /// Whether it is there, and this uid has made it.
    pub(super) fn belongs_to(&self, uid: u32) -> bool {
        std::fs::metadata(&self.0).is_ok_and(|meta| meta.uid() == uid)
    }

    pub(super) fn is_there(&self) -> bool {
        Path::new(&self.0).exists()
    }
}

/// An address on the loopback that nobody came from yet: sshd makes one wait that was refused often, and a record says where
/// from. Also no two in one network of 256.
pub(super) fn address() -> String {
    let number = number();
    format!("127.{}.{}.1", 64 + number / 250 % 128, 1 + number % 250)
}

impl Step {
    fn new(
        step: impl Into<String>,
        result: Verdict,
        what: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self { step: step.into(), result, what: what.into(), detail: detail.into() }
    }

    pub(super) fn ok(step: impl Into<String>, what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(step, Verdict::Ok, what, detail)
    }

    pub(super) fn failed(
        step: impl Into<String>,
        what: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(step, Verdict::Failed, what, detail)
    }

    pub(super) fn skipped(
        step: impl Into<String>,
        what: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(step, Verdict::Skipped, what, detail)
    }
}

/// Says something to the process outside. When that has gone, so will this.
pub(super) fn tell(said: &Said) {
    if let Ok(line) = serde_json::to_string(said) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// A part of the proof that may run beside others.
pub(super) type Part<'a> = Box<dyn FnOnce() -> Vec<Step> + Send + 'a>;

/// Runs parts side by side, and tells their steps in the order of the parts, each as soon as it can be told. Returns the
/// names of those that are ok.
pub(super) fn side_by_side(parts: Vec<Part<'_>>) -> Vec<String> {
    let mut ok = Vec::new();
    let mut told: Vec<Option<Vec<Step>>> = parts.iter().map(|_| None).collect();
    let queue = Mutex::new(parts.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (sender, receiver) = channel();
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 6);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some((index, part)) = next() {
                    let _ = sender.send((index, part()));
                }
            });
        }
        drop(sender);
        let mut first = 0;
        for (index, steps) in receiver {
            if let Some(place) = told.get_mut(index) {
                *place = Some(steps);
            }
            while let Some(steps) = told.get_mut(first).and_then(Option::take) {
                for step in steps {
                    if step.result == Verdict::Ok {
                        ok.push(step.step.clone());
                    }
                    tell(&Said::Step(step));
                }
                first += 1;
            }
        }
    });
    ok
}
