//! The connection on which a server tells of changes, while nobody asks.

use super::Stop;
use super::follow::{Flaw, Follow, Tally, Told};
use crate::directory::ldap::Server;
use crate::directory::pump::Link;
use crate::directory::{Answer, Depth, FetchError, Mark, Request, Sink, SyncMark};
use crate::directory::{Extent, Kind};
use ldap3::Ldap;
use ldap3::controls::RefreshMode;
use std::collections::HashSet;
use std::time::Duration;
use svcauth_core::config::{Config, Directory, DirectoryUri};
use tokio::time::{Instant, timeout};

/// A change is rarely alone: what comes within this time belongs to the same answer.
const SETTLE: Duration = Duration::from_millis(30);
/// Longest wait for the last of many changes.
const LONGEST: Duration = Duration::from_millis(300);
/// A connection that ends sooner is not worth an early fetch; else a server that always hangs up would be asked all day.
const YOUNG: Duration = Duration::from_secs(10);

/// Longest wait for the first request beside the searches that go on.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a worker keeps for content synchronisation.
#[derive(Debug, Default)]
pub(in crate::directory) struct Content {
    pub(super) live: Option<Live>,
    /// Servers that do not offer it, or not so that it can be relied on; asked again when everything is.
    pub(super) unfit: HashSet<String>,
    /// Servers that do not let three searches go on beside another request; as above.
    pub(super) mute: HashSet<String>,
    /// What ended the last attempt of this fetch.
    pub(super) over: Option<Over>,
}

/// Everything has to be read anew.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) server: String,
    pub(super) why: Option<String>,
}

/// Three searches that go on, on one connection.
#[derive(Debug)]
pub(super) struct Live {
    uri: DirectoryUri,
    directory: Directory,
    asked: String,
    link: Link,
    session: Ldap,
    follows: [Follow; 3],
    /// The mark of the last answer.
    given: Option<Mark>,
    /// What ended the last wait.
    pending: Option<(usize, Result<Told, Flaw>)>,
    /// Whether the last wait has told of it.
    told: bool,
    since: Instant,
}

impl Content {
    /// Whether there is a connection on which a server tells of changes.
    pub(in crate::directory) const fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Comes back once when the directory has changed or the connection is gone. May be dropped at any time.
    pub(in crate::directory) async fn stirs(&mut self) {
        match &mut self.live {
            Some(live) if !live.told => live.stirs().await,
            _ => std::future::pending().await,
        }
    }

    /// Answers with what the server told since the last answer, if that is what is asked for. `None`: it has to be asked.
    pub(in crate::directory) async fn pushed(
        &mut self,
        request: &Request<'_>,
        is_better_known: impl Fn(&DirectoryUri) -> bool,
        sink: &mut dyn Sink,
    ) -> Option<Answer> {
        self.over = None;
        if request.depth == Depth::Whole {
            self.unfit.clear();
            self.mute.clear();
        }
        let mut live = self.live.take()?;
        if !live.fits(request) || is_better_known(&live.uri) {
            return None;
        }
        let answer = live.answer(request, sink).await.ok()?;
        self.live = Some(live);
        Some(answer)
    }
}

impl Live {
    /// Whether what was told is what is asked for: nothing else was configured, and the last answer was taken.
    fn fits(&self, request: &Request<'_>) -> bool {
        request.depth == Depth::Changes
            && request.since.is_some()
            && request.since == self.given.as_ref()
            && request.config.directory == self.directory
            && asked(request.config) == self.asked
    }

    async fn answer(&mut self, request: &Request<'_>, sink: &mut dyn Sink) -> Result<Answer, Stop> {
        let uri = self.uri.clone();
        let server = Server::new(&uri, request.config.directory.timeout, self.link.clone());
        self.link.renew();
        sink.begin(Extent::Changes);
        let mut tally = self.gather(&server, SETTLE, sink).await?;
        if tally.heard == 0 {
            // Silence is no sign of life. What was sent before this answer has come by then.
            server.sign_of_life(&mut self.session).await?;
            tally = self.gather(&server, Duration::ZERO, sink).await?;
        }
        server.relist(&mut self.session, request.config, tally.dns, sink).await?;
        self.told = false;
        self.given = Some(self.mark());
        Ok(Answer { server: server.name(), mark: self.given.clone(), live: true, note: None })
    }

    /// How far the searches went.
    fn mark(&self) -> Mark {
        let cookies = [0, 1, 2].map(|which: usize| {
            self.follows.get(which).map(|follow| follow.cookie.clone()).unwrap_or_default()
        });
        Mark::ContentSync(SyncMark { server: self.uri.to_string(), asked: self.asked.clone(), cookies })
    }

