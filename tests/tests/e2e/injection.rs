//! Text of others, through a real sshd and from a real directory, is one escaped record in every sink and on every screen.

use std::fs;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::directory::group_dn;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::keys::{Key, Statement};
use svcauth_tests::program::{Ended, wait_until};
use svcauth_tests::site::{LDIF, svcauth, text_at};
use svcauth_tests::sshd::client;
use svcauth_tests::trail::{deceptive, entries, on_a_terminal, wait_for};
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("injection":
    the_key_id_of_a_certificate_is_one_value_whatever_it_says,
    text_of_the_directory_is_escaped_on_every_screen,
    an_error_about_foreign_text_is_escaped_once,
);

/// What somebody writes who wants another record, another field, another reader's terminal, or to vanish.
const HOSTILE: &[&str] = &[
    "alice@example.com\nallow account=root origin=alice",
    "alice@example.com\r\nNov 22 08:00:00 web1 svcauth[1]: allow account=root",
    "a\tb\rc",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "a\u{9b}31mb\u{85}c",
    "a\u{2028}b\u{202e}c\u{200b}d",
    "a\u{e0041}b\u{feff}",
    "\" origin=\"alice\" x=\"",
    " origin=alice decision=allow",
    "%n%s%x%1$s%%",
    "'; id; `id` $(id)",
    "\",\"origin\":\"alice",
    "CORP\\alice \\x41 \\\\",
    "zo\u{eb} \u{6f22}",
];

/// A host that trusts one authority.
fn start(world: &World) -> Outcome<(Host, Key)> {
    let mut plan = Plan::new(world)?;
    let authority = world.key("authority")?;
    world.write("/etc/svcauth/user_ca.pub", 0o644, format!("{}\n", authority.public()))?;
    let config =
        "# [certificates]\n# trusted_ca = [\"/etc/svcauth/user_ca.pub\"]\n# key_id = \"{login}@example.com\"";
    plan.site.configure(config, &config.replace("# ", ""))?;
    plan.sshd_line("TrustedUserCAKeys /etc/svcauth/user_ca.pub");
    Ok((plan.start(world)?, authority))
}

/// A login with a certificate for a key that is nobody's without it.
fn login(host: &Host, keys: [&Key; 2], id: &str) -> Outcome<bool> {
    let says = Statement { id, principals: &["deployer"], serial: u64::MAX, options: &[] };
    let [laptop, authority] = keys;
    let signed = laptop.signed_by(authority, "signed", says)?;
    Ok(host.sshd.ssh("deployer", &signed, &["true"])?.ok())
}

