//! Unix ids of Active Directory's SIDs, the same as sssd computes them (`ldap_id_mapping`; sssd-ad(5), "ID MAPPING").
//!
//! The range of ids is cut into slices of one size. A domain has the slice that the hash of its SID names; a RID is an
//! offset in it. RIDs beyond the slice go to further ones, each named by the hash of the domain's SID and its first RID.
//! Where sssd's answer would hang on the order in which a host has met the entries of the domain, there is none here:
//! two hosts would not agree about it, and one of them would take somebody else's files for the entry's own.

use core::fmt;
use std::collections::HashSet;
use std::format;

use crate::id::parse_id;

/// What the SID of every domain begins with.
const DOMAIN_PREFIX: &str = "S-1-5-21-";
/// Seed of the hash.
const SEED: u32 = 0xdead_beef;
/// Further slices that sssd gives to a domain at once (`ldap_idmap_helper_table_size`).
const HELPERS: u32 = 10;
/// Most slices of one domain that are looked at: 200 million RIDs with sssd's size of a slice.
const SLICES_MAX: u32 = 1000;

/// How ids come to be: `[accounts] id_map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMap {
    /// The directory says them: `uidNumber` and `gidNumber`.
    Posix,
    /// Computed from `objectSid` and `primaryGroupID`.
    Sid(Slices),
}

/// A range of ids, cut into slices. The default is sssd's: 10,000 slices of 200,000 ids, from 200,000 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    first: u32,
    count: u32,
    size: u32,
}

impl Default for Slices {
    fn default() -> Self {
        Self { first: 200_000, count: 10_000, size: 200_000 }
    }
}

/// Why a SID has no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmapped {
    /// It is not `S-1-5-21-A-B-C-RID`: built-in or well-known, of no domain.
    NoDomain,
    /// The RID is beyond the slices that a domain can have.
    Beyond,
    /// Another part of the domain has the same slice: which of the two sssd gives it to depends on what a host met first.
    Shared,
}

impl fmt::Display for Unmapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDomain => "is of no domain (S-1-5-21-...), so sssd computes no id for it",
            Self::Beyond => "has a RID beyond the slices of a domain; a larger idmap_range_size, here and in sssd, would hold it",
            Self::Shared => {
                "falls into a slice that another part of the domain has too: sssd gives it to whichever a host meets first; \
                 another idmap_range_size, here and in sssd, would part them"
            }
        })
    }
}

impl core::error::Error for Unmapped {}

impl Slices {
    /// The slices between `min` and `max` (`ldap_idmap_range_min`, `_max`), each of `size` ids (`ldap_idmap_range_size`);
    /// `None` when there is not one. What is left at the end is not used, as in sssd.
    #[must_use]
    pub const fn new(min: u32, max: u32, size: u32) -> Option<Self> {
        if size == 0 || max <= min || max - min < size {
            return None;
        }
        Some(Self { first: min, count: (max - min) / size, size })
    }

    /// The first and the last id that any SID can have.
    #[must_use]
    pub const fn span(&self) -> (u32, u32) {
        (self.first, self.first + self.count * self.size - 1)
    }

    /// The id of a SID.
    ///
    /// # Errors
    /// [`Unmapped`].
    pub fn id_of(&self, sid: &str) -> Result<u32, Unmapped> {
        let (domain, rid) = split(sid).ok_or(Unmapped::NoDomain)?;
        let slice = self.slice(domain, rid / self.size)?;
        Ok(self.first + slice * self.size + rid % self.size)
    }

    /// The slice of a domain's `part`: 0 is the one that the domain's own hash names.
    fn slice(&self, domain: &str, part: u32) -> Result<u32, Unmapped> {
        let own = self.hashed(domain);
        if part == 0 {
            return Ok(own);
        }
        if part >= SLICES_MAX || self.count < 2 {
            return Err(Unmapped::Beyond);
        }
        let wanted = self.further(domain, part, own);
        // sssd sets the first few aside for the domain; what comes after them must also keep clear of all before it.
        let others: HashSet<u32> = (1..=HELPERS.max(part))
            .filter(|other| *other != part)
            .map(|other| self.further(domain, other, own))
            .collect();
        if others.contains(&wanted) { Err(Unmapped::Shared) } else { Ok(wanted) }
    }

    /// The slice that the hash of a further part names; the domain's own is taken, and the next one stands in for it.
    fn further(&self, domain: &str, part: u32, own: u32) -> u32 {
        // sssd counts RIDs in 32 bits.
        let slice = self.hashed(&format!("{domain}-{}", part.wrapping_mul(self.size)));
        if slice == own { (slice + 1) % self.count } else { slice }
    }

    fn hashed(&self, text: &str) -> u32 {
        murmur3(text.as_bytes(), SEED) % self.count
    }
}

/// The SID of the domain, and the RID.
fn split(sid: &str) -> Option<(&str, u32)> {
    let (domain, rid) = sid.rsplit_once('-')?;
    let mut numbers = domain.strip_prefix(DOMAIN_PREFIX)?.split('-');
    let three = numbers.by_ref().take(3).filter(|number| parse_id(number.as_bytes()).is_some()).count() == 3;
    (three && numbers.next().is_none()).then_some(())?;
    Some((domain, parse_id(rid.as_bytes())?))
}

