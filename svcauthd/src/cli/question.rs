//! The question that PAM would ask about somebody, put by hand.

use std::net::IpAddr;

use svcauth_core::policy::{
    Account, Circumstances, Family, Origin, Person, Policy, Reason, Source, Verdict, decide,
};
use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::host_names::host_names;

use super::ExplainArgs;
use super::output::Failure;
use super::snapshot::{self, damaged};

/// All that an answer rests on.
pub(super) struct Question<'a> {
    pub(super) policy: &'a Policy,
    pub(super) account: &'a Account,
    /// As the snapshot knows them, or as a name without roles where that is all that the service proves.
    pub(super) person: Option<&'a Person>,
    pub(super) origin: Origin<'a>,
    pub(super) proof: Proof,
    pub(super) at: Circumstances<'a>,
    pub(super) generation: u64,
}

impl Question<'_> {
    /// The answer that PAM would get.
    pub(super) fn decide(&self) -> Verdict {
        decide(self.policy, self.account, self.origin, &self.at)
    }
}

/// Puts the question to what is published now.
pub(super) fn put<T>(
    args: &ExplainArgs,
    answer: impl FnOnce(&Question<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let snapshot = snapshot::open()?;
    let policy = snapshot.policy().map_err(damaged)?;
    let Some(account) = snapshot.account(&args.account).map_err(damaged)? else {
        let message = format!(
            "{} is not a managed account: svcauth does not decide about it (see: svcauth accounts)",
            args.account
        );
        return Err(Failure::usage(message));
    };
    let person = snapshot.person(&args.person).map_err(damaged)?.map(|known| known.person);
    let now = Clock::now();
    let names = host_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let at = Circumstances {
        service: Some(&args.service),
        hosts: &names,
        source: source(&args.service, args.from),
        now: snapshot.header().not_before(now.wall),
        age: confirmed::age(snapshot.header(), &now),
    };
    let proof = Proof::of_service(&args.service);
    let person = person.or_else(|| proof.person_without_roles(&args.person));
    answer(&Question {
        policy: &policy,
        account: &account,
        person: person.as_ref(),
        origin: proof.origin(&args.person, &args.account, person.as_ref()),
        proof,
        at,
        generation: snapshot.header().generation,
    })
}

/// What a PAM service can prove about who is behind it, as the PAM module tells services apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// sshd: a key, a certificate, a principal of a person that the snapshot knows.
    Sshd,
    /// su, runuser, sudo: the login name of whoever calls.
    Caller,
    /// cron, at, a user manager that no session is open beside: the account itself.
    Job,
    /// Anything else: nothing.
    Nothing,
}

impl Proof {
    fn of_service(service: &str) -> Self {
        match Family::of(service) {
            Family::Sshd => Self::Sshd,
            Family::Su | Family::Sudo => Self::Caller,
            Family::Job | Family::Manager => Self::Job,
            Family::Other => Self::Nothing,
        }
    }

    /// A caller whom the snapshot does not know has proven a name, and holds no role.
    fn person_without_roles(self, login: &str) -> Option<Person> {
        (self == Self::Caller && login != "root").then(|| Person::without_roles(login))
    }

    fn origin<'a>(self, login: &str, account: &str, person: Option<&'a Person>) -> Origin<'a> {
        match (self, person) {
            (Self::Nothing, _) => Origin::Unproven(Reason::NoOrigin),
            (Self::Job, _) if login == account => Origin::Local,
            (Self::Job, _) => Origin::Unproven(Reason::NoOrigin),
            (Self::Caller, _) if login == "root" => Origin::Root,
            (_, Some(person)) => Origin::Person(person),
            (_, None) => Origin::Unproven(Reason::UnknownPrincipal),
        }
    }
}

/// Only sshd says where a request comes from; there it is part of the question, or left open.
fn source(service: &str, from: Option<IpAddr>) -> Source {
    match (Family::of(service), from) {
        (Family::Sshd, None) => Source::NotYetKnown,
        (_, from) => Source::of(service, from.map(|address| address.to_string()).as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, Proof, Reason, Source, source};

    #[test]
    fn what_is_explained_rests_on_what_the_service_can_prove_as_in_pam() {
        let carol = Proof::Caller.person_without_roles("carol").unwrap();
        let origin =
            |service: &str, login: &str| Proof::of_service(service).origin(login, "deployer", Some(&carol));
        for service in ["sshd", "su", "su-l", "runuser", "runuser-l", "sudo", "sudo-i"] {
            assert_eq!(origin(service, "carol"), Origin::Person(&carol), "{service}");
        }
        for service in ["login", "cron", "atd", "", "SSHD", "sudoers"] {
            assert_eq!(origin(service, "carol"), Origin::Unproven(Reason::NoOrigin), "{service}");
        }
        for service in ["cron", "crond", "atd", "systemd-user"] {
            assert_eq!(origin(service, "deployer"), Origin::Local, "{service}");
        }
        assert_eq!(origin("login", "deployer"), Origin::Unproven(Reason::NoOrigin));
        assert_eq!(Proof::Caller.origin("root", "deployer", None), Origin::Root);
        assert_eq!(Proof::Caller.person_without_roles("root"), None);
        assert_eq!(Proof::Sshd.person_without_roles("carol"), None);
        assert_eq!(Proof::Sshd.origin("root", "deployer", None), Origin::Unproven(Reason::UnknownPrincipal));
    }

    #[test]
    fn an_address_counts_only_where_sshd_says_it() {
        let address = "10.1.2.3".parse().unwrap();
        assert_eq!(source("sshd", Some(address)), Source::Address(address));
        assert_eq!(source("sshd", None), Source::NotYetKnown);
        for service in ["su", "sudo-i", "runuser", "login", "cron"] {
            assert_eq!(source(service, Some(address)), Source::Local, "{service}");
            assert_eq!(source(service, None), Source::Local, "{service}");
        }
    }
}
