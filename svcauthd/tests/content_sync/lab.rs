//! A slapd, a way to it, a source, and what the source has told so far.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use svcauth_core::config::Config;
use svcauth_tests::directory::{BASE, Directory, Schema, person_dn};
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::site::Site;
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;
use svcauthd::directory::{Answer, Depth, Extent, FetchError, Mark, Request, Source, Wake};

use crate::proxy::Proxy;
use crate::view::View;

/// What has not come by then never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a test has.
pub(crate) struct Lab<'w> {
    world: &'w World,
    slapd: Option<Slapd>,
    pub(crate) proxy: Proxy,
    pub(crate) config: Config,
    plain: Config,
    secret: String,
    pub(crate) source: Source,
    pub(crate) view: View,
    pub(crate) mark: Option<Mark>,
}

/// The example with twenty more people, so that there is something to leave alone.
pub(crate) fn people() -> Directory {
    let mut directory = Directory::example();
    for index in 0..20 {
        let dn = person_dn(&format!("person{index:02}"));
        directory.raw(&format!(
            "dn: {dn}\nobjectClass: inetOrgPerson\nuid: person{index:02}\ncn: Person\nsn: {index}"
        ));
    }
    directory
}

impl<'w> Lab<'w> {
    /// A server with these entries and a configuration that is the harness's after `edit`.
    pub(crate) fn new(
        world: &'w World,
        directory: &Directory,
        server: impl FnOnce(String) -> String,
        edit: &[(&str, &str)],
    ) -> Outcome<Self> {
        let slapd = Slapd::start_edited(world, directory, Schema::Rfc2307bis, server)?;
        let proxy = Proxy::start()?;
        let mut site = Site::example();
        Slapd::serve(world, &mut site)?;
        let secret = std::fs::read_to_string("/etc/svcauth/bind.secret")?.trim_end().to_owned();
        site.configure(
            "ldaps://ldap1.example.com\"]",
            &format!("ldap://127.0.0.1:{}\"]\ntls = \"off\"", proxy.port),
        )?;
        let without_ca = site.config.lines().filter(|line| !line.starts_with("ca_file"));
        site.config = without_ca.flat_map(|line| [line, "\n"]).collect();
        for (from, to) in edit {
            site.configure(from, to)?;
        }
        let parse = |text: &str| Config::parse(text).map_err(|error| Failure::new(error.to_string()));
        let config = parse(&site.config)?;
        let direct = site.config.replace(&format!("127.0.0.1:{}", proxy.port), "127.0.0.1:389");
        let direct: String = direct
            .lines()
            .filter(|line| !line.starts_with("changes"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let plain = parse(&direct.replace("tls = \"off\"", "tls = \"off\"\nchanges = \"off\""))?;
        let (source, view, mark) = (Source::default(), View::default(), None);
        Ok(Self { world, slapd: Some(slapd), proxy, config, plain, secret, source, view, mark })
    }

    /// A server as the harness makes it, and a source that knows all and is told of changes.
    pub(crate) fn live(world: &'w World) -> Outcome<Self> {
        let mut lab = Self::new(world, &people(), |text| text, &[])?;
        let answer = lab.fetch(Depth::Changes)?;
        require(answer.live && answer.mark.is_some() && answer.note.is_none(), || format!("{answer:?}"))?;
        lab.agree()?;
        Ok(lab)
    }

    /// Asks; what comes back is put into effect.
    pub(crate) fn fetch(&mut self, depth: Depth) -> Outcome<Answer> {
        self.try_fetch(depth).map_err(|error| Failure::new(error.to_string()))
    }

    pub(crate) fn try_fetch(&mut self, depth: Depth) -> Result<Answer, FetchError> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let request = Request {
            config: &self.config,
            secret: Some(&self.secret),
            deadline,
            since: self.mark.as_ref(),
            depth,
        };
        let answer = self.source.fetch(&request, &mut self.view)?;
        self.mark.clone_from(&answer.mark);
        Ok(answer)
    }

    /// Asks for changes and expects no more than those.
    pub(crate) fn changes(&mut self) -> Outcome<Answer> {
        let answer = self.fetch(Depth::Changes)?;
        require_eq("the extent", &self.view.staged.extent, &Extent::Changes)?;
        Ok(answer)
    }

    /// Puts the last answer into effect, and compares with what a whole fetch gives without content synchronisation.
    pub(crate) fn agree(&mut self) -> Outcome {
        self.view.apply();
        require_eq("what the source told", &self.view.text(), &self.read_plainly()?)
    }

    /// What a whole fetch gives without content synchronisation.
    fn read_plainly(&self) -> Outcome<String> {
        let mut plain = View::default();
        let deadline = Instant::now() + Duration::from_secs(60);
        let request = Request {
            config: &self.plain,
            secret: Some(&self.secret),
            deadline,
            since: None,
            depth: Depth::Whole,
        };
        let answer = Source::default().fetch(&request, &mut plain);
        answer.map_err(|error| Failure::new(error.to_string())).doing("read all without synchronisation")?;
        plain.apply();
        Ok(plain.text())
    }

    /// Waits until the server has no entry of this name, and none with it in its list of members.
    pub(crate) fn wait_until_nothing_names(&self, dn: &str) -> Outcome {
        wait_until(&format!("nothing to name {dn}"), PATIENCE, || match self.read_plainly() {
            Ok(text) => (!text.contains(dn)).then_some(Ok(())),
            Err(why) => Some(Err(why)),
        })?
    }

    /// Waits until the source stirs; how long that took.
    pub(crate) fn stirs(&mut self) -> Outcome<Duration> {
        self.stirs_within(PATIENCE)
    }

    /// Waits this long until the source stirs; how long that took.
    fn stirs_within(&mut self, patience: Duration) -> Outcome<Duration> {
        let began = Instant::now();
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        let alarm = std::thread::spawn(move || {
            std::thread::sleep(patience);
            drop(ours);
        });
        let wake = self.source.wait(theirs.as_fd())?;
        drop(alarm);
        require_eq("why the wait ended", &wake, &Wake::Stirred)?;
        Ok(began.elapsed())
    }

    /// Whether the source keeps quiet for this long.
    pub(crate) fn is_quiet_for(&mut self, time: Duration) -> Outcome {
        match self.stirs_within(time) {
            Err(_) => Ok(()),
            Ok(after) => Err(Failure::new(format!("the source stirred after {after:?}"))),
        }
    }

    /// Applies changes as the directory's administrator.
    pub(crate) fn modify(&self, ldif: &str) -> Outcome {
        self.slapd.as_ref().ok_or_else(|| Failure::new("slapd is stopped"))?.modify(ldif)
    }

    /// Adds a person, changes one, and takes bob out of the role.
    pub(crate) fn three_changes(&self, name: &str) -> Outcome {
        self.modify(&format!(
            "dn: {new}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {name}\ncn: New\nsn: New\n\n\
             dn: {bob}\nchangetype: modify\nreplace: sn\nsn: {name}\n\n\
             dn: cn=application,ou=groups,{BASE}\nchangetype: modify\nadd: member\nmember: {new}\n",
            new = person_dn(name),
            bob = person_dn("bob"),
        ))
    }

    pub(crate) fn stop_server(&mut self) -> Outcome {
        self.slapd.take().map_or(Ok(()), Slapd::stop)
    }

    pub(crate) fn start_server(&mut self) -> Outcome {
        self.slapd = Some(Slapd::start_again(self.world)?);
        Ok(())
    }

    pub(crate) fn server(&self) -> Outcome<&Slapd> {
        self.slapd.as_ref().ok_or_else(|| Failure::new("slapd is stopped"))
    }
}
