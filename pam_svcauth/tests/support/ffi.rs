//! libpam, as an application calls it.
#![allow(
    clippy::box_collection,
    reason = "libpam keeps the address of the Vec, so it must not move with the handle"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use nix::sys::signal::{SigHandler, Signal};

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type ConvFn = unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conv {
    function: Option<ConvFn>,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conv: *const Conv,
        folder: *const c_char,
        handle: *mut *mut c_void,
    ) -> c_int;
    fn pam_end(handle: *mut c_void, status: c_int) -> c_int;
    fn pam_authenticate(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_open_session(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_close_session(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_chauthtok(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_set_item(handle: *mut c_void, kind: c_int, item: *const c_void) -> c_int;
    fn pam_putenv(handle: *mut c_void, line: *const c_char) -> c_int;
    fn pam_getenv(handle: *mut c_void, name: *const c_char) -> *const c_char;
    fn calloc(count: usize, size: usize) -> *mut c_void;
}

/// What the process does with a signal from now on.
pub(crate) fn on_signal(signal: Signal, handler: SigHandler) {
    // SAFETY: signal(2): neither SIG_IGN nor SIG_DFL is a function that could do something unsafe in a handler.
    unsafe { nix::sys::signal::signal(signal, handler) }.unwrap();
}

/// What the application does when a module wants to tell the user something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Hears it.
    Listens,
    /// Has no conversation function.
    Missing,
    /// Answers PAM_CONV_ERR.
    Fails,
    /// Says success and gives no response.
    AnswersNothing,
}

/// The phases of libpam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Authenticate,
    Account,
    Establish,
    Open,
    Close,
    Delete,
    Password,
}

/// PAM_SILENT of `_pam_types.h`.
pub(crate) const SILENT: c_int = 0x8000;
const ESTABLISH: c_int = 2;
const DELETE: c_int = 4;

/// The items of `_pam_types.h`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item {
    Service = 1,
    User = 2,
    Tty = 3,
    RHost = 4,
    RUser = 8,
}

/// An application's PAM handle.
pub(crate) struct Handle {
    raw: *mut c_void,
    heard: Box<Vec<String>>,
}

unsafe extern "C" fn listen(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    assert_eq!(count, 1);
    // SAFETY: pam_conv(3): `messages` points to `count` pointers.
    let message = unsafe { *messages };
    // SAFETY: each of them points to a message.
    let message = unsafe { &*message };
    // SAFETY: the text of a message is terminated.
    let text = unsafe { CStr::from_ptr(message.text) };
    // SAFETY: `data` is the Vec of the handle, which outlives pam_end(3), and nobody else looks at it during a phase.
    let heard = unsafe { &mut *data.cast::<Vec<String>>() };
    heard.push(format!("{} {}", message.style, text.to_string_lossy()));
    // SAFETY: calloc(3) has no precondition; the module frees the result.
    let response = unsafe { calloc(1, size_of::<Response>()) };
    // SAFETY: `responses` is the place for the array of responses.
    unsafe { *responses = response.cast() };
    0
}

unsafe extern "C" fn fail(_: c_int, _: *mut *const Message, _: *mut *mut Response, _: *mut c_void) -> c_int {
    19
}

unsafe extern "C" fn answer_nothing(
    _: c_int,
    _: *mut *const Message,
    responses: *mut *mut Response,
    _: *mut c_void,
) -> c_int {
    // SAFETY: `responses` is the place for the array of responses.
    unsafe { *responses = ptr::null_mut() };
    0
}

impl Handle {
    pub(crate) fn start(folder: &Path, service: &str, user: Option<&CStr>, talk: Talk) -> Self {
        let mut heard: Box<Vec<String>> = Box::default();
        let function: Option<ConvFn> = match talk {
            Talk::Listens => Some(listen),
            Talk::Missing => None,
            Talk::Fails => Some(fail),
            Talk::AnswersNothing => Some(answer_nothing),
        };
        let conv = Conv { function, data: ptr::from_mut(heard.as_mut()).cast() };
        let service = CString::new(service).unwrap();
        let folder = CString::new(folder.to_str().unwrap()).unwrap();
        let user = user.map_or(ptr::null(), CStr::as_ptr);
        let mut raw = ptr::null_mut();
        // SAFETY: pam_start_confdir(3): terminated texts, a conversation that is copied, and the place of the handle.
        let code = unsafe {
            pam_start_confdir(service.as_ptr(), user, &raw const conv, folder.as_ptr(), &raw mut raw)
        };
        assert_eq!(code, 0, "pam_start_confdir");
        Self { raw, heard }
    }

    pub(crate) fn run(&self, phase: Phase, flags: c_int) -> i32 {
        let (function, flags): (unsafe extern "C" fn(*mut c_void, c_int) -> c_int, c_int) = match phase {
            Phase::Authenticate => (pam_authenticate, flags),
            Phase::Account => (pam_acct_mgmt, flags),
            Phase::Establish => (pam_setcred, flags | ESTABLISH),
            Phase::Open => (pam_open_session, flags),
            Phase::Close => (pam_close_session, flags),
            Phase::Delete => (pam_setcred, flags | DELETE),
            Phase::Password => (pam_chauthtok, flags),
        };
        // SAFETY: the handle is live until drop; every phase takes it and flags.
        unsafe { function(self.raw, flags) }
    }

    pub(crate) fn set(&self, item: Item, text: Option<&CStr>) {
        let text = text.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: pam_set_item(3): all items of `Item` are terminated texts, or NULL, and are copied.
        let code = unsafe { pam_set_item(self.raw, item as c_int, text.cast()) };
        assert_eq!(code, 0, "pam_set_item");
    }

    pub(crate) fn put_env(&self, line: &CStr) {
        // SAFETY: pam_putenv(3): a terminated text, which is copied.
        assert_eq!(unsafe { pam_putenv(self.raw, line.as_ptr()) }, 0, "pam_putenv");
    }

    pub(crate) fn env(&self, name: &CStr) -> Option<String> {
        // SAFETY: pam_getenv(3): a terminated name.
        let value = unsafe { pam_getenv(self.raw, name.as_ptr()) };
        // SAFETY: NULL or a terminated text that lives until the environment changes.
        (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_str().unwrap().to_owned())
    }

    /// What the user was told so far, each with its style.
    pub(crate) fn heard(&self) -> &[String] {
        &self.heard
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is live and not used after this.
        unsafe { pam_end(self.raw, 0) };
    }
}
