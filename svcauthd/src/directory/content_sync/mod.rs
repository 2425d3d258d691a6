//! Content synchronisation (RFC 4533) as OpenLDAP's provider overlay offers it: only what has changed is sent, and when
//! nothing has, the server tells of the next change by itself.
//!
//! Everything is read by three searches (`refreshOnly`), one after the other, one for each kind; each leaves a cookie that
//! says how far it went, and the same searches with their cookies give what has changed since. Then three searches that
//! do not end (`refreshAndPersist`) go on from there, on the same connection, which the worker keeps.
//!
//! Where anything is other than the RFC and OpenLDAP have it, everything is read as from a server without this.

mod ask;
mod follow;
mod live;
pub(super) mod message;
mod present;

pub(super) use ask::Synced;
pub(super) use live::Content;

use super::error::FetchError;

/// Why changes could not be had.
#[derive(Debug)]
enum Stop {
    /// The fetch fails.
    Fault(FetchError),
    /// Everything has to be read anew, and why, if an administrator should know.
    Over(Option<String>),
    /// What this server makes of content synchronisation cannot be relied on.
    Unfit,
}

impl From<FetchError> for Stop {
    fn from(error: FetchError) -> Self {
        Self::Fault(error)
    }
}
