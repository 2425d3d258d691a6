//! One search that asks for content synchronisation.

use super::Stop;
use super::message::{self, Info, State, Stated};
use crate::directory::entry::Entry;
use crate::directory::error::FetchError;
use crate::directory::ldap::{self, Server};
use crate::directory::relist::MAX_RELISTED;
use crate::directory::schema::Schema;
use crate::directory::{Kind, Sink};
use ldap3::asn1::{PL, StructureTag};
use ldap3::controls::{Control, MakeCritical as _, RefreshMode, SyncRequest};
use ldap3::{Ldap, LdapError, LdapResult, ResultEntry, Scope, SearchStream};
use svcauth_core::config::Config;

/// Most ids in one answer.
const MAX_IDS: usize = 1_000_000;

/// What a server says in one message.
#[derive(Debug)]
pub(super) enum Told {
    Entry(Entry, Stated),
    Info(Info),
    /// The search is over; [`Follow::finish`] says how.
    End,
}

/// Why a message could not be had.
#[derive(Debug)]
pub(super) enum Flaw {
    Library(LdapError),
    Message(&'static str),
    /// The id in the control is not that of the entry.
    Id,
}

impl Flaw {
    pub(super) fn stop(&self, server: &Server<'_>, step: &str) -> Stop {
        match self {
            Self::Library(error) => Stop::Fault(server.broken(step, error)),
            Self::Message(what) => Stop::Fault(server.incomplete(step, what)),
            Self::Id => Stop::Unfit,
        }
    }
}

/// What an answer has so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// DNs of entries that were taken.
    pub(super) dns: Vec<String>,
    /// How many messages there were.
    pub(super) heard: usize,
    ids: usize,
}

/// A search while its messages come.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) kind: Kind,
    pub(super) step: String,
    /// How far it went.
    pub(super) cookie: Vec<u8>,
    /// Whether all that was changed before has been sent.
    pub(super) refreshed: bool,
    /// Whether ids of what is still there came without the end of their list.
    listing: bool,
    stream: SearchStream<'static, String, Vec<String>>,
}

impl Follow {
    /// Starts a search: without a cookie for everything, with one for all changes since.
    pub(super) async fn start(
        server: &Server<'_>,
        session: &mut Ldap,
        config: &Config,
        kind: Kind,
        (mode, cookie): (RefreshMode, Option<&[u8]>),
    ) -> Result<Self, FetchError> {
        let search = kind.search(config);
        let step = format!("the search of [{}]", kind.section());
        let request = SyncRequest { mode, cookie: cookie.map(<[u8]>::to_vec), reload_hint: false };
        let attributes = Schema::of(config).attributes(kind, config);
        let filter = search.filter.to_string();
        session.with_controls(request.critical());
        let started = session.streaming_search(&search.base, Scope::Subtree, &filter, attributes);
        let stream = server.within(&step, started).await?.map_err(|error| server.broken(&step, &error))?;
        let cookie = cookie.unwrap_or_default().to_vec();
        Ok(Self { kind, step, cookie, refreshed: false, listing: false, stream })
    }

    /// The next message. Nothing is lost when it is not waited for to the end.
    pub(super) async fn next(&mut self) -> Result<Told, Flaw> {
        match self.stream.next().await {
            Ok(Some(found)) if found.is_intermediate() => between(found.0).map(Told::Info),
            Ok(Some(found)) => entry(found),
            Ok(None) => Ok(Told::End),
            Err(error) => Err(Flaw::Library(error)),
        }
    }

    /// The result of a search that is over.
    pub(super) async fn finish(&mut self) -> LdapResult {
        self.stream.finish().await
    }

    /// Whether a message changes nothing but how far this search went; then that is noted.
    pub(super) fn is_quiet(&mut self, told: &Told) -> bool {
        let (cookie, refreshed) = match told {
            Told::Info(Info::Cookie(cookie)) => (Some(cookie), self.refreshed),
            Told::Info(Info::DeletesEnd { last: true, cookie }) if !self.listing => (cookie.as_ref(), true),
            _ => return false,
        };
        if cookie.is_some_and(|cookie| !message::is_usable(cookie)) {
            return false;
        }
        self.refreshed = refreshed;
        self.cookie = cookie.unwrap_or(&self.cookie).clone();
        true
    }

