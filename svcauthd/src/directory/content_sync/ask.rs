//! Asking a server: for everything, or for what has changed since a cookie.

use super::Stop;
use super::follow::{Follow, Tally, Told, last};
use super::live::{Content, Over, asked};
use super::message::{self, Info, REQUEST, State};
use crate::directory::ldap::Server;
use crate::directory::{Answer, Depth, Extent, FetchError, Kind, Mark, Request, Sink, SyncMark};
use ldap3::controls::RefreshMode;
use ldap3::{Ldap, LdapResult};
use svcauth_core::config::{Changes, Config, LdapDirectory};

/// Most entries of one search.
const MAX_ENTRIES: usize = 1_000_000;

/// What came of it.
pub(in crate::directory) enum Synced {
    /// The answer.
    Answer(Answer),
    /// The server has to be asked anew on another connection; what this one still sends belongs to nothing.
    Again,
    /// The server has to be asked without.
    No(Ldap),
}

impl Server<'_> {
    /// Asks by content synchronisation, where the server offers it and the configuration does not forbid it.
    pub(in crate::directory) async fn synced(
        &self,
        mut session: Ldap,
        ldap: &LdapDirectory,
        request: &Request<'_>,
        content: &mut Content,
        sink: &mut dyn Sink,
    ) -> Result<Synced, FetchError> {
        content.live = None;
        let over = content.over.take().filter(|over| over.server == self.name());
        if ldap.changes == Changes::Off {
            return Ok(Synced::No(session));
        }
        if content.unfit.contains(&self.name()) || !self.offers(&mut session).await? {
            content.unfit.insert(self.name());
            return Ok(Synced::No(session));
        }
        self.link.expect_sync();
        let mut note = over.as_ref().and_then(|over| over.why.clone());
        let mark = if over.is_some() { None } else { self.usable(request, &mut note) };
        let cookies = match mark {
            Some(mark) => self.since(&mut session, request, mark, sink).await.map(Some),
            None => self.everything(&mut session, request.config, sink).await,
        };
        match cookies {
            Ok(cookies) => {
                let mut answer = Answer { server: self.name(), note, ..Answer::default() };
                answer.mark = cookies.map(|cookies| {
                    let asked = asked(request.config);
                    Mark::ContentSync(SyncMark { server: self.name(), asked, cookies })
                });
                // One that had to begin anew would perhaps have to at once again: the next fetch will see.
                if over.is_none() && ldap.changes == Changes::Push && !content.mute.contains(&self.name()) {
                    content.live = self.go_on(session, request.config, &answer, &mut content.mute).await;
                    answer.live = content.live.is_some();
                } else {
                    self.leave(session).await;
                }
                return Ok(Synced::Answer(answer));
            }
            Err(Stop::Fault(error)) => return Err(error),
            Err(Stop::Over(why)) => content.over = Some(Over { server: self.name(), why }),
            Err(Stop::Unfit) => {
                content.unfit.insert(self.name());
            }
        }
        Ok(Synced::Again)
    }

    /// Whether the server offers it to us. A root DSE that may not be read offers nothing.
    async fn offers(&self, session: &mut Ldap) -> Result<bool, FetchError> {
        let root = self.one(session, "the root DSE", "", &["supportedControl"]).await?;
        let offered = root.is_some_and(|root| {
            root.values("supportedcontrol").iter().any(|name| name == REQUEST.as_bytes())
        });
        Ok(offered)
    }

    /// The mark of the request, if this server gave it to the same question.
    fn usable<'r>(&self, request: &Request<'r>, note: &mut Option<String>) -> Option<&'r SyncMark> {
        let Some(Mark::ContentSync(mark)) = request.since else { return None };
        if request.depth == Depth::Whole || mark.asked != asked(request.config) {
            return None;
        }
        if mark.server != self.name() {
            *note = Some(format!(
                "everything was read anew from {}, because the last answer came from {}",
                self.name(),
                mark.server
            ));
            return None;
        }
        mark.cookies.iter().all(|cookie| message::is_usable(cookie)).then_some(mark)
    }

    /// Takes what has changed since the mark; gives the new cookies.
    async fn since(
        &self,
        session: &mut Ldap,
        request: &Request<'_>,
        mark: &SyncMark,
        sink: &mut dyn Sink,
    ) -> Result<[Vec<u8>; 3], Stop> {
        let config = request.config;
        sink.begin(Extent::Changes);
        let mut cookies = mark.cookies.clone();
        let mut tally = Tally::default();
        for (kind, cookie) in Kind::ALL.into_iter().zip(&mut cookies) {
            *cookie = self.changes_of(session, config, kind, cookie, &mut tally, sink).await?;
        }
        self.relist(session, config, tally.dns, sink).await?;
        if request.depth == Depth::Exact {
            self.list_present(session, config, sink).await?;
        }
        Ok(cookies)
    }

    async fn changes_of(
        &self,
        session: &mut Ldap,
        config: &Config,
        kind: Kind,
        cookie: &[u8],
        tally: &mut Tally,
        sink: &mut dyn Sink,
    ) -> Result<Vec<u8>, Stop> {
        let how = (RefreshMode::RefreshOnly, Some(cookie));
        let mut follow = Follow::start(self, session, config, kind, how).await?;
        let step = follow.step.clone();
        loop {
            match self.within(&step, follow.next()).await?.map_err(|flaw| flaw.stop(self, &step))? {
                Told::End => break,
                told => {
                    self.taken();
                    follow.apply(told, tally, sink)?;
                }
            }
        }
        let result = self.within(&step, follow.finish()).await?;
        let end = last(&result);
        self.ended(result, config, kind)?;
        follow.apply(Told::Info(end.ok_or(Stop::Unfit)?), tally, sink)?;
        Ok(follow.cookie)
    }

    /// Takes everything; gives the cookies, or none where the server leaves nothing to go on from.
    async fn everything(
        &self,
        session: &mut Ldap,
        config: &Config,
        sink: &mut dyn Sink,
    ) -> Result<Option<[Vec<u8>; 3]>, Stop> {
        sink.begin(Extent::Whole);
        let mut cookies: [Vec<u8>; 3] = Default::default();
        for (kind, cookie) in Kind::ALL.into_iter().zip(&mut cookies) {
            *cookie = self.all_of(session, config, kind, sink).await?;
        }
        Ok(Some(cookies).filter(|cookies| cookies.iter().all(|cookie| message::is_usable(cookie))))
    }

    async fn all_of(
        &self,
        session: &mut Ldap,
        config: &Config,
        kind: Kind,
        sink: &mut dyn Sink,
    ) -> Result<Vec<u8>, Stop> {
        let how = (RefreshMode::RefreshOnly, None);
        let mut follow = Follow::start(self, session, config, kind, how).await?;
        let step = follow.step.clone();
        let mut count = 0;
        loop {
            match self.within(&step, follow.next()).await?.map_err(|flaw| flaw.stop(self, &step))? {
                Told::End => break,
                Told::Entry(mut entry, stated) if matches!(stated.state, State::Add | State::Modify) => {
                    self.settled(&step, &mut entry, config)?;
                    sink.take(kind, &entry);
                }
                Told::Info(Info::Cookie(_) | Info::DeletesEnd { .. } | Info::PresentEnd { .. }) => {}
                // There is nothing yet that could be gone, or present without being sent.
                Told::Entry(..) | Told::Info(_) => return Err(Stop::Unfit),
            }
            self.taken();
            count += 1;
            if count > MAX_ENTRIES {
                return Err(self.incomplete(&step, "more than 1,000,000 entries").into());
            }
        }
        let result = self.within(&step, follow.finish()).await?;
        let end = last(&result);
        match self.ended(result, config, kind) {
            // Nothing was said that a server could have forgotten.
            Err(Stop::Over(_)) => Err(Stop::Unfit),
            ended => ended.map(|()| match end {
                Some(Info::DeletesEnd { cookie, .. } | Info::PresentEnd { cookie, .. }) => {
                    cookie.unwrap_or_default()
                }
                _ => Vec::new(),
            }),
        }
    }

    /// What the result of a search says about it.
    fn ended(&self, result: LdapResult, config: &Config, kind: Kind) -> Result<(), Stop> {
        let step = format!("the search of [{}]", kind.section());
        match result.rc {
            // noSuchObject
            32 => {
                let (section, base) = (kind.section(), kind.search(config).base.clone());
                Err(FetchError::NoBase { server: self.name(), section, base }.into())
            }
            // protocolError, unavailableCriticalExtension, insufficientAccessRights
            2 | 12 | 50 => Err(Stop::Unfit),
            // e-syncRefreshRequired; OpenLDAP says unwillingToPerform to a cookie that is newer than itself.
            53 | 4096 => match self.accepted(&step, result) {
                Err(why) => Err(Stop::Over(Some(format!("{why}; everything was read anew")))),
                Ok(()) => Err(Stop::Unfit),
            },
            _ => Ok(self.accepted(&step, result)?),
        }
    }
}
