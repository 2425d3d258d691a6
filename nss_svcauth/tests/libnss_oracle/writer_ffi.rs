//! The writer of `libnss`, called as its macros call it.

use std::mem::MaybeUninit;

use libnss::group::{CGroup, Group};
use libnss::interop::Response;

/// An aligned buffer: what is misaligned in it was misaligned by the writer.
#[repr(align(16))]
struct Aligned([libc::c_char; 1024]);

/// Where the writer puts the array of a group with this name and two members, counted from the beginning of an aligned
/// buffer.
pub(crate) fn array_of_group_named(name: &str) -> usize {
    let mut buffer = Aligned([0; 1024]);
    let mut result = MaybeUninit::<CGroup>::uninit();
    let mut errno = 0;
    // SAFETY: room for a struct, a buffer of the length given, and a valid errno.
    unsafe { group(name).to_c(result.as_mut_ptr(), buffer.0.as_mut_ptr(), buffer.0.len(), &raw mut errno) };
    // SAFETY: the writer fills the struct; `Response::Success` and a large buffer leave it no other way.
    let members = unsafe { result.assume_init() }.members;
    members.addr() - buffer.0.as_ptr().addr()
}

/// Writes a group as the hooks of `libnss` do: from a function with C's calling convention.
pub(crate) extern "C" fn write_group(name: &&str) {
    array_of_group_named(name);
}

/// As [`write_group`].
pub(crate) fn write_group_named(name: &str) {
    write_group(&name);
}

fn group(name: &str) -> Response<Group> {
    Response::Success(Group {
        name: name.to_owned(),
        passwd: "*".to_owned(),
        gid: 7000,
        members: vec!["alice".to_owned(), "bob".to_owned()],
    })
}
