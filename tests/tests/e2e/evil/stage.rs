//! A host whose directory is a server that lies on demand, and what must hold while it does.

use std::time::{Duration, Instant};

use svcauth_tests::daemon::ran_out_of_time;
use svcauth_tests::evil::{Answer, Evil, Flavour, Greeting, Request, Tree};
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::Ended;
use svcauth_tests::site::{svcauth, svcauth_json, text_at};
use svcauth_tests::world::World;

use super::windows::BIG;
use crate::host::{Host, Plan, getent};

/// What the daemon binds with; it must never be seen where it was not meant to go.
pub(super) const SECRET: &str = "never in clear";
/// The port of the server that lies.
pub(super) const PORT: u16 = 3890;

/// One attack: how the answer departs from the right one, and what the administrator is told.
pub(super) struct Row {
    pub(super) attack: &'static str,
    pub(super) script: fn(&Request, Answer) -> Answer,
    /// A part of the sentence; with `|` between two of which a fast and a slow machine give one each.
    pub(super) says: &'static str,
}

/// The host and the server.
pub(super) struct Stage {
    pub(super) host: Host,
    pub(super) evil: Evil,
    pub(super) ldif: String,
    flavour: Flavour,
    usual: Speed,
    rows: u32,
}

/// Milliseconds that a lookup and a decision take: the median of several, and the longest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speed {
    median: Duration,
    longest: Duration,
}

impl Speed {
    pub(super) const fn median(&self) -> Duration {
        self.median
    }
    pub(super) const fn longest(&self) -> Duration {
        self.longest
    }
}

/// Points a site at the server of this port on this host, without TLS.
pub(super) fn serve_in_clear(plan: &mut Plan, world: &World, port: u16) -> Outcome {
    world.write("/etc/svcauth/bind.secret", 0o600, format!("{SECRET}\n"))?;
    plan.site.configure(
        "kind = \"ldif\"\nfile = \"/etc/svcauth/directory.ldif\"\n",
        &format!(
            "kind = \"ldap\"\nuris = [\"ldap://127.0.0.1:{port}\"]\ntls = \"off\"\nbind = \"simple\"\n\
             bind_dn = \"cn=svcauth\"\nbind_password_file = \"/etc/svcauth/bind.secret\"\n\
             refresh = \"1h\"\ntimeout = \"1s\"\n"
        ),
    )
}

impl Stage {
    /// An honest server in clear, of the kind "ldap".
    pub(super) fn start(world: &World) -> Outcome<Self> {
        let mut plan = Plan::new(world)?;
        serve_in_clear(&mut plan, world, PORT)?;
        let ldif = plan.site.directory.text(svcauth_tests::directory::Schema::Rfc2307bis);
        Self::with(world, plan, ldif, Flavour::Posix, Greeting::Plain(None))
    }

    /// As a plan says, with these entries.
    pub(super) fn with(
        world: &World,
        plan: Plan,
        ldif: String,
        flavour: Flavour,
        greeting: Greeting,
    ) -> Outcome<Self> {
        let evil = Evil::start(&format!("127.0.0.1:{PORT}"), Tree::parse(&ldif, flavour), greeting)?;
        let host = plan.start(world)?;
        host.ssh("bob", "deployer", &["true"])?.expect_ok().doing("before any attack")?;
        let usual = speed(|| false)?;
        Ok(Self { host, evil, ldif, flavour, usual, rows: 0 })
    }

    /// An account that the server knows from now on.
    pub(super) fn newcomer(&mut self) -> String {
        self.rows += 1;
        let (name, uid) = (format!("new{}", self.rows), 7100 + self.rows);
        let changed = 100_000 + self.rows;
        self.ldif += &match self.flavour {
            Flavour::Posix | Flavour::Provider => format!(
                "\ndn: uid={name},ou=accounts,dc=example,dc=com\nobjectClass: account\nobjectClass: posixAccount\n\
                 uid: {name}\ncn: {name}\nuidNumber: {uid}\ngidNumber: 7000\nhomeDirectory: /home/{name}\n"
            ),
            Flavour::Windows => format!(
                "\ndn: CN={name},OU=accounts,DC=example,DC=com\nobjectClass: user\nsAMAccountName: {name}\n\
                 userAccountControl: 544\nuidNumber: {uid}\ngidNumber: 7000\nunixHomeDirectory: /home/{name}\n\
                 uSNChanged: {changed}\n"
            ),
        };
        let mut tree = Tree::parse(&self.ldif, self.flavour);
        // Long lists are read again only when they have changed.
        if let Some(big) = tree.find(BIG) {
            big.set("uSNChanged", changed.to_string().as_bytes());
        }
        self.evil.knows(tree);
        name
    }

