//! Writes the seeds of all targets into `corpus/`: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.
//!
//! Everything is made from the fixtures and examples of the tree, so that a change of a format is followed by running
//! this again.

use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use svcauth_core::audit::chain::{Anchor, Head};
use svcauth_core::command::protocol::{Answer, Ask, Told};
use svcauth_fuzz::sample;
use svcauthd::candidate::{AccountEntry, GroupEntry, Member, PersonEntry, Refusal};
use svcauthd::control::Request;
use svcauthd::directory::{Extent, Kind};
use svcauthd::frame::{WORKER_MAX, write};
use svcauthd::job::{Done, Part, Refused};

fn main() -> io::Result<()> {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = room.join("..");
    let corpus = Corpus(room.join("corpus"));
    snapshots(&corpus)?;
    keys(&corpus, &tree.join("svcauth_core/tests/fixtures"))?;
    texts(&corpus, &tree.join("conf"))?;
    frames(&corpus)?;
    conversations(&corpus)?;
    messages(&corpus)?;
    servers(&corpus)?;
    chain(&corpus)?;
    trail(&corpus)?;
    commands(&corpus, &tree.join("svcauth_core/tests/commands"))?;
    audit(&corpus)
}

struct Corpus(PathBuf);

impl Corpus {
    fn seed(&self, target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    }
}

/// Every fourth line of the tables that the tests of the core hold their answers against.
fn commands(corpus: &Corpus, tables: &Path) -> io::Result<()> {
    for table in ["rsync", "transfers", "escapes"] {
        let rows = fs::read_to_string(tables.join(table).with_extension("txt"))?;
        let lines =
            rows.lines().filter(|row| !row.starts_with('#')).filter_map(|row| row.rsplit('\t').next());
        for (number, line) in lines.enumerate().step_by(4) {
            corpus.seed("command_line", &format!("{table}-{number:03}"), line.as_bytes())?;
        }
    }
    let rows = fs::read_to_string(tables.join("words.jsonl"))?;
    for (number, row) in rows.lines().enumerate().step_by(8) {
        let (line, _): (String, serde_json::Value) = serde_json::from_str(row)?;
        corpus.seed("command_line", &format!("words-{number:03}"), line.as_bytes())?;
    }
    Ok(())
}

/// What svcauth-shell and the daemon say to each other.
fn conversations(corpus: &Corpus) -> io::Result<()> {
    let text = |text: &str| text.to_owned();
    let ask = |line: Option<&[u8]>, resume: Option<&str>| Ask {
        line: line.map(<[u8]>::to_vec),
        terminal: true,
        can_confine: true,
        resume: resume.map(str::to_owned),
    };
    let refused = Answer::Refused { reason: text("command_not_allowed"), message: text("ls is not allowed") };
    let shell = Answer::Shell { shell: text("/bin/bash"), id: text("4d8f-1-1"), record: true };
    for (name, bytes) in [
        ("ask-line", ask(Some(b"ls \xff"), None).encode()),
        ("ask-resume", ask(None, Some("4d8f-1-1")).encode()),
        ("answer-shell", shell.encode()),
        ("answer-refused", refused.encode()),
        ("answer-resumed", Answer::Resumed.encode()),
        ("told-output", Told::Output(b"caf\xc3".to_vec()).encode()),
        ("told-size", Told::Size { columns: 80, rows: 24 }.encode()),
        ("told-exited", Told::Exited(-1).encode()),
    ] {
        corpus.seed("command_protocol", name, &bytes)?;
    }
    Ok(())
}

