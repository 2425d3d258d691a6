//! Asks DNS through the resolver of the C library (resolver(3)).
//!
//! The same code, on the same /etc/resolv.conf, with the same retries and the same fallback to TCP that finds the
//! addresses of the hosts afterwards (docs/decisions/0012-dns-by-the-c-library.md).

use libc::{c_char, c_int, c_uchar};
use std::ffi::CString;

/// Longest DNS message in bytes, over TCP.
const MESSAGE_MAX: usize = 65535;
const INTERNET: c_int = 1;
const SRV: c_int = 33;
/// `HOST_NOT_FOUND` and `NO_DATA` of netdb.h: the name, or the type, is not there.
const ABSENT: [c_int; 2] = [1, 4];

#[link(name = "resolv")]
unsafe extern "C" {
    fn res_query(
        name: *const c_char,
        class: c_int,
        kind: c_int,
        answer: *mut c_uchar,
        length: c_int,
    ) -> c_int;
    fn __h_errno_location() -> *mut c_int;
}

/// DNS gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// There are no such records.
    Absent,
    /// No name server could be reached, or none would answer.
    Failed,
}

/// Asks for the SRV records of a name, blocking as long as resolv.conf says (`timeout`, `attempts`), and gives the message
/// as it came.
pub(super) fn srv(name: &str) -> Result<Vec<u8>, Silence> {
    // The dot at the end keeps the resolver from trying search domains.
    let name = CString::new(format!("{name}.")).map_err(|_| Silence::Absent)?;
    let mut answer = vec![0; MESSAGE_MAX];
    let length = c_int::try_from(answer.len()).map_err(|_| Silence::Failed)?;
    // SAFETY: resolver(3): `name` is a C string and `answer` has room for `length` bytes, both for the whole call. The
    // resolver's state is one per thread in glibc, so that calls in several threads do not meet.
    let got = unsafe { res_query(name.as_ptr(), INTERNET, SRV, answer.as_mut_ptr(), length) };
    match usize::try_from(got) {
        Ok(got) if got <= answer.len() => {
            answer.truncate(got);
            Ok(answer)
        }
        _ => Err(why()),
    }
}

fn why() -> Silence {
    // SAFETY: netdb.h of glibc: gives the address of this thread's own h_errno, which is there as long as the thread.
    let place = unsafe { __h_errno_location() };
    // SAFETY: as above; nobody else reads or writes it.
    let code = unsafe { place.read() };
    if ABSENT.contains(&code) { Silence::Absent } else { Silence::Failed }
}
