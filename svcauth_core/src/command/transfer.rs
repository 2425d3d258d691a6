//! What a file transfer on the command line asks for, and whether the rules of its kind hold it.
//!
//! A transfer is read from its words by a parser for each program; this is what the parsers have in common: the union of the
//! rules of one kind, and paths compared by their text. Where a path leads in the file system (symbolic links, the home
//! directory) is for the one who runs it: `Program::files` says to what it is confined.

use std::borrow::ToOwned as _;
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use super::words::{Word, shown};
use super::{Access, CommandRule, Files, Limits, Program, git, rsync, scp, sftp};

/// What a transfer asks for.
pub(super) struct Transfer {
    pub(super) path: &'static str,
    pub(super) arguments: Vec<Vec<u8>>,
    pub(super) environment: &'static [(&'static str, &'static str)],
    pub(super) need: Need,
    /// The absolute paths that it names.
    pub(super) places: Vec<Vec<u8>>,
    /// A path that begins in the home directory leads out of it, so its text does not say where it ends.
    pub(super) strays: Option<Vec<u8>>,
}

/// What a transfer does to files.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// This.
    Known(Access),
    /// What it is told later; this word in front of the others lets it only read.
    Open { read_only: &'static [u8] },
}

/// The kinds of transfers, and how each is read. `None`: the words are for another program.
type Read = fn(&[Word]) -> Option<Result<Transfer, String>>;
type Select = fn(&CommandRule) -> Option<&Files>;
const KINDS: [(&str, Read, Select); 4] = [
    ("rsync", rsync::read, |rule| if let CommandRule::Rsync(files) = rule { Some(files) } else { None }),
    ("scp", scp::read, |rule| if let CommandRule::Scp(files) = rule { Some(files) } else { None }),
    ("sftp", sftp::read, |rule| if let CommandRule::Sftp(files) = rule { Some(files) } else { None }),
    ("git", git::read, |rule| if let CommandRule::Git(files) = rule { Some(files) } else { None }),
];

/// The program that a transfer comes to under all rules of its kind, or what is in its way. `None`: it is no transfer.
pub(super) fn admit(limits: &[&Limits], words: &[Word]) -> Option<Result<Program, String>> {
    KINDS.iter().find_map(|(kind, read, select)| {
        let transfer = read(words)?;
        let rules: Vec<&Files> = limits.iter().flat_map(|one| &one.commands).filter_map(select).collect();
        if rules.is_empty() {
            return Some(Err(format!("no rule has kind = \"{kind}\"")));
        }
        Some(
            transfer.and_then(|transfer| confine(transfer, &rules)).map_err(|what| format!("{kind}: {what}")),
        )
    })
}

fn confine(transfer: Transfer, rules: &[&Files]) -> Result<Program, String> {
    let may_write = rules.iter().any(|files| files.access == Access::Write);
    let access = match transfer.need {
        Need::Known(Access::Write) if !may_write => {
            return Err("this writes, and no rule has access = \"write\"".to_string());
        }
        Need::Known(access) => access,
        Need::Open { .. } if may_write => Access::Write,
        Need::Open { .. } => Access::Read,
    };
    let mut paths: Vec<String> = Vec::new();
    for path in rules
        .iter()
        .filter(|files| access == Access::Read || files.access == access)
        .flat_map(|files| &files.paths)
    {
        if !paths.contains(path) {
            paths.push(path.clone());
        }
    }
    let mut arguments = transfer.arguments;
    if let (Need::Open { read_only }, Access::Read) = (transfer.need, access) {
        // Also where it seems to be there already: behind another option it may be that one's value.
        arguments.insert(0, read_only.to_vec());
    }
    let everywhere = paths.iter().any(|path| path == "/");
    if !everywhere {
        held(&transfer.places, transfer.strays.as_deref(), &paths)?;
    }
    Ok(Program {
        path: transfer.path.to_string(),
        arguments,
        environment: transfer
            .environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        files: (!everywhere).then_some(Files { access, paths }),
    })
}

/// Whether the rules hold all paths, as far as their text tells.
fn held(places: &[Vec<u8>], strays: Option<&[u8]>, paths: &[String]) -> Result<(), String> {
    if let Some(stray) = strays {
        return Err(format!("{} leads out of the home directory; write the whole path", shown(stray)));
    }
    for place in places {
        if parts(place).any(|part| part == b"..") {
            return Err(format!("{} has .. in it", shown(place)));
        }
        if !paths.iter().any(|path| is_below(place, path.as_bytes())) {
            return Err(format!("{} is in none of the paths {}", shown(place), paths.join(", ")));
        }
    }
    Ok(())
}

/// The parts of a path that lead somewhere.
pub(super) fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

fn is_below(place: &[u8], path: &[u8]) -> bool {
    let mut place = parts(place);
    parts(path).all(|part| place.next() == Some(part))
}

impl Transfer {
    pub(super) fn new(path: &'static str, need: Need) -> Self {
        Self { path, arguments: Vec::new(), environment: &[], need, places: Vec::new(), strays: None }
    }

    /// Takes a path as the program gets it. A bare tilde becomes the folder in which it is started: the home directory.
    pub(super) fn path(&mut self, word: &Word) {
        let mut path = word.bytes.clone();
        if word.home {
            path.splice(..1, *b".");
        }
        self.place(&path);
        self.arguments.push(path);
    }

    /// Takes note of where a path leads.
    pub(super) fn place(&mut self, path: &[u8]) {
        if path.first() == Some(&b'/') {
            self.places.push(path.to_vec());
        } else if parts(path).any(|part| part == b"..") {
            self.strays = Some(path.to_vec());
        }
    }
}

/// Whether the first word is one of these.
pub(super) fn is_program(words: &[Word], names: &[&str]) -> bool {
    words.first().is_some_and(|word| !word.home && names.iter().any(|name| name.as_bytes() == word.bytes))
}
