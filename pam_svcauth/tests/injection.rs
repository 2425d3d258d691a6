//! Whatever an application hands to libpam is one escaped record in every sink, and can be had back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

mod support;

use std::ffi::CString;
use std::fs;
use std::os::unix::net::UnixDatagram;

use support::ffi::{Handle, Item, Phase};
use support::login::Login;
use support::site::BOB;
use support::world::{DENIED, SUCCESS, World, in_world};
use svcauth_core::audit::escape::text_of;
use svcauth_core::audit::{LINE_MAX, VALUE_MAX, capped};

/// What somebody would write who wants another record, another field, another reader's terminal, or to vanish.
fn hostile() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 16] = [
        b"pts/0\nallow account=root origin=alice",
        b"a\r\nb\rc",
        b"a\tb",
        b"\x1b[2J\x1b]0;title\x07",
        b"a\xc2\x9b31mb\xc2\x85c",
        b"a\xe2\x80\xa8b\xe2\x80\xaec",
        b"a\xf3\xa0\x81\x81b",
        b"caf\xe9 \xff\xfe\x80",
        b"caf\\xe9 \\\\",
        b"\" origin=\"root\" x=\"",
        b" origin=root decision=allow",
        b"tty=x",
        b"%n%s%x%1$s%%",
        b"'; rm -rf /; `id` $(id)",
        b"\",\"origin\":\"root",
        b" ",
    ];
    // Of a longer item the kernel takes no audit message, and libpam itself fails the phase.
    texts.iter().map(|text| text.to_vec()).chain([b"x\x1b\xff\"".repeat(1200)]).collect()
}

/// `key=value` of a line, as the grammar of docs/audit.md has it; the value as it was given to the writer.
fn value_of(line: &str, key: &str) -> Option<Vec<u8>> {
    let mut rest = line.split_once(' ')?.1;
    loop {
        let (name, tail) = rest.split_once('=')?;
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, tail) = tail.split_at(tail.find(' ').unwrap_or(tail.len()));
                (value.as_bytes().to_vec(), tail)
            }
        };
        if name == key {
            return Some(value);
        }
        rest = tail.strip_prefix(' ')?;
    }
}

fn unquoted(text: &str) -> Option<(Vec<u8>, &str)> {
    let (mut value, mut rest) = (Vec::new(), text);
    loop {
        let (first, after) = rest.split_at_checked(1)?;
        let (part, left) = match (first, after.get(..1)) {
            ("\"", _) => return Some((value, after)),
            ("\\", Some("x")) => {
                value.push(u8::from_str_radix(after.get(1..3)?, 16).ok()?);
                ("", &after[3..])
            }
            ("\\", Some(escaped @ ("\"" | "\\"))) => (escaped, &after[1..]),
            ("\\", _) => return None,
            _ => (first, after),
        };
        value.extend_from_slice(part.as_bytes());
        rest = left;
    }
}

/// A login by bob with one item set to a text; the records of its phases.
fn login(world: &World, item: Item, text: &[u8]) -> (i32, Vec<String>) {
    let login = Login::ssh("deployer", BOB);
    world.records();
    let handle: Handle = login.start(world);
    handle.set(item, Some(&CString::new(text).unwrap()));
    login.complete(&handle);
    let code = handle.run(Phase::Open, 0);
    if code == SUCCESS {
        handle.run(Phase::Close, 0);
    }
    (code, world.records())
}

#[test]
fn an_item_of_libpam_is_one_value_of_one_line_whatever_it_holds() {
    in_world("an_item_of_libpam_is_one_value_of_one_line_whatever_it_holds", |world| {
        let (code, plain) = login(world, Item::Tty, b"pts/7");
        assert_eq!((code, value_of(&plain[0], "tty").unwrap()), (SUCCESS, b"pts/7".to_vec()));
        for text in hostile() {
            for (item, key, expected) in [(Item::Tty, "tty", SUCCESS), (Item::RHost, "from", SUCCESS)] {
                let (code, lines) = login(world, item, &text);
                assert_eq!((code, lines.len()), (expected, plain.len()), "{key} {}", text.escape_ascii());
                for line in lines {
                    assert_value(&line, key, &text);
                    assert_eq!(value_of(&line, "origin").unwrap(), b"bob", "{line}");
                }
            }
        }
    });
}

/// The line is printable, of bounded length, and has the text as the value of the key.
fn assert_value(line: &str, key: &str, text: &[u8]) {
    assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')) && line.len() <= LINE_MAX, "{line}");
    let found = String::from_utf8(value_of(line, key).unwrap()).unwrap();
    let kept = text_of(text);
    if kept.len() <= VALUE_MAX {
        assert_eq!(found, kept);
    } else {
        assert_eq!(found, capped(&kept, VALUE_MAX));
        assert!(found.ends_with(" bytes)"), "{found}");
    }
}

#[test]
fn a_service_or_a_user_that_is_no_word_is_refused_or_nobody_in_one_line() {
    in_world("a_service_or_a_user_that_is_no_word_is_refused_or_nobody_in_one_line", |world| {
        for text in hostile() {
            // libpam makes small letters of it.
            let (code, lines) = login(world, Item::Service, &text);
            assert_eq!((code, lines.len()), (DENIED, 1), "{}", text.escape_ascii());
            assert!(lines[0].starts_with("deny account=deployer "), "{}", lines[0]);
            assert_value(&lines[0], "service", &text.to_ascii_lowercase());
            let (_, lines) = login(world, Item::User, &text);
            assert!(lines.is_empty(), "{lines:?}");
        }
    });
}

/// The value of a field of journald's native protocol.
fn field(mut datagram: &[u8], wanted: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !datagram.is_empty() {
        let end = datagram.iter().position(|byte| matches!(byte, b'=' | b'\n')).unwrap();
        let (key, rest) = datagram.split_at(end);
        let (value, rest) = match rest.split_first().unwrap() {
            (b'=', rest) => rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap()),
            (_, rest) => {
                let (size, rest) = rest.split_first_chunk().unwrap();
                rest.split_at(usize::try_from(u64::from_le_bytes(*size)).unwrap())
            }
        };
        if key == wanted.as_bytes() {
            found.push(value.to_vec());
        }
        datagram = rest.strip_prefix(b"\n").unwrap();
    }
    found
}

#[test]
fn journald_gets_the_whole_value_in_one_field() {
    in_world("journald_gets_the_whole_value_in_one_field", |world| {
        fs::create_dir_all("/run/systemd/journal").unwrap();
        let journal = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
        journal.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 20];
        for text in hostile() {
            let (code, lines) = login(world, Item::Tty, &text);
            assert_eq!((code, lines), (SUCCESS, vec![]), "it went to syslog");
            let mut count = 0;
            while let Ok(size) = journal.recv(&mut buffer) {
                let datagram = &buffer[..size];
                assert_eq!(field(datagram, "SVCAUTH_TTY"), [text_of(&text).into_bytes()]);
                assert_eq!(field(datagram, "SVCAUTH_ORIGIN"), [b"bob".to_vec()]);
                let message = field(datagram, "MESSAGE").pop().unwrap();
                assert_value(std::str::from_utf8(&message).unwrap(), "tty", &text);
                count += 1;
            }
            assert_eq!(count, 3, "decision, start, end");
        }
    });
}
