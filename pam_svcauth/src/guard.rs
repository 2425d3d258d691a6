//! What stands before every phase: root goes by untouched, a panic is a denial, and a denial says "Permission denied".

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use once_cell::race::OnceBool;
use pam::constants::{PAM_ERROR_MSG, PamFlag, PamResultCode};
use pam::conv::Conv;
use pam::module::PamHandle;
use svcauth_core::policy::Reason;

use crate::answer::Answer;
use crate::request::Request;
use crate::{record, session};

/// A phase: what it is asked, and what it answers.
pub(crate) type Phase = fn(&mut PamHandle, &Request) -> Answer;

/// `std::sync::Once` would hang for ever in a child that was forked while another thread initialised.
static SILENCED: OnceBool = OnceBool::new();

/// Answers libpam.
pub(crate) fn answer(pamh: &mut PamHandle, flags: PamFlag, phase: Phase) -> PamResultCode {
    silence_panics();
    let Some(request) = caught(|| Request::read(pamh, flags)) else {
        return Answer::Denied.code();
    };
    if request.is_for_root() {
        return Answer::NotOurs.code();
    }
    let answer = caught(|| phase(pamh, &request)).unwrap_or_else(|| {
        let _ = caught(|| record::deny_unplanned(&request, Reason::InternalError));
        Answer::Denied
    });
    if answer == Answer::Denied && !request.silent {
        let _ = caught(|| tell(pamh));
    }
    answer.code()
}

/// Ends what the handle has open, whatever the user is called by now. Nobody is let in here, so nobody is refused.
pub(crate) fn end(pamh: &PamHandle) -> PamResultCode {
    silence_panics();
    match caught(|| session::end_open(pamh)) {
        Some(true) => Answer::Granted.code(),
        Some(false) | None => Answer::NotOurs.code(),
    }
}

/// The user learns that much and no more; the administrator reads the audit record. Whatever the conversation does or
/// fails to do changes nothing.
fn tell(pamh: &PamHandle) {
    if let Ok(Some(conversation)) = pamh.get_item::<Conv<'_>>() {
        let _ = conversation.send(PAM_ERROR_MSG, "Permission denied");
    }
}

/// The result, or `None` when it panicked.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Some(result),
        Err(payload) => {
            // Dropping a payload may run code that panics again, now outside of any guard.
            std::mem::forget(payload);
            None
        }
    }
}

/// The default hook would print to the standard error of a setuid program, with a backtrace if the caller asked for one.
fn silence_panics() {
    SILENCED.get_or_init(|| {
        set_hook(Box::new(|_| {}));
        true
    });
}

#[cfg(test)]
#[path = "guard_ffi_tests.rs"]
mod tests;
