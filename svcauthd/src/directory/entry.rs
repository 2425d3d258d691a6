//! One entry of a directory, whatever it came from.

use super::dn;
use std::collections::BTreeMap;

/// Attributes whose value never changes and never returns with another entry.
const IDS: [&str; 2] = ["entryuuid", "objectguid"];

/// One entry: its name, its immutable id and its attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The DN as the source writes it.
    pub dn: String,
    /// `entryUUID` in lower case, if the source has one.
    pub id: Option<String>,
    /// Values by attribute name in lower case, in the order of the source. No value is lost for not being text.
    pub attributes: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Entry {
    /// An entry; its id is found among the attributes.
    #[must_use]
    pub fn new(dn: String, attributes: BTreeMap<String, Vec<Vec<u8>>>) -> Self {
        let id = IDS.iter().find_map(|name| match attributes.get(*name)?.as_slice() {
            [one] => uuid(one),
            _ => None,
        });
        Self { dn, id, attributes }
    }
    /// The values of an attribute, its name in lower case; empty if it has none.
    #[must_use]
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attributes.get(name).map_or(&[], Vec::as_slice)
    }
    /// The id, or the DN in normal form where the source has no ids.
    #[must_use]
    pub fn id_or_dn(&self) -> Option<String> {
        self.id.clone().or_else(|| dn::normalise(&self.dn))
    }
}

/// A UUID in its text form (RFC 4122), in lower case.
fn uuid(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let ok = groups == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    ok.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::Entry;

    fn entry(ids: &[&[u8]]) -> Entry {
        let ids = ids.iter().map(|id| id.to_vec()).collect();
        Entry::new("UID=A,dc=x".into(), [("entryuuid".to_string(), ids)].into())
    }

    #[test]
    fn the_id_is_the_uuid_or_else_the_name() {
        let uuid: &[u8] = b"5B2B1A9A-3C4D-103E-8F00-0123456789AB";
        assert_eq!(entry(&[uuid]).id_or_dn().as_deref(), Some("5b2b1a9a-3c4d-103e-8f00-0123456789ab"));
        for ids in
            [&[][..], &[&b"5b2b1a9a"[..]], &[uuid, uuid], &[b"5b2b1a9a-3c4d-103e-8f00-0123456789a\xff"]]
        {
            assert_eq!(entry(ids).id_or_dn().as_deref(), Some("uid=a,dc=x"));
        }
    }
}
