//! Reports for scripts, to the letter, and the key report on a host where somebody has prepared files for root.
//!
//! The golden files are what is printed with what differs from run to run replaced; a difference shows the whole text.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::directory::{group_dn, person_dn};
use svcauth_tests::failure::{
    Context, Failure, Outcome, require, require_contains, require_eq, require_lacks,
};
use svcauth_tests::keys::Key;
use svcauth_tests::program::Ended;
use svcauth_tests::site::{list_at, svcauth, text_at};
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("reports":
    the_access_report_is_the_same_to_the_letter,
    the_key_report_is_the_same_to_the_letter,
    a_key_report_of_a_hostile_home_shows_nothing_but_fingerprints_and_waits_for_nothing,
    files_that_depend_on_the_account_are_those_that_sshd_reads_for_it,
    a_report_in_a_file_is_for_root_alone_and_goes_through_no_link,
    a_report_about_nobody_is_a_usage_error,
    the_person_behind_a_session_is_who_made_the_report,
    keys_of_a_managed_local_account_are_looked_for_in_its_own_home,
);

const TRAIL: &str = "/var/log/svcauth/audit.jsonl";

/// A configuration of its own: the lines of its rules are in the reports.
const CONFIG: &str = r#"[directory]
kind = "ldif"
file = "/etc/svcauth/directory.ldif"

[accounts]
base = "ou=accounts,dc=example,dc=com"
id_range = "7000-7999"

[groups]
base = "ou=groups,dc=example,dc=com"

[people]
base = "ou=people,dc=example,dc=com"

[[access]]
accounts = ["deployer"]
roles = ["application"]
services = ["sshd", "su", "sudo", "login"]

[[access]]
accounts = ["jenkins"]
roles = ["build", "application"]
need = "every"
services = ["sshd", "cron"]
from = ["10.0.0.0/8", "2001:db8::/32"]

[[access]]
accounts = ["jenkins"]
roles = ["build"]
services = ["sudo", "cron"]
"#;

/// Two accounts, a nested group, somebody who is disabled, and a group that no rule names.
fn plan(world: &World) -> Outcome<Plan> {
    let mut plan = Plan::new(world)?;
    plan.site.config = CONFIG.to_owned();
    let directory = &mut plan.site.directory;
    directory.account("jenkins", 7002, 7000);
    directory.account("idle", 7003, 7000);
    directory.group("team", 7050, &[person_dn("bob"), person_dn("dora")]);
    directory.group("build", 7051, &[group_dn("team"), person_dn("carol")]);
    let dora = person_dn("dora");
    directory.raw(&format!(
        "dn: {dora}\nobjectClass: inetOrgPerson\nuid: dora\ncn: Dora\nsn: Example\nnsAccountLock: TRUE"
    ));
    Ok(plan)
}

fn same(what: &str, shown: &str, golden: &str) -> Outcome {
    require(shown == golden, || format!("{what} is not what its golden file says; it is:\n{shown}"))
}

fn made(words: &[&str], format: &str) -> Outcome<Ended> {
    svcauth(&[&["report"], words, &["--format", format]].concat())?.expect_ok()
}

/// The object with placeholders for what no two runs have in common.
fn json(words: &[&str]) -> Outcome<String> {
    let ended = made(words, "json")?;
    let mut report: Value = serde_json::from_str(&ended.stdout).doing(ended.report())?;
    for (key, word) in [("generation", "N"), ("age_seconds", "N"), ("made", "TIME"), ("made_by", "WHO")] {
        require(report.get(key).is_some_and(|value| !value.is_null()), || format!("no {key}"))?;
        if let Some(value) = report.get_mut(key) {
            *value = Value::from(word);
        }
    }
    hide_ids(&mut report);
    Ok(serde_json::to_string_pretty(&report).doing("print")? + "\n")
}

fn hide_ids(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(hide_ids),
        Value::Object(object) => {
            for (key, value) in object {
                if matches!(key.as_str(), "id" | "person_id") && value.is_string() {
                    *value = Value::from("ID");
                }
                hide_ids(value);
            }
        }
        _ => {}
    }
}

