//! Content synchronisation (RFC 4533) as OpenLDAP's provider offers it, for a directory in which entries are only ever added.

use super::ber::{Reader, control, entry_content, message, number, outcome, tlv};
use super::request::{Request, Search};
use super::tree::{Entry, Tree};
use super::{Answer, Step};

/// Name of the control of a request.
pub const SYNC: &str = "1.3.6.1.4.1.4203.1.9.1.1";
const STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
const DONE: &str = "1.3.6.1.4.1.4203.1.9.1.3";
const INFO: &[u8] = b"1.3.6.1.4.1.4203.1.9.1.4";
/// State of an entry that is still there.
pub const PRESENT: u32 = 0;
/// State of an entry that is new.
pub const ADD: u32 = 1;
/// State of an entry that is gone.
pub const DELETE: u32 = 3;
/// The mode of a search that does not end.
const PERSIST: &[u8] = &[3];

/// A cookie that says that so many entries are known.
pub fn cookie(known: usize) -> Vec<u8> {
    format!("rid=000,csn=20260101000000.000000Z#{known:06x}#000#000000").into_bytes()
}

/// The cookie of a request; `None`: it asks for everything, or does not ask for synchronisation.
pub fn asked_since(request: &Request) -> Option<Vec<u8>> {
    let (_, value) = request.controls.iter().find(|(name, _)| name == SYNC)?;
    Reader(Reader(value).next()?.1).find(|(tag, _)| *tag == 0x04).map(|(_, cookie)| cookie.to_vec())
}

/// An entry of 16 bytes of id, in a state.
pub fn stated(id: u32, entry: &Entry, state: u32, uuid: &[u8]) -> Vec<u8> {
    let value = tlv(0x30, &[tlv(0x0a, &number(state)), tlv(0x04, uuid)].concat());
    let content = entry_content(entry.dn.as_bytes(), &entry.attributes);
    message(id, 0x64, &content, &[control(STATE, Some(&value))])
}

/// The end of a search: what is not named is unchanged (`deletes`) or gone.
pub fn done(id: u32, code: u32, cookie: &[u8], deletes: bool) -> Vec<u8> {
    let deletes = if deletes { tlv(0x01, &[0xff]) } else { Vec::new() };
    let value = tlv(0x30, &[tlv(0x04, cookie), deletes].concat());
    message(id, 0x65, &outcome(code, b""), &[control(DONE, Some(&value))])
}

/// A message between entries: 0x80 a cookie, 0xa1 the end of what is gone, 0xa2 that of what is present, 0xa3 ids.
pub fn info(id: u32, sort: u8, content: &[u8]) -> Vec<u8> {
    named(id, INFO, sort, content)
}

/// A message between entries of any name.
pub fn named(id: u32, name: &[u8], sort: u8, content: &[u8]) -> Vec<u8> {
    message(id, 0x79, &[tlv(0x80, name), tlv(0x81, &tlv(sort, content))].concat(), &[])
}

/// The content of a list of ids, of what is gone or present.
pub fn ids(gone: bool, uuids: &[Vec<u8>]) -> Vec<u8> {
    let set: Vec<u8> = uuids.iter().flat_map(|uuid| tlv(0x04, uuid)).collect();
    [tlv(0x01, &[if gone { 0xff } else { 0 }]), tlv(0x31, &set)].concat()
}

/// The id of an entry, as its 16 bytes.
pub fn uuid(entry: &Entry) -> Vec<u8> {
    let text = entry.values("entryUUID").first().map(|text| String::from_utf8_lossy(text).replace('-', ""));
    let text = text.unwrap_or_default();
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..16).filter_map(|at| byte(2 * at)).collect()
}

/// The right answer to a search that asks for synchronisation.
pub(super) fn answer(tree: &Tree, request: &Request, search: &Search, found: &[&Entry]) -> Option<Answer> {
    let (_, value) = request.controls.iter().find(|(name, _)| name == SYNC)?;
    let mode = Reader(Reader(value).next()?.1).next()?.1.to_vec();
    let since = asked_since(request);
    let known = since.as_ref().map_or(0, |cookie| {
        let count =
            String::from_utf8_lossy(cookie).split('#').nth(1).map(|count| usize::from_str_radix(count, 16));
        count.and_then(Result::ok).unwrap_or(0)
    });
    let is_new = |entry: &&&Entry| !tree.entries.iter().take(known).any(|old| old.dn == entry.dn);
    let new = found.iter().filter(is_new);
    let send = |entry: &&Entry| {
        Step::Send(stated(request.id, &super::honest::selected(entry, search, false), ADD, &uuid(entry)))
    };
    let mut steps: Answer = new.map(send).collect();
    let now = cookie(tree.entries.len());
    steps.push(Step::Send(if mode == PERSIST {
        info(request.id, 0xa1, &tlv(0x04, &now))
    } else {
        done(request.id, 0, &now, since.is_some())
    }));
    Some(steps)
}
