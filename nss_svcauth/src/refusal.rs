//! Why there is no answer, and how glibc is told.

use libc::c_int;
use svcauth_core::snapshot::Invalid;

/// `enum nss_status` of nss.h: the call succeeded.
pub(crate) const SUCCESS: c_int = 1;
const NOT_FOUND: c_int = 0;
const UNAVAILABLE: c_int = -1;
const TRY_AGAIN: c_int = -2;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// svcauth does not manage what was asked for.
    NotFound,
    /// The caller's buffer is too small; glibc asks again with a larger one.
    BufferTooSmall,
    /// There is no snapshot that could be trusted, for the reason in this errno.
    Unavailable(c_int),
}

impl Refusal {
    /// The status for glibc.
    pub(crate) const fn status(self) -> c_int {
        match self {
            Self::NotFound => NOT_FOUND,
            Self::BufferTooSmall => TRY_AGAIN,
            Self::Unavailable(_) => UNAVAILABLE,
        }
    }

    /// The errno for the caller, definite for each status.
    ///
    /// glibc takes ERANGE as "double the buffer", EAGAIN and EINTR invite programs to ask for ever, and 0 would make
    /// "cannot tell" look like "no such user": an unavailable snapshot never says any of them.
    pub(crate) const fn errno(self) -> c_int {
        match self {
            Self::NotFound => libc::ENOENT,
            Self::BufferTooSmall => libc::ERANGE,
            Self::Unavailable(0 | libc::ERANGE | libc::EAGAIN | libc::EINTR) => libc::EIO,
            Self::Unavailable(errno) => errno,
        }
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Unavailable(match invalid {
            Invalid::Unreadable => libc::EIO,
            _ => libc::EBADMSG,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn only_a_buffer_that_is_too_small_makes_glibc_double_it() {
        assert_eq!((Refusal::BufferTooSmall.status(), Refusal::BufferTooSmall.errno()), (-2, libc::ERANGE));
        assert_eq!((Refusal::NotFound.status(), Refusal::NotFound.errno()), (0, libc::ENOENT));
        for errno in [0, libc::ERANGE, libc::EAGAIN, libc::EINTR] {
            let refusal = Refusal::Unavailable(errno);
            assert_eq!((refusal.status(), refusal.errno()), (-1, libc::EIO), "{errno}");
        }
        assert_eq!(Refusal::Unavailable(libc::EMFILE).errno(), libc::EMFILE);
    }
}
