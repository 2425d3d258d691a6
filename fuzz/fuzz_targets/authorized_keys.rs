//! Any bytes as a file of authorized keys, which whoever uses an account writes: every line is a key, a comment, empty or
//! counted, nothing but keys is kept, and the `ssh-key` crate reads the same ones where it reads a line at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ssh_key::HashAlg::Sha256;
use svcauthd::report::authorized_keys::parse;

fuzz_target!(|bytes: &[u8]| {
    let found = parse(bytes);
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    assert!(found.keys.len() as u64 + found.other_lines <= lines.len() as u64);
    assert!(found.keys.windows(2).all(|pair| pair[0].number < pair[1].number));
    for key in &found.keys {
        let line = lines[usize::try_from(key.number).unwrap() - 1];
        // A key stands on its line by itself: the others of the file change nothing about it.
        let alone = parse(line);
        assert_eq!((alone.keys.len(), alone.other_lines), (1, 0));
        assert_eq!(
            (alone.keys[0].fingerprint, alone.keys[0].is_authority),
            (key.fingerprint, key.is_authority)
        );
        assert!(key.key_type.bytes().all(|byte| byte.is_ascii_graphic()));
        let is_named = String::from_utf8_lossy(line).to_ascii_lowercase().contains("cert-authority");
        assert!(is_named || !key.is_authority);
        same(line, &key.fingerprint.to_string());
    }
});

/// The crate has its own idea of options; where it finds a key, it is ours.
fn same(line: &[u8], fingerprint: &str) {
    let Ok(line) = std::str::from_utf8(line) else { return };
    if let Ok(entry) = line.trim().parse::<ssh_key::authorized_keys::Entry>() {
        assert_eq!(entry.public_key().fingerprint(Sha256).to_string(), fingerprint, "{line:?}");
    }
}
