//! Which directory it is and how it is reached: asked as little as possible, tried at once.

use std::path::Path;
use std::time::Duration;

use super::answers::Answers;
use super::talk::Stop;
use super::{Setup, draft, screen, trial};
use crate::config_file::Loaded;
use crate::directory::look::{Ask, Census, Step, Told};
use crate::monitor::supervisor;

/// Seconds that a look may take.
const LOOK: u64 = 90;
/// Most domains that DNS is asked about.
const DOMAINS: usize = 4;
/// What the sandbox of svcauthd.service hides.
const HIDDEN: [&str; 5] = ["/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"];

impl Setup<'_> {
    /// Everything that has to be known before the directory can be looked at.
    pub(super) fn interview(&mut self) -> Result<(), Stop> {
        let kind = self.kind()?;
        self.answers.kind = Some(kind.clone());
        if kind == "ldif" {
            return self.file();
        }
        self.server(&kind)?;
        self.bind(&kind)?;
        self.visible("--ca-file", self.answers.ca_file.clone())
    }

    /// The answer that was given, or asked for, or the default.
    pub(super) fn answer(
        &mut self,
        given: Option<String>,
        option: &str,
        question: &str,
        default: Option<&str>,
    ) -> Result<String, Stop> {
        match (given, default) {
            (Some(given), _) => Ok(given),
            (None, _) if self.talk.can_ask() => Ok(self.talk.ask(question, default)?),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(Stop::Usage(format!("{option} is missing: {question}"))),
        }
    }

    fn kind(&mut self) -> Result<String, Stop> {
        let Answers { kind, domain, uri, file, bob_key, .. } = &self.answers;
        let implied = match (domain, uri.first(), file.as_ref().or(bob_key.as_ref())) {
            (Some(_), ..) => Some("ad"),
            (None, Some(_), _) => Some("ldap"),
            (None, None, Some(_)) => Some("ldif"),
            _ => None,
        };
        if let Some(kind) = kind.as_deref().or(implied) {
            return Ok(kind.to_owned());
        }
        if !self.talk.can_ask() {
            return Err(Stop::Usage(
                "--kind is missing: ad, ldap, or ldif (a file on this host, to try it)".to_owned(),
            ));
        }
        let found = self.domains()?;
        self.answers.domain = found.first().cloned();
        for domain in &found {
            self.talk.say(&format!("  ok      dns         {domain} has controllers of Active Directory"))?;
        }
        self.talk.say("Accounts, groups and people come from one of these:")?;
        self.talk.say("  ad    Active Directory, or Samba as a domain controller")?;
        self.talk.say("  ldap  OpenLDAP, 389 Directory Server and others")?;
        self.talk.say("  ldif  a file on this host; also to try svcauth without a directory")?;
        let default = if found.is_empty() { "ldif" } else { "ad" };
        loop {
            let kind = self.talk.ask("ad, ldap or ldif?", Some(default))?;
            if ["ad", "ldap", "ldif"].contains(&kind.as_str()) {
                return Ok(kind);
            }
        }
    }

    /// Domains of this host that have controllers.
    fn domains(&mut self) -> Result<Vec<String>, Stop> {
        let (mut found, candidates) = (Vec::new(), candidates());
        if candidates.is_empty() {
            return Ok(found);
        }
        let mut heard = |told| {
            if let Told::Domain(domain, _) = told {
                found.push(domain);
            }
        };
        let patience = Duration::from_secs(LOOK);
        supervisor::look(self.user, &Ask::Domains(candidates), None, patience, &mut heard)
            .map_err(|error| Stop::failed(format!("DNS cannot be asked: {error}")))?;
        Ok(found)
    }

    /// A file that is there, or one to try that is made.
    fn file(&mut self) -> Result<(), Stop> {
        let path = self.answers.file.clone().unwrap_or_else(|| draft::LDIF.to_owned());
        self.visible("--file", Some(path.clone()))?;
        self.answers.file = Some(path.clone());
        let is_there = Path::new(&path).exists();
        let bob = self.answers.bob_key.clone();
        if bob.is_none() && (is_there || !self.talk.can_ask()) {
            return if is_there {
                Ok(())
            } else {
                Err(Stop::Usage(format!(
                    "{path} is not there; name another --file, or have one made with --bob-key KEY"
                )))
            };
        }
        if bob.is_none() {
            self.talk.say(&format!(
                "{path} is not there. One is made to try: bob may become deployer, carol may not."
            ))?;
        }
        let text = self.trial(bob)?;
        if is_there && !self.options.replace && std::fs::read_to_string(&path).is_ok_and(|old| old != text) {
            return Err(Stop::Failed(format!(
                "{path} is there already and was left alone; leave --bob-key out to use it, or add --replace to keep it under \
                 another name"
            )));
        }
        for base in
            [&mut self.answers.accounts_base, &mut self.answers.groups_base, &mut self.answers.people_base]
                .into_iter()
                .zip(["accounts", "groups", "people"])
        {
            base.0.get_or_insert_with(|| format!("ou={},dc=example,dc=com", base.1));
        }
        self.keep_trial(text)
    }

    /// The text of the file to try; a key that is none is asked for again.
    fn trial(&mut self, given: Option<String>) -> Result<String, Stop> {
        loop {
            let bob =
                self.answer(given.clone(), "--bob-key", "bob's public key (a .pub file, or the key)?", None)?;
            let mut carol = self.answers.carol_key.clone();
            if carol.is_none() && self.talk.can_ask() {
                let asked = self.talk.ask("carol's public key, who is refused (- for none)?", Some("-"))?;
                carol = Some(asked).filter(|asked| asked != "-");
            }
            match trial::directory(&bob, carol.as_deref()) {
                Err(Stop::Usage(why)) if self.talk.can_ask() && given.is_none() => self.talk.say(&why)?,
                done => return done,
            }
        }
    }

    fn server(&mut self, kind: &str) -> Result<(), Stop> {
        if !self.answers.uri.is_empty() {
            return Ok(());
        }
        if kind == "ad" {
            let found = self.answers.domain.take();
            let given = found.clone().filter(|_| !self.talk.can_ask());
            let domain = self.answer(given, "--domain", "Which domain?", found.as_deref())?;
            self.answers.domain = Some(domain);
            return Ok(());
        }
        let question = "URI of the server, such as ldaps://ldap.example.com?";
        let uri = self.answer(None, "--uri", question, None)?;
        // What was typed without a scheme was meant to be safe.
        let uri = if uri.contains("://") { uri } else { format!("ldaps://{uri}") };
        if uri.starts_with("ldap://") && self.answers.tls.is_none() {
            self.answers.tls = Some("starttls".to_owned());
        }
        self.answers.uri = vec![uri];
        Ok(())
    }

    /// As whom to read, and the password, which is asked for without showing it.
    fn bind(&mut self, kind: &str) -> Result<(), Stop> {
        let Answers { bind, bind_dn, uri, .. } = &self.answers;
        let has_keytab = kind == "ad" && Path::new("/etc/krb5.keytab").exists();
        let is_ldapi = uri.first().is_some_and(|uri| uri.starts_with("ldapi:"));
        let default = match (bind_dn, has_keytab, is_ldapi) {
            (Some(_), ..) => "simple",
            (None, true, _) => "gssapi",
            (None, false, true) => "external",
            (None, false, false) => "simple",
        };
        let given = bind.clone().or_else(|| bind_dn.as_ref().map(|_| "simple".to_owned()));
        let question =
            "As whom to read: simple (name and password), gssapi (this host's keytab), anonymous, external?";
        let bind = self.answer(given, "--bind", question, Some(default))?;
        self.answers.bind = Some(bind.clone());
        if bind != "simple" {
            return Ok(());
        }
        let domain = self.answers.domain.clone().filter(|_| kind == "ad");
        let default = domain.map(|domain| format!("svcauth@{domain}"));
        let given = self.answers.bind_dn.clone();
        let dn = self.answer(given, "--bind-dn", "Name (DN) to bind with?", default.as_deref())?;
        self.answers.bind_dn = Some(dn.clone());
        self.secret = Some(self.password(&dn)?);
        Ok(())
    }

    fn password(&mut self, dn: &str) -> Result<String, Stop> {
        let Some(path) = self.answers.password_file.clone() else {
            if !self.talk.can_ask() {
                return Err(Stop::Usage(
                    "--password-file is missing: a file whose first line is the password".to_owned(),
                ));
            }
            return Ok(self.talk.ask_secret(&format!("Password of {dn} (it is not shown)?"))?);
        };
        let named = |why: &dyn std::fmt::Display| Stop::Failed(format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| named(&error))?;
        let password = text.lines().next().unwrap_or_default();
        if password.is_empty() {
            return Err(named(&"its first line is empty; an empty password is never sent"));
        }
        Ok(password.to_owned())
    }

    /// A file that the service cannot see would work now and not later.
    pub(super) fn visible(&self, option: &str, path: Option<String>) -> Result<(), Stop> {
        let hidden = path.filter(|path| HIDDEN.iter().any(|folder| path.starts_with(folder)));
        hidden.map_or(Ok(()), |path| {
            Err(Stop::Usage(format!(
                "{option} {path}: the service sees neither /home nor /root nor /tmp; copy it to /etc/svcauth/ and name that"
            )))
        })
    }

    /// Looks at the directory step by step, and tells each.
    pub(super) fn look(&mut self, loaded: &Loaded) -> Result<Census, Stop> {
        let ask = Ask::Look { config: loaded.text.clone(), secret: self.secret.clone(), seconds: LOOK };
        let keytab = loaded.keytab().map_err(Stop::failed)?;
        let (mut census, mut steps, mut broken) = (None, Vec::new(), Ok(()));
        let (place, name) = (self.place_of_trial(), self.named(self.place_of_trial().unwrap_or_default()));
        let (talk, patience) = (&mut *self.talk, Duration::from_secs(LOOK));
        let mut heard = |told| match told {
            Told::Step(mut step) => {
                if let Some(place) = &place {
                    step.said = step.said.replace(place, &name);
                }
                if broken.is_ok() {
                    broken = screen::step(&step, talk);
                }
                steps.push(step);
            }
            Told::Census(found) => census = Some(found),
            Told::Domain(..) | Told::End => {}
        };
        let looked = supervisor::look(self.user, &ask, keytab, patience, &mut heard);
        let last: Option<Step> = steps.iter().rfind(|step: &&Step| !step.ok).cloned();
        self.report.steps = steps;
        broken?;
        looked.map_err(|error| Stop::failed(format!("the directory cannot be looked at: {error}")))?;
        match (census, last) {
            (Some(census), _) => Ok(census),
            (None, Some(Step { what, said, next, .. })) => {
                Err(Stop::Failed(format!("{what}: {said}; next: {}", next.unwrap_or_default())))
            }
            (None, None) => Err(Stop::Failed("the directory says nothing about itself".to_owned())),
        }
    }
}

/// The domains that this host may be in: by its own name, and by what resolv.conf searches.
fn candidates() -> Vec<String> {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let own = name.split_once('.').map(|(_, domain)| domain.to_owned());
    let resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let searched =
        resolv.lines().filter_map(|line| line.strip_prefix("search ").or(line.strip_prefix("domain ")));
    let searched =
        searched.flat_map(str::split_whitespace).map(|domain| domain.trim_end_matches('.').to_owned());
    let mut found: Vec<String> = Vec::new();
    for domain in own.into_iter().chain(searched).map(|domain| domain.to_ascii_lowercase()) {
        if domain.contains('.') && !found.contains(&domain) && found.len() < DOMAINS {
            found.push(domain);
        }
    }
    found
}
