//! Which controllers of a domain DNS names, and in which order they are asked (RFC 2782; [MS-ADTS] 6.3.2.3, 6.3.6.1).
//!
//! Whoever answers for DNS may lie. What protects the bind is the certificate, and that only while the name in it belongs
//! to the domain: anybody gets a certificate for a name of their own. So no host outside the domain is ever asked.

use super::names;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;
use svcauth_core::audit::escape::text_of;

/// Most records of one answer that are looked at: more than any domain has controllers.
const RECORDS_MAX: u16 = 1024;
/// The type SRV.
const SRV: u16 = 33;
/// The class IN.
const INTERNET: u16 = 1;

/// One controller, as DNS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Those of the lowest number are asked first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// TCP port of LDAP without TLS from the first byte.
    pub port: u16,
    /// Host name in lower case, inside the domain.
    pub host: String,
}

/// What DNS said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The controllers, as they came.
    pub records: Vec<Record>,
    /// For how long they may be kept: the least of all records.
    pub ttl: Duration,
    /// A name that was refused because it is none of a host of the domain, escaped for a terminal.
    pub refused: Option<String>,
}

/// The bytes are no answer to a question for SRV records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name server's answer is malformed")
    }
}

/// Reads a whole DNS message (RFC 1035, 4.1). Only hosts below `domain` (lower case) are taken.
///
/// # Errors
/// [`NoAnswer`] if any part of it is malformed: then nothing of it counts.
pub fn parse(message: &[u8], domain: &str) -> Result<Answer, NoAnswer> {
    read(message, domain).ok_or(NoAnswer)
}

fn read(message: &[u8], domain: &str) -> Option<Answer> {
    let (questions, answers) = (number(message, 4)?, number(message, 6)?);
    let is_response = message.get(2)? & 0x80 != 0;
    if !is_response || questions > 1 || answers > RECORDS_MAX {
        return None;
    }
    let mut at = 12;
    for _ in 0..questions {
        at = names::read(message, at)?.1 + 4;
    }
    let (mut answer, mut ttl) = (Answer::default(), u32::MAX);
    for _ in 0..answers {
        let head = names::read(message, at)?.1;
        let (kind, class) = (number(message, head)?, number(message, head + 2)?);
        let seconds = u32::from(number(message, head + 4)?) << 16 | u32::from(number(message, head + 6)?);
        let length = usize::from(number(message, head + 8)?);
        let data = head + 10;
        at = data + length;
        message.get(data..at)?;
        if (kind, class) == (SRV, INTERNET) {
            ttl = ttl.min(seconds);
            let (labels, behind) = names::read(message, data + 6)?;
            if behind != at {
                return None;
            }
            take(&mut answer, domain, &labels, |place| number(message, data + place))?;
        }
    }
    answer.ttl = Duration::from_secs(if answer.records.is_empty() { 0 } else { ttl.into() });
    Some(answer)
}

/// A record with the root for a target says that there is no such service (RFC 2782).
fn take(
    answer: &mut Answer,
    domain: &str,
    labels: &[&[u8]],
    number: impl Fn(usize) -> Option<u16>,
) -> Option<()> {
    if labels.is_empty() {
        return Some(());
    }
    let host = names::host(labels).filter(|host| is_below(host, domain));
    match host {
        Some(host) => {
            let record = Record { priority: number(0)?, weight: number(2)?, port: number(4)?, host };
            if record.port != 0 && answer.records.iter().all(|known| known.host != record.host) {
                answer.records.push(record);
            }
        }
        None => {
            answer.refused.get_or_insert_with(|| text_of(&labels.join(&b'.')));
        }
    }
    Some(())
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

/// Puts records into the order in which this host asks them: by priority, and at random within one, so that of many hosts
/// each controller has the share of its weight.
///
/// The chance is drawn from `seed` and the name alone. So a host keeps its controller when another one comes or goes,
/// and need not read everything anew from a controller whose changes it has not followed.
pub fn order(records: &mut [Record], seed: u64) {
    records.sort_by_cached_key(|record| (record.priority, rank(record, seed), record.host.clone()));
}

/// The smaller of two such numbers belongs to a record with the chance of its weight (Efraimidis and Spirakis: the largest
/// of all `u^(1/weight)`), which is the same as drawing one after the other by weight.
fn rank(record: &Record, seed: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, &record.host).hash(&mut hasher);
    // 53 bits, in (0, 1]. Weight 0 means "a very small chance".
    let uniform = ((hasher.finish() >> 11) + 1) as f64 / (1u64 << 53) as f64;
    let weight = if record.weight == 0 { 0.01 } else { f64::from(record.weight) };
    // -ln(u)/weight, which is not negative: then its bits rise with it.
    (-uniform.ln() / weight).abs().to_bits()
}

#[cfg(test)]
#[path = "srv_tests.rs"]
mod tests;
