//! Distinguished names in one spelling, so that a member value finds its entry (RFC 4514).

/// Longest DN in bytes.
const MAX: usize = 4096;

/// The DN in its normal form: types and values in lower case, no optional blanks, inner blanks single, the parts of a
/// multi-valued RDN in order, and every special character written as `\XX`. A bare `,` therefore always separates RDNs.
///
/// `None` for what is no DN: empty, without `=`, a broken escape, a value in the hexadecimal form `#...`, or longer than
/// 4096 bytes. Equality is that of `caseIgnoreMatch` but for letters whose case needs more than one character.
#[must_use]
pub fn normalise(dn: &str) -> Option<String> {
    if dn.len() > MAX {
        return None;
    }
    if let Some(normal) = plain(dn) {
        return Some(normal);
    }
    let mut rdns = Vec::new();
    for rdn in split(dn, &[',', ';']) {
        let mut parts = split(rdn, &['+']).into_iter().map(part).collect::<Option<Vec<_>>>()?;
        parts.sort_unstable();
        rdns.push(parts.join("+"));
    }
    // Escapes make a name longer; what does not fit in its normal form could not be normalised again.
    Some(rdns.join(",")).filter(|normal| normal.len() <= MAX)
}

/// The normal form of a DN of the ordinary sort: ASCII, one type and value per RDN, nothing escaped, no blank beside a
/// separator or another blank. Nearly every DN is, and a large directory has a million of them.
fn plain(dn: &str) -> Option<String> {
    let rdn = |rdn: &str| {
        let (name, value) = rdn.split_once('=')?;
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        let in_value = |byte: u8| (b' '..0x7f).contains(&byte) && !b"\"#+;<=>\\".contains(&byte);
        let ok = !name.is_empty()
            && name.bytes().all(in_name)
            && value.bytes().all(in_value)
            && !value.starts_with(' ')
            && !value.ends_with(' ')
            && !value.contains("  ");
        ok.then_some(())
    };
    dn.split(',').all(|part| rdn(part).is_some()).then(|| dn.to_ascii_lowercase())
}

/// Whether the DN is the base or below it; both in normal form. Everything is below the empty base.
#[must_use]
pub fn is_at_or_below(dn: &str, base: &str) -> bool {
    base.is_empty() || dn.strip_suffix(base).is_some_and(|head| head.is_empty() || head.ends_with(','))
}

/// The value of the first RDN for this type (in lower case), unescaped and in lower case; from a DN in normal form.
#[must_use]
pub fn rdn_value(dn: &str, name: &str) -> Option<String> {
    let rdn = dn.split(',').next()?;
    let value = rdn.split('+').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
    unescaped(value)
}

/// Cuts at bare separators; an escaped one (`\,`, and `"` is not special in RFC 4514) is part of the text.
fn split<'a>(text: &'a str, separators: &[char]) -> Vec<&'a str> {
    let mut out = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if !escaped && separators.contains(&c) {
            out.push(text.get(start..at).unwrap_or_default());
            start = at + c.len_utf8();
        }
        escaped = !escaped && c == '\\';
    }
    out.push(text.get(start..).unwrap_or_default());
    out
}

fn part(text: &str) -> Option<String> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim_matches(' ').to_ascii_lowercase();
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let value = trim_value(value);
    if name.is_empty() || !name.bytes().all(ok) || value.starts_with('#') {
        return None;
    }
    let value = unescaped(value)?.to_lowercase();
    let mut out = name + "=";
    let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().for_each(|c| push_escaped(&mut out, c));
    Some(out)
}

/// Takes blanks away, but not one that a backslash protects; the values themselves are compared without outer blanks.
fn trim_value(value: &str) -> &str {
    let value = value.trim_start_matches(' ');
    let trimmed = value.trim_end_matches(' ');
    if trimmed.ends_with('\\') && !trimmed.ends_with("\\\\") {
        value.get(..=trimmed.len()).unwrap_or(value)
    } else {
        trimmed
    }
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#' | '\0'..='\x1f' | '\x7f' => {
            out.push('\\');
            out.extend(
                [c as u32 >> 4, c as u32 & 15].into_iter().filter_map(|digit| char::from_digit(digit, 16)),
            );
        }
        plain => out.push(plain),
    }
}

