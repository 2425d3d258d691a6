//! Which messages a server may send at all (RFC 4511, 4.1 to 4.5), down to the last element.
//!
//! The LDAP library panics on everything else, because it expects elements that a message may lack. What is not here
//! (extended responses after the handshake, intermediate responses outside content synchronisation, unknown elements of a
//! result) was not asked for.

use super::content_sync::message;
use super::guard::{GuardError, header};
use svcauth_core::audit::escape::text_of;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The answer to StartTLS.
    StartTls,
    /// The answer to a bind.
    Bind,
    /// Answers to searches.
    Search,
    /// Answers to searches, some of which ask for content synchronisation (RFC 4533).
    Sync,
}

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The answer to StartTLS, with its result code.
    StartTls(u32),
    /// The answer to a bind.
    Bind,
    /// An entry that a search found.
    Entry,
    /// A message of content synchronisation between entries.
    Info,
    /// The end of a search, or of one of its pages.
    Done,
}

pub(super) const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
const PAGED_RESULTS: &[u8] = b"1.2.840.113556.1.4.319";

/// Elements of one constructed element, read from left to right.
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Elements<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }
    pub(super) fn next(&mut self) -> Result<(u8, &'a [u8]), GuardError> {
        let header = header(self.0)?.ok_or(GuardError::Shape("an element is missing"))?;
        let length = usize::try_from(header.length).map_err(|_| GuardError::Overrun)?;
        let end = header.size.checked_add(length).ok_or(GuardError::Overrun)?;
        let (element, rest) = self.0.split_at_checked(end).ok_or(GuardError::Overrun)?;
        self.0 = rest;
        Ok((header.tag, element.get(header.size..).unwrap_or_default()))
    }
    pub(super) fn expect(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], GuardError> {
        match self.next()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(GuardError::Shape(what)),
        }
    }
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, GuardError> {
        if self.peek() == Some(tag) { Ok(Some(self.next()?.1)) } else { Ok(None) }
    }
    fn text(&mut self, what: &'static str) -> Result<(), GuardError> {
        utf8(self.expect(OCTETS, what)?)
    }
    pub(super) fn end(&self, what: &'static str) -> Result<(), GuardError> {
        if self.is_empty() { Ok(()) } else { Err(GuardError::Shape(what)) }
    }
}

fn utf8(bytes: &[u8]) -> Result<(), GuardError> {
    std::str::from_utf8(bytes).map(|_| ()).map_err(|_| GuardError::Shape("a text is not UTF-8"))
}

