//! Search filters (RFC 4515): which entries below a base are meant.
//!
//! The filter is read once, when the configuration is, so that a fault has a line; an LDAP server gets it in the one
//! canonical form of [`Filter`]'s `Display`, and an LDIF file is searched with [`Filter::matches`].

use core::fmt;
use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;

/// Deepest nesting of `&`, `|` and `!`.
const MAX_DEPTH: usize = 16;

/// A filter without extensible (`:=`) and approximate (`~=`) matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of these.
    And(Vec<Filter>),
    /// One of these at least.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// The attribute has a value.
    Present(String),
    /// A value of the attribute is this one (letters of either case are equal).
    Equal(String, Vec<u8>),
    /// A value begins with the first part, ends with the last one, and holds the others in between, in this order.
    Substrings(String, Vec<Vec<u8>>),
    /// A value is at least this one: as a number if both are numbers, else byte by byte.
    AtLeast(String, Vec<u8>),
    /// A value is at most this one.
    AtMost(String, Vec<u8>),
}

/// Why a text is no [`Filter`]; `at` is the byte where it was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Offset in the filter's text, in bytes from 0.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at character {} of the filter", self.what, self.at + 1)
    }
}

impl core::error::Error for FilterError {}

impl Filter {
    /// Reads a filter such as `(&(objectClass=posixAccount)(!(uid=test*)))`.
    ///
    /// # Errors
    /// The first thing that RFC 4515 or this version does not allow; blanks outside of values are not allowed either.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        let filter = reader.filter(0)?;
        if reader.at < text.len() {
            Err(reader.error("unexpected text after the filter"))
        } else {
            Ok(filter)
        }
    }

    /// Whether an entry fits; `values` gives the values of an attribute (its name in lower case).
    pub fn matches<'v>(&self, values: &impl Fn(&str) -> &'v [Vec<u8>]) -> bool {
        let any = |name: &String, test: &dyn Fn(&[u8]) -> bool| {
            values(&name.to_ascii_lowercase()).iter().any(|value| test(value))
        };
        match self {
            Self::And(all) => all.iter().all(|part| part.matches(values)),
            Self::Or(any) => any.iter().any(|part| part.matches(values)),
            Self::Not(part) => !part.matches(values),
            Self::Present(name) => any(name, &|_| true),
            Self::Equal(name, wanted) => any(name, &|value| fold(value) == fold(wanted)),
            Self::Substrings(name, parts) => any(name, &|value| has_parts(&fold(value), parts)),
            Self::AtLeast(name, limit) => any(name, &|value| order(value, limit).is_ge()),
            Self::AtMost(name, limit) => any(name, &|value| order(value, limit).is_le()),
        }
    }
}

fn fold(value: &[u8]) -> Vec<u8> {
    core::str::from_utf8(value)
        .map_or_else(|_| value.to_ascii_lowercase(), |text| text.to_lowercase().into_bytes())
}

fn order(value: &[u8], limit: &[u8]) -> core::cmp::Ordering {
    let number = |bytes| core::str::from_utf8(bytes).ok().and_then(|text: &str| text.parse::<i64>().ok());
    match (number(value), number(limit)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => fold(value).cmp(&fold(limit)),
    }
}

