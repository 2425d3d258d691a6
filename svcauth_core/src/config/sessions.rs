//! `[sessions]`: what happens to a session that would not be opened again.

use super::check::Check;
use super::duration;
use super::error::ConfigError;
use super::raw;
use core::time::Duration;
use std::format;

/// The longest grace: one hour. Who has lost access has it for no longer than that.
const GRACE_MAX: Duration = Duration::from_secs(3600);

/// What happens to a session that the published state no longer allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRevoke {
    /// It is ended.
    End,
    /// It goes on, and a record says so.
    Log,
}

/// `[sessions]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// What happens to a session that the published state no longer allows.
    pub on_revoke: OnRevoke,
    /// How long its processes may take to end after SIGTERM; 0 s to 1 h.
    pub grace: Duration,
}

pub(super) fn check(check: Check<'_>, raw: raw::Sessions) -> Result<Sessions, ConfigError> {
    let words = [("end", OnRevoke::End), ("log", OnRevoke::Log)];
    let on_revoke = check.one_of(raw.on_revoke, "on_revoke", &words)?.unwrap_or(OnRevoke::End);
    Ok(Sessions { on_revoke, grace: grace(check, raw.grace)? })
}

fn grace(check: Check<'_>, text: raw::Text) -> Result<Duration, ConfigError> {
    let Some(text) = text else { return Ok(Duration::from_secs(10)) };
    let shown = text.get_ref().escape_default();
    let fault = match duration::parse(text.get_ref()) {
        Some(span) if span <= GRACE_MAX => return Ok(span),
        Some(_) => format!("a grace of \"{shown}\" is too long; the most is \"1h\""),
        None => format!("\"{shown}\" is no span of time; {}", duration::EXPECTED),
    };
    Err(check.0.error(text.span(), fault))
}
