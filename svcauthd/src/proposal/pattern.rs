//! One pattern for all words that were seen in one place of a command.
//!
//! From tight to wide: the very word; the same text with other numbers; hashes, versions and identifiers of machines; a few
//! different words; names without anything that a program or a path could mean otherwise; and only then any word. Whatever
//! is chosen is held against every word before it is believed.

use std::collections::BTreeSet;

use svcauth_core::command::WordPattern;

/// How much is concluded from what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// A word among others.
    Usual,
    /// The first one, which often says what is done: others like it do other things.
    Verb,
    /// A word of a program that runs what it is told to: no name stands for another one.
    Runner,
}

/// Bytes of alternatives beyond which nobody would read them.
const ALTERNATIVES_MAX: usize = 2000;
const SEPARATORS: [char; 5] = ['/', '=', ':', '@', ','];
const NAME: &str = "[A-Za-z0-9_][A-Za-z0-9_.+-]*";
/// What a word can be that changes each time, tight ones first.
const CHANGING: [&str; 3] = [
    "[0-9]+",
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    r"v?[0-9]+(?:\.[0-9]+)+(?:[-+~.][0-9A-Za-z]+)*",
];

impl Care {
    const fn alternatives(self) -> usize {
        match self {
            Self::Usual => 6,
            Self::Verb => 24,
            Self::Runner => 30,
        }
    }
}

/// A pattern that all these words fit, and what there is to say about a wide one. `None`: they have nothing in common that
/// could be said with this care.
pub(super) fn generalise(words: &BTreeSet<&[u8]>, care: Care) -> Option<(WordPattern, Option<&'static str>)> {
    let texts: Option<Vec<&str>> = words.iter().map(|word| std::str::from_utf8(word).ok()).collect();
    let Some(texts) = texts else {
        let wide = (WordPattern::Any, Some("<any> is any word, options too: some of the words are no UTF-8"));
        return (care != Care::Runner).then_some(wide);
    };
    if let [one] = texts.as_slice() {
        return Some((exact(one), None));
    }
    let tight = changing(&texts)
        .or_else(|| by_pieces(&texts, &changing))
        .or_else(|| alternatives(&texts, care.alternatives()));
    if let Some(regex) = tight.and_then(|regex| fits(regex, &texts)) {
        return Some((WordPattern::Regex(regex), None));
    }
    if care == Care::Runner {
        return None;
    }
    let piece = |pieces: &[&str]| {
        changing(pieces).or_else(|| alternatives(pieces, 6)).or_else(|| fits(NAME.to_owned(), pieces))
    };
    if let Some(regex) = by_pieces(&texts, &piece).or_else(|| below(&texts)) {
        if let Some(regex) = fits(regex, &texts) {
            return Some((WordPattern::Regex(regex), None));
        }
    }
    let loose = fits(r"[^-\n].*".to_owned(), &texts);
    Some(loose.map_or((WordPattern::Any, Some("<any> is any word, options too: review it")), |regex| {
        (
            WordPattern::Regex(regex),
            Some("the words have little in common; any that is no option fits: review it"),
        )
    }))
}

fn exact(word: &str) -> WordPattern {
    // What begins so is read as a pattern.
    if word.starts_with('<') { WordPattern::Regex(escape(word)) } else { WordPattern::Exact(word.to_owned()) }
}

/// The expression, if every text fits it.
fn fits(regex: String, texts: &[&str]) -> Option<String> {
    let pattern = WordPattern::Regex(regex);
    let all = texts.iter().all(|text| pattern.matches(text.as_bytes()));
    match pattern {
        WordPattern::Regex(regex) if all => Some(regex),
        _ => None,
    }
}

/// What changes each time, perhaps between what does not: `web-07.example`, `app-1.2.3.tar.gz`.
fn changing(texts: &[&str]) -> Option<String> {
    numbered(texts).or_else(|| whole(texts)).or_else(|| {
        let (prefix, suffix) = around(texts)?;
        let middle: Option<Vec<&str>> =
            texts.iter().map(|text| text.get(prefix..text.len().checked_sub(suffix)?)).collect();
        let middle = middle?;
        let regex = numbered(&middle).or_else(|| whole(&middle))?;
        let first = texts.first()?;
        let (head, tail) = (first.get(..prefix)?, first.get(first.len().checked_sub(suffix)?..)?);
        Some(format!("{}{regex}{}", escape(head), escape(tail)))
    })
}

fn whole(texts: &[&str]) -> Option<String> {
    let one = |regex: &&str| fits((*regex).to_owned(), texts);
    CHANGING.iter().find_map(one).or_else(|| hash(texts))
}