/// MurmurHash3, the variant of 32 bits (Austin Appleby, public domain).
fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let little = |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    let blocks = bytes.chunks_exact(4);
    let tail = blocks.remainder();
    let mut hash = blocks.fold(seed, |hash, block| {
        (hash ^ mix(little(block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    if !tail.is_empty() {
        hash ^= mix(little(tail));
    }
    // The length in 32 bits, as the original has it.
    hash ^= u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(u32::MAX);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::{Slices, Unmapped, murmur3, split};
    use std::collections::HashMap;
    use std::format;

    #[test]
    fn the_hash_is_the_published_one() {
        for (bytes, seed, hash) in [
            (&b""[..], 0, 0),
            (b"", 1, 0x514e_28b7),
            (b"", u32::MAX, 0x81f1_6f39),
            (b"\xff\xff\xff\xff", 0, 0x7629_3b50),
            (b"!Ce\x87", 0, 0xf55b_516b),
            (b"!Ce\x87", 0x5082_edee, 0x2362_f9de),
            (b"!Ce", 0, 0x7e4a_8634),
            (b"!C", 0, 0xa0f7_b07a),
            (b"!", 0, 0x7266_1cf4),
            (b"\0\0\0\0", 0, 0x2362_f9de),
            (b"\0\0\0", 0, 0x85f0_b427),
            (b"Hello, world!", 0x9747_b28c, 0x2488_4cba),
            (b"The quick brown fox jumps over the lazy dog", 0x9747_b28c, 0x2fa8_26cd),
        ] {
            assert_eq!(murmur3(bytes, seed), hash, "{bytes:?} {seed}");
        }
    }

    #[test]
    fn every_id_is_the_one_that_sssd_has_computed() {
        let mut cases = 0;
        for line in include_str!("id_map/sssd.txt").lines().filter(|line| !line.starts_with('#')) {
            let words: std::vec::Vec<&str> = line.split(' ').collect();
            let [min, max, size, sid, id] = words.as_slice() else { panic!("{line}") };
            let number = |text: &str| text.parse::<u32>().unwrap();
            let slices = Slices::new(number(min), number(max), number(size)).unwrap();
            assert_eq!(slices.id_of(sid), Ok(number(id)), "{line}");
            cases += 1;
        }
        assert!(cases > 300, "{cases}");
    }

    #[test]
    fn what_is_of_no_domain_has_no_id() {
        let slices = Slices::default();
        assert!(slices.id_of("S-1-5-21-1-2-3-500").is_ok());
        for sid in [
            "",
            "S-1-5-32-544",
            "S-1-5-18",
            "S-1-1-0",
            "S-1-5-21-1-2-500",
            "S-1-5-21-1-2-3-4-500",
            "S-1-5-21-1-2-3",
            "S-1-5-21-1-2-3-",
            "S-1-5-21-1--3-500",
            "S-1-5-21-1-2-4294967296-500",
            "S-1-5-21-1-2-3-4294967296",
            "s-1-5-21-1-2-3-500",
        ] {
            assert_eq!(slices.id_of(sid), Err(Unmapped::NoDomain), "{sid}");
        }
        assert_eq!(split("S-1-5-21-1-2-3-500"), Some(("S-1-5-21-1-2-3", 500)));
    }

    #[test]
    fn a_slice_that_two_parts_of_a_domain_would_share_is_given_to_neither() {
        // So few slices that parts must share one.
        let slices = Slices::new(200_000, 200_000 + 5 * 1000, 1000).unwrap();
        let mut owners: HashMap<u32, u32> = HashMap::new();
        let mut shared = 0;
        for part in 0..=10 {
            match slices.id_of(&format!("S-1-5-21-1-2-3-{}", part * 1000)) {
                Ok(id) => assert_eq!(owners.insert(id, part), None, "{id}"),
                Err(why) => {
                    assert_eq!(why, Unmapped::Shared);
                    shared += 1;
                }
            }
        }
        assert!(owners.contains_key(&(200_000 + 1000 * slices.hashed("S-1-5-21-1-2-3"))) && shared > 0);
    }

    #[test]
    fn a_rid_beyond_all_slices_has_no_id() {
        let slices = Slices::default();
        assert_eq!(slices.id_of("S-1-5-21-1-2-3-4294967295"), Err(Unmapped::Beyond));
        let one = Slices::new(200_000, 400_000, 200_000).unwrap();
        assert_eq!(one.id_of("S-1-5-21-1-2-3-199999"), Ok(399_999));
        assert_eq!(one.id_of("S-1-5-21-1-2-3-200000"), Err(Unmapped::Beyond));
    }

    #[test]
    fn a_range_without_a_slice_is_none() {
        for (min, max, size) in [(1, 1, 1), (2, 1, 1), (1, 2, 0), (200_000, 399_999, 200_000)] {
            assert_eq!(Slices::new(min, max, size), None);
        }
        assert_eq!(Slices::new(200_000, 2_000_200_000, 200_000), Some(Slices::default()));
        assert_eq!(Slices::default().span(), (200_000, 2_000_199_999));
        assert_eq!(Slices::new(0, u32::MAX, 1).map(|slices| slices.span()), Some((0, u32::MAX - 1)));
    }
}
