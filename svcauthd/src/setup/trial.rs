//! A directory to try: the example file, with the keys of those who will log in.

use std::path::Path;

use svcauth_core::origin::PublicKey;

use super::talk::Stop;

/// The example that every package ships.
const EXAMPLE: &str = include_str!("../../../conf/directory.ldif");
/// Longest file of a public key in bytes.
const KEY_MAX: u64 = 64 << 10;

/// The text of the file; who has no key cannot log in, and is left without one.
///
/// # Errors
/// When a key is none, or its file cannot be read.
pub(super) fn directory(bob: &str, carol: Option<&str>) -> Result<String, Stop> {
    let bob = key("--bob-key", bob)?;
    let carol = carol.map(|carol| key("--carol-key", carol)).transpose()?;
    if carol.as_ref() == Some(&bob) {
        let why =
            "bob and carol have the same key, which then proves neither; make one for each with ssh-keygen";
        return Err(Stop::Usage(why.to_owned()));
    }
    let keys = [("bob", Some(bob)), ("carol", carol), ("alice", None)];
    let mut text = EXAMPLE.to_owned();
    for (login, key) in keys {
        let shown = format!("sshPublicKey: ssh-ed25519 KEY-OF-{login}\n");
        text = text.replace(&shown, &key.map_or_else(String::new, |key| format!("sshPublicKey: {key}\n")));
    }
    Ok(text.replace(PLACEHOLDERS, WITHOUT_KEYS))
}

/// What the example says about its keys.
const PLACEHOLDERS: &str = "# Put real public keys in the place of the three that end in KEY-OF-...: until then nobody can log in with them.\n";
const WITHOUT_KEYS: &str =
    "# Made by `svcauth setup`. Who has no line sshPublicKey cannot log in with a key.\n";

/// A key as it stands in the file: type and key, without options and comment.
fn key(option: &str, given: &str) -> Result<String, Stop> {
    let given = given.trim();
    let text = if Path::new(given).is_file() { read(Path::new(given))? } else { given.to_owned() };
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if line.contains("PRIVATE KEY") {
        return Err(Stop::Usage(format!(
            "{option} {given}: this is a private key; give the .pub file beside it"
        )));
    }
    let fault = |why: &dyn std::fmt::Display| {
        Stop::Usage(format!("{option} {given}: neither a file with a public key nor a public key: {why}"))
    };
    PublicKey::parse(line).map_err(|error| fault(&error))?;
    let words: Vec<&str> = line.split_whitespace().take(2).collect();
    match words.as_slice() {
        [kind, key] if kind.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(format!("{kind} {key}")),
        _ => Err(fault(&"expected a type and a key, as in a .pub file")),
    }
}

fn read(path: &Path) -> Result<String, Stop> {
    let failed = |why: &dyn std::fmt::Display| Stop::failed(format!("{}: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
    if length > KEY_MAX {
        return Err(failed(&"too long for a public key"));
    }
    std::fs::read_to_string(path).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::{PLACEHOLDERS, Stop, directory};

    const BOB: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f bob@home";
    const CAROL: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA";

    #[test]
    fn the_file_has_the_keys_that_were_given_and_no_placeholder() {
        assert!(super::EXAMPLE.contains(PLACEHOLDERS), "the example has changed");
        let text = directory(BOB, Some(CAROL)).unwrap();
        assert!(!text.contains("KEY-OF"), "{text}");
        let entries = crate::directory::ldif::parse(text.as_bytes()).unwrap();
        let keys = |login: &str| {
            let entry = entries.iter().find(|entry| entry.dn.starts_with(&format!("uid={login},"))).unwrap();
            entry.values("sshpublickey").to_vec()
        };
        assert_eq!(keys("bob"), [BOB.rsplit_once(' ').unwrap().0.as_bytes()]);
        assert_eq!((keys("carol").len(), keys("alice").len()), (1, 0));
        assert_eq!(directory(BOB, None).unwrap().matches("sshPublicKey: ").count(), 1);
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_option_that_had_it() {
        let refused = |bob: &str, carol| match directory(bob, carol).unwrap_err() {
            Stop::Usage(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused("/no/such.pub", None).contains("--bob-key /no/such.pub"));
        assert!(refused(BOB, Some("hello")).contains("--carol-key hello"));
        assert!(refused("-----BEGIN OPENSSH PRIVATE KEY-----", None).contains("private key"));
        assert!(refused(BOB, Some(BOB)).contains("same key"));
    }
}
