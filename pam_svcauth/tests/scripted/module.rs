//! A PAM module for the tests: every phase returns the code in its first argument, after it has set the item that the
//! second and third name (`user`, `ruser`, `rhost`, `service`).
//!
//! Behind pam_svcauth in a stack it makes `PAM_IGNORE` visible, which libpam itself never returns.

use std::ffi::CStr;

use pam::constants::{PamFlag, PamResultCode};
use pam::items::{RHost, RUser, Service, User};
use pam::module::{PamHandle, PamHooks};

struct Scripted;

mod hooks {
    use super::Scripted;
    pam::pam_hooks!(Scripted);
}

fn scripted(pamh: &mut PamHandle, args: &[&CStr]) -> PamResultCode {
    if let [_, item, value, ..] = args {
        let _ = match item.to_bytes() {
            b"user" => pamh.set_item_str(User(value)),
            b"ruser" => pamh.set_item_str(RUser(value)),
            b"rhost" => pamh.set_item_str(RHost(value)),
            _ => pamh.set_item_str(Service(value)),
        };
    }
    let code = args.first().and_then(|arg| arg.to_str().ok()?.parse::<i32>().ok());
    code.and_then(|code| PamResultCode::try_from(code).ok()).unwrap_or(PamResultCode::PAM_SERVICE_ERR)
}

impl PamHooks for Scripted {
    fn acct_mgmt(pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(pamh, &args)
    }
    fn sm_authenticate(pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(pamh, &args)
    }
    fn sm_chauthtok(pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(pamh, &args)
    }
    fn sm_close_session(pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(pamh, &args)
    }
    fn sm_open_session(pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(pamh, &args)
    }
    fn sm_setcred(pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(pamh, &args)
    }
}
