//! The functions that glibc finds in the module, and the contract they rely on.
//!
//! Sources: "NSS Module Internals" and "The NSS Module Interface" in the glibc manual, nss(5), getpwnam_r(3). glibc calls
//! `_nss_<service>_<function>` with
//!
//! * `name`: a NUL-terminated string;
//! * `result`: room for one struct, not necessarily initialised;
//! * `buffer`, `buflen`: memory for everything the struct points to, of any size and alignment; it belongs to the
//!   callee during the call, and the answer is valid as long as the caller keeps it;
//! * `errnop`: where the error number goes, usually the address of errno.
//!
//! A null pointer breaks that contract; it is refused with EFAULT all the same, a test costs nothing.

use core::ffi::{c_char, c_int, c_long};
use core::mem::offset_of;
use core::ptr::NonNull;
use core::slice;

use libc::{gid_t, group, passwd, size_t, uid_t};
use svcauth_core::name::{ACCOUNT_MAX, GROUP_MAX};

use crate::entry::{Group, Passwd, Placed, Wanted};
use crate::gid_list_abi::GidList;
use crate::listing::Listing;
use crate::membership::offer_gids;
use crate::question::{Map, ask, open};
use crate::refusal::{Refusal, SUCCESS};
use crate::sys::unnoticed;

static PASSWD_LISTING: Listing = Listing::new();
static GROUP_LISTING: Listing = Listing::new();

const NULL_POINTER: Refusal = Refusal::Unavailable(libc::EFAULT);

/// One byte more than the longest managed name, so that a longer one is seen to be longer.
const NAME_BOUND: usize = if ACCOUNT_MAX > GROUP_MAX { ACCOUNT_MAX } else { GROUP_MAX } + 1;

/// The C struct of an entry, as pwd.h and grp.h define it.
trait CStruct: Map {
    type Struct;
    /// The struct for an entry whose offsets count from `base`.
    fn to_c(placed: Placed<Self>, base: *mut c_char) -> Self::Struct;
}

impl CStruct for Passwd {
    type Struct = passwd;

    fn to_c(Placed { entry, password }: Placed<Self>, base: *mut c_char) -> passwd {
        passwd {
            pw_name: base.wrapping_add(entry.name),
            pw_passwd: base.wrapping_add(password),
            pw_uid: entry.uid,
            pw_gid: entry.gid,
            pw_gecos: base.wrapping_add(entry.gecos),
            pw_dir: base.wrapping_add(entry.home),
            pw_shell: base.wrapping_add(entry.shell),
        }
    }
}

impl CStruct for Group {
    type Struct = group;

    fn to_c(Placed { entry, password }: Placed<Self>, base: *mut c_char) -> group {
        group {
            gr_name: base.wrapping_add(entry.name),
            gr_passwd: base.wrapping_add(password),
            gr_gid: entry.gid,
            gr_mem: base.wrapping_add(entry.members).cast(),
        }
    }
}

// The order of pwd.h and grp.h, on machines with pointers of at least four bytes.
const _: () = {
    const P: usize = size_of::<usize>();
    assert!(offset_of!(passwd, pw_name) == 0 && offset_of!(passwd, pw_passwd) == P);
    assert!(offset_of!(passwd, pw_uid) == 2 * P && offset_of!(passwd, pw_gid) == 2 * P + 4);
    assert!(offset_of!(passwd, pw_gecos) == 2 * P + 8 && offset_of!(passwd, pw_dir) == 3 * P + 8);
    assert!(offset_of!(passwd, pw_shell) == 4 * P + 8 && size_of::<passwd>() == 5 * P + 8);
    assert!(offset_of!(group, gr_name) == 0 && offset_of!(group, gr_passwd) == P);
    assert!(offset_of!(group, gr_gid) == 2 * P && offset_of!(group, gr_mem) == 3 * P);
    assert!(size_of::<group>() == 4 * P);
};

/// The arguments that every question has.
struct Call<S> {
    result: *mut S,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
}

impl<S> Call<S> {
    /// Does the work unnoticed by the host and reports its outcome.
    ///
    /// # Safety
    /// The four arguments are as the module above says.
    unsafe fn answer<E: CStruct<Struct = S>>(
        self,
        work: impl FnOnce(&mut [u8]) -> Result<Placed<E>, Refusal>,
    ) -> c_int {
        // SAFETY: `buffer` has `buflen` bytes that are ours during the call, by the contract of this function.
        let buffer = unsafe { caller_bytes(self.buffer, self.buflen) };
        let outcome = unnoticed(|| {
            let result = NonNull::new(self.result).ok_or(NULL_POINTER)?;
            work(buffer).map(|placed| (result, placed))
        });
        let outcome = outcome.map(|(result, placed)| {
            // SAFETY: `result` is room for one struct, by the contract of this function.
            unsafe { result.write(E::to_c(placed, self.buffer)) }
        });
        // SAFETY: `errnop` is as the module above says.
        unsafe { report(outcome, self.errnop) }
    }
}

