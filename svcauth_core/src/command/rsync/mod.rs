//! `rsync --server`, as rsync 3.1 to 3.5 start it on the other side (`server_options` in its options.c).
//!
//! Only what a client sends by itself is known here. Refused for what they would do: a program (`-e`), another mode
//! (`--daemon`, whose configuration names programs), files of this host that are neither source nor target (`--log-file`,
//! `--files-from FILE`, `--config`), devices, and `-s`: the options that follow it come over the connection, unseen, and
//! `--daemon` is one of them (decision 29).

mod options;

use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use super::Access;
use super::transfer::{Need, Transfer, is_program, parts};
use super::words::Word;
use options::Found;

const PROGRAM: &str = "/usr/bin/rsync";
/// popt(3) reads `~/.popt`, which can make a program of any option. rsync wants the home directory for nothing else here.
const ENVIRONMENT: [(&str, &str); 1] = [("HOME", "/dev/null")];

pub(super) fn read(words: &[Word]) -> Option<Result<Transfer, String>> {
    is_program(words, &["rsync", PROGRAM]).then(|| transfer(words.get(1..).unwrap_or_default()))
}

fn transfer(words: &[Word]) -> Result<Transfer, String> {
    let Some((first, mut rest)) = words.split_first().filter(|(first, _)| first.bytes == b"--server") else {
        return Err("only rsync --server runs here".to_string());
    };
    let mut transfer = Transfer::new(PROGRAM, Need::Known(Access::Write));
    transfer.environment = &ENVIRONMENT;
    transfer.arguments.push(first.bytes.clone());
    if let Some((word, after)) = rest.split_first().filter(|(word, _)| word.bytes == b"--sender") {
        transfer.need = Need::Known(Access::Read);
        transfer.arguments.push(word.bytes.clone());
        rest = after;
    }
    let sends = matches!(transfer.need, Need::Known(Access::Read));
    let mut beside = Vec::new();
    while let Some((word, after)) = rest.split_first().filter(|(word, _)| word.bytes != b".") {
        let Found { words, path, removes } = options::find(word, after.first())?;
        let (option, after) = rest.split_at_checked(words).unwrap_or((rest, &[]));
        transfer.arguments.extend(option.iter().map(|word| word.bytes.clone()));
        beside.extend(path);
        if removes {
            transfer.need = Need::Known(Access::Write);
        }
        rest = after;
    }
    let (dot, paths) = rest.split_first().ok_or("there is no . before the paths")?;
    transfer.arguments.push(dot.bytes.clone());
    take_paths(&mut transfer, paths, sends)?;
    if let Some(target) = paths.first() {
        beside.iter().for_each(|path| stands_beside(&mut transfer, target, path));
    }
    Ok(transfer)
}

fn take_paths(transfer: &mut Transfer, paths: &[Word], sends: bool) -> Result<(), String> {
    // popt(3) takes options wherever they stand.
    if let Some(option) = paths.iter().find(|word| word.bytes.first() == Some(&b'-')) {
        return Err(format!("{} is an option behind the paths", option.shown()));
    }
    match paths {
        [] => return Err("there is no path".to_string()),
        [_, more, ..] if !sends => return Err(format!("{} is one path too many", more.shown())),
        _ => {}
    }
    for word in paths {
        if word.bytes.is_empty() {
            return Err("a path is empty".to_string());
        }
        transfer.path(word);
    }
    Ok(())
}

/// Takes note of a path that is relative to the target, as in `--link-dest=../yesterday`.
fn stands_beside(transfer: &mut Transfer, target: &Word, path: &[u8]) {
    if path.first() == Some(&b'/') || target.bytes.first() != Some(&b'/') {
        return transfer.place(path);
    }
    if !parts(path).any(|part| part == b"..") {
        return;
    }
    let mut at: Vec<&[u8]> = Vec::new();
    for part in parts(&target.bytes).chain(parts(path)) {
        if part == b".." {
            at.pop();
        } else {
            at.push(part);
        }
    }
    let mut place = b"/".to_vec();
    place.extend(at.join(&b'/'));
    transfer.place(&place);
}
