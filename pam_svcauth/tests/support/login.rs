//! A login as an application makes it, from pam_start(3) to pam_end(3).

use std::ffi::CString;
use std::path::Path;

use super::ffi::{Handle, Item, Phase, Talk};
use super::site::{BOB, by};
use super::world::{IGNORE, World};

/// What the application sets.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) service: &'static str,
    pub(crate) user: Option<CString>,
    /// `SSH_AUTH_INFO_0`: empty until the session phase, as sshd does it.
    pub(crate) auth_info: Option<String>,
    pub(crate) ruser: Option<&'static str>,
    pub(crate) rhost: Option<&'static str>,
    pub(crate) tty: Option<&'static str>,
    pub(crate) talk: Talk,
    pub(crate) flags: i32,
}

/// The codes of the phases that were run, and the records they left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) account: i32,
    pub(crate) open: i32,
    pub(crate) establish: i32,
    pub(crate) close: Option<i32>,
    pub(crate) heard: Vec<String>,
    /// Of the account phase.
    pub(crate) early: Vec<String>,
    /// Of the session phases.
    pub(crate) records: Vec<String>,
}

impl Login {
    /// ssh by key or certificate.
    pub(crate) fn ssh(account: &str, fixture: &str) -> Self {
        Self::ssh_with(account, &by(fixture))
    }

    pub(crate) fn ssh_with(account: &str, auth_info: &str) -> Self {
        Self {
            auth_info: Some(auth_info.to_owned()),
            rhost: Some("10.1.2.3"),
            tty: Some("ssh"),
            ..Self::through("sshd", account)
        }
    }

    /// su, sudo and the like: `account` by `invoker`.
    pub(crate) fn by(service: &'static str, invoker: &'static str, account: &str) -> Self {
        Self { ruser: Some(invoker), ..Self::through(service, account) }
    }

    /// Any other application.
    pub(crate) fn through(service: &'static str, account: &str) -> Self {
        Self {
            service,
            user: Some(CString::new(account).unwrap()),
            auth_info: None,
            ruser: None,
            rhost: None,
            tty: None,
            talk: Talk::Listens,
            flags: 0,
        }
    }

    pub(crate) fn start(&self, world: &World) -> Handle {
        self.start_in(&world.pam_folder())
    }

    /// The same with the folder of the stacks, for a thread.
    pub(crate) fn start_in(&self, folder: &Path) -> Handle {
        let handle = Handle::start(folder, self.service, self.user.as_deref(), self.talk);
        for (item, text) in [(Item::RUser, self.ruser), (Item::RHost, self.rhost), (Item::Tty, self.tty)] {
            if let Some(text) = text {
                handle.set(item, Some(&CString::new(text).unwrap()));
            }
        }
        if self.service == "sshd" {
            handle.put_env(c"SSH_AUTH_INFO_0=");
        }
        handle
    }

    /// What sshd does when the login is complete.
    pub(crate) fn complete(&self, handle: &Handle) {
        if let Some(info) = &self.auth_info {
            handle.put_env(&CString::new(format!("SSH_AUTH_INFO_0={info}")).unwrap());
        }
    }

    /// All phases; the session phase is asked even when the account phase said no, as runuser and a careless application do.
    pub(crate) fn run(&self, world: &World) -> Answers {
        world.records();
        let handle = self.start(world);
        let account = handle.run(Phase::Account, self.flags);
        let early = world.records();
        self.complete(&handle);
        let open = handle.run(Phase::Open, self.flags);
        let establish = handle.run(Phase::Establish, self.flags);
        let close = (open != super::world::DENIED).then(|| handle.run(Phase::Close, self.flags));
        let heard = handle.heard().to_vec();
        drop(handle);
        Answers { account, open, establish, close, heard, early, records: world.records() }
    }
}

/// Root and a local user are untouched, whatever state the world is in: every phase is ignored and nothing is recorded.
pub(crate) fn assert_others_untouched(world: &World, state: &str) {
    for login in [
        Login::ssh("root", BOB),
        Login::ssh("alice", BOB),
        Login::by("su", "bob", "root"),
        Login::by("su", "bob", "alice"),
        Login::by("sudo", "bob", "alice"),
        Login::through("login", "alice"),
        Login::through("cron", "root"),
    ] {
        let answers = login.run(world);
        let codes = (answers.account, answers.open, answers.establish, answers.close);
        let untouched = (IGNORE, IGNORE, IGNORE, Some(IGNORE));
        assert_eq!(codes, untouched, "{state}: {login:?}: {answers:?}");
        assert_eq!((answers.heard, answers.records), (vec![], vec![]), "{state}: {login:?}");
    }
}