    /// Passes a message of a search for changes on.
    pub(super) fn apply(&mut self, told: Told, tally: &mut Tally, sink: &mut dyn Sink) -> Result<(), Stop> {
        tally.heard += 1;
        // While deletions are listed, a cookie only fits there; an older one always does.
        let later = self.refreshed;
        let cookie = match told {
            Told::Entry(entry, stated) => self.apply_entry(&entry, stated, tally, sink)?.filter(|_| later),
            Told::Info(Info::Cookie(cookie)) => Some(cookie),
            Told::Info(Info::Gone { ids, cookie }) => {
                sink.gone(self.kind, tally.ids(&ids)?);
                cookie.filter(|_| later)
            }
            Told::Info(Info::Present { ids, cookie }) => {
                self.listing = self.only_before("lists what is present")?;
                sink.present(self.kind, tally.ids(&ids)?);
                cookie.filter(|_| later)
            }
            Told::Info(Info::PresentEnd { last, cookie }) => {
                self.only_before("ends the list of what is present")?;
                // Even where the list is empty: then nothing is left but what was sent.
                sink.present(self.kind, Vec::new());
                (self.listing, self.refreshed) = (false, last);
                cookie
            }
            Told::Info(Info::DeletesEnd { last, cookie }) => {
                self.only_before("ends the list of what is gone")?;
                if self.listing {
                    return Err(Stop::Over(Some(
                        "the server lists entries and does not end the list".into(),
                    )));
                }
                self.refreshed = last;
                cookie
            }
            Told::End => return Ok(()),
        };
        self.note(cookie)
    }

    fn apply_entry(
        &mut self,
        entry: &Entry,
        stated: Stated,
        tally: &mut Tally,
        sink: &mut dyn Sink,
    ) -> Result<Option<Vec<u8>>, Stop> {
        match stated.state {
            State::Add | State::Modify => {
                if tally.dns.len() >= MAX_RELISTED {
                    return Err(Stop::Over(None));
                }
                tally.dns.push(entry.dn.clone());
                sink.take(self.kind, entry);
            }
            State::Delete => sink.gone(self.kind, tally.ids(&[stated.id])?),
            State::Present => {
                self.listing = self.only_before("says that an entry is present")?;
                sink.present(self.kind, tally.ids(&[stated.id])?);
            }
        }
        Ok(stated.cookie)
    }

    /// What only the answer to a cookie may have, and no change that comes later.
    fn only_before(&self, what: &str) -> Result<bool, Stop> {
        if self.refreshed {
            return Err(Stop::Over(Some(format!("the server {what} among later changes"))));
        }
        Ok(true)
    }

    /// A cookie that says nothing means that the server did not understand the last one.
    fn note(&mut self, cookie: Option<Vec<u8>>) -> Result<(), Stop> {
        match cookie {
            None => {}
            Some(cookie) if message::is_usable(&cookie) => self.cookie = cookie,
            Some(_) => {
                return Err(Stop::Over(Some("the server no longer says how far its answers go".into())));
            }
        }
        Ok(())
    }
}

impl Tally {
    fn ids(&mut self, ids: &[message::Uuid]) -> Result<Vec<String>, Stop> {
        self.ids += ids.len();
        if self.ids > MAX_IDS {
            return Err(Stop::Over(Some("the server lists more than 1,000,000 ids".into())));
        }
        Ok(ids.iter().map(message::text).collect())
    }
}

/// An entry, with the id of its control where it has no attribute for it.
fn entry(found: ResultEntry) -> Result<Told, Flaw> {
    let stated = control(&found.1, message::STATE).ok_or(Flaw::Message("an entry has no sync state"))?;
    let stated = message::state(stated).map_err(|_| Flaw::Message("a sync state could not be read"))?;
    let mut entry = ldap::entry(found).ok_or(Flaw::Message("an entry could not be read"))?;
    let id = message::text(&stated.id);
    if entry.id.get_or_insert_with(|| id.clone()) != &id {
        return Err(Flaw::Id);
    }
    Ok(Told::Entry(entry, stated))
}

/// The value of a control.
fn control<'a>(controls: &'a [Control], name: &[u8]) -> Option<&'a [u8]> {
    controls.iter().find(|control| control.1.ctype.as_bytes() == name)?.1.val.as_deref()
}

/// What the end of a search says.
pub(super) fn last(result: &LdapResult) -> Option<Info> {
    message::done(control(&result.ctrls, message::DONE)?).ok()
}

fn between(tag: StructureTag) -> Result<Info, Flaw> {
    let unread = || Flaw::Message("a message between entries could not be read");
    let PL::C(parts) = tag.payload else { return Err(unread()) };
    let value = parts.into_iter().find(|part| part.id == 1).ok_or_else(unread)?;
    let PL::P(value) = value.payload else { return Err(unread()) };
    message::info(&value).map_err(|_| unread())
}
