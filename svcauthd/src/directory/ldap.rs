//! Reads accounts, groups and people from an LDAP server.

use super::connect;
use super::content_sync::{Content, Synced};
use super::entry::Entry;
use super::error::FetchError;
use super::pump::{self, End, Link};
use super::reach::{Reach, Way};
use super::shape::Phase;
use super::source::{Answer, Request};
use super::{Extent, Kind, Sink, usn};
use ldap3::asn1::{PL, StructureTag};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, ResultEntry, StdStream};
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;
use svcauth_core::config::{Bind, Config, DirectoryUri, LdapDirectory};
use tokio::time::timeout;

/// What a worker keeps of its servers between two fetches.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The connection to a controller of Active Directory.
    line: Option<usn::Line>,
    /// The connection to a server that offers content synchronisation.
    content: Content,
}

impl Held {
    /// Whether there is a connection on which a server tells of changes.
    pub(super) const fn is_live(&self) -> bool {
        self.content.is_live()
    }

    /// Comes back when the directory has changed, or the connection is gone.
    pub(super) async fn stirs(&mut self) {
        self.content.stirs().await;
    }
}

/// Asks the first server that gives everything.
pub(super) async fn fetch(
    ldap: &LdapDirectory,
    request: &Request<'_>,
    held: &mut Held,
    reach: &mut Reach,
    sink: &mut dyn Sink,
) -> Result<Answer, FetchError> {
    let is_better_known = |uri: &DirectoryUri| reach.has_better(uri);
    if let Some(answer) = held.content.pushed(request, is_better_known, sink).await {
        return Ok(answer);
    }
    if let Some(answer) = usn::resume(&mut held.line, ldap, request, is_better_known, sink).await {
        return Ok(answer);
    }
    let wait = request.config.directory.timeout;
    let mut attempt = reach.begin(ldap, wait, request.deadline).await?;
    while let Some(Way { uri, stream }) = attempt.next().await {
        let server = Server::new(&uri, wait, Link::default());
        match server.fetch(ldap, request, stream, held, sink).await {
            Ok(Some(answer)) => {
                attempt.worked(&uri);
                return Ok(answer);
            }
            Ok(None) => attempt.again(&uri),
            Err(error) => attempt.failed(&uri, error),
        }
    }
    Err(attempt.failure())
}

/// One server while it is asked.
pub(super) struct Server<'a> {
    pub(super) uri: &'a DirectoryUri,
    pub(super) wait: Duration,
    pub(super) link: Link,
}

impl<'a> Server<'a> {
    /// A server whose answers may take so long each.
    pub(super) const fn new(uri: &'a DirectoryUri, wait: Duration, link: Link) -> Self {
        Self { uri, wait, link }
    }
}