fn snapshots(corpus: &Corpus) -> io::Result<()> {
    corpus.seed("snapshot", "accounts", &sample::accounts())?;
    corpus.seed("snapshot", "access", &sample::access())?;
    let edits = |mode: u8, edits: &[(u16, u8)]| -> Vec<u8> {
        let edits = edits.iter().flat_map(|(at, byte)| [at.to_le_bytes()[0], at.to_le_bytes()[1], *byte]);
        [mode].into_iter().chain(edits).collect()
    };
    corpus.seed("snapshot_structured", "damaged", &edits(0, &[(600, 1), (700, 2), (1000, 3), (16, 4)]))?;
    corpus.seed("snapshot_structured", "accounts-untouched", &edits(1, &[]))?;
    corpus.seed("snapshot_structured", "accounts-used", &edits(1, &[(1032, 32)]))?;
    corpus.seed("snapshot_structured", "accounts-uid", &edits(1, &[(528, 0), (529, 0)]))?;
    corpus.seed("snapshot_structured", "accounts-buckets", &edits(1, &[(104, 255), (105, 255)]))?;
    corpus.seed("snapshot_structured", "access-untouched", &edits(2, &[]))?;
    corpus.seed("snapshot_structured", "access-count", &edits(2, &[(528, 255), (529, 255)]))?;
    // Payloads as the samples have them: behind the record's head, at the beginning of the file.
    for (name, head, file) in
        [("policy", &[3, 0][..], sample::access()), ("passwd", &[4], sample::accounts())]
    {
        let len = u32::from_le_bytes([file[520], file[521], file[522], file[523]]) as usize;
        let payload = &file[528..528 + len];
        corpus.seed("snapshot_structured", name, &[head, payload].concat())?;
    }
    let group =
        [&7100u32.to_le_bytes()[..], &[2, 0, 0, 0, 3, 0, 0, 0], b"app\0", &[6, 4], b"alice\0bob\0"].concat();
    corpus.seed("snapshot_structured", "group", &[&[4], &group[..]].concat())?;
    let person = [text("bob"), text("b0"), vec![0, 0, 0], 0u32.to_le_bytes().repeat(3)].concat();
    corpus.seed("snapshot_structured", "person", &[&[3, 2], &person[..]].concat())?;
    let account = [text("deployer"), text("a1"), vec![0, 0, 0], 0u32.to_le_bytes().to_vec()].concat();
    corpus.seed("snapshot_structured", "account", &[&[3, 1], &account[..]].concat())
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn keys(corpus: &Corpus, fixtures: &Path) -> io::Result<()> {
    let (mut all, mut file_of_keys) = (String::new(), String::from("# comment\n\nno key\n"));
    for entry in fs::read_dir(fixtures)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".pub")) else {
            continue;
        };
        let file = fs::read_to_string(&path)?;
        let words: Vec<&str> = file.split_ascii_whitespace().take(2).collect();
        corpus.seed("certificate", name, &STANDARD.decode(words[1]).map_err(io::Error::other)?)?;
        let line = format!("publickey {}\n", words.join(" "));
        corpus.seed("auth_info", name, line.as_bytes())?;
        let own =
            format!("no-pty,command=\"echo \\\"hi, cert-authority\\\"\" {} a comment\n", words.join(" "));
        corpus.seed("authorized_keys", name, own.as_bytes())?;
        file_of_keys +=
            &format!("cert-authority,principals=\"a,b\" {}\n{}\r\n", words.join(" "), words.join("\t"));
        if matches!(name, "key_ed25519" | "plain-cert") {
            corpus.seed("certificate", &format!("{name}-text"), words.join(" ").as_bytes())?;
            all += &line;
        }
        if name == "key_sk_ed25519" {
            all += &line.replace('\n', " signature count = 7\n");
        }
    }
    corpus.seed("authorized_keys", "file", file_of_keys.as_bytes())?;
    all += "gssapi-with-mic bob@EXAMPLE.COM\nkeyboard-interactive/pam\npassword\n";
    corpus.seed("auth_info", "several-methods", all.as_bytes())
}

