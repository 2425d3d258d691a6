//! Stands between the network and the LDAP library: nothing that a server sends reaches its BER parser unchecked.
//!
//! That parser recurses without limit (50 kB of nested tags overflow the stack, which no panic handler catches), buffers
//! whatever length is announced, and panics on messages that are well-formed BER but no LDAP. So every message is held
//! here until it is whole, then checked iteratively and by its shape, and only then handed on.
//!
//! Memory is bounded by one message plus one read.

use super::shape::{self, Phase, Seen};

/// Longest message in bytes: a group of 100,000 members takes about 5 MB.
pub const MAX_PDU: usize = 16 << 20;
/// Deepest nesting; the deepest legitimate answer (a value of an attribute of an entry) has 6 levels.
pub const MAX_DEPTH: usize = 32;
/// Most elements in one message. The library needs about 120 bytes for each, however short it is.
pub const MAX_ELEMENTS: usize = 1 << 19;
/// Most bytes of one connection: 100,000 accounts and 5,000 groups take about 50 MB.
pub const MAX_TOTAL: u64 = 1 << 30;

/// Why the server is not listened to any longer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The message is longer than [`MAX_PDU`].
    #[error("sent a message of {0} bytes; at most {MAX_PDU} are taken")]
    TooLong(u64),
    /// All messages together are longer than [`MAX_TOTAL`].
    #[error("sent more than {MAX_TOTAL} bytes in one fetch")]
    TooMuch,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("sent a message nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More than [`MAX_ELEMENTS`] elements.
    #[error("sent a message of more than {MAX_ELEMENTS} elements")]
    TooManyElements,
    /// A search reference: a part of the list is on another server.
    #[error(
        "refers to {0} for a part of the list; referrals are not followed, and the list is not complete without it"
    )]
    Referral(String),
    /// An indefinite length, a length of more than four bytes, or a tag number above 30.
    #[error("sent an encoding that LDAP does not allow (RFC 4511, 5.1)")]
    Encoding,
    /// An element that is longer than the one it is in.
    #[error("sent an element that is longer than the message around it")]
    Overrun,
    /// Not an LDAP message, or one that is no answer to what was asked.
    #[error("sent a message that is no LDAP answer: {0}")]
    Shape(&'static str),
    /// A page that failed, with a cookie for the next one.
    #[error("ended a page with LDAP result {0} and went on to the next: the list is not complete")]
    Page(u32),
    /// Notice of Disconnection or another unsolicited notification.
    #[error("is closing the connection (notification with result code {0})")]
    Notice(u32),
}

/// Checks the messages of one connection in the order in which they arrive.
#[derive(Debug)]
pub struct Guard {
    buffer: Vec<u8>,
    total: u64,
    entries: u64,
    phase: Phase,
}

impl Guard {
    /// A guard for a connection on which the first answer belongs to this phase.
    #[must_use]
    pub const fn new(phase: Phase) -> Self {
        Self { buffer: Vec::new(), total: 0, entries: 0, phase }
    }

    /// How many entries and messages between entries were handed on so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// From now on a search may ask for content synchronisation.
    pub fn expect_sync(&mut self) {
        if self.phase == Phase::Search {
            self.phase = Phase::Sync;
        }
    }

    /// A new fetch begins on this connection: the limits for one fetch begin anew.
    pub const fn renew(&mut self) {
        self.total = 0;
    }

    /// Takes what was read, and gives the whole messages that are in order; empty if the message is not whole yet.
    ///
    /// # Errors
    /// The first message that is not in order: close the connection, hand nothing on.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<Vec<u8>, GuardError> {
        self.total = self.total.saturating_add(bytes.len() as u64);
        if self.total > MAX_TOTAL {
            return Err(GuardError::TooMuch);
        }
        self.buffer.extend_from_slice(bytes);
        let mut good = 0;
        while let Some(pdu) = whole_message(self.buffer.get(good..).unwrap_or_default())? {
            check_encoding(pdu)?;
            match shape::check(pdu, self.phase)? {
                Seen::Bind => self.phase = Phase::Search,
                Seen::Entry | Seen::Info => self.entries += 1,
                Seen::StartTls(_) | Seen::Done => {}
            }
            good += pdu.len();
        }
        let rest = self.buffer.split_off(good);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }
}

/// The message at the beginning of the bytes, if it is whole. Its length is judged before it is waited for.
///
/// # Errors
/// When it is no SEQUENCE of a definite, acceptable length.
pub fn whole_message(bytes: &[u8]) -> Result<Option<&[u8]>, GuardError> {
    match bytes.first() {
        None => return Ok(None),
        Some(0x30) => {}
        Some(_) => return Err(GuardError::Shape("it does not begin with a SEQUENCE")),
    }
    let Some(header) = header(bytes)? else {
        return Ok(None);
    };
    let length = header.size as u64 + header.length;
    if length > MAX_PDU as u64 {
        return Err(GuardError::TooLong(length));
    }
    Ok(usize::try_from(length).ok().and_then(|length| bytes.get(..length)))
}

/// Tag and length of one element.
#[derive(Clone, Copy)]
pub(super) struct Header {
    /// The identifier octet: class, constructed bit and tag number.
    pub(super) tag: u8,
    /// Bytes of the header itself.
    pub(super) size: usize,
    /// Bytes of the content, as announced.
    pub(super) length: u64,
}

/// Reads the header at the beginning of the bytes; `None` if it is not whole.
pub(super) fn header(bytes: &[u8]) -> Result<Option<Header>, GuardError> {
    let (Some(tag), Some(first)) = (bytes.first().copied(), bytes.get(1).copied()) else {
        return Ok(None);
    };
    if tag & 0x1f == 0x1f {
        return Err(GuardError::Encoding);
    }
    if first < 0x80 {
        return Ok(Some(Header { tag, size: 2, length: u64::from(first) }));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 8 {
        return Err(GuardError::Encoding);
    }
    let Some(octets) = bytes.get(2..2 + count) else {
        return Ok(None);
    };
    let length = octets.iter().fold(0u64, |length, octet| length << 8 | u64::from(*octet));
    // More than four octets can only be needed by a message that is too long; say the more helpful thing.
    match (count, length) {
        (..=4, _) => Ok(Some(Header { tag, size: 2 + count, length })),
        (_, long) if long > MAX_PDU as u64 => Err(GuardError::TooLong(long)),
        _ => Err(GuardError::Encoding),
    }
}

/// Walks through every element of a whole message without recursion: nesting, lengths, number of elements.
fn check_encoding(pdu: &[u8]) -> Result<(), GuardError> {
    let mut ends = [0usize; MAX_DEPTH];
    let mut depth = 0usize;
    let mut at = 0;
    let mut elements = 0;
    let mut end = pdu.len();
    loop {
        while at == end {
            let Some(outer) = depth.checked_sub(1) else {
                return Ok(());
            };
            depth = outer;
            end = ends.get(depth).copied().unwrap_or_default();
        }
        elements += 1;
        if elements > MAX_ELEMENTS {
            return Err(GuardError::TooManyElements);
        }
        let inner = pdu.get(at..end).ok_or(GuardError::Overrun)?;
        let header = header(inner)?.ok_or(GuardError::Overrun)?;
        let size = usize::try_from(header.length).map_err(|_| GuardError::Overrun)?;
        let content = at + header.size;
        let after = content.checked_add(size).filter(|after| *after <= end).ok_or(GuardError::Overrun)?;
        if header.tag & 0x20 == 0 {
            at = after;
            continue;
        }
        *ends.get_mut(depth).ok_or(GuardError::TooDeep)? = end;
        depth += 1;
        (at, end) = (content, after);
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
