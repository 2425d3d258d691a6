//! The data types of the SSH protocol (RFC 4251, section 5), read from a byte slice without copying.

use core::fmt;

/// A field of a key or certificate that is missing, cut short, or not of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The field, in the words of PROTOCOL.certkeys.
    pub field: &'static str,
}

impl Malformed {
    pub(super) const fn new(field: &'static str) -> Self {
        Self { field }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its field \"{}\" is missing or malformed", self.field)
    }
}

impl core::error::Error for Malformed {}

/// A reader that hands out field after field; nothing is skipped, and [`Wire::finish`] demands that nothing is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, size: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(size).ok_or(Malformed::new(field))?;
        self.rest = tail;
        Ok(head)
    }

    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, Malformed> {
        let (head, tail) = self.rest.split_first().ok_or(Malformed::new(field))?;
        self.rest = tail;
        Ok(*head)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        let bytes = self.take(4, field)?;
        bytes.try_into().map(u32::from_be_bytes).map_err(|_| Malformed::new(field))
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, Malformed> {
        let bytes = self.take(8, field)?;
        bytes.try_into().map(u64::from_be_bytes).map_err(|_| Malformed::new(field))
    }

    pub(super) fn string(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        let size = self.u32(field)?;
        let size = usize::try_from(size).map_err(|_| Malformed::new(field))?;
        self.take(size, field)
    }

    /// A string that is text: UTF-8 without NUL (sshd reads these fields as C strings and refuses NUL as well).
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, Malformed> {
        let text = core::str::from_utf8(self.string(field)?).map_err(|_| Malformed::new(field))?;
        if text.contains('\0') {
            return Err(Malformed::new(field));
        }
        Ok(text)
    }

    /// The magnitude of a positive `mpint` in its only allowed form: no needless leading zero byte.
    pub(super) fn positive_mpint(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        match self.string(field)? {
            [0, rest @ ..] if rest.first().is_some_and(|byte| *byte >= 0x80) => Ok(rest),
            bytes @ [0x01..=0x7f, ..] => Ok(bytes),
            _ => Err(Malformed::new(field)),
        }
    }

    pub(super) const fn finish(self, field: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::new(field)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Wire};

    #[test]
    fn a_length_that_leads_beyond_the_end_is_refused_without_allocating() {
        assert_eq!(Wire::new(b"\0\0\0\x03abc").string("x"), Ok(&b"abc"[..]));
        for bytes in [&b""[..], b"\0\0\0", b"\0\0\0\x04abc", b"\xff\xff\xff\xffabc"] {
            assert_eq!(Wire::new(bytes).string("x"), Err(Malformed { field: "x" }), "{bytes:?}");
        }
    }

    #[test]
    fn a_positive_integer_has_one_form_only() {
        assert_eq!(Wire::new(b"\0\0\0\x01\x03").positive_mpint("e"), Ok(&b"\x03"[..]));
        assert_eq!(Wire::new(b"\0\0\0\x02\0\x80").positive_mpint("e"), Ok(&b"\x80"[..]));
        for bytes in [&b"\0\0\0\0"[..], b"\0\0\0\x01\0", b"\0\0\0\x01\x80", b"\0\0\0\x02\0\x7f"] {
            assert!(Wire::new(bytes).positive_mpint("e").is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn text_is_utf8_without_nul() {
        assert_eq!(Wire::new(b"\0\0\0\x02\xc3\xab").text("x"), Ok("\u{eb}"));
        assert!(Wire::new(b"\0\0\0\x01\xff").text("x").is_err());
        assert!(Wire::new(b"\0\0\0\x01\0").text("x").is_err());
    }
}
