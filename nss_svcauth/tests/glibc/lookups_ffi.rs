//! getpwnam_r(3), getgrouplist(3) and getpwent(3) behind safe functions.

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::ptr;

/// What getpwnam_r(3) says: its return value, and the entry if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) error: c_int,
    pub(crate) entry: Option<Entry>,
}

/// uid, comment and home directory of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) uid: u32,
    pub(crate) gecos: String,
    pub(crate) home: String,
}

/// getpwnam_r(3) with a buffer that is large enough.
pub(crate) fn account(name: &CStr) -> Told {
    let (mut entry, mut found) = (MaybeUninit::uninit(), ptr::null_mut());
    let mut buffer = [0; 4096];
    // SAFETY: getpwnam_r(3): room for the struct, a buffer and its length, room for the result.
    let error = unsafe {
        libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    // SAFETY: null, or the struct above, filled.
    let entry = unsafe { found.as_ref() }.map(view);
    Told { error, entry }
}

/// The names that getpwent(3) lists after setpwent(3).
pub(crate) fn all_accounts() -> Vec<String> {
    // SAFETY: no preconditions; no other thread of the test lists.
    unsafe { libc::setpwent() };
    let mut names = Vec::new();
    loop {
        // SAFETY: as above; the entry is used before the next call.
        let entry = unsafe { libc::getpwent() };
        // SAFETY: null or an entry that glibc keeps until the next call.
        let Some(entry) = (unsafe { entry.as_ref() }) else {
            break;
        };
        // SAFETY: a NUL-terminated string.
        names.push(unsafe { CStr::from_ptr(entry.pw_name) }.to_str().unwrap().to_owned());
    }
    // SAFETY: no preconditions.
    unsafe { libc::endpwent() };
    names
}

/// getgrouplist(3).
pub(crate) fn groups_of(name: &CStr, primary: u32) -> Vec<u32> {
    let mut gids = vec![0; 4096];
    let mut count = c_int::try_from(gids.len()).unwrap();
    // SAFETY: getgrouplist(3): an array and its length.
    let found = unsafe { libc::getgrouplist(name.as_ptr(), primary, gids.as_mut_ptr(), &raw mut count) };
    gids.truncate(usize::try_from(found).unwrap());
    gids
}

fn view(entry: &libc::passwd) -> Entry {
    // SAFETY: glibc fills the struct with NUL-terminated strings.
    let gecos = unsafe { CStr::from_ptr(entry.pw_gecos) };
    // SAFETY: as above.
    let home = unsafe { CStr::from_ptr(entry.pw_dir) };
    Entry {
        uid: entry.pw_uid,
        gecos: gecos.to_str().unwrap().to_owned(),
        home: home.to_str().unwrap().to_owned(),
    }
}
