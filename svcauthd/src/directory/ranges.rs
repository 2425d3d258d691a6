//! Long lists of values in Active Directory come in ranges: `member;range=0-1499`, and the last as `member;range=1500-*`
//! ([MS-ADTS] 3.1.1.3.1.3.3).
//!
//! A list counts only from its first value to the `*`: one range that is missing would be people who silently lose a
//! role, or an account that silently needs one less.

use super::entry::Entry;

/// Values of one request: the most that a controller gives unless it was told otherwise.
const STEP: usize = 1500;
/// Most values of one attribute.
const MAX_VALUES: usize = 1_000_000;

/// A list that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// The attribute, in lower case.
    pub(super) attribute: String,
    /// The place of the first value that is missing, counted from 0.
    pub(super) from: usize,
}

/// What to ask for to get the values from `from` on.
pub(super) fn request(attribute: &str, from: usize) -> String {
    format!("{attribute};range={from}-{}", from + STEP - 1)
}

/// Puts the values of every range of the entry where those of the attribute belong, and gives the lists that go on.
pub(super) fn settle(entry: &mut Entry) -> Result<Vec<Rest>, String> {
    let ranged: Vec<String> =
        entry.attributes.keys().filter(|name| name.contains(";range=")).cloned().collect();
    let mut rests = Vec::new();
    for name in ranged {
        let attribute = name.split(';').next().unwrap_or_default().to_owned();
        if rests.iter().any(|rest: &Rest| rest.attribute == attribute) {
            return Err(format!("{attribute} came in two ranges at once"));
        }
        // Controllers send the bare attribute without values beside the range.
        if !entry.values(&attribute).is_empty() {
            return Err(format!("{attribute} came both as a whole and in a range"));
        }
        let more = take(entry, &name, &attribute, 0)?;
        rests.extend(more.map(|from| Rest { attribute, from }));
    }
    Ok(rests)
}

/// Adds the next range of a list, which `answer` holds, and gives the rest if there still is one.
pub(super) fn extend(entry: &mut Entry, rest: &Rest, answer: &mut Entry) -> Result<Option<Rest>, String> {
    let prefix = format!("{};range=", rest.attribute);
    let names: Vec<String> =
        answer.attributes.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
    let [name] = names.as_slice() else {
        return Err(format!("the values of {} from {} on are missing", rest.attribute, rest.from));
    };
    let more = take(answer, name, &rest.attribute, rest.from)?;
    let values = answer.attributes.remove(&rest.attribute).unwrap_or_default();
    let all = entry.attributes.entry(rest.attribute.clone()).or_default();
    all.extend(values);
    if all.len() > MAX_VALUES {
        return Err(format!("{} has more than {MAX_VALUES} values", rest.attribute));
    }
    Ok(more.map(|from| Rest { attribute: rest.attribute.clone(), from }))
}

/// Renames the range to its attribute when it begins at `from` and has as many values as it says; gives where it goes on.
fn take(entry: &mut Entry, name: &str, attribute: &str, from: usize) -> Result<Option<usize>, String> {
    let values = entry.attributes.remove(name).unwrap_or_default();
    let odd = || format!("{name} has {} values; expected a range from {from} on", values.len());
    let (first, last) =
        name.rsplit_once(";range=").and_then(|(_, range)| range.split_once('-')).ok_or_else(odd)?;
    if number(first) != Some(from) {
        return Err(odd());
    }
    let next = if last == "*" {
        None
    } else {
        let next = number(last).and_then(|last| last.checked_add(1)).filter(|next| *next > from);
        let next = next.ok_or_else(odd)?;
        if next - from != values.len() {
            return Err(odd());
        }
        Some(next)
    };
    entry.attributes.insert(attribute.to_owned(), values);
    Ok(next)
}

fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Rest, extend, request, settle};
    use crate::directory::Entry;

    fn entry(attributes: &[(&str, usize)]) -> Entry {
        let values = |count: usize| (0..count).map(|n| n.to_string().into_bytes()).collect::<Vec<_>>();
        let attributes = attributes.iter().map(|(name, count)| ((*name).to_owned(), values(*count)));
        Entry::new("cn=g,dc=x".into(), attributes.collect())
    }

    fn rest(from: usize) -> Rest {
        Rest { attribute: "member".into(), from }
    }

    #[test]
    fn a_list_is_followed_to_its_last_range() {
        assert_eq!(request("member", 0), "member;range=0-1499");
        let mut group = entry(&[("cn", 1), ("member", 0), ("member;range=0-1499", 1500)]);
        assert_eq!(settle(&mut group), Ok(vec![rest(1500)]));
        assert_eq!(request("member", 1500), "member;range=1500-2999");
        let mut middle = entry(&[("member;range=1500-1999", 500), ("usnchanged", 1)]);
        assert_eq!(extend(&mut group, &rest(1500), &mut middle), Ok(Some(rest(2000))));
        let mut last = entry(&[("member;range=2000-*", 7)]);
        assert_eq!(extend(&mut group, &rest(2000), &mut last), Ok(None));
        assert_eq!(group.values("member").len(), 2007);
        assert!(group.attributes.keys().all(|name| !name.contains(';')));
    }

    #[test]
    fn a_short_list_and_none_at_all_are_whole() {
        for (attributes, count) in [
            (&[("member;range=0-*", 3)][..], 3),
            (&[("member;range=0-*", 0)], 0),
            (&[("member", 2)], 2),
            (&[], 0),
        ] {
            let mut group = entry(attributes);
            assert_eq!(settle(&mut group), Ok(vec![]), "{attributes:?}");
            assert_eq!(group.values("member").len(), count);
        }
    }

    #[test]
    fn a_range_that_is_no_beginning_or_not_what_it_says_is_an_error() {
        for attributes in [
            &[("member;range=1-*", 3)][..],
            &[("member;range=0-1499", 1499)],
            &[("member;range=0-1499", 0)],
            &[("member;range=0-", 3)],
            &[("member;range=*-*", 3)],
            &[("member;range=0--1", 0)],
            &[("member;range=00000000000000000000-*", 1)],
            &[("member;range=0-1", 2), ("member;range=0-2", 3)],
            &[("member", 1), ("member;range=0-*", 3)],
        ] {
            assert!(settle(&mut entry(attributes)).is_err(), "{attributes:?}");
        }
    }

    #[test]
    fn a_range_that_is_missing_overlaps_or_goes_backwards_is_an_error() {
        for attributes in [
            &[][..],
            &[("member", 3)],
            &[("member;range=0-*", 3)],
            &[("member;range=1499-*", 3)],
            &[("member;range=1501-*", 3)],
            &[("member;range=1500-1499", 0)],
            &[("member;range=1500-2999", 1499)],
            &[("member;range=1500-*", 3), ("member;range=1500-1501", 2)],
        ] {
            let mut group = entry(&[("member", 1500)]);
            assert!(extend(&mut group, &rest(1500), &mut entry(attributes)).is_err(), "{attributes:?}");
        }
    }
}