/// Hexadecimal digits as long as those that were seen.
fn hash(texts: &[&str]) -> Option<String> {
    let lengths = || texts.iter().map(|text| text.len());
    let (shortest, longest) = (lengths().min()?, lengths().max()?);
    let has_digit = texts.iter().filter(|text| text.bytes().any(|byte| byte.is_ascii_digit())).count();
    if shortest < 7 || longest > 128 || has_digit * 2 < texts.len() {
        return None;
    }
    let range = if shortest == longest { shortest.to_string() } else { format!("{shortest},{longest}") };
    fits(format!("[0-9a-f]{{{range}}}"), texts)
}

/// The same text with other numbers.
fn numbered(texts: &[&str]) -> Option<String> {
    let rows: Vec<Vec<&str>> = texts.iter().map(|text| runs(text)).collect();
    let columns = rows.first()?.len();
    if rows.iter().any(|row| row.len() != columns) {
        return None;
    }
    let mut regex = String::new();
    for column in 0..columns {
        let mut cells: Vec<&str> = rows.iter().filter_map(|row| row.get(column).copied()).collect();
        cells.sort_unstable();
        cells.dedup();
        match cells.as_slice() {
            [one] => regex.push_str(&escape(one)),
            many if many.iter().all(|cell| cell.bytes().all(|byte| byte.is_ascii_digit())) => {
                regex.push_str("[0-9]+");
            }
            _ => return None,
        }
    }
    Some(regex)
}

/// The digits of a text, and what is between them.
fn runs(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        out.push(run);
        rest = tail;
    }
    out
}

/// The lengths of what all texts begin and end with, up to a character that ends a name.
fn around(texts: &[&str]) -> Option<(usize, usize)> {
    let (first, rest) = texts.split_first()?;
    let is_end = |byte: u8| byte.is_ascii_punctuation() && byte != b'.';
    let common = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let bytes = first.as_bytes();
    let mut prefix = rest.iter().map(|text| common(bytes, text.as_bytes())).min()?;
    while prefix > 0 && !bytes.get(prefix - 1).copied().is_some_and(is_end) {
        prefix -= 1;
    }
    let back = |text: &str| text.bytes().rev().collect::<Vec<u8>>();
    let backwards = back(first);
    let mut suffix = rest.iter().map(|text| common(&backwards, &back(text))).min()?;
    let begins = |byte: u8| byte.is_ascii_punctuation();
    while suffix > 0 && !backwards.get(suffix - 1).copied().is_some_and(begins) {
        suffix -= 1;
    }
    let shortest = texts.iter().map(|text| text.len()).min()?;
    (prefix + suffix > 0 && prefix + suffix < shortest).then_some((prefix, suffix))
}

/// Words that are made of pieces with the same separators: each piece by itself.
fn by_pieces(texts: &[&str], one: &dyn Fn(&[&str]) -> Option<String>) -> Option<String> {
    let separators = |text: &str| text.matches(SEPARATORS).collect::<String>();
    let between = separators(texts.first()?);
    if between.is_empty() && texts.iter().all(|text| separators(text).is_empty()) {
        return one(texts);
    }
    if texts.iter().any(|text| separators(text) != between) {
        return None;
    }
    let rows: Vec<Vec<&str>> = texts.iter().map(|text| text.split(SEPARATORS).collect()).collect();
    let mut regex = String::new();
    let mut separator = between.chars();
    for column in 0..=between.chars().count() {
        let mut cells: Vec<&str> = rows.iter().filter_map(|row| row.get(column).copied()).collect();
        cells.sort_unstable();
        cells.dedup();
        match cells.as_slice() {
            [same] => regex.push_str(&escape(same)),
            many => regex.push_str(&one(many)?),
        }
        regex.extend(separator.next());
    }
    Some(regex)
}

/// Paths of plain names below one folder.
fn below(texts: &[&str]) -> Option<String> {
    let rows: Vec<Vec<&str>> = texts.iter().map(|text| text.split('/').collect()).collect();
    let first = rows.first()?;
    let shortest = rows.iter().map(Vec::len).min()?;
    let is_same = |at: &usize| rows.iter().all(|row| row.get(*at) == first.get(*at));
    // The last part may be a file of the folder.
    let common = (0..shortest.saturating_sub(1)).take_while(is_same).count();
    // "" and one folder at least.
    if common < 2 || !texts.iter().all(|text| text.starts_with('/')) {
        return None;
    }
    let folder = first.get(..common)?.join("/");
    Some(format!("{}(?:/{NAME})+/?", escape(&folder)))
}

fn alternatives(texts: &[&str], most: usize) -> Option<String> {
    let length: usize = texts.iter().map(|text| text.len()).sum();
    (texts.len() <= most && length <= ALTERNATIVES_MAX)
        .then(|| texts.iter().map(|text| escape(text)).collect::<Vec<_>>().join("|"))
        .map(|list| if texts.len() > 1 { format!("(?:{list})") } else { list })
}