/// A number that is not negative and fits into 31 bits, as message ids and result codes do.
pub(super) fn number(bytes: &[u8], what: &'static str) -> Result<u32, GuardError> {
    match bytes {
        [first, ..] if bytes.len() <= 4 && *first < 0x80 => {
            Ok(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
        }
        _ => Err(GuardError::Shape(what)),
    }
}

/// Checks one whole message.
///
/// # Errors
/// [`GuardError::Shape`] for what is no answer of this phase, [`GuardError::Notice`] for an unsolicited notification.
pub fn check(pdu: &[u8], phase: Phase) -> Result<Seen, GuardError> {
    let mut outer = Elements(pdu);
    let mut message = Elements(outer.expect(SEQUENCE, "it is no SEQUENCE")?);
    outer.end("bytes follow the message")?;
    let id = number(message.expect(INTEGER, "it has no message id")?, "its message id is out of range")?;
    let (operation, content) = message.next()?;
    let mut content = Elements(content);
    if operation != 0x78 && id == 0 {
        return Err(GuardError::Shape("its message id is 0, but it is no notification"));
    }
    let mut code = 0;
    let seen = match (operation, phase) {
        // A notification ends here as an error: Active Directory puts its name behind the operation.
        (0x78, _) => extended(id, &mut content, phase)?,
        (0x61, Phase::Bind) => result(&mut content, &[0x87]).map(|_| Seen::Bind)?,
        (0x64, Phase::Search | Phase::Sync) => entry(&mut content).map(|()| Seen::Entry)?,
        (0x65, Phase::Search | Phase::Sync) => {
            code = result(&mut content, &[])?;
            Seen::Done
        }
        (0x73, Phase::Search | Phase::Sync) => return Err(referral(&mut content)?),
        (0x79, Phase::Sync) => intermediate(&mut content).map(|()| Seen::Info)?,
        _ => return Err(GuardError::Shape("it answers nothing that was asked")),
    };
    // The library asks for the next page whatever became of this one, and only the last result is ever seen.
    if controls(&mut message)? == Page::Next && code != 0 {
        return Err(GuardError::Page(code));
    }
    message.end("an element follows the controls")?;
    Ok(seen)
}

/// Message id, operation and its content of a message that [`check`] has passed.
pub(super) fn operation(pdu: &[u8]) -> Option<(u32, u8, &[u8])> {
    let mut message = Elements(Elements(pdu).expect(SEQUENCE, "").ok()?);
    let id = number(message.expect(INTEGER, "").ok()?, "").ok()?;
    let (operation, content) = message.next().ok()?;
    Some((id, operation, content))
}

/// The first value of an attribute (in lower case) in the content of an entry that [`check`] has passed.
pub(super) fn first_value<'a>(content: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut content = Elements(content);
    content.next().ok()?;
    let mut attributes = Elements(content.expect(SEQUENCE, "").ok()?);
    while !attributes.is_empty() {
        let mut attribute = Elements(attributes.expect(SEQUENCE, "").ok()?);
        if attribute.expect(OCTETS, "").ok()?.eq_ignore_ascii_case(name.as_bytes()) {
            let mut values = Elements(attribute.expect(SET, "").ok()?);
            return values.expect(OCTETS, "").ok();
        }
    }
    None
}

/// The server's answer to a bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAnswer {
    /// The message that it answers.
    pub id: u32,
    /// The LDAP result code.
    pub code: u32,
    /// The diagnostic message.
    pub text: String,
    /// `serverSaslCreds`.
    pub token: Option<Vec<u8>>,
}

/// Checks and reads one whole answer to a bind (RFC 4511, 4.2.2).
///
/// # Errors
/// As [`check`].
pub fn bind_answer(pdu: &[u8]) -> Result<BindAnswer, GuardError> {
    check(pdu, Phase::Bind)?;
    let mut message = Elements(Elements(pdu).expect(SEQUENCE, "it is no SEQUENCE")?);
    let id = number(message.expect(INTEGER, "it has no message id")?, "its message id is out of range")?;
    let mut content = Elements(message.next()?.1);
    let code = number(content.expect(ENUMERATED, "a result has no code")?, "a result code is out of range")?;
    content.text("a result has no matched DN")?;
    let text = content.expect(OCTETS, "a result has no diagnostic message")?;
    content.optional(0xa3)?;
    let token = content.optional(0x87)?.map(<[u8]>::to_vec);
    Ok(BindAnswer { id, code, text: text_of(text), token })
}

fn extended(id: u32, content: &mut Elements<'_>, phase: Phase) -> Result<Seen, GuardError> {
    let code = result(content, &[0x8a, 0x8b])?;
    match (id, phase) {
        (0, _) => Err(GuardError::Notice(code)),
        (1, Phase::StartTls) => Ok(Seen::StartTls(code)),
        _ => Err(GuardError::Shape("it is an extended response that was not asked for")),
    }
}

/// `LDAPResult` and the elements that this operation may add; gives the result code.
fn result(content: &mut Elements<'_>, more: &[u8]) -> Result<u32, GuardError> {
    let code = number(content.expect(ENUMERATED, "a result has no code")?, "a result code is out of range")?;
    content.text("a result has no matched DN")?;
    content.text("a result has no diagnostic message")?;
    if let Some(referral) = content.optional(0xa3)? {
        references(&mut Elements(referral))?;
    }
    for tag in more {
        if let Some(value) = content.optional(*tag)? {
            if *tag == 0x8a {
                utf8(value)?;
            }
        }
    }
    content.end("a result has an unknown element")?;
    Ok(code)
}

