//! What monitor and worker say to each other, as frames on a socket pair: one [`Job`] in, many [`Part`]s out, and now and
//! then, when nothing was asked, [`Part::Stirred`].

use serde::{Deserialize, Serialize};

use crate::candidate::{AccountEntry, GroupEntry, PersonEntry, Refusal};
use crate::directory::{Depth, Extent, Kind, Mark, Traffic};
use crate::failure::Failure;

/// One fetch. Not `Debug`: it holds the bind password, which must not reach a log by way of a `{:?}`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Job {
    /// The text of the configuration, which the monitor has read and checked.
    pub config: String,
    /// The bind password, which only the monitor may read.
    pub secret: Option<String>,
    /// Seconds that the whole fetch may take.
    pub deadline_seconds: u64,
    /// Where the answer ended on which the monitor's entries stand.
    pub since: Option<Mark>,
    /// How much is asked for.
    pub depth: Depth,
}

/// A part of the answer; the first one is `Begin`, the last one `Done` or `Failed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part {
    /// An answer begins; what was sent before counts for nothing.
    Begin(Extent),
    /// Accounts.
    Accounts(Vec<AccountEntry>),
    /// Groups.
    Groups(Vec<GroupEntry>),
    /// People.
    People(Vec<PersonEntry>),
    /// Entries with something wrong, each after its entry, if that was sent.
    Refused(Vec<Refused>),
    /// As [`crate::directory::Sink::gone`].
    Gone {
        /// Of which search.
        kind: Kind,
        /// The ids.
        ids: Vec<String>,
    },
    /// As [`crate::directory::Sink::present`].
    Present {
        /// Of which search.
        kind: Kind,
        /// The ids.
        ids: Vec<String>,
    },
    /// As [`crate::directory::Sink::relisted`], with normalised DNs.
    Relisted(Vec<String>),
    /// Everything has been sent.
    Done(Done),
    /// The fetch failed; what was sent before counts for nothing.
    Failed {
        /// Why.
        failure: Failure,
        /// What was asked of the directory since the last answer.
        traffic: Traffic,
    },
    /// The directory has changed since the last answer: it is worth asking.
    Stirred,
}

/// An entry with something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Of which search.
    pub kind: Kind,
    /// Its id, or its DN where the id cannot be read.
    pub id: String,
    /// Whether the entry itself is refused, and not only some of its values.
    pub is_dropped: bool,
    /// What is wrong.
    pub refusals: Vec<Refusal>,
}

/// How an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The server or file that answered.
    pub server: String,
    /// Where the next answer can begin.
    pub mark: Option<Mark>,
    /// Whether the worker will send [`Part::Stirred`] by itself.
    pub live: bool,
    /// Something about the answer that an administrator should know.
    pub note: Option<String>,
    /// What was asked of the directory since the last answer.
    pub traffic: Traffic,
}