fn has_parts(value: &[u8], parts: &[Vec<u8>]) -> bool {
    let [first, middle @ .., last] = parts else {
        return false;
    };
    let (first, last) = (fold(first), fold(last));
    let Some(rest) = value.strip_prefix(first.as_slice()) else {
        return false;
    };
    let Some(mut rest) = rest.strip_suffix(last.as_slice()) else {
        return false;
    };
    for part in middle.iter().filter(|part| !part.is_empty()).map(|part| fold(part)) {
        let Some(at) = rest.windows(part.len()).position(|window| window == part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, what: &'static str) -> FilterError {
        FilterError { at: self.at, what }
    }
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), FilterError> {
        if self.peek() != Some(byte) {
            return Err(self.error(what));
        }
        self.at += 1;
        Ok(())
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, FilterError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nesting is too deep"));
        }
        self.take(b'(', "expected \"(\"")?;
        let filter = match self.peek() {
            Some(b'&') => Filter::And(self.list(depth)?),
            Some(b'|') => Filter::Or(self.list(depth)?),
            Some(b'!') => {
                self.at += 1;
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => self.item()?,
        };
        self.take(b')', "expected \")\"")?;
        Ok(filter)
    }

    /// The parts of `&` and `|`: one at least, because `(&)` means every entry and `(|)` none (RFC 4526).
    fn list(&mut self, depth: usize) -> Result<Vec<Filter>, FilterError> {
        self.at += 1;
        let mut parts = Vec::from([self.filter(depth + 1)?]);
        while self.peek() == Some(b'(') {
            parts.push(self.filter(depth + 1)?);
        }
        Ok(parts)
    }

    fn item(&mut self) -> Result<Filter, FilterError> {
        let name = self.name()?;
        let operator = self.peek();
        if matches!(operator, Some(b'>' | b'<')) {
            self.at += 1;
        }
        self.take(b'=', "expected =, >= or <= after the attribute name")?;
        let start = self.at;
        let mut parts = self.value()?;
        let empty = parts.iter().all(Vec::is_empty);
        match (operator, parts.len()) {
            (Some(b'='), 2) if empty => Ok(Filter::Present(name)),
            (_, 1) if empty => Err(FilterError { at: start, what: "the value is empty" }),
            (Some(b'='), 1) => Ok(Filter::Equal(name, parts.pop().unwrap_or_default())),
            (Some(b'>'), 1) => Ok(Filter::AtLeast(name, parts.pop().unwrap_or_default())),
            (Some(b'<'), 1) => Ok(Filter::AtMost(name, parts.pop().unwrap_or_default())),
            (Some(b'='), _) if !empty => Ok(Filter::Substrings(name, parts)),
            _ => Err(FilterError { at: start, what: "a * is not allowed here" }),
        }
    }

    fn name(&mut self) -> Result<String, FilterError> {
        let mut name = String::new();
        while let Some(byte) =
            self.peek().filter(|byte| byte.is_ascii_alphanumeric() || b"-.;".contains(byte))
        {
            name.push(char::from(byte));
            self.at += 1;
        }
        if name.is_empty() { Err(self.error("expected an attribute name")) } else { Ok(name) }
    }

    /// The value, cut at every bare `*`.
    fn value(&mut self) -> Result<Vec<Vec<u8>>, FilterError> {
        let mut done = Vec::new();
        let mut part = Vec::new();
        loop {
            match self.peek() {
                Some(b')') => break,
                Some(b'*') => done.push(core::mem::take(&mut part)),
                Some(b'\\') => part.push(self.escaped()?),
                None | Some(b'(' | 0) => return Err(self.error("expected \")\"")),
                Some(byte) => part.push(byte),
            }
            self.at += 1;
        }
        done.push(part);
        Ok(done)
    }

    /// `\XX`; leaves the reader on the last digit.
    fn escaped(&mut self) -> Result<u8, FilterError> {
        let digits = self.text.get(self.at + 1..self.at + 3).and_then(|d| core::str::from_utf8(d).ok());
        let byte = digits
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.error("expected two hexadecimal digits after \\"))?;
        self.at += 2;
        Ok(byte)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, sign, parts: &[Self]| {
            write!(f, "({sign}")?;
            parts.iter().try_for_each(|part| write!(f, "{part}"))?;
            f.write_str(")")
        };
        match self {
            Self::And(parts) => list(f, '&', parts),
            Self::Or(parts) => list(f, '|', parts),
            Self::Not(part) => write!(f, "(!{part})"),
            Self::Present(name) => write!(f, "({name}=*)"),
            Self::Equal(name, value) => write!(f, "({name}={})", Escaped(value)),
            Self::AtLeast(name, value) => write!(f, "({name}>={})", Escaped(value)),
            Self::AtMost(name, value) => write!(f, "({name}<={})", Escaped(value)),
            Self::Substrings(name, parts) => {
                write!(f, "({name}=")?;
                let shown: Vec<String> = parts.iter().map(|part| Escaped(part).to_string()).collect();
                write!(f, "{})", shown.join("*"))
            }
        }
    }
}

struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b'*' | b'(' | b')' | b'\\' | 0..=0x1f | 0x7f.. => write!(f, "\\{byte:02x}"),
            plain => write!(f, "{}", char::from(*plain)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use proptest::prelude::{any, prop_assert, proptest};
    use std::{format, string::ToString, vec::Vec};

    fn fits(filter: &str) -> bool {
        let uid = [b"alice".to_vec()];
        let number = [b"7001".to_vec()];
        let class = [b"top".to_vec(), b"posixAccount".to_vec()];
        Filter::parse(filter).unwrap().matches(&|name: &str| match name {
            "uid" => &uid[..],
            "uidnumber" => &number,
            "objectclass" => &class,
            _ => &[] as &[Vec<u8>],
        })
    }

    #[test]
    fn a_filter_picks_the_entries_that_it_describes() {
        for yes in [
            "(objectClass=posixaccount)",
            "(UID=ALICE)",
            "(&(uid=*)(uidNumber>=999)(uidNumber<=07001))",
            "(|(uid=bob)(uid=a*i*e))",
            "(uid=*lic*)",
            "(!(nsAccountLock=TRUE))",
            "(uid=\\61lice)",
        ] {
            assert!(fits(yes), "{yes}");
        }
        for no in [
            "(uid=alic)",
            "(uid=a*ce*e)",
            "(uid=ali*ice)",
            "(uidNumber>=70010)",
            "(mail=*)",
            "(!(uid=*))",
            "(uid=a\\2a)",
        ] {
            assert!(!fits(no), "{no}");
        }
    }

    #[test]
    fn a_faulty_filter_says_where() {
        for (text, message) in [
            ("", "expected \"(\" at character 1 of the filter"),
            ("uid=x", "expected \"(\" at character 1 of the filter"),
            ("( uid=a)", "expected an attribute name at character 2 of the filter"),
            ("(&)", "expected \"(\" at character 3 of the filter"),
            ("(uid=a", "expected \")\" at character 7 of the filter"),
            ("(uid=a))", "unexpected text after the filter at character 8 of the filter"),
            ("(uid~=a)", "expected =, >= or <= after the attribute name at character 5 of the filter"),
            ("(uid:=a)", "expected =, >= or <= after the attribute name at character 5 of the filter"),
            ("(uid=\\zz)", "expected two hexadecimal digits after \\ at character 6 of the filter"),
            ("(uid=)", "the value is empty at character 6 of the filter"),
            ("(uid>=a*)", "a * is not allowed here at character 7 of the filter"),
            ("(uid=**)", "a * is not allowed here at character 6 of the filter"),
        ] {
            assert_eq!(Filter::parse(text).map_err(|e| e.to_string()), Err(message.into()), "{text}");
        }
        let deep = format!("{}(a=b){}", "(!".repeat(50_000), ")".repeat(50_000));
        assert_eq!(Filter::parse(&deep).unwrap_err().what, "nesting is too deep");
    }

    #[test]
    fn the_canonical_form_means_the_same() {
        for text in
            ["(&(a=b)(|(c=*)(!(d>=1)))(e<=2))", "(a=b*c*d)", "(a=*b*)", "(a=\\2a\\28\\29\\5c\\00\\c3\\a4)"]
        {
            assert_eq!(Filter::parse(text).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader_and_what_it_takes_survives_a_round_trip(text in "[(&|!a=*<>\\\\5c)]{0,24}", odd in any::<std::string::String>()) {
            let _ = Filter::parse(&odd);
            if let Ok(filter) = Filter::parse(&text) {
                prop_assert!(Filter::parse(&filter.to_string()) == Ok(filter));
            }
        }
    }
}
