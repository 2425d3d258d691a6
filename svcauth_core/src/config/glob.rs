//! Patterns for names of accounts and hosts: `*` is any text, `?` is any one byte, everything else is itself.

use std::string::String;

/// A pattern with `*` and `?` and no other special character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// The pattern, if it holds nothing but letters, digits, `_`, `.`, `-`, `*` and `?`.
    ///
    /// Brackets and braces are refused, so that nobody believes that `web[12]` is a set.
    #[must_use]
    pub fn new(pattern: &str) -> Option<Self> {
        let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-*?".contains(&byte);
        (!pattern.is_empty() && pattern.len() <= 255 && pattern.bytes().all(ok)).then(|| Self(pattern.into()))
    }
    /// The pattern as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether the whole name fits the pattern, case included. Time is at most pattern length times name length.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.fits(name, |a, b| a == b)
    }
    /// As [`Self::matches`], but ASCII letters of either case are equal: for host names (RFC 4343).
    #[must_use]
    pub fn matches_ignoring_case(&self, name: &str) -> bool {
        self.fits(name, |a, b| a.eq_ignore_ascii_case(&b))
    }

    fn fits(&self, name: &str, same: impl Fn(u8, u8) -> bool) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where the last star was, and how much of the name it has swallowed so far.
        let mut star = None;
        while let Some(byte) = name.get(n) {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(wanted) if *wanted == b'?' || same(*wanted, *byte) => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((at, swallowed)) = star else { return false };
                    star = Some((at, swallowed + 1));
                    p = at + 1;
                    n = swallowed + 1;
                }
            }
        }
        pattern
            .get(p..)
            .unwrap_or_default()
            .iter()
            .all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;
    use proptest::prelude::{prop_assert_eq, proptest};

    fn naive(p: &[u8], n: &[u8]) -> bool {
        match (p.split_first(), n.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                naive(rest, n) || n.split_first().is_some_and(|(_, tail)| naive(p, tail))
            }
            (Some((b'?', p)), Some((_, n))) => naive(p, n),
            (Some((a, p)), Some((b, n))) if a == b => naive(p, n),
            _ => false,
        }
    }

    #[test]
    fn star_and_question_mark_are_the_only_wildcards() {
        let glob = |text| Glob::new(text).unwrap();
        assert!(glob("*").matches("deployer") && glob("*").matches(""));
        assert!(
            glob("web*").matches("web1") && !glob("web*").matches("Web1") && !glob("web*").matches("aweb")
        );
        assert!(glob("web?").matches("web1") && !glob("web?").matches("web12"));
        assert!(glob("WEB*.example.com").matches_ignoring_case("web1.Example.COM"));
        for bad in ["", "web[12]", "{a,b}", "a b", "a/b", "\u{e4}", "!a"] {
            assert_eq!(Glob::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let glob = Glob::new(&"*a".repeat(100)).unwrap();
        assert!(!glob.matches(&"a".repeat(99)));
        assert!(
            !Glob::new(&std::format!("{}b", "*a".repeat(100)))
                .unwrap()
                .matches(&"a".repeat(250))
        );
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(pattern in "[ab*?]{1,6}", name in "[abc]{0,6}") {
            prop_assert_eq!(Glob::new(&pattern).unwrap().matches(&name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
