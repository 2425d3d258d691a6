//! `pam_svcauth.so`: authorises who may become a managed account, and records the person behind the session.
//!
//! Belongs here: turning what libpam asks into a request, and a decision into a return code, an audit record and an entry
//! of the session registry. Never here: deciding (`svcauth_core::policy`), the directory, the network.
//!
//! The module is a guest in sshd, su, sudo and cron: no threads, no locks held between phases, no environment of the
//! process, no standard output, nothing that waits. The only state between phases is what pam_set_data(3) keeps.
//!
//! | phase | answer for a managed account |
//! |---|---|
//! | auth, chauthtok | `PAM_IGNORE` |
//! | account | `PAM_PERM_DENIED` when the account alone rules it out, else `PAM_SUCCESS` |
//! | open_session | the decision: `PAM_SUCCESS` or `PAM_PERM_DENIED` |
//! | setcred | `PAM_SUCCESS` when it put the environment of an open session, else `PAM_IGNORE` |
//! | close_session | `PAM_SUCCESS` when it ended a session, else `PAM_IGNORE` |
//!
//! Every phase answers `PAM_IGNORE` for root and for whoever is known not to be managed. A denial is never
//! `PAM_SESSION_ERR`: sudo runs the command on that. An allowed account gets `PAM_SUCCESS`, not `PAM_IGNORE`, so that
//! `required pam_svcauth.so` decides alike before, after and without pam_unix; it must therefore not be `sufficient`.

mod account;
mod answer;
mod ffi;
mod guard;
mod identify;
mod identify_ssh;
mod record;
mod request;
mod session;
mod target;

use std::ffi::CStr;

use pam::constants::{PAM_DELETE_CRED, PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

struct Svcauth;

mod hooks {
    use super::Svcauth;
    pam::pam_hooks!(Svcauth);
}

/// `auth` and `chauthtok` are left to the trait: `PAM_IGNORE`.
impl PamHooks for Svcauth {
    fn acct_mgmt(pamh: &mut PamHandle, _args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        guard::answer(pamh, flags, account::check)
    }

    fn sm_open_session(pamh: &mut PamHandle, _args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        guard::answer(pamh, flags, session::open)
    }

    fn sm_setcred(pamh: &mut PamHandle, _args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        if flags & PAM_DELETE_CRED != 0 {
            return PamResultCode::PAM_IGNORE;
        }
        guard::answer(pamh, flags, session::establish)
    }

    fn sm_close_session(pamh: &mut PamHandle, _args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        guard::end(pamh)
    }
}
