//! What the server knows: entries from LDIF text, completed as a real directory would complete them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use super::ber::Reader;

/// Whose manners the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// OpenLDAP and its like.
    Posix,
    /// The same with content synchronisation.
    Provider,
    /// Active Directory on Windows: long lists in ranges, pages of its own size, search references at the domain's root.
    Windows,
}

/// One entry; names of attributes as they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The distinguished name.
    pub dn: String,
    /// Attributes with their values.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// All entries.
#[derive(Debug, Clone)]
pub struct Tree {
    /// In the order of the text.
    pub entries: Vec<Entry>,
    /// Whose manners.
    pub flavour: Flavour,
    /// Entries of one page or answer at most; 1,000 on Windows (MaxPageSize).
    pub most: usize,
}

impl Tree {
    /// Reads LDIF: `name: value` lines and empty lines between the entries, nothing else.
    pub fn parse(ldif: &str, flavour: Flavour) -> Self {
        let blocks = ldif.split("\n\n").filter_map(Entry::parse);
        let entries = blocks.zip(1000..).map(|(entry, number)| entry.completed(flavour, number)).collect();
        let most = if flavour == Flavour::Windows { 1000 } else { usize::MAX };
        Self { entries, flavour, most }
    }

    /// The entry of this name.
    pub fn find(&mut self, dn: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| same(&entry.dn, dn))
    }

    /// Those in the scope (0: the entry itself, 1: its children, 2: all below) that the filter fits; `None`: no such base.
    pub fn search(&self, base: &str, scope: u32, filter: (u8, &[u8])) -> Option<Vec<&Entry>> {
        self.entries.iter().find(|entry| same(&entry.dn, base))?;
        let inside = |entry: &Entry| match (scope, same(&entry.dn, base)) {
            (0 | 2, true) => true,
            (2, false) => below(&entry.dn, base),
            (1, false) => entry.dn.split_once(',').is_some_and(|(_, parent)| same(parent, base)),
            _ => false,
        };
        Some(self.entries.iter().filter(|entry| inside(entry) && fits(entry, filter)).collect())
    }
}

fn plain(dn: &str) -> String {
    dn.replace(", ", ",").to_lowercase()
}

fn same(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}

fn below(dn: &str, base: &str) -> bool {
    base.is_empty() || plain(dn).ends_with(&format!(",{}", plain(base)))
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let dn = lines.next()?.strip_prefix("dn: ")?.to_owned();
        let mut entry = Self { dn, attributes: Vec::new() };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            entry.add(name, value.as_bytes());
        }
        Some(entry)
    }

    /// The values of an attribute; none where it is not there.
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        let found = self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values.as_slice())
    }

    /// Adds one value.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        match self.attributes.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, values)) => values.push(value.to_vec()),
            None => self.attributes.push((name.to_owned(), vec![value.to_vec()])),
        }
    }

    /// Puts one value in the place of all.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.attributes.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.add(name, value);
    }

    fn default(&mut self, name: &str, value: &[u8]) {
        if self.values(name).is_empty() {
            self.add(name, value);
        }
    }

    fn completed(mut self, flavour: Flavour, number: u32) -> Self {
        let id = self.id();
        if flavour != Flavour::Windows {
            self.default("entryUUID", as_uuid(&id).as_bytes());
            return self;
        }
        let changed = number.to_string();
        self.default("objectGUID", &id);
        self.default("uSNChanged", changed.as_bytes());
        let classes = self.values("objectClass").to_vec();
        if classes.iter().any(|class| class == b"user" || class == b"group") {
            self.default("objectSid", &sid(number));
        }
        if classes.iter().any(|class| class == b"group") {
            self.default("groupType", b"-2147483646");
        }
        if classes.iter().any(|class| class == b"user") {
            // A controller takes the short form in a filter for the name of a class of the schema.
            self.default("objectCategory", b"person");
            self.default("primaryGroupID", b"513");
            self.default("accountExpires", b"9223372036854775807");
        }
        self
    }

    /// 16 bytes that stay the same as long as the name does.
    fn id(&self) -> Vec<u8> {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, plain(&self.dn)).hash(&mut hasher);
            hasher.finish().to_be_bytes()
        };
        [half(1), half(2)].concat()
    }
}

fn as_uuid(id: &[u8]) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// S-1-5-21-1-2-3-NUMBER.
fn sid(number: u32) -> Vec<u8> {
    let parts = [21, 1, 2, 3, number].map(u32::to_le_bytes).concat();
    [&[1, 5, 0, 0, 0, 0, 0, 5][..], &parts].concat()
}

/// Whether a filter (RFC 4511, 4.5.1.7) fits; an extensible match never does.
fn fits(entry: &Entry, (tag, content): (u8, &[u8])) -> bool {
    let mut parts = Reader(content);
    match tag {
        0xa0 => parts.all(|part| fits(entry, part)),
        0xa1 => parts.any(|part| fits(entry, part)),
        0xa2 => parts.next().is_some_and(|part| !fits(entry, part)),
        0xa3 | 0xa5 | 0xa6 => parts.next().zip(parts.next()).is_some_and(|((_, name), (_, value))| {
            let values = entry.values(&String::from_utf8_lossy(name));
            values.iter().any(|known| compares(tag, known, value))
        }),
        0xa4 => parts.next().zip(parts.next()).is_some_and(|((_, name), (_, pieces))| {
            let values = entry.values(&String::from_utf8_lossy(name));
            values.iter().any(|known| has_pieces(known, Reader(pieces)))
        }),
        0x87 => {
            content.eq_ignore_ascii_case(b"objectClass")
                || !entry.values(&String::from_utf8_lossy(content)).is_empty()
        }
        _ => false,
    }
}

/// Equal, at least (0xa5) or at most (0xa6); as numbers where both are.
fn compares(tag: u8, known: &[u8], value: &[u8]) -> bool {
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<i64>().ok();
    let order = number(known).zip(number(value)).map_or_else(
        || known.to_ascii_lowercase().cmp(&value.to_ascii_lowercase()),
        |(known, value)| known.cmp(&value),
    );
    match tag {
        0xa5 => order.is_ge(),
        0xa6 => order.is_le(),
        _ => order.is_eq(),
    }
}

fn has_pieces(known: &[u8], pieces: Reader<'_>) -> bool {
    let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
    let text = lower(known);
    let mut rest = text.as_str();
    for (tag, piece) in pieces {
        let piece = lower(piece);
        let after = match tag {
            0x80 => rest.strip_prefix(&piece),
            0x82 => rest.ends_with(&piece).then_some(""),
            _ => rest.split_once(&piece).map(|(_, after)| after),
        };
        let Some(after) = after else { return false };
        rest = after;
    }
    true
}
