//! Where a source stood when it gave its last answer, so that the next one can begin there.

use serde::{Deserialize, Serialize};

/// Where a source stood. The monitor keeps it beside the entries and understands none of it; a new worker goes on from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Content synchronisation (RFC 4533).
    ContentSync(SyncMark),
    /// Update sequence numbers of Active Directory ([MS-ADTS] 3.1.1.1.9).
    Usn(UsnMark),
}

/// Cookies of content synchronisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncMark {
    /// The server that gave them; another one may not know them.
    pub server: String,
    /// As whom which searches were asked: cookies of others mean something else.
    pub asked: String,
    /// One for each search, in the order of `Kind`.
    pub cookies: [Vec<u8>; 3],
}

/// How far a controller was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsnMark {
    /// The controller: numbers of another one mean something else.
    pub server: String,
    /// Its database (`invocationId`): a restored controller gets a new one.
    pub invocation: String,
    /// The highest number that was read (`highestCommittedUSN`).
    pub usn: u64,
    /// The domain's `lockoutDuration`, with which the lockouts of all entries were read.
    pub lockout: Option<String>,
    /// Seconds since 1970 from which on all ids are to be compared, to learn of deletions that are hidden from us.
    pub reconcile_at: u64,
}
