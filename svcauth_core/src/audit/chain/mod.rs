//! The chain of the audit file: every line carries a number and a hash that rests on the line before it.
//!
//! Belongs here: sealing a line, reading a sealed one, walking lines and saying what is wrong with the first that does not
//! fit. Never here: files. The daemon seals, `svcauth log verify` walks, and both use this.
//!
//! A line is `{"seq":N,` and the record's JSON without its outer braces, `,"hash":"<64 hex>"}` and a newline. The hash is
//! SHA-256 over the 32 bytes of the previous line's hash and the bytes of this line before `,"hash":`. `seq` counts over all
//! files, from 1. The first line of every file has `"prev":"<64 hex>",` behind its number: the hash of the last line of the
//! file before, or zeros. So every file proves itself, and the files prove themselves in a row.

mod fault;
mod walk;

use core::fmt;
use core::str::FromStr;
use sha2::{Digest as _, Sha256};
use std::vec::Vec;

pub use fault::Fault;
pub use walk::{Broken, Walk};

/// No sealed line is longer, in bytes, without its newline. The spool's lines are far below.
pub const SEALED_MAX: usize = 1 << 20;

const SEQ: &[u8] = b"{\"seq\":";
const PREV: &[u8] = b"\"prev\":\"";
const PREV_END: &[u8] = b"\",";
const HASH: &[u8] = b",\"hash\":\"";
const HASH_END: &[u8] = b"\"}";
/// A hash in hex.
const HEX: usize = 64;

/// The hash of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// What stands before the very first line.
    pub const NONE: Self = Self([0; 32]);

    fn of(previous: Self, body: &[&[u8]]) -> Self {
        let mut digest = Sha256::new_with_prefix(previous.0);
        body.iter().for_each(|part| digest.update(part));
        Self(digest.finalize().into())
    }

    fn from_hex(hex: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != HEX {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let [high, low] = *digits else { return None };
            *byte = nibble(high)? << 4 | nibble(low)?;
        }
        Some(Self(bytes))
    }

    fn push_hex(self, to: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in self.0 {
            to.extend([byte >> 4, byte & 15].iter().filter_map(|nibble| DIGITS.get(usize::from(*nibble))));
        }
    }
}

/// Only small letters: one hash has one text.
const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnchor;

impl fmt::Display for NoAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected SEQ:HASH, a number and 64 hex digits, as svcauthd writes it to its log")
    }
}

impl core::error::Error for NoAnchor {}

/// One line of the chain by its number and hash: where a chain stands, or what somebody wrote down elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    /// The number of the line; 0: before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: LineHash,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for Anchor {
    type Err = NoAnchor;
    fn from_str(text: &str) -> Result<Self, NoAnchor> {
        let (seq, hash) = text.split_once(':').ok_or(NoAnchor)?;
        let seq = number(seq.as_bytes()).ok_or(NoAnchor)?;
        Ok(Self { seq, hash: LineHash::from_hex(hash.as_bytes()).ok_or(NoAnchor)? })
    }
}

/// A number as it is written: no sign, no zero in front.
fn number(digits: &[u8]) -> Option<u64> {
    let is_plain = digits.iter().all(u8::is_ascii_digit) && (digits.first() != Some(&b'0') || digits == b"0");
    core::str::from_utf8(digits).ok().filter(|_| is_plain)?.parse().ok()
}

impl Anchor {
    /// Seals a record as the line behind this one: appends the line to `to`, its newline included, and moves on.
    ///
    /// `json` is [`super::Record::to_json`]; what is no object with something in it is not sealed, and `false` comes back.
    pub fn seal(&mut self, json: &[u8], to: &mut Vec<u8>) -> bool {
        self.push(json, to, false)
    }

    /// Seals the first line of a file.
    pub fn begin(&mut self, json: &[u8], to: &mut Vec<u8>) -> bool {
        self.push(json, to, true)
    }