    /// Passes on what is told until all searches have caught up, and then for `settle` longer after each message.
    async fn gather(
        &mut self,
        server: &Server<'_>,
        settle: Duration,
        sink: &mut dyn Sink,
    ) -> Result<Tally, Stop> {
        let mut tally = Tally::default();
        let started = Instant::now();
        loop {
            let caught_up = self.follows.iter().all(|follow| follow.refreshed);
            let (which, told) = if let Some(pending) = self.pending.take() {
                pending
            } else if !caught_up {
                server.within("content synchronisation", self.next()).await?
            } else if started.elapsed() > LONGEST {
                return Ok(tally);
            } else {
                match timeout(settle, self.next()).await {
                    Ok(told) => told,
                    Err(_) => return Ok(tally),
                }
            };
            let Some(follow) = self.follows.get_mut(which) else { continue };
            match told {
                // Why, the server says to the next search with this cookie.
                Ok(Told::End) => return Err(Stop::Over(None)),
                Ok(told) => follow.apply(told, &mut tally, sink)?,
                Err(flaw) => return Err(flaw.stop(server, &follow.step)),
            }
        }
    }

    /// The next message of any of the searches. Nothing is lost when it is not waited for to the end.
    async fn next(&mut self) -> (usize, Result<Told, Flaw>) {
        let [accounts, groups, people] = &mut self.follows;
        let (which, told) = tokio::select! {
            told = accounts.next() => (0, told),
            told = groups.next() => (1, told),
            told = people.next() => (2, told),
        };
        if matches!(told, Ok(Told::Entry(..) | Told::Info(_))) {
            self.link.taken();
        }
        (which, told)
    }

    /// Whether the searches go on, and leave room for another request.
    async fn plays_along(&mut self, server: &Server<'_>) -> bool {
        while self.pending.is_none() && !self.follows.iter().all(|follow| follow.refreshed) {
            self.hear().await;
        }
        let ended = matches!(self.pending, Some((_, Err(_) | Ok(Told::End))));
        !ended && server.sign_of_life(&mut self.session).await.is_ok()
    }

    /// Waits for one message; keeps it unless it is only about how far a search went.
    async fn hear(&mut self) {
        let (which, told) = self.next().await;
        let quiet = |told| self.follows.get_mut(which).is_some_and(|follow| follow.is_quiet(told));
        if !told.as_ref().is_ok_and(quiet) {
            self.pending = Some((which, told));
        }
    }

    async fn stirs(&mut self) {
        while self.pending.is_none() {
            self.hear().await;
        }
        let ended = matches!(self.pending, Some((_, Err(_) | Ok(Told::End))));
        self.told = true;
        if ended && self.since.elapsed() < YOUNG {
            std::future::pending().await
        }
    }
}

impl Server<'_> {
    async fn sign_of_life(&self, session: &mut Ldap) -> Result<(), FetchError> {
        self.one(session, "a sign of life", "", &["1.1"]).await.map(drop)
    }

    /// Starts the searches that go on from where an answer ended. None where the server does not play along: the answer
    /// stands, and the next change is learnt at the next refresh.
    ///
    /// Whether it does, another request shows: OpenLDAP lets one connection have half as many operations as it has
    /// threads, and lets every further one wait, without a word.
    pub(super) async fn go_on(
        &self,
        mut session: Ldap,
        config: &Config,
        answer: &Answer,
        mute: &mut HashSet<String>,
    ) -> Option<Live> {
        let Some(Mark::ContentSync(mark)) = &answer.mark else { return None };
        let [accounts, groups, people] = &mark.cookies;
        let mut start = async |kind, cookie: &Vec<u8>| {
            let how = (RefreshMode::RefreshAndPersist, Some(cookie.as_slice()));
            Follow::start(self, &mut session, config, kind, how).await.ok()
        };
        let follows = [
            start(Kind::Accounts, accounts).await?,
            start(Kind::Groups, groups).await?,
            start(Kind::People, people).await?,
        ];
        let mut live = Live {
            uri: self.uri.clone(),
            directory: config.directory.clone(),
            asked: asked(config),
            link: self.link.clone(),
            session,
            follows,
            given: answer.mark.clone(),
            pending: None,
            told: false,
            since: Instant::now(),
        };
        if !timeout(PATIENCE, live.plays_along(self)).await.unwrap_or(false) {
            mute.insert(self.name());
            self.leave(live.session).await;
            return None;
        }
        Some(live)
    }
}

/// What is asked of whom: a cookie of other searches means nothing.
pub(super) fn asked(config: &Config) -> String {
    let searches = Kind::ALL.map(|kind| {
        let search = kind.search(config);
        let attributes = crate::directory::schema::Schema::of(config).attributes(kind, config).join(" ");
        format!("{} {} {attributes}", search.base, search.filter)
    });
    let bind = config.directory.kind.server().map(|server| format!("{:?}", server.bind)).unwrap_or_default();
    format!("{bind}\n{}", searches.join("\n"))
}