    /// Every row: the attack is seen through, nothing moves, nobody waits, and afterwards all is well.
    pub(super) fn withstands(&mut self, rows: &[Row]) -> Outcome {
        for row in rows {
            self.withstands_one(row).doing(row.attack)?;
        }
        self.host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
        self.host.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
    }

    fn withstands_one(&mut self, row: &Row) -> Outcome {
        let newcomer = self.newcomer();
        self.evil.script(row.script);
        self.refuses(&newcomer, row.says)?;
        require(self.evil.connections() > 0, || "the server was not asked".to_owned())?;
        self.evil.honest();
        self.recovers(&newcomer)
    }

    /// A sync fails for this reason, and changes and delays nothing.
    pub(super) fn refuses(&mut self, newcomer: &str, says: &str) -> Outcome {
        let before = generation()?;
        let tells = |ended: &Ended| says.split('|').any(|part| ended.stderr.contains(part));
        let (mut ended, mut during) = while_syncing()?;
        // A machine that stood still for a second looks like a server that was silent, and like one that delays lookups: what
        // is so by our fault is so each time.
        for _ in 0..4 {
            let was_silent = ran_out_of_time(&ended) && !tells(&ended);
            if !was_silent && self.is_as_fast(during).is_ok() {
                break;
            }
            (ended, during) = while_syncing()?;
        }
        let ended = ended.expect_code(1)?;
        let says = says.split('|').find(|part| ended.stderr.contains(part)).unwrap_or(says);
        require_contains("what sync says", &ended.stderr, says)?;
        let (_, status) = svcauth_json(&["status"])?;
        require_contains("the last error", text_at(&status, "/last_error"), says)?;
        require_eq("the state", text_at(&status, "/state"), "degraded")?;
        require_eq("the generation", &generation()?, &before)?;
        getent("passwd", newcomer)?.expect_code(2).doing("an account of an answer that does not count")?;
        self.is_as_fast(during)
    }

    /// The next sync publishes what the server has now, without a restart.
    pub(super) fn recovers(&mut self, newcomer: &str) -> Outcome {
        self.host.daemon.sync().doing("the first right answer")?;
        getent("passwd", newcomer)?.expect_ok()?;
        let (code, status) = svcauth_json(&["status"])?;
        require_eq("status", &(code, text_at(&status, "/last_error")), &(0, ""))?;
        // Fails when the daemon has ended meanwhile.
        self.host.daemon.wait_for_state("ok").map(drop)
    }

    /// Lookups and decisions wait for no server: a second would be the least that one costs.
    pub(super) fn is_as_fast(&self, now: Speed) -> Outcome {
        let slack = Duration::from_millis(150);
        let fine = now.median < self.usual.median * 3 + slack && now.longest < Duration::from_secs(1) + slack;
        require(fine, || format!("slower: {:?} before and {now:?} during the attack", self.usual))
    }
}

/// The published generation.
pub(super) fn generation() -> Outcome<u64> {
    let (_, status) = svcauth_json(&["status"])?;
    let number = status.pointer("/generation").and_then(serde_json::Value::as_u64);
    number.ok_or_else(|| Failure::new(format!("no generation in {status}")))
}

/// Looks up and decides as long as `goes_on`, and at least five times.
pub(super) fn speed(goes_on: impl Fn() -> bool) -> Outcome<Speed> {
    let mut took = Vec::new();
    while took.len() < 5 || goes_on() {
        let began = Instant::now();
        getent("passwd", "deployer")?.expect_ok()?;
        took.push(began.elapsed());
        let decided = svcauth(&["explain", "bob", "deployer", "--service", "sshd"])?.expect_ok()?;
        took.push(decided.took);
    }
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    Ok(Speed { median, longest: took.last().copied().unwrap_or_default() })
}

/// Runs `svcauth sync` to its end, and measures meanwhile.
pub(super) fn while_syncing() -> Outcome<(Ended, Speed)> {
    let sync = std::thread::spawn(|| svcauth(&["sync"]));
    let during = speed(|| !sync.is_finished())?;
    let ended = sync.join().map_err(|_| Failure::new("the thread of sync panicked"))??;
    Ok((ended, during))
}
