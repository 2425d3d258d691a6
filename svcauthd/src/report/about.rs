//! What stands above every report: where, when and of what it was made.

use serde::Serialize;
use svcauth_core::audit::rfc3339;

/// The head of a report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct About {
    /// Which report it is.
    pub report: &'static str,
    /// The name of the host.
    pub host: String,
    /// The generation of the snapshot.
    pub generation: u64,
    /// Seconds since the directory last confirmed it; `None`: the clocks cannot tell.
    pub age_seconds: Option<u64>,
    /// Whether it is too old to decide, so that every login to a managed account is refused.
    pub stale: bool,
    /// When the report was made: RFC 3339, UTC.
    pub made: String,
    /// The local user who made it, as the kernel knows them.
    pub made_by: String,
    /// The one account that the report is about; `None`: all.
    pub account: Option<String>,
    /// The one person that the report is about; `None`: everybody.
    pub person: Option<String>,
    /// The one service that the report is about; `None`: all.
    pub service: Option<String>,
    /// Services of access rules that cannot prove a person, so that nobody gets in through them.
    pub services_without_proof: Vec<String>,
}

impl About {
    /// `2026-01-31 08:15:00 UTC` of a time as [`rfc3339`] writes it.
    #[must_use]
    pub fn made_for_people(&self) -> String {
        for_people(&self.made)
    }
}

/// Seconds since 1970 as a report writes them: `2026-01-31T08:15:00Z`.
#[must_use]
pub fn timestamp(seconds: u64) -> String {
    let text = rfc3339(seconds.saturating_mul(1_000_000));
    format!("{}Z", text.get(..19).unwrap_or_default())
}

/// The same as people read it.
#[must_use]
pub fn for_people(timestamp: &str) -> String {
    let text = timestamp.replace('T', " ");
    text.strip_suffix('Z').map_or_else(|| text.clone(), |text| format!("{text} UTC"))
}
