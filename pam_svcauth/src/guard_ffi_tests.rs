//! The guard behind a real handle of libpam.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use pam::constants::{PAM_SILENT, PamResultCode};
use pam::module::PamHandle;

use super::{Phase, answer, caught};
use crate::answer::Answer;

/// `struct pam_conv` with nobody to talk to.
#[repr(C)]
struct Conv([usize; 2]);

unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conv: *const Conv,
        folder: *const c_char,
        handle: *mut *mut c_void,
    ) -> c_int;
    fn pam_end(handle: *mut c_void, status: c_int) -> c_int;
}

struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any("while dropping");
    }
}

#[test]
fn a_panic_is_caught_whatever_it_carries() {
    assert_eq!(caught(|| 7), Some(7));
    assert_eq!(caught(|| -> i32 { std::panic::panic_any("text") }), None);
    assert_eq!(caught(|| -> i32 { std::panic::panic_any(Bomb) }), None);
}

/// What the guard answers for this user when the phase behaves like this.
fn answered(user: &CStr, phase: Phase) -> PamResultCode {
    let folder = std::env::temp_dir().join(format!("svcauth-guard-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("guard"), "").unwrap();
    let path = CString::new(folder.to_str().unwrap()).unwrap();
    let mut handle = ptr::null_mut();
    // SAFETY: pam_start_confdir(3): terminated texts, a conversation that is copied, and the place of the handle.
    let code = unsafe {
        pam_start_confdir(c"guard".as_ptr(), user.as_ptr(), &Conv([0, 0]), path.as_ptr(), &raw mut handle)
    };
    assert_eq!(code, 0);
    // SAFETY: a live handle of libpam, which is what PamHandle stands for; nobody else uses it until pam_end.
    let pamh = unsafe { &mut *handle.cast::<PamHandle>() };
    let code = answer(pamh, PAM_SILENT, phase);
    // SAFETY: the handle is live and not used after this.
    unsafe { pam_end(handle, 0) };
    code
}

#[test]
fn a_phase_that_panics_denies_everybody_but_root_and_says_nothing() {
    assert_eq!(answered(c"deployer", |_, _| Answer::Granted), PamResultCode::PAM_SUCCESS);
    for user in [c"deployer", c"alice", c"toor", c"\xff"] {
        let code = answered(user, |_, _| std::panic::panic_any(Bomb));
        assert_eq!(code, PamResultCode::PAM_PERM_DENIED, "{user:?}");
    }
    let root = answered(c"root", |_, _| std::panic::panic_any(Bomb));
    assert_eq!(root, PamResultCode::PAM_IGNORE);
    // The module's hook says nothing; other tests may want to.
    drop(std::panic::take_hook());
}
