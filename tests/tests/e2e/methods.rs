//! Every way in that sshd offers, and whom each of them proves. Logins by ticket are in `kerberos`.

use std::path::{Path, PathBuf};

use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::person_dn;
use svcauth_tests::failure::{Outcome, require_eq};
use svcauth_tests::keys::{Key, Statement};
use svcauth_tests::program::Program;
use svcauth_tests::site::Site;
use svcauth_tests::sshd::{Sshd, answering};
use svcauth_tests::world::World;

use crate::host::{Plan, no_passwords};
use crate::story::{Story, no_decision_names};

cases!("methods":
    every_way_in_proves_the_person_that_it_should_and_no_other,
    a_login_by_host_proves_a_machine_and_nobody,
    a_certificate_says_on_whose_behalf_a_robot_acts_and_nobody_is_let_in_by_it,
    keys_that_were_offered_and_not_proven_name_nobody,
    whoever_offers_keys_and_goes_away_was_nobody,
);

/// A login, and what it comes to.
struct Row {
    /// `AuthenticationMethods` of sshd.
    methods: &'static str,
    /// The keys that the client has, in the order in which it offers them.
    keys: &'static [&'static str],
    /// The person who is let in, or the reason of the refusal.
    outcome: Result<&'static str, &'static str>,
    /// What the record says besides: the keys of its line, each with the name of the key whose fingerprint it is, or a word.
    says: &'static [(&'static str, &'static str)],
}

const ROWS: &[Row] = &[
    Row {
        methods: "publickey",
        keys: &["alice"],
        outcome: Ok("alice"),
        says: &[("evidence", "publickey"), ("key", "alice")],
    },
    Row {
        methods: "publickey",
        keys: &["alice-2"],
        outcome: Ok("alice"),
        says: &[("evidence", "publickey"), ("key", "alice-2")],
    },
    Row {
        methods: "publickey",
        keys: &["carol"],
        outcome: Err("not_in_role"),
        says: &[("evidence", "publickey"), ("key", "carol"), ("origin", "carol")],
    },
    Row {
        methods: "publickey",
        keys: &["certificate"],
        outcome: Ok("alice"),
        says: &[("evidence", "certificate"), ("cert_key_id", "alice@example.com"), ("cert_serial", "4711")],
    },
    Row { methods: "password", keys: &[], outcome: Err("no_origin"), says: &[] },
    Row { methods: "keyboard-interactive", keys: &[], outcome: Err("no_origin"), says: &[] },
    Row {
        methods: "publickey,publickey",
        keys: &["alice", "alice-2"],
        outcome: Ok("alice"),
        says: &[("evidence", "publickey"), ("key", "alice")],
    },
    Row {
        methods: "publickey,publickey",
        keys: &["alice", "bob"],
        outcome: Err("ambiguous_origin"),
        says: &[],
    },
    Row {
        methods: "publickey,publickey",
        keys: &["alice", "stranger"],
        outcome: Err("unknown_key"),
        says: &[("key", "stranger")],
    },
    Row {
        methods: "publickey,publickey",
        keys: &["certificate", "bob"],
        outcome: Err("ambiguous_origin"),
        says: &[],
    },
    Row {
        methods: "publickey,keyboard-interactive",
        keys: &["alice"],
        outcome: Ok("alice"),
        says: &[("evidence", "publickey"), ("key", "alice")],
    },
    Row {
        methods: "password,publickey",
        keys: &["alice"],
        outcome: Ok("alice"),
        says: &[("evidence", "publickey"), ("key", "alice")],
    },
    Row {
        methods: "password,publickey",
        keys: &["carol"],
        outcome: Err("not_in_role"),
        says: &[("evidence", "publickey"), ("key", "carol"), ("origin", "carol")],
    },
];

/// A host without an sshd: each row has one of its own.
struct Hall {
    plan: Plan,
    signed: Key,
    authority: Key,
    _daemon: Daemon,
}

const ALICE: Statement<'static> =
    Statement { id: "alice@example.com", principals: &["deployer"], serial: 4711, options: &[] };

impl Hall {
    fn start(world: &World) -> Outcome<Self> {
        let mut plan = Plan::new(world)?;
        let second = plan.make_key(world, "alice-2")?;
        plan.make_key(world, "stranger")?;
        plan.site.directory.add_value(&person_dn("alice"), "sshPublicKey", second.public())?;
        let authority = world.key("authority")?;
        world.write("/etc/svcauth/user_ca.pub", 0o644, format!("{}\n", authority.public()))?;
        let config = "# [certificates]\n# trusted_ca = [\"/etc/svcauth/user_ca.pub\"]\n# key_id = \"{login}@example.com\"";
        plan.site.configure(config, &config.replace("# ", ""))?;
        plan.install(world)?;
        // Whatever password is typed: what it is worth is for svcauth to say.
        no_passwords(world)?;
        let signed = world.key("laptop")?.signed_by(&authority, "alice", ALICE)?;
        Ok(Self { plan, signed, authority, _daemon: Daemon::start(world)? })
    }