fn unescaped(value: &str) -> Option<String> {
    if !value.contains('\\') {
        return Some(value.to_owned());
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        match rest {
            [high, low, tail @ ..] if hex(high).is_some() && hex(low).is_some() => {
                out.push(u8::try_from(hex(high)? << 4 | hex(low)?).ok()?);
                rest = tail;
            }
            [special, tail @ ..] if b" \"#+,;<=>\\".contains(special) => {
                out.push(*special);
                rest = tail;
            }
            _ => return None,
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::{is_at_or_below, normalise, rdn_value};
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn every_spelling_of_a_name_becomes_the_same() {
        for (spellings, normal) in [
            (
                &[
                    "uid=bob,ou=People,dc=x",
                    "UID = Bob , OU=people,DC=X",
                    "uid=bob;ou=people;dc=x",
                    "uid=b\\6fb,ou=people,dc=x",
                ][..],
                "uid=bob,ou=people,dc=x",
            ),
            (
                &["cn=Doe\\, John,dc=x", "cn=Doe\\2c John,dc=x", "cn=doe\\2C  john,dc=x"],
                "cn=doe\\2c john,dc=x",
            ),
            (&["cn=a+uid=b", "UID=B+CN=A", "uid=b + cn=a"], "cn=a+uid=b"),
            (
                &["cn=plus\\+eq\\=hash\\#", "cn=plus\\2beq\\3dhash\\23", "cn=plus\\+eq=hash#"],
                "cn=plus\\2beq\\3dhash\\23",
            ),
            (&["cn=Zo\u{eb}", "cn=zo\\c3\\ab", "CN=ZO\u{cb}"], "cn=zo\u{eb}"),
            (&["cn=\\ lead", "cn=lead\\ ", "cn=lead\\20"], "cn=lead"),
            (&["cn=back\\\\", "cn=back\\5c", "cn=back\\\\ "], "cn=back\\5c"),
        ] {
            for spelling in spellings {
                assert_eq!(normalise(spelling).as_deref(), Some(normal), "{spelling}");
            }
        }
    }

    #[test]
    fn what_is_no_name_has_no_normal_form() {
        let long = format!("cn={}", "a".repeat(5000));
        // Found by the fuzz target ldif: short as it is written, too long in its normal form.
        assert_eq!(normalise(&format!("cn={}", "\"".repeat(2000))), None);
        for bad in [
            "",
            "bob",
            "cn=a,",
            "=a",
            "cn=a,,dc=x",
            "cn=\\zz",
            "cn=a\\",
            "cn=\\ff",
            "cn=#04026869",
            "c n=a",
            &long,
        ] {
            assert_eq!(normalise(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_value_that_looks_like_a_base_is_not_below_it() {
        let base = normalise("dc=x").unwrap();
        assert!(is_at_or_below(&normalise("uid=a,dc=x").unwrap(), &base) && is_at_or_below(&base, &base));
        assert!(is_at_or_below("uid=a", ""));
        for other in ["uid=a\\,dc\\=x", "uid=a,dc=xx", "uid=a,adc=x", "dc=y"] {
            assert!(!is_at_or_below(&normalise(other).unwrap(), &base), "{other}");
        }
    }

    #[test]
    fn the_naming_value_is_found() {
        let dn = normalise("cn=Doe\\, John+uid=Bob,dc=x").unwrap();
        assert_eq!(rdn_value(&dn, "uid").as_deref(), Some("bob"));
        assert_eq!(rdn_value(&dn, "cn").as_deref(), Some("doe, john"));
        assert_eq!(rdn_value(&dn, "dc"), None);
    }

    proptest! {
        #[test]
        fn the_short_way_and_the_long_way_agree(dn in "[a-cA-C=, ]{0,24}") {
            // One escaped letter forces the long way, and means the same.
            if let Some(long) = dn.strip_prefix('a').and_then(|rest| normalise(&format!("dc=\\61,a{rest}"))) {
                prop_assert_eq!(normalise(&format!("dc=a,{dn}")), Some(long));
            }
        }

        #[test]
        fn the_normal_form_is_its_own_normal_form(dn in "[a-c=,+; \\\\#0-9A-C\u{e9}]{0,30}") {
            if let Some(normal) = normalise(&dn) {
                prop_assert_eq!(normalise(&normal), Some(normal));
            }
        }
    }
}