fn the_access_report_is_the_same_to_the_letter(world: &mut World) -> Outcome {
    let _host = plan(world)?.start(world)?;
    let all = ["access", "--all"];
    same("the table", &made(&all, "table")?.stdout, include_str!("../golden/report-access.txt"))?;
    let csv = made(&all, "csv")?.stdout;
    require_eq("lines that end as RFC 4180 says", &csv.matches("\r\n").count(), &csv.lines().count())?;
    same("the CSV", &csv.replace("\r\n", "\n"), include_str!("../golden/report-access.csv"))?;
    same("the JSON", &json(&["access"])?, include_str!("../golden/report-access.json"))?;
    let plain = made(&["access"], "table")?.stdout;
    require(!plain.is_empty() && plain.lines().all(|line| line.ends_with("\tallowed")), || plain.clone())
}

/// Fingerprints by the name of their owner.
fn named(text: &str, keys: &[(&str, &Key)]) -> String {
    keys.iter()
        .fold(text.to_owned(), |text, (name, key)| text.replace(key.fingerprint(), &format!("KEY-OF-{name}")))
}

/// An old trail: bob was in two hundred days ago, alice yesterday; carol was refused.
fn write_trail(world: &World, host: &Host) -> Outcome {
    let day = |days: u64| {
        let seconds = svcauth_tests::clock::now() - days * 86_400;
        let ended = svcauth_tests::program::Program::new("date")
            .args(&["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%S.000000Z"])
            .run()?
            .expect_ok()?;
        Outcome::Ok(ended.text().to_owned())
    };
    let line = |seq: u64, days: u64, decision: &str, login: &str| {
        let key = host.key(login)?.fingerprint();
        Outcome::Ok(format!(
            "{{\"seq\":{seq},\"time\":\"{}\",\"event\":\"decision\",\"decision\":\"{decision}\",\"account\":\"deployer\",\
             \"origin\":\"{login}\",\"key_fingerprint\":\"{key}\",\"hash\":\"{}\"}}\n",
            day(days)?,
            "0".repeat(64)
        ))
    };
    world.write(
        format!("{TRAIL}.1"),
        0o600,
        line(1, 300, "deny", "carol")? + &line(2, 200, "allow", "bob")?,
    )?;
    world.write(TRAIL, 0o600, line(3, 1, "allow", "alice")? + &line(4, 1, "deny", "carol")?)
}

fn the_key_report_is_the_same_to_the_letter(world: &mut World) -> Outcome {
    let host = plan(world)?.start(world)?;
    let stray = world.key("stray")?;
    let file = "/etc/ssh/keys/deployer";
    let before = fs::read_to_string(file)?;
    let more =
        format!("# comment\nno-pty {}\ncert-authority {}\nthis is no key\n", stray.public(), stray.public());
    world.write(file, 0o644, before + &more)?;
    let keys: Vec<(&str, &Key)> = vec![
        ("alice", host.key("alice")?),
        ("bob", host.key("bob")?),
        ("carol", host.key("carol")?),
        ("nobody", &stray),
    ];
    let show = |text: &str| named(text, &keys);
    without_a_trail_nothing_is_said_about_use(&host)?;
    write_trail(world, &host)?;
    let table = made(&["keys"], "table")?;
    require_contains("the note", &table.stderr, "when the audit trail of this host begins")?;
    let times = |text: &str| hide_times(&show(text));
    same("the table", &times(&table.stdout), include_str!("../golden/report-keys.txt"))?;
    let csv = made(&["keys"], "csv")?.stdout.replace("\r\n", "\n");
    same("the CSV", &times(&csv), include_str!("../golden/report-keys.csv"))?;
    same("the JSON", &times(&json(&["keys"])?), include_str!("../golden/report-keys.json"))?;
    let longer = made(&["keys", "--unused", "250"], "table")?.stdout;
    require_lacks("keys unused for 250 days", &show(&longer), "unused_key\t\tbob")?;
    require_contains("keys unused for 250 days", &show(&longer), "unused_key\t\tcarol")
}