fn texts(corpus: &Corpus, conf: &Path) -> io::Result<()> {
    let config = fs::read_to_string(conf.join("svcauth.toml"))?;
    let directory = fs::read(conf.join("directory.ldif"))?;
    let bare: Vec<&str> = config.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    corpus.seed("config", "example", bare.join("\n").as_bytes())?;
    // The commented keys are alternatives: with the blanks taken away each is a line that can be tried.
    let keys: Vec<&str> = config
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.contains(" = "))
        .collect();
    corpus.seed("config", "keys", keys.join("\n").as_bytes())?;
    corpus.seed("config", "ldap", LDAP.as_bytes())?;
    corpus.seed("config", "filter", br"(&(a=\2a\c3\a4)(|(b=x*y*)(!(c=*)))(d>=1)(e<=\28))")?;
    // The faults that the configuration's own tests know, each a text and a line with its message.
    let faults = fs::read_to_string(conf.join("../svcauth_core/src/config/faults.txt"))?;
    for (index, case) in faults.split("\n=== ").enumerate().skip(1).step_by(4) {
        let text = case.split_once('\n').map_or("", |(_, text)| text);
        corpus.seed("config", &format!("fault-{index}"), text.as_bytes())?;
    }
    corpus.seed("ldif", "example", &directory)?;
    corpus.seed(
        "ldif",
        "encoded",
        b"version: 1\ndn:: ZGM9eA==\nentryUUID: 5b2b1a9a-3c4d-103e-8f00-0123456789ab\nCN;lang-de: a\n b\n\n",
    )?;
    corpus.seed(
        "ldif",
        "escapes",
        b"dn: cn=Doe\\, John+uid=a\\2b,dc=x\r\ncn:: /w==\r\n\r\n# c\n d\ndn: dc=y\nx:\n",
    )?;
    corpus.seed("candidate", "directory", &[&[0], &directory[..]].concat())?;
    corpus.seed("candidate", "hostile", HOSTILE)
}

const LDAP: &str = r#"[directory]
kind = "ldap"
uris = ["ldaps://a.example:636", "ldapi://%2frun%2fslapd%2fldapi"]
bind = "simple"
bind_dn = "cn=a,dc=x"
bind_password_file = "/s"
tls = "ldaps"
refresh = "1m30s"
timeout = "30s"
[accounts]
base = "ou=a,dc=x"
filter = "(&(objectClass=posixAccount)(|(uid=a*b)(!(x>=1))))"
id_range = "7000-7999"
home = "/home/{account}"
local_accounts = ["postgres"]
[groups]
base = "ou=g,dc=x"
member = ["member", "memberUid"]
[people]
base = "ou=p,dc=x"
login = "uid"
[certificates]
trusted_ca = ["/ca.pub"]
key_id = "{login}@x"
[limits]
max_stale = "1d"
audit = "best_effort"
[sessions]
on_revoke = "log"
grace = "0s"
[audit]
rotate_size = "64K"
keep = 999
denied_per_minute = 1
[[access]]
accounts = ["*"]
roles_from = "memberOf"
need = "every"
hosts = ["web?"]
from = ["10.0.0.0/8", "::1"]
"#;

/// A group with a member by name and one by DN, the account deployer, the person bob, and an account named root.
const HOSTILE: &[u8] = b"\x01\
    \x01\x02g1\x02\x02\x00\x00\x02\x00\x00\x01\x04\
    \x00\x02a1\x04\x00\x01\x00\x01x\x00\x00\x00\x00\x00\
    \x02\x02p1\x01\x04\x01\x00\x01\x00\x00\x00\x00\
    \x00\x02a2\x03\x05\x04\x00\x00\x00\x00\x00\x00\x00";

fn frames(corpus: &Corpus) -> io::Result<()> {
    let frame = |value: &dyn Fn(&mut Vec<u8>) -> io::Result<()>| -> io::Result<Vec<u8>> {
        let mut wire = Vec::new();
        value(&mut wire)?;
        Ok(wire)
    };
    let sync = Request::Sync { accept_shrink: true, whole: false, progress: true };
    for (name, request) in [("status", Request::Status {}), ("sync", sync)] {
        corpus.seed("frame", name, &frame(&|wire| write(wire, &request, WORKER_MAX))?)?;
    }
    let group = GroupEntry {
        gid: Some(7000),
        members: vec![Member::Dn("uid=bob,dc=x".to_owned()), Member::Login("bob".to_owned())],
        ..GroupEntry::default()
    };
    let refusals = vec![Refusal { dn: "dc=x".to_owned(), what: "uid".to_owned(), why: "\\x1b".to_owned() }];
    let ids = || vec!["5d0f7a5e".to_owned()];
    let parts = [
        Part::Begin(Extent::Changes),
        Part::Accounts(vec![AccountEntry { uid: 7001, expires: Some(1), ..AccountEntry::default() }]),
        Part::Groups(vec![group]),
        Part::People(vec![PersonEntry { keys: vec!["SHA256:x".to_owned()], ..PersonEntry::default() }]),
        Part::Refused(vec![Refused { kind: Kind::People, id: "x".to_owned(), is_dropped: true, refusals }]),
        Part::Gone { kind: Kind::Groups, ids: ids() },
        Part::Present { kind: Kind::People, ids: ids() },
        Part::Relisted(vec!["uid=bob,dc=x".to_owned()]),
        Part::Done(Done::default()),
        Part::Stirred,
    ];
    let all = frame(&|wire| parts.iter().try_for_each(|part| write(wire, part, WORKER_MAX)))?;
    corpus.seed("frame", "parts", &all)?;
    corpus.seed("frame", "too-long", &[0xff; 6])
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 0x80);
    [&[tag, content.len() as u8], content].concat()
}

