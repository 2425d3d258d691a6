//! What on this host keeps svcauth from deciding, or lets somebody past it, and what to do about each.
//!
//! `svcauth doctor` shows it, and `svcauth enable` refuses to go on while there is a fault.

use std::path::PathBuf;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know; nothing is open and nobody is shut out.
    Note,
    /// Something that svcauth promises does not hold in a corner; logins are decided.
    Warning,
    /// A managed account can be reached past svcauth, or root or a local account can be shut out.
    Fault,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable word for scripts, as in `pam_default_ignore`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file that has to change, and the line in it from 1, where there is one.
    pub place: Option<(PathBuf, Option<usize>)>,
    /// What is wrong and what it means, in one sentence.
    pub what: String,
    /// What to do: a command or an edit that can be copied.
    pub fix: String,
}