/// The text as an expression that only it fits.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, Care, generalise};

    fn found(words: &[&str], care: Care) -> Option<String> {
        let words: BTreeSet<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        generalise(&words, care).map(|(pattern, _)| pattern.to_string())
    }

    #[test]
    fn what_did_not_vary_stays_what_it_was() {
        assert_eq!(found(&["-la"], Care::Usual).unwrap(), "-la");
        assert_eq!(found(&[""], Care::Usual).unwrap(), "");
        assert_eq!(found(&["<any>"], Care::Usual).unwrap(), "<re:<any>>");
    }

    #[test]
    fn what_changes_each_time_becomes_as_tight_an_expression_as_fits() {
        for (words, pattern) in [
            (&["7", "12"][..], "<re:[0-9]+>"),
            (&["web-07.example", "web-12.example"], r"<re:web-[0-9]+\.example>"),
            (&["v1.2.3", "v1.10.0"], r"<re:v1\.[0-9]+\.[0-9]+>"),
            (&["1.2.3", "v2.0", "2.0.1-rc1"], r"<re:v?[0-9]+(?:\.[0-9]+)+(?:[-+~.][0-9A-Za-z]+)*>"),
            (&["a1b2c3d", "fffffff", "0123abc"], "<re:[0-9a-f]{7}>"),
            (
                &["app-1.2.tar.gz", "app-1.2.3.tar.gz"],
                r"<re:app-v?[0-9]+(?:\.[0-9]+)+(?:[-+~.][0-9A-Za-z]+)*\.tar\.gz>",
            ),
            (&["--tag=v1", "--tag=v22"], "<re:--tag=v[0-9]+>"),
            (&["/srv/r/2026-01-01/x", "/srv/r/2026-11-30/x"], "<re:/srv/r/2026-[0-9]+-[0-9]+/x>"),
            (
                &["5e1f0c3a-0000-4000-8000-00000000000a", "a1f0c3a5-1111-4000-8000-00000000000b"],
                "<re:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}>",
            ),
        ] {
            assert_eq!(found(words, Care::Usual).as_deref(), Some(pattern), "{words:?}");
        }
    }

    #[test]
    fn a_few_words_are_listed_and_many_names_are_names() {
        assert_eq!(found(&["prod", "test"], Care::Usual).unwrap(), "<re:(?:prod|test)>");
        assert_eq!(found(&["a.b", "a|b"], Care::Usual).unwrap(), r"<re:(?:a\.b|a\|b)>");
        let many = ["ant", "bee", "cow", "dog", "elk", "fox", "gnu"];
        assert_eq!(found(&many, Care::Usual).unwrap(), "<re:[A-Za-z0-9_][A-Za-z0-9_.+-]*>");
        assert_eq!(found(&many, Care::Verb).unwrap(), "<re:(?:ant|bee|cow|dog|elk|fox|gnu)>");
        let paths: Vec<String> = many.iter().map(|name| format!("/srv/{name}/log")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(found(&paths, Care::Usual).unwrap(), "<re:/srv/[A-Za-z0-9_][A-Za-z0-9_.+-]*/log>");
        let deep = ["/srv/a", "/srv/b/c", "/srv/d/e/f", "/srv/g", "/srv/h", "/srv/i/", "/srv/j"];
        assert_eq!(found(&deep, Care::Usual).unwrap(), "<re:/srv(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)+/?>");
    }

    #[test]
    fn names_never_stand_for_options_nor_for_ways_out_of_a_folder() {
        let many = ["/srv/ant", "/srv/bee", "/srv/cow", "/srv/dog", "/srv/elk/x", "/srv/fox", "/srv/gnu"];
        let words: BTreeSet<&[u8]> = many.iter().map(|word| word.as_bytes()).collect();
        let (pattern, _) = generalise(&words, Care::Usual).unwrap();
        assert!(pattern.matches(b"/srv/hen"));
        for escape in ["/srv/../etc/shadow", "/srv", "/etc/shadow", "/srv/-x", "-x", "/srv/a b", "/srv/a\nb"]
        {
            assert!(!pattern.matches(escape.as_bytes()), "{escape}");
        }
    }

    #[test]
    fn words_with_nothing_in_common_are_any_that_is_no_option_and_a_runner_gets_none() {
        let texts = ["fix it", "see #4", "a b", "c; d", "e f", "g\th", "i j"];
        assert_eq!(found(&texts, Care::Usual).unwrap(), r"<re:[^-\n].*>");
        assert_eq!(found(&texts, Care::Runner).unwrap(), r"<re:(?:a b|c; d|e f|fix it|g	h|i j|see #4)>");
        let many: Vec<String> = (0..40).map(|at| "ab ".repeat(at + 1)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(found(&many, Care::Runner), None);
        assert_eq!(found(&["-a b", "c d", "e f", "g h", "i j", "k l", "m n"], Care::Usual).unwrap(), "<any>");
        let bytes: BTreeSet<&[u8]> = [&b"\xff"[..], b"a"].into();
        assert_eq!(generalise(&bytes, Care::Usual).unwrap().0.to_string(), "<any>");
        assert_eq!(generalise(&bytes, Care::Runner), None);
    }
}
