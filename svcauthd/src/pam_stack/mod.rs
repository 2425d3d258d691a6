//! The PAM stack of a service as libpam sees it: the lines of all included files in their order, each with its place.
//!
//! Belongs here: reading pam.d (pam.d(5)) and saying how libpam would walk it. Never here: what is good or bad about it.

mod control;
mod read;
mod walk;

use std::path::{Path, PathBuf};

pub use control::{Action, Code, Control};
pub use read::{Reader, Trouble};
pub use walk::{Ending, walk};

/// A kind of line; `password` and `auth` lines are read, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Who is it?
    Auth,
    /// May the account be used?
    Account,
    /// A session begins or ends.
    Session,
    /// Changing a password.
    Password,
}

impl Phase {
    /// The word of pam.d(5).
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Session => "session",
            Self::Password => "password",
        }
    }
}

/// What libpam does at a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Calls a module: its name or path, and its arguments.
    Module(String, Vec<String>),
    /// Nothing: a substack begins behind it, which jumps count as one.
    Substack(String),
    /// Fails, because the line cannot be understood or what it includes cannot be read; says why.
    Broken(String),
}

/// One line of a flattened stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The phase.
    pub phase: Phase,
    /// What each return code of the module does.
    pub control: Control,
    /// What happens at it.
    pub kind: Kind,
    /// The file that it stands in.
    pub file: PathBuf,
    /// The line in that file, from 1.
    pub number: usize,
    /// How many substacks it is in.
    pub level: usize,
}

impl Line {
    /// The file name of the module; empty for a line that calls none.
    #[must_use]
    pub fn module(&self) -> &str {
        match &self.kind {
            Kind::Module(path, _) => path.rsplit('/').next().unwrap_or_default(),
            Kind::Substack(_) | Kind::Broken(_) => "",
        }
    }

    /// The arguments of the module.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        match &self.kind {
            Kind::Module(_, arguments) => arguments,
            Kind::Substack(_) | Kind::Broken(_) => &[],
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> (&Path, usize) {
        (&self.file, self.number)
    }
}

/// All lines of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The name of the service.
    pub service: String,
    /// The file that the service has; not there if it has none and libpam takes `other`.
    pub file: Option<PathBuf>,
    /// The lines of all phases.
    pub lines: Vec<Line>,
    /// What cannot be read or understood.
    pub troubles: Vec<Trouble>,
}

impl Stack {
    /// The lines of a phase.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> Vec<Line> {
        self.lines.iter().filter(|line| line.phase == phase).cloned().collect()
    }
}
