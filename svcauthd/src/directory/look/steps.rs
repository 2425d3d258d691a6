//! The steps on the way to a server's tree.

use super::certificate::{Certificate, remedy};
use super::{CONTROLLERS, DNS, Step, Tell, Told, census, told};
use crate::directory::connect::{self, Stream};
use crate::directory::error::FetchError;
use crate::directory::ldap::Server;
use crate::directory::pump::Link;
use crate::directory::reach;
use ldap3::Ldap;
use std::time::{Duration, Instant};
use svcauth_core::config::{Bind, Config, DirectoryUri, LdapDirectory, ServerSource, Tls};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Longest wait for one connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Walks to each server in turn until one opens its tree.
pub(super) async fn servers(config: &Config, secret: Option<&str>, deadline: Instant, tell: &mut Tell<'_>) {
    let Some(ldap) = config.directory.kind.server() else { return };
    let uris = match &ldap.servers {
        ServerSource::Uris(uris) => uris.clone(),
        ServerSource::Domain { domain, .. } => match reach::controllers(domain, ldap.tls, DNS).await {
            Ok(uris) => {
                let names: Vec<String> = uris.iter().take(CONTROLLERS).map(ToString::to_string).collect();
                tell(Told::Step(Step::good(
                    "dns",
                    format!("the controllers of {domain}: {}", names.join(", ")),
                )));
                uris
            }
            Err(error) => {
                let next = "check /etc/resolv.conf, or name the controllers: --uri ldaps://dc1.example.com";
                tell(Told::Step(Step::bad("dns", error.to_string(), next)));
                return;
            }
        },
    };
    for uri in uris.iter().take(CONTROLLERS) {
        let walk = Walk { config, ldap, secret, uri, deadline };
        if walk.all(tell).await {
            return;
        }
    }
}

struct Walk<'a> {
    config: &'a Config,
    ldap: &'a LdapDirectory,
    secret: Option<&'a str>,
    uri: &'a DirectoryUri,
    deadline: Instant,
}

