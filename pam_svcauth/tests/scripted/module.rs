//! A PAM module for the tests: every phase returns the code in its first argument.
//!
//! Behind pam_svcauth in a stack it makes `PAM_IGNORE` visible, which libpam itself never returns.

use std::ffi::CStr;

use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

struct Scripted;

mod hooks {
    use super::Scripted;
    pam::pam_hooks!(Scripted);
}

fn scripted(args: &[&CStr]) -> PamResultCode {
    let code = args.first().and_then(|arg| arg.to_str().ok()?.parse::<i32>().ok());
    code.and_then(|code| PamResultCode::try_from(code).ok()).unwrap_or(PamResultCode::PAM_SERVICE_ERR)
}

impl PamHooks for Scripted {
    fn acct_mgmt(_pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(&args)
    }
    fn sm_authenticate(_pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(&args)
    }
    fn sm_chauthtok(_pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(&args)
    }
    fn sm_close_session(_pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(&args)
    }
    fn sm_open_session(_pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(&args)
    }
    fn sm_setcred(_pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        scripted(&args)
    }
}
