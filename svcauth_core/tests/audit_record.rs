//! The audit record: its fixed shape, and that no value, however hostile, changes that shape.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "tests: a failure is a panic, and a table may be long"
)]

use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use svcauth_core::audit::{Event, LINE_MAX, Record, Severity, VALUE_MAX, Verdict};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A record with a value in every field; each text is made from the name of its field.
fn full(text: impl Fn(&str) -> String) -> Record {
    let text = |name| Some(text(name));
    Record {
        time: Some(1_700_000_000_000_042),
        event: Event::KeyRefused,
        decision: Some(Verdict::Deny),
        reason: text("reason"),
        mode: text("mode"),
        account: text("account"),
        uid: Some(7001),
        origin: text("origin"),
        origin_kind: text("origin_kind"),
        on_behalf_of: text("on_behalf_of"),
        evidence: text("evidence"),
        key_fingerprint: text("key_fingerprint"),
        cert_key_id: text("cert_key_id"),
        cert_serial: Some(u64::MAX),
        cert_ca: text("cert_ca"),
        principal: text("principal"),
        first_evidence: text("first_evidence"),
        role: text("role"),
        service: text("service"),
        from: text("from"),
        tty: text("tty"),
        session: text("session"),
        chain: text("chain"),
        generation: Some(42),
        age_seconds: Some(3),
        host: text("host"),
        pid: Some(4711),
        command: text("command"),
        exit_status: Some(-1),
        duration_seconds: Some(90),
        count: Some(17),
        detail: text("detail"),
    }
}

#[test]
fn an_allowed_login_is_one_line_that_begins_with_allow() {
    let record = Record {
        decision: Some(Verdict::Allow),
        account: some("deployer"),
        origin: some("bob"),
        evidence: some("publickey"),
        key_fingerprint: some("SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"),
        role: some("application"),
        service: some("sshd"),
        from: some("::1"),
        session: some("a7-12"),
        generation: Some(42),
        age_seconds: Some(3),
        ..Record::default()
    };
    assert_eq!(
        record.to_line(),
        "allow account=deployer origin=bob evidence=publickey \
         key=SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU role=application service=sshd from=::1 \
         session=a7-12 generation=42 age=3"
    );
    assert_eq!(record.severity(), Severity::Informational);
}

#[test]
fn a_denial_names_its_reason_behind_account_and_origin() {
    let record = Record {
        decision: Some(Verdict::Deny),
        account: some("deployer"),
        uid: Some(7001),
        origin: some("carol"),
        reason: some("not_in_role"),
        service: some("sshd"),
        ..Record::default()
    };
    assert_eq!(
        record.to_line(),
        "deny account=deployer origin=carol reason=not_in_role service=sshd uid=7001"
    );
    assert_eq!(record.severity(), Severity::Notice);
}

#[test]
fn a_refused_command_is_a_refusal_with_a_verb_of_its_own_and_one_that_ran_is_none() {
    let command = |decision| Record { event: Event::Command, decision, ..Record::default() };
    for (decision, verb, severity, is_refusal) in [
        (Some(Verdict::Allow), "command", Severity::Informational, false),
        (Some(Verdict::Deny), "command_refused", Severity::Notice, true),
    ] {
        let record = command(decision);
        assert_eq!(
            (record.to_line().as_str(), record.severity(), record.is_refusal()),
            (verb, severity, is_refusal)
        );
    }
}

#[test]
fn every_event_has_its_verb_its_severity_and_its_own_message_id() {
    let mut ids = Vec::new();
    for (event, verb, severity) in [
        (Event::Decision, "decision", Severity::Informational),
        (Event::SessionStart, "start", Severity::Informational),
        (Event::SessionEnd, "end", Severity::Informational),
        (Event::SessionRevoked, "revoked", Severity::Notice),
        (Event::Command, "command", Severity::Informational),
        (Event::CommandEnd, "command_end", Severity::Informational),
        (Event::KeyRefused, "key_refused proven=no", Severity::Notice),
        (Event::Alarm, "alarm", Severity::Warning),
        (Event::Sync, "sync", Severity::Informational),
        (Event::Admin, "admin", Severity::Informational),
        (Event::Credential, "credential", Severity::Informational),
        (Event::Suppressed, "suppressed", Severity::Informational),
        (Event::FileBegin, "file_begin", Severity::Informational),
    ] {
        let record = Record { event, ..Record::default() };
        assert_eq!(record.to_line(), verb);
        assert_eq!(record.severity(), severity);
        let id = event.message_id();
        assert!(id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        ids.push(id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), Event::ALL.len());
}

#[test]
fn json_has_the_keys_of_the_interface_in_their_order() {
    let json = full(str::to_owned).to_json();
    let mut at = 0;
    for key in "time event decision reason mode account uid origin origin_kind on_behalf_of evidence key_fingerprint cert_key_id \
                cert_serial cert_ca principal first_evidence role service from tty session chain generation age_seconds host pid \
                command exit_status duration_seconds count detail proven"
        .split_ascii_whitespace()
    {
        let found = json.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key} is missing in {json}"));
        assert!(found > at || at == 0, "{key} is out of order in {json}");
        at = found;
    }
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["time"], "2023-11-14T22:13:20.000042Z");
    assert_eq!(value["cert_serial"], "18446744073709551615");
    assert_eq!((&value["uid"], &value["exit_status"]), (&7001.into(), &(-1).into()));
    assert_eq!(Record::default().to_json(), "{\"event\":\"decision\"}");
}

