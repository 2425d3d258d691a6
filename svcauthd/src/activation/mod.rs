//! Switching svcauth on and off: which files of the host change, how that is done so that any moment of it is safe, and
//! how it is undone.
//!
//! The plan is computed and examined before anything is changed ([`plan`], [`stage`]), written down with the old bytes
//! ([`journal`]) and carried out file by file ([`apply`]). Three places change, in this order: PAM, sshd, the name service,
//! so that accounts become visible only when enforcement stands; back it goes the other way. What was begun and not
//! finished is undone by `svcauth-rollback.service` at the next boot, or by the next `svcauth enable` or `disable`.
//!
//! Never here: deciding who may log in, and finding faults (`doctor`).

pub mod apply;
pub mod attributes;
pub mod change;
pub mod deed;
pub mod diff;
pub mod journal;
pub mod login;
pub mod nsswitch;
pub mod pam;
pub mod plan;
pub mod sshd;
pub mod stage;
pub mod trial;

use std::fmt;

/// Where it is on every distribution with systemd; the caller's PATH decides nothing.
const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// Why nothing was changed, or what could not be changed back: what is wrong, where, and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(String);

impl Trouble {
    /// In words for the administrator.
    #[must_use]
    pub fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}
