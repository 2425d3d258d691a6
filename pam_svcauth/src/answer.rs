//! What a phase answers: three words, and their return codes in one place.

use pam::constants::PamResultCode;

/// The answer of a phase.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The account is managed and may be used.
    Granted,
    /// It may not.
    Denied,
    /// Not a managed account, or nothing to do in this phase.
    NotOurs,
}

impl Answer {
    pub(crate) const fn code(self) -> PamResultCode {
        match self {
            Self::Granted => PamResultCode::PAM_SUCCESS,
            // Never PAM_SESSION_ERR: sudo takes it for a warning and runs the command.
            Self::Denied => PamResultCode::PAM_PERM_DENIED,
            Self::NotOurs => PamResultCode::PAM_IGNORE,
        }
    }
}