impl Server<'_> {
    /// Asks; none when that has to be done anew on another connection.
    async fn fetch(
        &self,
        ldap: &LdapDirectory,
        request: &Request<'_>,
        stream: Box<dyn connect::Stream>,
        held: &mut Held,
        sink: &mut dyn Sink,
    ) -> Result<Option<Answer>, FetchError> {
        let session = self.session(ldap, request.secret, stream).await?;
        if request.config.directory.kind.is_ad() {
            return self.follow(session, ldap, request, &mut held.line, sink).await.map(Some);
        }
        let mut session = match self.synced(session, ldap, request, &mut held.content, sink).await? {
            Synced::Answer(answer) => return Ok(Some(answer)),
            Synced::Again => return Ok(None),
            Synced::No(session) => session,
        };
        self.whole(&mut session, request.config, sink).await?;
        self.leave(session).await;
        Ok(Some(Answer { server: self.name(), ..Answer::default() }))
    }

    /// Says goodbye. Polite, and of no consequence: everything has been read. Afterwards nobody drives the connection, so
    /// that it would stay open until the next fetch.
    pub(super) async fn leave(&self, mut session: Ldap) {
        let goodbye = async {
            let _ = session.unbind().await;
            self.link.over().await;
        };
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }

    /// Binds.
    pub(super) async fn session(
        &self,
        ldap: &LdapDirectory,
        secret: Option<&str>,
        mut stream: Box<dyn connect::Stream>,
    ) -> Result<Ldap, FetchError> {
        let first = match &ldap.bind {
            Bind::Gssapi { .. } => {
                self.prove(&mut stream).await?;
                Phase::Search
            }
            Bind::Anonymous => Phase::Search,
            Bind::Simple { .. } | Bind::External => Phase::Bind,
        };
        let mut session = self.guarded(stream, first).await?;
        self.bind(&mut session, &ldap.bind, secret).await?;
        Ok(session)
    }

    /// Reads everything there is.
    async fn whole(
        &self,
        session: &mut Ldap,
        config: &Config,
        sink: &mut dyn Sink,
    ) -> Result<(), FetchError> {
        sink.begin(Extent::Whole);
        for kind in Kind::ALL {
            self.search(session, config, kind, sink).await?;
        }
        Ok(())
    }

    /// Puts the guard between the server and the library, which gets one end of a socket pair for a connection.
    async fn guarded(&self, stream: Box<dyn connect::Stream>, first: Phase) -> Result<Ldap, FetchError> {
        let internal = |what: String| FetchError::Internal(what);
        let (ours, theirs) =
            std::os::unix::net::UnixStream::pair().map_err(|error| internal(error.to_string()))?;
        ours.set_nonblocking(true).map_err(|error| internal(error.to_string()))?;
        let ours = tokio::net::UnixStream::from_std(ours).map_err(|error| internal(error.to_string()))?;
        tokio::spawn(pump::run(stream, ours, first, self.link.clone()));
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
        // The URL only says which kind of stream it is; the stream itself is there already.
        let (connection, session) = LdapConnAsync::with_settings(settings, "ldapi://%2F")
            .await
            .map_err(|error| internal(error.to_string()))?;
        // A panic in the library ends this task, and with it the session: the fetch fails, the process lives.
        tokio::spawn(async move { connection.drive().await });
        Ok(session)
    }

    async fn bind(&self, session: &mut Ldap, bind: &Bind, secret: Option<&str>) -> Result<(), FetchError> {
        let result = match bind {
            // Kerberos has done its part before.
            Bind::Anonymous | Bind::Gssapi { .. } => return Ok(()),
            Bind::Simple { dn, .. } => {
                let secret = secret.filter(|secret| !secret.is_empty()).ok_or(FetchError::NoSecret)?;
                self.within("bind", session.simple_bind(dn, secret)).await?
            }
            Bind::External => self.within("bind", session.sasl_external_bind()).await?,
        };
        self.accepted("bind", result.map_err(|error| self.broken("bind", &error))?)
    }

    /// Where it is, and what is known of the connection.
    pub(super) fn way(&self) -> (DirectoryUri, Link) {
        (self.uri.clone(), self.link.clone())
    }

    /// The server as errors name it.
    pub(super) fn name(&self) -> String {
        self.uri.to_string()
    }

    /// Makes room for one more entry.
    pub(super) fn taken(&self) {
        self.link.taken();
    }

    pub(super) async fn within<T>(&self, step: &str, work: impl Future<Output = T>) -> Result<T, FetchError> {
        timeout(self.wait, work).await.map_err(|_| FetchError::Timeout {
            server: self.uri.to_string(),
            step: step.to_owned(),
            seconds: self.wait.as_secs(),
        })
    }

    pub(super) fn accepted(&self, step: &str, result: LdapResult) -> Result<(), FetchError> {
        match result.rc {
            0 => Ok(()),
            code => Err(FetchError::Refused {
                server: self.uri.to_string(),
                step: step.to_owned(),
                code,
                text: result.text,
            }),
        }
    }

    /// What the pump knows about the end of the connection says more than the library's error.
    pub(super) fn broken(&self, step: &str, error: &LdapError) -> FetchError {
        match self.link.end() {
            Some(End::Guard(fault)) => FetchError::Guard { server: self.uri.to_string(), fault },
            Some(End::Closed(what)) => self.incomplete(step, &what),
            None => self.incomplete(step, &error.to_string()),
        }
    }

    pub(super) fn incomplete(&self, step: &str, what: &str) -> FetchError {
        FetchError::Broken { server: self.uri.to_string(), step: step.to_owned(), what: what.to_owned() }
    }
}

/// The entry from the library's parse tree. Its own `SearchEntry` panics on what is no text, hides every value of an
/// attribute behind one that is no text, and lets the last of two attributes of one name win.
pub(super) fn entry(found: ResultEntry) -> Option<Entry> {
    let mut parts = constructed(found.0)?.into_iter();
    let dn = String::from_utf8(primitive(parts.next()?)?).ok()?;
    let mut attributes: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for attribute in constructed(parts.next()?)? {
        let mut parts = constructed(attribute)?.into_iter();
        let name = String::from_utf8(primitive(parts.next()?)?).ok()?.to_ascii_lowercase();
        let values = constructed(parts.next()?)?.into_iter().map(primitive).collect::<Option<Vec<_>>>()?;
        attributes.entry(name).or_default().extend(values);
    }
    Some(Entry::new(dn, attributes))
}

fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}
