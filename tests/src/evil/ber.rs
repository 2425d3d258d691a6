//! Writing LDAP messages, right ones and wrong ones, and reading those of a client (RFC 4511, X.690).

use super::tree::Entry;

/// One element: tag, length in the long form of four bytes (so that every length is as long), content.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[tag, 0x84], length.as_slice(), content].concat()
}

/// The content of an INTEGER or ENUMERATED that is not negative.
pub fn number(value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
    let short = bytes.get(zeros..).unwrap_or_default();
    let sign = short.first().is_some_and(|first| *first >= 0x80);
    [if sign { &[0][..] } else { &[] }, short].concat()
}

/// A message: id, operation, controls.
pub fn message(id: u32, tag: u8, operation: &[u8], controls: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = [tlv(0x02, &number(id)), tlv(tag, operation)].concat();
    if !controls.is_empty() {
        parts.extend(tlv(0xa0, &controls.concat()));
    }
    tlv(0x30, &parts)
}

/// The content of an operation that is a result: code, matched DN, diagnostic message.
pub fn outcome(code: u32, text: &[u8]) -> Vec<u8> {
    [tlv(0x0a, &number(code)), tlv(0x04, b""), tlv(0x04, text)].concat()
}

/// A message that is a result: 0x61 bind, 0x65 search, 0x78 extended.
pub fn result(id: u32, tag: u8, code: u32, text: &str) -> Vec<u8> {
    message(id, tag, &outcome(code, text.as_bytes()), &[])
}

/// The end of a page, with the cookie for the next one; none at the last.
pub fn page_end(id: u32, code: u32, cookie: &[u8]) -> Vec<u8> {
    let value = tlv(0x30, &[tlv(0x02, &number(0)), tlv(0x04, cookie)].concat());
    message(id, 0x65, &outcome(code, b""), &[control(super::PAGING, Some(&value))])
}

/// A control; `true` and `false` of a criticality are never sent.
pub fn control(oid: &str, value: Option<&[u8]>) -> Vec<u8> {
    let value = value.map(|value| tlv(0x04, value)).unwrap_or_default();
    tlv(0x30, &[tlv(0x04, oid.as_bytes()), value].concat())
}

/// An entry that a search found, as it stands.
pub fn entry(id: u32, entry: &Entry) -> Vec<u8> {
    raw_entry(id, entry.dn.as_bytes(), &entry.attributes)
}

/// An entry whose name need not be a text.
pub fn raw_entry<N: AsRef<[u8]>>(id: u32, dn: &[u8], attributes: &[(N, Vec<Vec<u8>>)]) -> Vec<u8> {
    message(id, 0x64, &entry_content(dn, attributes), &[])
}

/// The content of the operation that is an entry.
pub fn entry_content<N: AsRef<[u8]>>(dn: &[u8], attributes: &[(N, Vec<Vec<u8>>)]) -> Vec<u8> {
    let list: Vec<u8> =
        attributes.iter().flat_map(|(name, values)| attribute(name.as_ref(), values)).collect();
    [tlv(0x04, dn), tlv(0x30, &list)].concat()
}

fn attribute(name: &[u8], values: &[Vec<u8>]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| tlv(0x04, value)).collect();
    tlv(0x30, &[tlv(0x04, name), tlv(0x31, &values)].concat())
}

/// A search reference (RFC 4511, 4.5.3).
pub fn reference(id: u32, uri: &str) -> Vec<u8> {
    message(id, 0x73, &tlv(0x04, uri.as_bytes()), &[])
}

/// A notice of disconnection (RFC 4511, 4.4.1), the name where the RFC wants it.
pub fn notice(code: u32) -> Vec<u8> {
    let name = tlv(0x8a, b"1.3.6.1.4.1.1466.20036");
    message(0, 0x78, &[outcome(code, b"so long"), name].concat(), &[])
}

/// A notice of disconnection as Active Directory sends it: the name behind the operation.
pub fn notice_of_ad(code: u32) -> Vec<u8> {
    let parts = [tlv(0x02, &[0]), tlv(0x78, &outcome(code, b"")), tlv(0x8a, b"1.3.6.1.4.1.1466.20036")];
    tlv(0x30, &parts.concat())
}

/// Sequences in each other, each around the next, 6 bytes for each level.
pub fn nested(depth: usize) -> Vec<u8> {
    let head = |inside: usize| {
        let length = u32::try_from(inside * 6).unwrap_or(u32::MAX).to_be_bytes();
        [0x30, 0x84].into_iter().chain(length)
    };
    (0..depth).rev().flat_map(head).collect()
}

/// The elements of a constructed one, from left to right.
#[derive(Debug, Clone)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Iterator for Reader<'a> {
    /// Tag and content.
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, header, length) = header(self.0)?;
        let content = self.0.get(header..header.checked_add(length)?)?;
        self.0 = self.0.get(header + length..)?;
        Some((tag, content))
    }
}

/// Tag, length of the header, length of the content.
pub fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
    if first < 0x80 {
        return Some((tag, 2, first.into()));
    }
    let octets = bytes.get(2..2 + usize::from(first & 0x7f))?;
    let length = octets.iter().fold(0, |sum: usize, octet| sum << 8 | usize::from(*octet));
    Some((tag, 2 + octets.len(), length))
}
