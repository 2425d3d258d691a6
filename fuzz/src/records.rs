//! Records that hold what the fuzzer wants.

use svcauth_core::audit::{Event, Record, Verdict};

use crate::pieces::Pieces;

/// Every key may be there, with any value of its type.
pub fn record(from: &mut Pieces<'_>) -> Record {
    let (event, present, long) = (from.byte(), from.u32(), from.byte());
    let bit = |bit: u32| present >> bit & 1 == 1;
    let verdict = if bit(20) { Verdict::Allow } else { Verdict::Deny };
    let mut text = |index: u32| {
        // Long values are what pushes others out of a line.
        let times = if long >> (index & 7) & 1 == 1 { 6 } else { 1 };
        bit(index).then(|| from.text().repeat(times))
    };
    let mut record = Record {
        event: Event::ALL[usize::from(event) % Event::ALL.len()],
        decision: bit(19).then_some(verdict),
        reason: text(0),
        account: text(1),
        origin: text(2),
        origin_kind: text(3),
        evidence: text(4),
        key_fingerprint: text(5),
        cert_key_id: text(6),
        cert_ca: text(7),
        principal: text(8),
        role: text(9),
        service: text(10),
        from: text(11),
        tty: text(12),
        session: text(13),
        chain: text(14),
        host: text(15),
        command: text(16),
        detail: text(17),
        on_behalf_of: text(18),
        first_evidence: text(29),
        mode: text(30),
        ..Record::default()
    };
    record.time = bit(21).then(|| from.u64());
    record.uid = bit(22).then(|| from.u32());
    record.cert_serial = bit(23).then(|| from.u64());
    record.generation = bit(24).then(|| from.u64());
    record.age_seconds = bit(25).then(|| from.u64());
    record.pid = bit(26).then(|| from.u32());
    record.exit_status = bit(27).then(|| from.u32().cast_signed());
    record.duration_seconds = bit(28).then(|| from.u64());
    record.count = bit(31).then(|| from.u64());
    record
}