    fn push(&mut self, json: &[u8], to: &mut Vec<u8>, begins: bool) -> bool {
        let inner = json.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
        let inner = inner.filter(|inner| !inner.is_empty() && !inner.contains(&b'\n'));
        let (Some(inner), Some(seq)) = (inner, self.seq.checked_add(1)) else { return false };
        let start = to.len();
        to.extend_from_slice(SEQ);
        push_number(seq, to);
        to.push(b',');
        if begins {
            to.extend_from_slice(PREV);
            self.hash.push_hex(to);
            to.extend_from_slice(PREV_END);
        }
        to.extend_from_slice(inner);
        let hash = LineHash::of(self.hash, &[to.get(start..).unwrap_or_default()]);
        to.extend_from_slice(HASH);
        hash.push_hex(to);
        to.extend_from_slice(HASH_END);
        to.push(b'\n');
        *self = Self { seq, hash };
        true
    }
}

fn push_number(number: u64, to: &mut Vec<u8>) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    let _ = write!(to, "{number}");
}

/// A sealed line, taken apart. Nothing is proven by that alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Its number.
    pub seq: u64,
    /// In the first line of a file: the hash of the last line of the file before.
    pub prev: Option<LineHash>,
    /// The hash that it carries.
    pub hash: LineHash,
    /// What the hash is over, together with the hash before.
    body: &'a [u8],
    /// The part of the body behind the number.
    rest: &'a [u8],
    /// What was sealed: the record's JSON without its braces.
    inner: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Takes a line apart, without its newline; `None` for what was never sealed in this form.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        if line.len() > SEALED_MAX {
            return None;
        }
        let (body, tail) =
            line.split_at_checked(line.len().checked_sub(HASH.len() + HEX + HASH_END.len())?)?;
        let hash = LineHash::from_hex(tail.strip_prefix(HASH)?.strip_suffix(HASH_END)?)?;
        let numbered = body.strip_prefix(SEQ)?;
        let digits = numbered.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (seq, rest) = numbered.split_at_checked(digits)?;
        let seq = number(seq).filter(|seq| *seq > 0)?;
        let after = rest.strip_prefix(b",")?;
        let (prev, inner) = match after.strip_prefix(PREV) {
            Some(prev) => {
                let (hex, end) = prev.split_at_checked(HEX)?;
                (Some(LineHash::from_hex(hex)?), end.strip_prefix(PREV_END)?)
            }
            None => (None, after),
        };
        Some(Self { seq, prev, hash, body, rest, inner })
    }

    /// The line by its number and hash.
    #[must_use]
    pub const fn anchor(&self) -> Anchor {
        Anchor { seq: self.seq, hash: self.hash }
    }

    /// The record's JSON, as it was before it was sealed.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        [b"{", self.inner, b"}"].concat()
    }

    /// Whether the line is as it was sealed behind that one.
    #[must_use]
    pub fn is_sealed_behind(&self, previous: LineHash) -> bool {
        LineHash::of(previous, &[self.body]) == self.hash
    }

    /// Whether it was sealed under another number: somebody changed nothing but that.
    fn was_numbered(&self, seq: u64, previous: LineHash) -> bool {
        let mut head = SEQ.to_vec();
        push_number(seq, &mut head);
        LineHash::of(previous, &[&head, self.rest]) == self.hash
    }
}

/// The head: where the chain stands, kept apart from the files, so that a cut end or a removed file is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last line.
    pub last: Anchor,
    /// The number of the first line that is kept.
    pub first: u64,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "last {}\nfirst {}", self.last, self.first)
    }
}

impl FromStr for Head {
    type Err = NoAnchor;
    fn from_str(text: &str) -> Result<Self, NoAnchor> {
        let rest = text.strip_prefix("last ").ok_or(NoAnchor)?;
        let (last, rest) = rest.split_once("\nfirst ").ok_or(NoAnchor)?;
        let first = number(rest.strip_suffix('\n').ok_or(NoAnchor)?.as_bytes()).ok_or(NoAnchor)?;
        Ok(Self { last: last.parse()?, first })
    }
}

#[cfg(test)]
mod tests;