impl Walk<'_> {
    /// Whether the tree was reached.
    async fn all(&self, tell: &mut Tell<'_>) -> bool {
        if !self.reached(tell).await {
            return false;
        }
        let Some(stream) = self.protected(tell).await else { return false };
        let server = Server::new(self.uri, self.config.directory.timeout, Link::default());
        let session = server.session(self.ldap, self.secret, stream).await;
        let step = match &session {
            Ok(_) => Step::good("bind", as_whom(&self.ldap.bind)),
            Err(error) => Step::bad("bind", told(error, &server.name()), bind_remedy(&self.ldap.bind, error)),
        };
        tell(Told::Step(step));
        match session {
            Ok(mut session) => {
                self.tree(&server, &mut session, tell).await;
                server.leave(session).await;
                true
            }
            // Another server would be asked with the same words.
            Err(error) => matches!(error, FetchError::Refused { .. }),
        }
    }

    /// The name is known and somebody answers.
    async fn reached(&self, tell: &mut Tell<'_>) -> bool {
        let DirectoryUri::Host { host, port, .. } = self.uri else { return true };
        let found = timeout(CONNECT, lookup_host((host.as_str(), *port))).await;
        let addresses: Vec<_> = match found {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let Some(first) = addresses.first() else {
            let next = "check the name, /etc/resolv.conf and /etc/hosts";
            tell(Told::Step(Step::bad("name", format!("{host} has no address"), next)));
            return false;
        };
        tell(Told::Step(Step::good("name", format!("{host} is {}", first.ip()))));
        let why = match timeout(CONNECT, TcpStream::connect((host.as_str(), *port))).await {
            Ok(Ok(_)) => {
                tell(Told::Step(Step::good("connection", format!("port {port} answers"))));
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CONNECT.as_secs()),
        };
        let next = "does the server run, is the port right, and does a firewall let this host through?";
        tell(Told::Step(Step::bad("connection", format!("{host} port {port}: {why}"), next)));
        false
    }

    /// The connection that the daemon would have: with the certificate and the host name checked.
    async fn protected(&self, tell: &mut Tell<'_>) -> Option<Box<dyn Stream>> {
        let ca_file = self.ldap.ca_file.as_deref();
        let is_plain = self.ldap.tls == Tls::Off || matches!(self.uri, DirectoryUri::Ldapi { .. });
        let opened = async {
            let tls = (!is_plain).then(|| reach::trusted(ca_file)).transpose()?;
            let opened = timeout(CONNECT, connect::open(self.ldap, self.uri, tls.as_ref())).await;
            opened.unwrap_or_else(|_| Err(self.late()))
        };
        let what = if is_plain { "connection" } else { "tls" };
        match opened.await {
            Ok(stream) => {
                let shown = stream.certificate().as_deref().and_then(Certificate::read);
                let by =
                    ca_file.map_or("this host's authorities".to_owned(), |file| file.display().to_string());
                let said = shown.map_or("no TLS; the bytes do not leave this host".to_owned(), |shown| {
                    format!("{}; trusted by {by}", shown.line())
                });
                tell(Told::Step(Step::good(what, said)));
                Some(stream)
            }
            Err(error) => {
                let step = self.refused(what, &error).await;
                tell(Told::Step(step));
                None
            }
        }
    }

    fn late(&self) -> FetchError {
        let (server, step) = (self.uri.to_string(), "the handshake".to_owned());
        FetchError::Timeout { server, step, seconds: CONNECT.as_secs() }
    }

    /// Why there is no connection; of a refused certificate, what it says.
    async fn refused(&self, what: &str, error: &FetchError) -> Step {
        let said = match error {
            FetchError::Tls { what, .. } => what.clone(),
            FetchError::File { .. } => {
                return Step::bad(
                    what,
                    error.to_string(),
                    "name a PEM file that the user svcauth can read: --ca-file",
                );
            }
            other => told(other, &self.uri.to_string()),
        };
        let shown = timeout(CONNECT, connect::certificate_of(self.ldap, self.uri)).await.ok().flatten();
        let shown = shown.as_deref().and_then(Certificate::read);
        let ca_file = self.ldap.ca_file.as_ref().map(|file| file.display().to_string());
        let next = remedy(&said, shown.as_ref(), ca_file.as_deref());
        let said = shown.map_or_else(|| said.clone(), |shown| format!("{said}: {}", shown.line()));
        Step::bad(what, said, next)
    }

    /// What the tree is called and what is in it.
    async fn tree(&self, server: &Server<'_>, session: &mut Ldap, tell: &mut Tell<'_>) {
        let attributes = ["namingContexts", "defaultNamingContext"];
        let root =
            server.one(session, "the root entry", "", &attributes).await.ok().flatten().unwrap_or_default();
        let text = |name: &str| -> Vec<String> {
            root.values(name).iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
        };
        let mut contexts = text("defaultnamingcontext");
        if contexts.is_empty() {
            contexts = text("namingcontexts");
        }
        let said =
            if contexts.is_empty() { "the server names no tree".to_owned() } else { contexts.join(", ") };
        tell(Told::Step(Step::good("tree", said)));
        let mut counter = census::Counter::new(self.config);
        for context in &contexts {
            if let Err(error) = counter.count(server, session, context, self.deadline).await {
                let next = "may the bind user read below it? Name the bases yourself: --accounts-base, --groups-base, --people-base";
                tell(Told::Step(Step::bad("tree", told(&error, &server.name()), next)));
                return;
            }
        }
        tell(Told::Census(counter.finish(contexts)));
    }
}

fn as_whom(bind: &Bind) -> String {
    match bind {
        Bind::Anonymous => "as nobody (anonymous)".to_owned(),
        Bind::Simple { dn, .. } => format!("as {dn}"),
        Bind::External => "as the user svcauth (external)".to_owned(),
        Bind::Gssapi { principal, keytab } => {
            let whose = principal.as_deref().unwrap_or("this host");
            format!("with Kerberos as {whose}, by the key in {}", keytab.display())
        }
    }
}

fn bind_remedy(bind: &Bind, error: &FetchError) -> String {
    match (bind, error) {
        (Bind::Simple { .. }, FetchError::Refused { code: 49, .. }) => {
            "check --bind-dn and the password; the server says no more than that one of them is wrong"
                .to_owned()
        }
        (Bind::Anonymous, _) => {
            "the server takes nobody in particular; name who reads: --bind simple --bind-dn DN".to_owned()
        }
        (Bind::Gssapi { .. }, _) => {
            "check the keytab (klist -k) and that the KDC answers; or bind with a password: --bind simple"
                .to_owned()
        }
        _ => "ask whoever runs the directory what this user may do".to_owned(),
    }
}
