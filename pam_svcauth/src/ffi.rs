//! The part of libpam that pam-bindings does not have, and the one typed value that is kept between phases.

use std::ffi::{CStr, CString, c_char, c_int};

use pam::module::{PamHandle, PamResult};

use crate::session::Open;

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_getenv(pamh: *mut PamHandle, name: *const c_char) -> *const c_char;
    fn pam_putenv(pamh: *mut PamHandle, name_value: *const c_char) -> c_int;
}

/// The key of pam_set_data(3). Nobody else uses it: modules share one name space per handle.
const OPEN: &str = "svcauth.open_session";
/// PAM_SUCCESS of `_pam_types.h`.
const PAM_SUCCESS: c_int = 0;

/// A variable of the PAM environment, which is not the environment of the process.
pub(crate) fn get_env(pamh: &mut PamHandle, name: &CStr) -> Option<CString> {
    // SAFETY: pam_getenv(3) wants a live handle, which `&mut PamHandle` is, and a terminated name; it keeps neither.
    let value = unsafe { pam_getenv(pamh, name.as_ptr()) };
    // SAFETY: pam_getenv(3) returns NULL or a terminated string that lives until the environment changes. Nothing can
    // change it here, since `pamh` is borrowed until the copy is made.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_owned())
}

/// Puts `NAME=value` into the PAM environment, from which the application makes the environment of the session.
pub(crate) fn put_env(pamh: &mut PamHandle, name_value: &CStr) -> bool {
    // SAFETY: pam_putenv(3) wants a live handle and a terminated string, which it copies.
    unsafe { pam_putenv(pamh, name_value.as_ptr()) == PAM_SUCCESS }
}

/// Keeps what the session phase decided until pam_end(3).
pub(crate) fn keep_open(pamh: &mut PamHandle, open: Open) -> PamResult<()> {
    pamh.set_data(OPEN, Box::new(open))
}

/// What the session phase of this handle kept.
pub(crate) fn open(pamh: &PamHandle) -> Option<&Open> {
    // SAFETY: the contract of get_data is that the value has this type. Only `keep_open` above sets the key, always with
    // an `Open`, and the module is never unloaded (-z nodelete), so it is the same type in every phase.
    unsafe { pamh.get_data(OPEN) }.ok()
}
