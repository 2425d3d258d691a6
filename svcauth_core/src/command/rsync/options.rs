//! The options that rsync sends to its other side.

use std::format;
use std::string::String;

use super::super::words::{Word, shown};

/// Each stands alone; `e`, with the letters of the protocol behind it, is read apart.
const LETTERS: &[u8] = b"vqbunldKmOJyLkWHogDtUNpEAXrcCIRxSz";

/// What an option takes, behind `=` or as the next word.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    /// Nothing; and what was sent is removed.
    Removes,
    Number,
    Size,
    /// One of these.
    Known(&'static [&'static str]),
    /// A name of something that is no file.
    Name,
    /// The end of a file name.
    Suffix,
    Path,
}
use Takes::{Known, Name, Nothing, Number, Path, Removes, Size, Suffix};

const OPTIONS: [(&str, Takes); 70] = [
    ("append", Nothing),
    ("backup-dir", Path),
    ("bwlimit", Size),
    ("checksum-choice", Name),
    ("checksum-seed", Number),
    ("compare-dest", Path),
    ("compress-choice", Name),
    ("compress-level", Number),
    ("compress-threads", Number),
    ("copy-dest", Path),
    ("copy-unsafe-links", Nothing),
    ("debug", Name),
    ("delay-updates", Nothing),
    ("delete", Nothing),
    ("delete-after", Nothing),
    ("delete-before", Nothing),
    ("delete-delay", Nothing),
    ("delete-during", Nothing),
    ("delete-excluded", Nothing),
    ("delete-missing-args", Nothing),
    ("existing", Nothing),
    ("fake-super", Nothing),
    // The list comes over the connection.
    ("files-from", Known(&["-"])),
    ("force", Nothing),
    ("from0", Nothing),
    ("fsync", Nothing),
    ("groupmap", Name),
    ("iconv", Name),
    ("ignore-errors", Nothing),
    ("ignore-existing", Nothing),
    ("ignore-missing-args", Nothing),
    ("info", Name),
    ("inplace", Nothing),
    ("link-dest", Path),
    ("list-only", Nothing),
    ("log-format", Known(&["%i", "%i%I", "%o", "X"])),
    ("max-alloc", Size),
    ("max-delete", Number),
    ("max-size", Size),
    ("min-size", Size),
    ("mkpath", Nothing),
    ("modify-window", Number),
    ("msgs2stderr", Nothing),
    ("munge-links", Nothing),
    ("new-compress", Nothing),
    ("no-W", Nothing),
    ("no-implied-dirs", Nothing),
    ("no-msgs2stderr", Nothing),
    ("no-r", Nothing),
    ("no-relative", Nothing),
    ("no-specials", Nothing),
    ("numeric-ids", Nothing),
    ("old-compress", Nothing),
    // Stands for a file of the client's side.
    ("only-write-batch", Known(&["X"])),
    ("open-noatime", Nothing),
    ("partial", Nothing),
    ("partial-dir", Path),
    ("preallocate", Nothing),
    ("remove-sent-files", Removes),
    ("remove-source-files", Removes),
    ("safe-links", Nothing),
    ("size-only", Nothing),
    ("skip-compress", Name),
    ("specials", Nothing),
    ("stats", Nothing),
    ("suffix", Suffix),
    // Tries what the account may not do anyway.
    ("super", Nothing),
    ("temp-dir", Path),
    ("timeout", Number),
    ("usermap", Name),
];

/// An option that is known.
pub(super) struct Found<'a> {
    /// How many words it is.
    pub(super) words: usize,
    /// The path that it names.
    pub(super) path: Option<&'a [u8]>,
    /// Whether it removes files.
    pub(super) removes: bool,
}

pub(super) fn find<'a>(word: &'a Word, next: Option<&'a Word>) -> Result<Found<'a>, String> {
    let alone = |removes| Ok(Found { words: 1, path: None, removes });
    let Some(long) = word.bytes.strip_prefix(b"--") else {
        return short(&word.bytes).and_then(|()| alone(false));
    };
    let mut halves = long.splitn(2, |byte| *byte == b'=');
    let (name, joined) = (halves.next().unwrap_or_default(), halves.next());
    if matches!(name, b"secluded-args" | b"protect-args") {
        return Err(unseen(&word.bytes));
    }
    let known = OPTIONS.iter().find(|(known, _)| known.as_bytes() == name);
    let Some((_, takes)) = known else {
        return Err(format!("the option {} is not allowed", shown(&[b"--", name].concat())));
    };
    if let Nothing | Removes = takes {
        return match joined {
            None => alone(matches!(takes, Removes)),
            Some(_) => Err(format!("the option {} takes no value", word.shown())),
        };
    }
    let value = match (joined, next) {
        (Some(value), _) => value,
        (None, Some(next)) if next.home => {
            return Err(format!(
                "{} {}: write the whole path, only a shell knows ~",
                word.shown(),
                next.shown()
            ));
        }
        (None, next) => next.map_or(&b""[..], |next| &next.bytes),
    };
    if value.is_empty() || !fits(*takes, value) {
        return Err(format!("the option {} has no fitting value", shown(&[b"--", name].concat())));
    }
    let path = matches!(takes, Path).then_some(value);
    Ok(Found { words: if joined.is_some() { 1 } else { 2 }, path, removes: false })
}

fn unseen(option: &[u8]) -> String {
    format!(
        "{} hides the other options from the rules; leave it out (rsync --no-secluded-args)",
        shown(option)
    )
}

fn fits(takes: Takes, value: &[u8]) -> bool {
    let digits = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    match takes {
        Nothing | Removes => false,
        Number => digits(value.strip_prefix(b"-").unwrap_or(value)),
        Size => {
            value.iter().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(byte))
                && !value.starts_with(b"-")
        }
        Known(values) => values.iter().any(|known| known.as_bytes() == value),
        Name => !value.starts_with(b"-") && !value.iter().any(u8::is_ascii_control) && !has_dots(value),
        Suffix => !value.starts_with(b"-") && !value.contains(&b'/'),
        Path => !value.starts_with(b"-"),
    }
}

/// Names become parts of file names in places (a character set is a module of iconv(3)): none leads elsewhere.
fn has_dots(value: &[u8]) -> bool {
    value.windows(2).any(|pair| pair == b"..")
}

/// `-vlogDtprze.iLsfxCIvu`, `-B1024`, `-@-1`.
fn short(word: &[u8]) -> Result<(), String> {
    let number = |value: &[u8]| fits(Number, value);
    match word {
        [b'-', b'B' | b'@', value @ ..] if number(value) => return Ok(()),
        [b'-', _, ..] => {}
        _ => return Err(format!("{} is no option, and the . before the paths is missing", shown(word))),
    }
    let mut rest = word.get(1..).unwrap_or_default();
    while let Some((letter, after)) = rest.split_first() {
        match letter {
            b'e' if is_protocol(after) => return Ok(()),
            b'e' => return Err(format!("the option -e names a program in {}", shown(word))),
            b's' => return Err(unseen(b"-s")),
            letter if LETTERS.contains(letter) => rest = after,
            letter => return Err(format!("the option -{} is not allowed", shown(&[*letter]))),
        }
    }
    Ok(())
}

/// What a client says of itself behind `-e`: the version of a protocol that is not final, and letters.
fn is_protocol(value: &[u8]) -> bool {
    let version = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = value.get(version..).unwrap_or_default().iter();
    rest.next() == Some(&b'.') && rest.all(u8::is_ascii_alphanumeric)
}