/// The caller's buffer as bytes.
///
/// # Safety
/// `start` is null or the beginning of `len` bytes that nobody else touches for `'a`. They come from C, where every
/// byte has a value, whatever it is.
unsafe fn caller_bytes<'a>(start: *mut c_char, len: size_t) -> &'a mut [u8] {
    match NonNull::new(start.cast::<u8>()) {
        // No object is longer than isize::MAX, and no slice may be.
        // SAFETY: by the contract of this function.
        Some(start) => unsafe { slice::from_raw_parts_mut(start.as_ptr(), len.min(isize::MAX as usize)) },
        None => &mut [],
    }
}

/// The name as bytes, cut one byte behind the longest managed name; a null pointer is the empty name.
///
/// # Safety
/// `name` is null or a NUL-terminated string that lives for `'a`.
unsafe fn bounded_name<'a>(name: *const c_char) -> &'a [u8] {
    if name.is_null() {
        return &[];
    }
    // SAFETY: strnlen(3) reads up to the NUL or the bound, whichever comes first.
    let len = unsafe { libc::strnlen(name, NAME_BOUND) };
    // SAFETY: strnlen has just read these bytes.
    unsafe { slice::from_raw_parts(name.cast(), len) }
}

/// The status of an outcome; sets the error number unless it succeeded.
///
/// # Safety
/// `errnop` is null or valid for writing.
unsafe fn report(outcome: Result<(), Refusal>, errnop: *mut c_int) -> c_int {
    let Err(refusal) = outcome else {
        return SUCCESS;
    };
    if let Some(errnop) = NonNull::new(errnop) {
        // SAFETY: valid for writing, by the contract of this function.
        unsafe { errnop.write(refusal.errno()) };
    }
    refusal.status()
}

fn next<E: Map>(listing: &Listing, buffer: &mut [u8]) -> Result<Placed<E>, Refusal> {
    if listing.is_over() {
        return Err(Refusal::NotFound);
    }
    listing.next(&open()?, buffer)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_svcauth_getpwnam_r(
    name: *const c_char,
    result: *mut passwd,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: `name` is as the module above says.
    let name = unsafe { bounded_name(name) };
    #[cfg(feature = "proof-negative")]
    crate::proof::negative_control(name, buflen);
    // SAFETY: the arguments are as the module above says.
    unsafe {
        Call { result, buffer, buflen, errnop }.answer(|buffer| ask::<Passwd>(Wanted::Name(name), buffer))
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_svcauth_getpwuid_r(
    uid: uid_t,
    result: *mut passwd,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: the arguments are as the module above says.
    unsafe { Call { result, buffer, buflen, errnop }.answer(|buffer| ask::<Passwd>(Wanted::Id(uid), buffer)) }
}

#[unsafe(no_mangle)]
extern "C" fn _nss_svcauth_setpwent(_stay_open: c_int) -> c_int {
    PASSWD_LISTING.rewind();
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_svcauth_getpwent_r(
    result: *mut passwd,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: the arguments are as the module above says.
    unsafe {
        Call { result, buffer, buflen, errnop }.answer(|buffer| next::<Passwd>(&PASSWD_LISTING, buffer))
    }
}

#[unsafe(no_mangle)]
extern "C" fn _nss_svcauth_endpwent() -> c_int {
    PASSWD_LISTING.rewind();
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_svcauth_getgrnam_r(
    name: *const c_char,
    result: *mut group,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: `name` is as the module above says.
    let name = unsafe { bounded_name(name) };
    // SAFETY: the arguments are as the module above says.
    unsafe {
        Call { result, buffer, buflen, errnop }.answer(|buffer| ask::<Group>(Wanted::Name(name), buffer))
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_svcauth_getgrgid_r(
    gid: gid_t,
    result: *mut group,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: the arguments are as the module above says.
    unsafe { Call { result, buffer, buflen, errnop }.answer(|buffer| ask::<Group>(Wanted::Id(gid), buffer)) }
}

#[unsafe(no_mangle)]
extern "C" fn _nss_svcauth_setgrent(_stay_open: c_int) -> c_int {
    GROUP_LISTING.rewind();
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_svcauth_getgrent_r(
    result: *mut group,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: the arguments are as the module above says.
    unsafe { Call { result, buffer, buflen, errnop }.answer(|buffer| next::<Group>(&GROUP_LISTING, buffer)) }
}

#[unsafe(no_mangle)]
extern "C" fn _nss_svcauth_endgrent() -> c_int {
    GROUP_LISTING.rewind();
    SUCCESS
}

/// Appends the managed gids of a managed account; see `gid_list_abi.rs` for the array.
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_svcauth_initgroups_dyn(
    user: *const c_char,
    primary: gid_t,
    start: *mut c_long,
    size: *mut c_long,
    groups: *mut *mut gid_t,
    limit: c_long,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: `user` is a NUL-terminated string.
    let user = unsafe { bounded_name(user) };
    // SAFETY: glibc passes three valid pointers that describe its array.
    let list = unsafe { GidList::new([start, size], groups, limit, primary) };
    let outcome = unnoticed(|| {
        let mut list = list.ok_or(NULL_POINTER)?;
        offer_gids(user, |gid| list.add(gid))
    });
    // SAFETY: `errnop` is as the module above says.
    unsafe { report(outcome, errnop) }
}