/// A part of the answer is elsewhere. It is not fetched from there: who sent this may name any server.
fn referral(content: &mut Elements<'_>) -> Result<GuardError, GuardError> {
    let first = Elements(content.0).expect(OCTETS, "a referral has no URI")?;
    references(content)?;
    Ok(GuardError::Referral(text_of(first).chars().take(200).collect()))
}

fn references(content: &mut Elements<'_>) -> Result<(), GuardError> {
    loop {
        content.text("a referral has no URI")?;
        if content.is_empty() {
            return Ok(());
        }
    }
}

fn entry(content: &mut Elements<'_>) -> Result<(), GuardError> {
    content.text("an entry has no DN")?;
    let mut attributes = Elements(content.expect(SEQUENCE, "an entry has no attributes")?);
    content.end("an entry has an unknown element")?;
    while !attributes.is_empty() {
        let mut attribute = Elements(attributes.expect(SEQUENCE, "an attribute is no SEQUENCE")?);
        attribute.text("an attribute has no name")?;
        let mut values = Elements(attribute.expect(SET, "an attribute has no set of values")?);
        attribute.end("an attribute has an unknown element")?;
        while !values.is_empty() {
            values.expect(OCTETS, "a value is no octet string")?;
        }
    }
    Ok(())
}

/// RFC 4511, 4.13, with the one name that was asked for.
fn intermediate(content: &mut Elements<'_>) -> Result<(), GuardError> {
    if content.expect(0x80, "an intermediate response has no name")? != message::INFO {
        return Err(GuardError::Shape("it is an intermediate response that was not asked for"));
    }
    message::check_info(content.expect(0x81, "an intermediate response has no value")?)?;
    content.end("an intermediate response has an unknown element")
}

/// Whether a message promises another page.
#[derive(PartialEq, Eq)]
enum Page {
    Last,
    Next,
}

fn controls(message: &mut Elements<'_>) -> Result<Page, GuardError> {
    let mut page = Page::Last;
    let Some(list) = message.optional(0xa0)? else {
        return Ok(page);
    };
    let mut list = Elements(list);
    while !list.is_empty() {
        let mut control = Elements(list.expect(SEQUENCE, "a control is no SEQUENCE")?);
        let oid = control.expect(OCTETS, "a control has no type")?;
        utf8(oid)?;
        if control.optional(BOOLEAN)?.is_some_and(|critical| critical.len() != 1) {
            return Err(GuardError::Shape("the criticality of a control is no boolean"));
        }
        let value = control.optional(OCTETS)?;
        control.end("a control has an unknown element")?;
        let value = || value.ok_or(GuardError::Shape("a control has no value"));
        match oid {
            PAGED_RESULTS if !paged(value()?)?.is_empty() => page = Page::Next,
            PAGED_RESULTS => {}
            message::STATE => message::check_state(value()?)?,
            message::DONE => message::check_done(value()?)?,
            _ => {}
        }
    }
    Ok(page)
}

/// RFC 2696: `SEQUENCE { size INTEGER, cookie OCTET STRING }`; gives the cookie.
fn paged(value: &[u8]) -> Result<&[u8], GuardError> {
    let mut outer = Elements(value);
    let mut inner = Elements(outer.expect(SEQUENCE, "the paging control is no SEQUENCE")?);
    number(
        inner.expect(INTEGER, "the paging control has no size")?,
        "the size of the paging control is out of range",
    )?;
    let cookie = inner.expect(OCTETS, "the paging control has no cookie")?;
    inner.end("the paging control has an unknown element")?;
    outer.end("bytes follow the paging control")?;
    Ok(cookie)
}