    fn sshd(world: &World, methods: &str) -> Outcome<Sshd> {
        let required = format!("AuthenticationMethods {methods}");
        let ways = ["PasswordAuthentication yes", "KbdInteractiveAuthentication yes"];
        let authority = "TrustedUserCAKeys /etc/svcauth/user_ca.pub";
        Sshd::start(world, &[ways[0], ways[1], authority, &required])
    }

    fn key(&self, name: &str) -> Outcome<&Key> {
        if name == "certificate" { Ok(&self.signed) } else { self.plan.key(name) }
    }

    fn client(&self, world: &World, row: &Row, command: &[&str]) -> Outcome<Program> {
        let keys: Vec<&Path> =
            row.keys.iter().map(|name| self.key(name).map(Key::path)).collect::<Outcome<_>>()?;
        let preferred = format!("-oPreferredAuthentications={}", row.methods);
        answering(world, &[&preferred], "deployer", &keys, command)
    }
}

fn every_way_in_proves_the_person_that_it_should_and_no_other(world: &mut World) -> Outcome {
    let hall = Hall::start(world)?;
    for row in ROWS {
        let sshd = Hall::sshd(world, row.methods)?;
        let mark = world.log().mark();
        let ended = hall.client(world, row, &["id", "-un"])?.run()?;
        let says: Vec<(&str, &str)> = row
            .says
            .iter()
            .map(|(key, value)| (*key, if *key == "key" { fingerprint(&hall, value) } else { *value }))
            .collect();
        let story = Story::since(world, mark, "sshd");
        match row.outcome {
            Ok(person) => {
                require_eq(row.methods, ended.expect_ok()?.text(), "deployer")?;
                story.allowed(&[&says[..], &[("origin", person), ("role", "application")]].concat())?;
            }
            Err(reason) => {
                ended.expect_refused()?;
                // sshd itself was content: what refused is svcauth.
                world.log().wait_for_line(mark, &["Accepted", "for deployer"])?;
                story.denied(&[&says[..], &[("reason", reason)]].concat())?;
            }
        }
        for other in ["alice", "bob", "carol"].into_iter().filter(|name| row.outcome != Ok(*name)) {
            if !row.says.contains(&("origin", other)) {
                no_decision_names(world, mark, other)?;
            }
        }
        sshd.stop()?;
    }
    Ok(())
}

fn fingerprint<'a>(hall: &'a Hall, name: &'a str) -> &'a str {
    hall.key(name).map_or(name, Key::fingerprint)
}

fn a_login_by_host_proves_a_machine_and_nobody(world: &mut World) -> Outcome {
    let hall = Hall::start(world)?;
    Hall::sshd(world, "publickey")?.stop()?;
    let public = std::fs::read_to_string("/etc/ssh/ssh_host_ed25519_key.pub")?;
    world.write("/etc/ssh/ssh_known_hosts", 0o644, format!("localhost,web1.example.com {public}"))?;
    world.write("/etc/ssh/shosts.equiv", 0o644, "localhost root\n")?;
    world.write("/etc/ssh/ssh_config", 0o644, "EnableSSHKeysign yes\n")?;
    let lines = "HostbasedAuthentication yes\nHostbasedUsesNameFromPacketOnly yes\n";
    world.write("/etc/ssh/sshd_config.d/more.conf", 0o644, lines)?;
    let _sshd = Hall::sshd(world, "publickey hostbased,publickey hostbased")?;
    let login = |methods: &str, keys: &[&Path], user: &str| {
        let preferred = format!("-oPreferredAuthentications={methods}");
        answering(world, &["-oHostbasedAuthentication=yes", &preferred], user, keys, &["id", "-un"])?.run()
    };
    // A local user gets in by it: it works, as far as sshd is concerned.
    require_eq("local", login("hostbased", &[], "local")?.expect_ok()?.text(), "local")?;
    let mark = world.log().mark();
    login("hostbased", &[], "deployer")?.expect_refused()?;
    world.log().wait_for_line(mark, &["Accepted hostbased for deployer"])?;
    Story::since(world, mark, "sshd").denied(&[("reason", "no_origin")])?;
    let mark = world.log().mark();
    let own = hall.plan.key("alice")?;
    login("publickey", &[own.path()], "deployer")?.expect_ok()?;
    Story::since(world, mark, "sshd").allowed(&[("origin", "alice"), ("key", own.fingerprint())]).map(drop)
}