fn messages(corpus: &Corpus) -> io::Result<()> {
    let message = |id: u8, parts: &[u8]| tlv(0x30, &[&tlv(2, &[id]), parts].concat());
    let result = [tlv(0x0a, &[0]), tlv(4, b""), tlv(4, b"")].concat();
    let attribute =
        tlv(0x30, &[tlv(4, b"uid"), tlv(0x31, &[tlv(4, b"bob"), tlv(4, &[0xff])].concat())].concat());
    let entry = tlv(0x64, &[tlv(4, b"uid=bob,dc=x"), tlv(0x30, &attribute)].concat());
    let cookie = tlv(0x30, &[tlv(2, &[0]), tlv(4, b"next")].concat());
    let paging = tlv(0xa0, &tlv(0x30, &[tlv(4, b"1.2.840.113556.1.4.319"), tlv(4, &cookie)].concat()));
    let referral = [result.clone(), tlv(0xa3, &tlv(4, b"ldap://x"))].concat();
    let conversation = [
        message(1, &tlv(0x61, &result)),
        message(2, &entry),
        message(2, &tlv(0x73, &tlv(4, b"ldap://x/dc=x"))),
        message(2, &[tlv(0x65, &result), paging].concat()),
        message(3, &tlv(0x65, &referral)),
    ]
    .concat();
    corpus.seed("ber_guard", "conversation", &[&[1, 5], &conversation[..]].concat())?;
    corpus.seed("ber_guard", "search-at-once", &[&[2, 255], &message(2, &entry)[..]].concat())?;
    let extended = [result, tlv(0x8a, b"1.3.6.1.4.1.1466.20037")].concat();
    corpus.seed("ber_guard", "starttls", &[&[0, 1], &message(1, &tlv(0x78, &extended))[..]].concat())?;
    let state = tlv(0x30, &[tlv(10, &[1]), tlv(4, &[7; 16]), tlv(4, b"rid=000")].concat());
    let state = tlv(0xa0, &tlv(0x30, &[tlv(4, b"1.3.6.1.4.1.4203.1.9.1.2"), tlv(4, &state)].concat()));
    let info =
        |value: Vec<u8>| tlv(0x79, &[tlv(0x80, b"1.3.6.1.4.1.4203.1.9.1.4"), tlv(0x81, &value)].concat());
    let ids = [tlv(4, b"rid=000"), tlv(1, &[0xff]), tlv(0x31, &tlv(4, &[7; 16]))].concat();
    let end = [tlv(4, b"rid=000"), tlv(1, &[0])].concat();
    let synced = [
        message(2, &[entry.clone(), state].concat()),
        message(2, &info(tlv(0xa3, &ids))),
        message(2, &info(tlv(0xa2, &end))),
        message(2, &info(tlv(0x80, b"rid=000"))),
    ];
    corpus.seed("ber_guard", "content-sync", &[&[3, 255], &synced.concat()[..]].concat())?;
    corpus.seed("ber_guard", "nested", &[&[2, 7][..], &[0x30, 0x20].repeat(16)].concat())?;
    corpus.seed("ber_guard", "endless", &[2, 9, 0x30, 0x84, 0, 0xff, 0, 0])
}