#[test]
fn what_looks_like_a_field_a_format_or_an_escape_stays_inside_its_value() {
    for (value, shown) in [
        ("", "\"\""),
        ("a b", "\"a b\""),
        ("bob\" origin=root x=\"", "\"bob\\\" origin=root x=\\\"\""),
        ("a\nallow account=root", "\"a\\x0aallow account=root\""),
        ("\u{1b}[2J", "\"\\x1b[2J\""),
        ("\\x0a", "\"\\\\x0a\""),
        ("zo\u{eb}", "\"zo\\xc3\\xab\""),
        ("%n%s%x", "\"%n%s%x\""),
        ("a=b", "a=b"),
        ("[]", "\"[]\""),
    ] {
        let record = Record { origin: some(value), ..Record::default() };
        assert_eq!(record.to_line(), format!("decision origin={shown}"));
    }
}

#[test]
fn a_long_value_is_cut_visibly_and_does_not_push_the_others_out() {
    let record = Record { command: some(&"a".repeat(100_000)), ..Record::default() };
    let cut = format!("command=\"{}...(+{} bytes)\"", "a".repeat(VALUE_MAX), 100_000 - VALUE_MAX);
    assert!(record.to_line().ends_with(&cut));
    let loud = full(|_| "\u{1b}".repeat(100_000));
    let line = loud.to_line();
    assert!(line.len() <= LINE_MAX, "{}", line.len());
    let (_, fields) = split_line(&line).unwrap();
    assert_eq!(fields.len(), 30);
    assert_eq!(fields[29].0, "detail");
    assert!(fields[29].1.ends_with(b"...(+99936 bytes)"));
}

#[test]
fn a_character_is_never_torn_by_a_cut() {
    let record = Record { command: some(&"\u{1f600}".repeat(10)), ..Record::default() };
    let short = record.shortened(7);
    assert_eq!(short.command.as_deref(), Some("\u{1f600}...(+36 bytes)"));
    assert_eq!(record.shortened(40), record);
}

/// Keys and values.
type Fields = Vec<(String, Vec<u8>)>;

/// Splits a line as an independent reader would: the verb, and each key with its value as bytes.
fn split_line(line: &str) -> Option<(String, Fields)> {
    let (verb, mut rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (key, tail) = rest.split_once('=')?;
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = tail.find(' ').unwrap_or(tail.len());
                (tail.as_bytes()[..end].to_vec(), &tail[end..])
            }
        };
        fields.push((key.to_owned(), value));
        rest = match tail.strip_prefix(' ') {
            Some(next) if !next.is_empty() => next,
            None if tail.is_empty() => "",
            _ => return None,
        };
    }
    Some((verb.to_owned(), fields))
}

fn unquote(text: &str) -> Option<(Vec<u8>, &str)> {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        match (c, rest.chars().next()) {
            ('"', _) => return Some((value, rest)),
            ('\\', Some('x')) => {
                value.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
                rest = &rest[3..];
            }
            ('\\', Some(c @ ('"' | '\\'))) => {
                value.push(c as u8);
                rest = &rest[1..];
            }
            ('\\', _) => return None,
            (c, _) => value.push(u8::try_from(c).ok()?),
        }
    }
}

/// Splits a datagram of the native protocol as journald does.
fn split_journal(mut datagram: &[u8]) -> Option<Fields> {
    let mut fields = Vec::new();
    while !datagram.is_empty() {
        let end = datagram.iter().position(|byte| matches!(byte, b'=' | b'\n'))?;
        let key = String::from_utf8(datagram[..end].to_vec()).ok()?;
        let plain = datagram[end] == b'=';
        datagram = &datagram[end + 1..];
        let size = if plain {
            datagram.iter().position(|byte| *byte == b'\n')?
        } else {
            let (head, tail) = datagram.split_at_checked(8)?;
            datagram = tail;
            usize::try_from(u64::from_le_bytes(head.try_into().ok()?)).ok()?
        };
        let (value, tail) = datagram.split_at_checked(size)?;
        datagram = tail.strip_prefix(b"\n")?;
        fields.push((key, value.to_vec()));
    }
    Some(fields)
}