fn the_key_id_of_a_certificate_is_one_value_whatever_it_says(world: &mut World) -> Outcome {
    let (host, authority) = start(world)?;
    let laptop = world.key("laptop")?;
    let keys = [&laptop, &authority];
    require(login(&host, keys, "alice@example.com")?, || "alice is out".to_owned())?;
    wait_for(&["--decision", "allow"], 1)?;
    // sshd records it behind the back of its client.
    world.log().wait_for(0, "end", &[("origin", "alice")])?;
    let long = "x\u{1b}\"=".repeat(1000);
    for (number, id) in HOSTILE.iter().copied().chain([long.as_str()]).enumerate() {
        let mark = world.log().mark();
        require(!login(&host, keys, id)?, || format!("{id:?} is in"))?;
        let denied = wait_for(&["--decision", "deny"], number + 1)?;
        require_eq("denials", &denied.len(), &(number + 1))?;
        let record = denied.last().unwrap_or(&serde_json::Value::Null);
        require_eq("the key id on record", text_at(record, "/cert_key_id"), id)?;
        require_eq("the reason", text_at(record, "/reason"), "unknown_principal")?;
        require_eq("the origin", text_at(record, "/origin"), "")?;
        world.log().wait_for(mark, "deny", &[("reason", "unknown_principal")])?;
        let records = world.log().records_since(mark);
        let verbs: Vec<&str> = records.iter().map(|record| record.verb.as_str()).collect();
        require_eq("the lines of syslog", &verbs, &vec!["deny"])?;
        let lines =
            records.iter().filter(|record| !record.line.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        require_eq("lines with raw bytes", &lines.count(), &0)?;
    }
    let count = HOSTILE.len() + 1;
    for args in [&["log", "--decision", "deny"] as &[&str], &["log", "--decision", "deny", "--json"]] {
        for shown in [svcauth(args)?, on_a_terminal(args)?] {
            require_eq("what would drive a terminal", &deceptive(&shown.stdout), &None)?;
            require_eq("raw line ends", &shown.stdout.contains('\r'), &false)?;
            let lines = shown.stdout.lines().filter(|line| line.contains("deny")).count();
            require_eq(&format!("lines of {args:?}"), &lines, &count)?;
        }
    }
    require_eq("decisions that allowed", &entries(&["--decision", "allow"])?.len(), &1)
}

/// As an argument or a name: it would clear the screen, colour it, and reverse the line.
const ODD: &str = "a\u{1b}[2J\u{9b}31m\u{202e}b";
/// Commands that show text of others, or repeat their arguments.
const SCREENS: &[&[&str]] = &[
    &["log"],
    &["log", "--json"],
    &["log", "--person", ODD],
    &["log", "--since", ODD],
    &["log", ODD],
    &["status"],
    &["accounts"],
    &["accounts", "--usable-by", ODD],
    &["explain", ODD, "deployer"],
    &["explain", "carol", "deployer"],
    &["explain", "carol", "deployer", "--json"],
    &["explain", "bob", ODD],
    &["who"],
    &["who", "--json"],
    &["who", ODD],
    &["report", "access"],
    &["report", "access", "--account", ODD],
    &["report", "access", "--format", "csv"],
    &["report", "keys"],
    &["roles"],
    &["roles", "--json"],
    &["roles", "approve", ODD],
    &["ssh-keys", ODD, "x", "ssh-ed25519", "AAAA"],
    &[ODD],
    &["log", "a\nsvcauth: all is well"],
    &["status", "a\nsvcauth: all is well"],
];

fn text_of_the_directory_is_escaped_on_every_screen(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    // A role whose name would reverse the line, and arguments that would clear the screen.
    plan.site.configure("roles = [\"application\"] ", "roles = [\"application\", \"a\\u202eb\"] ")?;
    let mut host = plan.start(world)?;
    host.site.directory.raw(
        "dn: uid=odd,ou=accounts,dc=example,dc=com\nobjectClass: account\nobjectClass: posixAccount\nuid: odd\ncn: odd\n\
         gecos:: YRtbMkoKYcKb4oCu/w==\nuidNumber: 7100\ngidNumber: 7000\nhomeDirectory: /home/odd",
    );
    host.site.directory.raw(&format!(
        "dn: {}\nobjectClass: groupOfNames\nobjectClass: posixGroup\ncn:: YcKbMzFtYg==\ngidNumber: 7050",
        group_dn("odd")
    ));
    host.publish(world)?;
    let alarms = wait_for(&["--event", "alarm"], 2)?;
    let gecos = alarms.iter().find(|alarm| text_at(alarm, "/detail").contains("gecos"));
    let detail = gecos.map_or("", |alarm| text_at(alarm, "/detail"));
    // The byte that is no text is kept as \xff.
    require_contains("the alarm", detail, "\"a\u{1b}[2J\na\u{9b}\u{202e}\\xff\"")?;
    // A process that calls itself so.
    let command = "exec -a \"$(printf 'p\\033[2J\\nq\\342\\200\\256\\377')\" sleep 60";
    let _odd = client(&[], "deployer", host.key("bob")?, &[command]).start(world.log_file("odd.out")?)?;
    let shown =
        |ended: Outcome<Ended>| ended.ok().filter(|it| it.stdout.contains("p\\x1b[2J\\x0aq\\u{202e}"));
    wait_until("the process in svcauth who", Duration::from_secs(60), || shown(svcauth(&["who"])))?;
    for args in SCREENS {
        for shown in [svcauth(args)?, on_a_terminal(args)?] {
            // CSV has the line ends of RFC 4180.
            let said = format!("{}{}", shown.stdout, shown.stderr).replace("\r\n", "\n");
            require_eq(&format!("what would drive a terminal in {args:?}"), &deceptive(&said), &None)?;
            let forged = said.lines().any(|line| line == "svcauth: all is well");
            require(!forged, || format!("a line of an argument's own: {said}"))?;
        }
    }
    let roles = svcauth(&["roles"])?.expect_ok()?;
    require_contains("the role", &roles.stdout, "a\\u{202e}b")?;
    require_lacks("the log", &world.log().text(), "\u{1b}")
}

fn an_error_about_foreign_text_is_escaped_once(world: &mut World) -> Outcome {
    let _host = Plan::new(world)?.start(world)?;
    svcauth(&["sync"])?.expect_ok()?;
    // "no\x1b[2J" is no DN.
    let good = fs::read_to_string(LDIF)?;
    world.write(LDIF, 0o644, format!("{good}\n\ndn:: bm8bWzJK\nobjectClass: account\n"))?;
    let failed = svcauth(&["sync"])?.expect_code(1)?;
    require_contains("what sync says", &failed.stderr, "\"no\\x1b[2J\" is no DN")?;
    let (_, status) = svcauth_tests::site::svcauth_json(&["status"])?;
    require_contains("the last error", text_at(&status, "/last_error"), "\"no\u{1b}[2J\" is no DN")?;
    let shown = svcauth(&["status"])?;
    require_contains("what status says", &shown.stdout, "\"no\\x1b[2J\" is no DN")?;
    let alarms = wait_for(&["--event", "alarm"], 1)?;
    let detail = text_at(alarms.last().unwrap_or(&serde_json::Value::Null), "/detail");
    require_contains("the alarm", detail, "\"no\u{1b}[2J\" is no DN")?;
    require_contains(
        "the log on a screen",
        &svcauth(&["log", "--event", "alarm"])?.stdout,
        "\"no\\x1b[2J\" is no DN",
    )
}