fn a_certificate_says_on_whose_behalf_a_robot_acts_and_nobody_is_let_in_by_it(world: &mut World) -> Outcome {
    let hall = Hall::start(world)?;
    let _sshd = Hall::sshd(world, "publickey")?;
    let laptop = world.key("robot")?;
    let hostile = "extension:origin@svcauth=bob\nallow account=root origin=bob \u{1b}[2J\u{202e}";
    for (label, option, shown) in [
        ("plain", "extension:origin@svcauth=bob", "bob"),
        ("hostile", hostile, "bob\\x0aallow account=root origin=bob \\x1b[2J\\xe2\\x80\\xae"),
    ] {
        let options = [option];
        let says = Statement { options: &options, ..ALICE };
        let signed = laptop.signed_by(&hall.authority, label, says)?;
        let mark = world.log().mark();
        answering(world, &[], "deployer", &[signed.path()], &["true"])?.run()?.expect_ok()?;
        Story::since(world, mark, "sshd").allowed(&[("origin", "alice"), ("on_behalf_of", shown)])?;
        no_decision_names(world, mark, "bob")?;
    }
    // carol, whom bob has sent: bob's role is not hers.
    let says = Statement { id: "carol@example.com", options: &["extension:origin@svcauth=bob"], ..ALICE };
    let carol = laptop.signed_by(&hall.authority, "carol", says)?;
    let mark = world.log().mark();
    answering(world, &[], "deployer", &[carol.path()], &["true"])?.run()?.expect_refused()?;
    let words = [("origin", "carol"), ("reason", "not_in_role"), ("on_behalf_of", "bob")];
    Story::since(world, mark, "sshd").denied(&words)?;
    // An authority that the account itself believes.
    let own = world.key("own-authority")?;
    world.write("/etc/ssh/keys/deployer", 0o644, format!("cert-authority {}\n", own.public()))?;
    let forged = laptop.signed_by(&own, "forged", Statement { options: &[hostile], ..ALICE })?;
    let mark = world.log().mark();
    answering(world, &[], "deployer", &[forged.path()], &["true"])?.run()?.expect_refused()?;
    let record = Story::since(world, mark, "sshd").denied(&[("reason", "untrusted_ca")])?;
    require_eq("what it says of a behalf", record.get("on_behalf_of"), "")
}

/// Public keys of others, without their private halves: each is offered, and sshd asks for no proof it could give.
fn foreign(world: &World, hall: &Hall, count: usize) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for number in 0..count {
        // ssh offers a key once: the same key again would not be one more.
        let public = match ["bob", "carol", "stranger"].get(number) {
            Some(name) => hall.plan.key(name)?.public().to_owned(),
            None => world.key(&format!("unknown-{count}-{number}"))?.public().to_owned(),
        };
        let path = format!("/run/world/offered-{count}-{number}.pub");
        world.write(&path, 0o600, public + "\n")?;
        found.push(path.into());
    }
    Ok(found)
}

fn keys_that_were_offered_and_not_proven_name_nobody(world: &mut World) -> Outcome {
    let hall = Hall::start(world)?;
    Site::keys_from_directory(world)?;
    world.write("/etc/ssh/sshd_config.d/more.conf", 0o644, "AuthorizedKeysFile none\nMaxAuthTries 10\n")?;
    let _sshd = Hall::sshd(world, "publickey")?;
    let own = hall.plan.key("alice")?;
    for count in 0..=5 {
        let offered = foreign(world, &hall, count)?;
        let keys: Vec<&Path> = offered.iter().map(PathBuf::as_path).chain([own.path()]).collect();
        let mark = world.log().mark();
        let ended = answering(world, &[], "deployer", &keys, &["id", "-un"])?.run()?.expect_ok()?;
        require_eq("the account", ended.text(), "deployer")?;
        let pairs = [("origin", "alice"), ("key", own.fingerprint())];
        Story::since(world, mark, "sshd").allowed(&pairs)?;
        // They were offered indeed: carol's was refused before anything was proven.
        if count >= 2 {
            let carol = hall.plan.key("carol")?.fingerprint();
            world.log().wait_for(mark, "key_refused", &[("key", carol), ("proven", "no")])?;
        }
        for other in ["bob", "carol"] {
            no_decision_names(world, mark, other)?;
        }
    }
    Ok(())
}

fn whoever_offers_keys_and_goes_away_was_nobody(world: &mut World) -> Outcome {
    let hall = Hall::start(world)?;
    Site::keys_from_directory(world)?;
    world.write("/etc/ssh/sshd_config.d/more.conf", 0o644, "AuthorizedKeysFile none\nMaxAuthTries 10\n")?;
    let _sshd = Hall::sshd(world, "publickey")?;
    let own = hall.plan.key("alice")?;
    answering(world, &[], "deployer", &[own.path()], &["true"])?.run()?.expect_ok()?;
    Story::since(world, 0, "sshd").allowed(&[("origin", "alice")])?;
    let mark = world.log().mark();
    let offered = foreign(world, &hall, 5)?;
    let keys: Vec<&Path> = offered.iter().map(PathBuf::as_path).collect();
    answering(world, &[], "deployer", &keys, &["true"])?.run()?.expect_code(255)?;
    let carol = hall.plan.key("carol")?.fingerprint();
    world.log().wait_for(
        mark,
        "key_refused",
        &[("key", carol), ("proven", "no"), ("reason", "not_in_role")],
    )?;
    for record in world.log().records_since(mark) {
        require_eq(&record.line, record.verb.as_str(), "key_refused")?;
        require_eq(&record.line, record.get("proven"), "no")?;
    }
    for person in ["alice", "bob", "carol"] {
        no_decision_names(world, mark, person)?;
    }
    Ok(())
}
