//! Puts right checksums into a file that has been changed, so that the fuzzer meets the code behind them.
//!
//! Written from the description of the format in `svcauth_core::snapshot`, not from its code: [`seal`] must leave a right
//! file as it is, and the target that uses it begins with that.

use xxhash_rust::xxh3::xxh3_64_with_seed;

const PART: usize = 512;

/// Seals every record that a slot names, then the buckets, then the header.
pub fn seal(file: &mut [u8]) {
    let Some(salt) = number(file, 40, 8) else {
        return;
    };
    let buckets = buckets(file);
    for at in &buckets {
        let used = number(file, at + 8, 4).unwrap_or(0).min(31) as usize;
        for slot in 0..used {
            let slot = at + 16 + 16 * slot;
            let len = number(file, slot + 4, 4).unwrap_or(0);
            let offset = number(file, slot + 8, 8).unwrap_or(0);
            seal_part(file, salt, offset, len);
        }
    }
    for at in buckets {
        seal_part(file, salt, at as u64, PART as u64);
    }
    if let Some(body) = file.get(..504) {
        let sum = xxh3_64_with_seed(body, 0);
        file[504..512].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Offsets of all buckets inside the file; a table that claims more than there is gets what there is.
fn buckets(file: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    for table in 0..6 {
        let at = 80 + 40 * table;
        let offset = number(file, at + 16, 8).and_then(|offset| usize::try_from(offset).ok());
        let count = number(file, at + 24, 4).unwrap_or(0).min((file.len() / PART) as u64);
        let offsets = (0..count as usize).filter_map(|index| offset?.checked_add(index * PART));
        found.extend(offsets.filter(|at| at.checked_add(PART).is_some_and(|end| end <= file.len())));
    }
    found.retain(|at| *at >= PART);
    found
}

fn seal_part(file: &mut [u8], salt: u64, offset: u64, len: u64) {
    let range = usize::try_from(offset)
        .ok()
        .zip(usize::try_from(len).ok())
        .and_then(|(start, len)| Some(start..start.checked_add(len)?));
    let Some(part) = range.and_then(|range| file.get_mut(range)) else {
        return;
    };
    if part.len() < 16 || offset < PART as u64 {
        return;
    }
    let sum = xxh3_64_with_seed(&part[8..], salt.wrapping_add(offset));
    part[..8].copy_from_slice(&sum.to_le_bytes());
}

fn number(file: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = file.get(at..at.checked_add(len)?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}