/// The daemon may have begun a trail of its own; the report is asked without it.
fn without_a_trail_nothing_is_said_about_use(host: &Host) -> Outcome {
    host.daemon.freeze()?;
    for name in [TRAIL.to_owned(), format!("{TRAIL}.1")] {
        let _ = fs::remove_file(name);
    }
    let table = made(&["keys"], "table")?;
    require_contains("the note", &table.stderr, "nothing is said about use")?;
    require_contains("the keys", &table.stdout, "local_key")?;
    require_lacks("the table", &table.stdout, "unused")
}

/// `2026-01-31T08:15:00Z` anywhere becomes `TIME`.
fn hide_times(text: &str) -> String {
    const LENGTH: usize = "2026-01-31T08:15:00Z".len();
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_time = rest.get(..LENGTH).is_some_and(|text| {
            text.char_indices().all(|(at, c)| match at {
                4 | 7 => c == '-',
                10 => c == 'T',
                13 | 16 => c == ':',
                19 => c == 'Z',
                _ => c.is_ascii_digit(),
            })
        });
        let taken = if is_time { LENGTH } else { c.len_utf8() };
        out.push_str(if is_time { "TIME" } else { rest.get(..taken).unwrap_or_default() });
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

fn a_key_report_of_a_hostile_home_shows_nothing_but_fingerprints_and_waits_for_nothing(
    world: &mut World,
) -> Outcome {
    let mut plan = plan(world)?;
    plan.sshd_line("AuthorizedKeysFile .ssh/authorized_keys .ssh/pipe .ssh/link .ssh/long /etc/ssh/keys/%u");
    let host = plan.start(world)?;
    let secret = "secret-of-root";
    world.write("/etc/secret", 0o600, format!("{secret} line\n"))?;
    let home = "/home/deployer/.ssh";
    fs::create_dir_all(home)?;
    let odd = format!(
        "\u{1b}[2J{secret}\u{202e} x\n{} comment \u{1b}]0;takeover\u{7}\n",
        host.key("bob")?.public()
    );
    world.write(format!("{home}/authorized_keys"), 0o600, odd)?;
    nix::unistd::mkfifo(&format!("{home}/pipe")[..], nix::sys::stat::Mode::S_IRUSR).doing("mkfifo")?;
    symlink("/etc/secret", format!("{home}/link"))?;
    fs::File::create(format!("{home}/long"))?.set_len(1 << 40)?;
    for format in ["table", "csv", "json", "html"] {
        let ended = made(&["keys"], format)?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        for part in [secret, "\u{1b}", "\u{202e}", "takeover"] {
            require_lacks(format, &said, part)?;
        }
        for part in [
            host.key("bob")?.fingerprint(),
            "symbolic link",
            "no regular file",
            "1 line is no key",
            "only the first",
        ] {
            require_contains(format, &said, part)?;
        }
        require(ended.took.as_secs() < 60, || format!("{:?}", ended.took))?;
    }
    Ok(())
}

fn files_that_depend_on_the_account_are_those_that_sshd_reads_for_it(world: &mut World) -> Outcome {
    let host = plan(world)?.start(world)?;
    let key = host.key("bob")?.clone();
    world.write("/etc/ssh/other/jenkins", 0o644, format!("{}\n", key.public()))?;
    let files = || {
        let ended = made(&["keys"], "json")?;
        let report: Value = serde_json::from_str(&ended.stdout).doing(ended.report())?;
        let of = |row: &&Value| text_at(row, "/account") == "jenkins";
        let mut files: Vec<String> = list_at(&report, "/local_keys")
            .iter()
            .filter(of)
            .map(|row| text_at(row, "/file").to_owned())
            .collect();
        files.dedup();
        Outcome::Ok(files)
    };
    require_eq("the files", &files()?, &vec!["/etc/ssh/keys/jenkins".to_owned()])?;
    let drop_in = "Match User jenkins\n  AuthorizedKeysFile /etc/ssh/other/%u\n";
    world.write("/etc/ssh/sshd_config.d/jenkins.conf", 0o644, drop_in)?;
    require_eq("the files with a Match", &files()?, &vec!["/etc/ssh/other/jenkins".to_owned()])?;
    let report = made(&["keys"], "json")?.stdout;
    require_contains("the files of another account", &report, "/etc/ssh/keys/deployer")
}

fn a_report_in_a_file_is_for_root_alone_and_goes_through_no_link(world: &mut World) -> Outcome {
    use std::os::unix::fs::MetadataExt as _;
    let _host = plan(world)?.start(world)?;
    let file = "/tmp/report.html";
    for report in ["access", "keys"] {
        svcauth(&["report", report, "--format", "html", "-o", file])?.expect_ok()?;
        let meta = fs::symlink_metadata(file)?;
        require_eq("mode and owner", &(meta.mode() & 0o7777, meta.uid()), &(0o600, 0))?;
        require_contains(report, &fs::read_to_string(file)?, "web1.example.com")?;
    }
    world.write("/etc/precious", 0o600, "precious")?;
    fs::remove_file(file)?;
    symlink("/etc/precious", file)?;
    let refused = svcauth(&["report", "access", "-o", file])?.expect_code(1)?;
    require_contains("what is said", &refused.stderr, "symbolic link")?;
    require_eq("the file behind the link", fs::read_to_string("/etc/precious")?.as_str(), "precious")?;
    let as_local = world.as_user("local", &["svcauth", "report", "access"]).run()?.expect_code(2)?;
    require_contains("what a local user is told", &as_local.stderr, "only root")?;
    require_eq("what a local user gets", as_local.text(), "")
}

fn a_report_about_nobody_is_a_usage_error(world: &mut World) -> Outcome {
    let _host = plan(world)?.start(world)?;
    let rows = |words: &[&str]| {
        made(&[&["access"], words].concat(), "table").map(|ended| ended.stdout.lines().count())
    };
    require_eq("all rows", &rows(&[])?, &5)?;
    require_eq("rows of bob", &rows(&["--person", "bob"])?, &3)?;
    require_eq("rows of jenkins by sudo", &rows(&["--account", "jenkins", "--service", "sudo"])?, &2)?;
    for words in [["--account", "nobody"], ["--person", "nobody"], ["--service", "login"]] {
        let refused = svcauth(&[&["report", "access"], &words[..]].concat())?.expect_code(2)?;
        require_eq("what is printed", refused.text(), "")?;
        require(!refused.stderr.is_empty(), || "nothing was said".to_owned())?;
    }
    let failed = Failure::new("a stale snapshot gives access to nobody");
    require(made(&["access"], "json")?.stdout.contains("\"stale\":false"), || failed.to_string())
}

fn the_person_behind_a_session_is_who_made_the_report(world: &mut World) -> Outcome {
    let host = plan(world)?.start(world)?;
    let made_by = |ended: &Ended| {
        let report: Value = serde_json::from_str(&ended.stdout).doing(ended.report())?;
        Outcome::Ok(text_at(&report, "/made_by").to_owned())
    };
    require_eq("who makes one as root", &made_by(&made(&["access"], "json")?)?, &"root".to_owned())?;
    let command = ["sudo", "-n", "svcauth", "report", "access", "--format", "json"];
    let ended = host.ssh("bob", "deployer", &command)?.expect_ok()?;
    require_eq("who makes one as deployer", made_by(&ended)?.as_str(), "root, in a session of bob")
}

fn keys_of_a_managed_local_account_are_looked_for_in_its_own_home(world: &mut World) -> Outcome {
    let mut plan = plan(world)?;
    plan.site
        .configure("id_range = \"7000-7999\"", "id_range = \"7000-7999\"\nlocal_accounts = [\"local\"]")?;
    plan.sshd_line("AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/keys/%u");
    let host = plan.start(world)?;
    let line = format!("{}\n", host.key("bob")?.public());
    world.write("/home/local/.ssh/authorized_keys", 0o600, line)?;
    let report: Value = serde_json::from_str(&made(&["keys"], "json")?.stdout).doing("the report")?;
    let is_it = |row: &&Value| text_at(row, "/file") == "/home/local/.ssh/authorized_keys";
    let row = list_at(&report, "/local_keys").iter().find(is_it).cloned().unwrap_or_default();
    require_eq("whose it is", &(text_at(&row, "/account"), text_at(&row, "/owner")), &("local", "bob"))?;
    // No rule is about it.
    require_eq("what it is", text_at(&row, "/state"), "no_access")
}