/// A whole audit file, a head, and pieces that make a file.
fn chain(corpus: &Corpus) -> io::Result<()> {
    let (mut at, mut file) = (Anchor::default(), Vec::new());
    at.begin(br#"{"event":"file_begin"}"#, &mut file);
    at.seal(br#"{"event":"decision","account":"deployer"}"#, &mut file);
    corpus.seed("chain", "file", &file)?;
    corpus.seed("chain", "head", Head { last: at, first: 1 }.to_string().as_bytes())?;
    corpus.seed(
        "chain",
        "pieces",
        b"\x03\x01a\x02bc\x04\",\"h\x00\x05x\x1b[2J\x02\x00\x01\x00\x00\x40\x09\x00\x00\x00",
    )
}

/// Where the first file ends, how much a follower has seen of the second, and what happens then; behind that both files.
fn trail(corpus: &Corpus) -> io::Result<()> {
    let (mut at, mut file) = (Anchor::default(), Vec::new());
    let login: &[u8] = br#"{"time":"2026-01-31T08:15:00.000042Z","event":"decision","decision":"allow","account":"deployer","uid":7001}"#;
    let command: &[u8] = br#"{"event":"command","decision":"deny","reason":"not_in_role","origin":"carol","command":"ls \u001b"}"#;
    at.begin(br#"{"event":"file_begin"}"#, &mut file);
    at.seal(login, &mut file);
    let cut = u16::try_from(file.len()).unwrap_or_default();
    at.begin(br#"{"event":"file_begin"}"#, &mut file);
    at.seal(command, &mut file);
    let seed = |cut: u16, seen: u16, how: u8, text: &[u8]| {
        [&cut.to_le_bytes()[..], &seen.to_le_bytes(), &[how], text].concat()
    };
    corpus.seed("trail", "grows", &seed(cut, 40, 0, &file))?;
    corpus.seed("trail", "rotated", &seed(cut, 200, 1, &file))?;
    corpus.seed(
        "trail",
        "garbage",
        &seed(9, 3, 2, b"{}\n\n[1]\n\0\xff\n{\"event\":1}\n{\"event\":\"x\",\"event\":\"x\"}\nhalf"),
    )
}

fn audit(corpus: &Corpus) -> io::Result<()> {
    let words: &[&str] =
        &["not_in_role", "deployer", "carol\n", "\u{1b}[2J", "a\"b\\c", "\u{202e}", "x=y z", "", "\u{eb}"];
    let values: Vec<u8> = words
        .iter()
        .cycle()
        .take(18)
        .flat_map(|word| [&[word.len() as u8], word.as_bytes()].concat())
        .collect();
    for (event, long) in [(0u8, 0u8), (4, 0), (5, 0xff)] {
        let seed = [&[event, 0xff, 0xff, 0xff, 0x1f, long], &values[..], &[0xee; 40]].concat();
        corpus.seed("audit", &format!("event-{event}"), &seed)?;
    }
    Ok(())
}

/// An answer of DNS with two controllers, and the answer of one of them to the ping.
fn servers(corpus: &Corpus) -> io::Result<()> {
    let head = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0";
    let question = b"\x05_ldap\x04_tcp\x02dc\x06_msdcs\x07example\x03com\0\0\x21\0\x01";
    let record = |priority: u8, host: &[u8]| {
        let data = [&[0, priority, 0, 100, 1, 0x85], host, b"\xc0\x21"].concat();
        let length = u8::try_from(data.len()).unwrap_or_default();
        [&b"\xc0\x0c\0\x21\0\x01\0\0\x02\x58\0"[..], &[length], &data].concat()
    };
    let records = [record(0, b"\x03dc1"), record(1, b"\x03dc2")].concat();
    corpus.seed("reach", "srv", &[&head[..], question, &records].concat())?;
    let names: &[u8] =
        b"\x07example\x03com\0\xc0\x18\x03dc1\xc0\x18\x07EXAMPLE\0\x03DC1\0\0\x06Berlin\0\xc0\x3c";
    let start = [&[23, 0, 0, 0, 0xfd, 0xf3, 0, 0][..], &[7; 16]].concat();
    corpus.seed("reach", "ping", &[&start[..], names, &[5, 0, 0, 0], &[0xff; 4]].concat())
}