/// Texts as attackers write them.
fn hostile() -> impl Strategy<Value = String> {
    let spice = select(vec![
        "\n",
        "\r\n",
        "\t",
        "\u{1b}[2J",
        "\u{7}",
        "\u{9b}31m",
        "\u{2028}",
        "\u{202e}",
        "\0",
        "\u{80}",
        "\u{ff}",
        "\"",
        "\\",
        "\\\"",
        "=",
        " ",
        " account=root",
        "\nallow account=root",
        "\nSVCAUTH_ORIGIN=root\n",
        "%n%s%x",
        "\",\"origin\":\"root",
        "\u{e0041}",
        "\u{1f600}",
        "\u{ffff}",
        "{}",
        "'",
        "$(id)",
    ]);
    let piece = prop_oneof![spice.prop_map(str::to_owned), any::<String>(), "[a-z]{1,8}"];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

const TEXTS: [(&str, &str); 21] = [
    ("reason", "reason"),
    ("mode", "mode"),
    ("account", "account"),
    ("origin", "origin"),
    ("origin_kind", "origin_kind"),
    ("on_behalf_of", "on_behalf_of"),
    ("evidence", "evidence"),
    ("key_fingerprint", "key"),
    ("cert_key_id", "cert_key_id"),
    ("cert_ca", "cert_ca"),
    ("principal", "principal"),
    ("first_evidence", "first_evidence"),
    ("role", "role"),
    ("service", "service"),
    ("from", "from"),
    ("tty", "tty"),
    ("session", "session"),
    ("chain", "chain"),
    ("host", "host"),
    ("command", "command"),
    ("detail", "detail"),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_is_printable_and_splits_back_into_its_values(value in hostile(), salt in hostile()) {
        let record = full(|name| if name.len() % 2 == 0 { value.clone() } else { salt.clone() });
        let line = record.to_line();
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
        assert!(line.len() <= LINE_MAX);
        let (verb, fields) = split_line(&line).unwrap_or_else(|| panic!("{line:?}"));
        assert_eq!((verb.as_str(), fields.len()), ("key_refused", 30));
        // A line that had to be shortened shows the beginnings only; that is another test.
        if line.contains("...(+") {
            return Ok(());
        }
        for (name, key) in TEXTS {
            let wanted = if name.len() % 2 == 0 { &value } else { &salt };
            let found = fields.iter().find(|(one, _)| one == key).unwrap();
            assert_eq!(found.1, wanted.as_bytes(), "{key} in {line:?}");
        }
    }

    #[test]
    fn json_is_one_printable_line_and_parses_back_to_the_original(value in hostile(), long in select(vec![1, 1, 1, 20])) {
        let value = value.repeat(long);
        let json = full(|name| format!("{name}{value}")).to_json();
        assert!(!json.chars().any(char::is_control), "{json:?}");
        assert!(!json.contains(['\u{2028}', '\u{2029}', '\u{202e}']));
        let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(parsed.as_object().unwrap().len(), 33);
        for (name, _) in TEXTS {
            assert_eq!(parsed[name], format!("{name}{value}"));
        }
    }

    #[test]
    fn a_journal_datagram_holds_exactly_its_own_fields(value in hostile()) {
        let record = full(|name| format!("{value}{name}"));
        let fields = split_journal(&record.to_journal()).unwrap();
        assert_eq!(fields.len(), 5 + 33);
        let get = |key: &str| {
            let mut found = fields.iter().filter(|(one, _)| one == key);
            let first = found.next().unwrap_or_else(|| panic!("{key}")).1.clone();
            assert!(found.next().is_none(), "{key} twice");
            first
        };
        assert_eq!(get("MESSAGE"), record.to_line().into_bytes());
        assert_eq!(get("MESSAGE_ID"), Event::KeyRefused.message_id().as_bytes());
        assert_eq!((get("PRIORITY"), get("SYSLOG_FACILITY")), (b"5".to_vec(), b"10".to_vec()));
        assert_eq!(get("SYSLOG_IDENTIFIER"), b"svcauth");
        for (name, _) in TEXTS {
            let key = format!("SVCAUTH_{}", name.to_uppercase());
            assert_eq!(get(&key), format!("{value}{name}").into_bytes());
        }
    }

    #[test]
    fn a_shortened_record_is_small_whatever_it_held(value in hostile(), times in 1usize..30) {
        let record = full(|_| value.repeat(times)).shortened(100);
        for text in [&record.command, &record.detail, &record.origin] {
            assert!(text.as_ref().unwrap().len() <= 100 + "...(+18446744073709551615 bytes)".len());
        }
    }
}
