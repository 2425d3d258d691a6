//! The server sides of git: fetch, push and archive over SSH (gitprotocol-pack(5)).

use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use super::Access;
use super::transfer::{Need, Transfer, is_program};
use super::words::{Word, shown};

const PROGRAM: &str = "/usr/bin/git";
const SERVICES: [(&str, Access); 3] =
    [("upload-pack", Access::Read), ("upload-archive", Access::Read), ("receive-pack", Access::Write)];
/// The account's own configuration names programs to run (`uploadpack.packObjectsHook`), and so does a repository that
/// lacks objects (`remote.NAME.uploadpack`). The system's configuration and the hooks of the repository stay as they are.
const ENVIRONMENT: [(&str, &str); 2] = [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_NO_LAZY_FETCH", "1")];

pub(super) fn read(words: &[Word]) -> Option<Result<Transfer, String>> {
    if is_program(words, &["git", PROGRAM]) {
        let name = words.get(1);
        let service = name.and_then(|name| service(&name.bytes));
        return Some(match (service, name) {
            (Some(service), _) => transfer(service, words.get(2..).unwrap_or_default()),
            (None, Some(name)) => Err(format!("git {} is not known", name.shown())),
            (None, None) => Err("git alone does nothing".to_string()),
        });
    }
    let first = words.first()?;
    let name = first.bytes.strip_prefix(b"/usr/bin/").unwrap_or(&first.bytes).strip_prefix(b"git-")?;
    Some(transfer(service(name)?, words.get(1..).unwrap_or_default()))
}

fn service(name: &[u8]) -> Option<(&'static str, Access)> {
    SERVICES.into_iter().find(|(known, _)| known.as_bytes() == name)
}

/// Clients send one path and nothing else, in quotes; git itself reads `~/` at its beginning.
fn transfer((service, access): (&str, Access), words: &[Word]) -> Result<Transfer, String> {
    let path = match words {
        [path] => &path.bytes,
        [] => return Err("there is no path".to_string()),
        [_, more, ..] => return Err(format!("{} is one word too many", more.shown())),
    };
    match path.as_slice() {
        [] => return Err("the path is empty".to_string()),
        [b'-', ..] => return Err(format!("{} is an option and no path", shown(path))),
        _ => {}
    }
    let mut transfer = Transfer::new(PROGRAM, Need::Known(access));
    transfer.environment = &ENVIRONMENT;
    match path.strip_prefix(b"~") {
        // The home of somebody else.
        Some([other, ..]) if *other != b'/' => transfer.strays = Some(path.clone()),
        Some(home) => transfer.place(home.strip_prefix(b"/").unwrap_or(home)),
        None => transfer.place(path),
    }
    transfer.arguments = Vec::from([service.as_bytes().to_vec(), path.clone()]);
    Ok(transfer)
}
