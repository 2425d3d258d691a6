//! Who is there, where the server does not tell that somebody went.

use crate::directory::entry::Entry;
use crate::directory::error::FetchError;
use crate::directory::ldap::Server;
use crate::directory::search::Query;
use crate::directory::{Kind, Sink};
use ldap3::Ldap;
use svcauth_core::config::Config;

/// Ids of one part of an answer.
const PART: usize = 5000;

impl Server<'_> {
    /// Lists the ids of every kind: a unit that is moved away takes everybody in it along, and the server tells of the unit
    /// alone.
    pub(super) async fn list_present(
        &self,
        session: &mut Ldap,
        config: &Config,
        sink: &mut dyn Sink,
    ) -> Result<(), FetchError> {
        for kind in Kind::ALL {
            let (search, step) = (kind.search(config), "the search for ids");
            let (base, filter) = (search.base.as_str(), search.filter.to_string());
            let attributes = vec!["entryUUID".to_owned()];
            let query = Query { step, base, filter: &filter, attributes, controls: Vec::new() };
            let (mut ids, mut is_hidden) = (Vec::new(), false);
            let mut note = |entry: Entry| {
                match entry.id {
                    Some(id) => ids.push(id),
                    None => is_hidden = true,
                }
                Ok(())
            };
            if !self.each(session, query, &mut note).await? {
                let section = kind.section();
                return Err(FetchError::NoBase { server: self.name(), section, base: base.to_owned() });
            }
            // Where an id may not be read, nobody can say whose is missing.
            if is_hidden {
                continue;
            }
            // An empty list says something, too.
            sink.present(kind, Vec::new());
            ids.chunks(PART).for_each(|part| sink.present(kind, part.to_vec()));
        }
        Ok(())
    }
}
