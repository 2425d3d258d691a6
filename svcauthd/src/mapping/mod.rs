//! From entries to a candidate.

use svcauth_core::config::Config;

use crate::candidate::Candidate;
use crate::directory::Fetched;
use crate::local_names::LocalNames;

/// Maps what a directory gave.
#[must_use]
pub fn map(fetched: Fetched, _config: &Config, _local: &LocalNames) -> Candidate {
    Candidate { server: fetched.server, ..Candidate::default() }
}
