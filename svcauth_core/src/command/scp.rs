//! `scp -t` and `scp -f`: what `scp -O`, and whatever else speaks that protocol, starts on the other side.

use std::format;
use std::string::{String, ToString as _};

use super::Access;
use super::transfer::{Need, Transfer, is_program};
use super::words::Word;

const PROGRAM: &str = "/usr/bin/scp";
/// Recursive, times and modes, "must be a folder", talkative, quiet. What scp(1) has beyond them chooses programs and hosts.
const LETTERS: &[u8] = b"rpdvq";

pub(super) fn read(words: &[Word]) -> Option<Result<Transfer, String>> {
    is_program(words, &["scp", PROGRAM]).then(|| transfer(words.get(1..).unwrap_or_default()))
}

fn transfer(words: &[Word]) -> Result<Transfer, String> {
    let options =
        words.iter().take_while(|word| word.bytes.first() == Some(&b'-') && word.bytes != b"--").count();
    let (options, paths) = words.split_at_checked(options).unwrap_or_default();
    let need = Need::Known(access(options)?);
    let mut transfer = Transfer::new(PROGRAM, need);
    transfer.arguments.extend(options.iter().map(|word| word.bytes.clone()));
    let paths = match paths.split_first() {
        Some((end, paths)) if end.bytes == b"--" => paths,
        _ => paths,
    };
    // Behind it getopt(3) finds no further option, whatever the paths are.
    transfer.arguments.push(b"--".to_vec());
    match (paths, need) {
        ([], _) => return Err("there is no path".to_string()),
        ([_, more, ..], Need::Known(Access::Write)) => {
            return Err(format!("{} is one path too many", more.shown()));
        }
        _ => paths.iter().for_each(|word| transfer.path(word)),
    }
    Ok(transfer)
}

fn access(options: &[Word]) -> Result<Access, String> {
    let mut access = None;
    for word in options {
        for letter in word.bytes.iter().skip(1) {
            let wanted = match letter {
                b't' => Access::Write,
                b'f' => Access::Read,
                letter if LETTERS.contains(letter) => continue,
                letter => return Err(format!("the option -{} is not known", letter.escape_ascii())),
            };
            if access.replace(wanted).is_some() {
                return Err("-t and -f are given more than once".to_string());
            }
        }
        if word.bytes.len() == 1 {
            return Err("- is no option".to_string());
        }
    }
    access.ok_or_else(|| "only scp -t and scp -f run here".to_string())
}
