//! Where the chain stands: what the audit file, the head and the files that were rotated away say together.
//!
//! The daemon never repairs an old line. Where the file does not end where it should, the chain goes on in a new file behind
//! the last line that is known to have been written, and the first record there says what was found.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use svcauth_core::audit::AlarmKind;
use svcauth_core::audit::chain::{Anchor, Fault, Head, LineHash, SEALED_MAX, Walk};

/// What a walk through a file found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    /// The last line that fits.
    pub(super) last: Option<Anchor>,
    /// The number of its first line.
    pub(super) first: Option<u64>,
    /// The hash of the line that the head names, if it is there.
    pub(super) at_head: Option<LineHash>,
    /// The line, from 1, that does not fit, and why.
    pub(super) fault: Option<(u64, Fault)>,
}

/// How the chain goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// In the file that is there, behind this line.
    Here(Anchor),
    /// In a new file.
    Anew(Anchor),
}

/// Something that is not as it was left: the code of an alarm, and a sentence.
pub(super) type Found = (AlarmKind, String);

/// Walks through the first `end` bytes of a file.
pub(super) fn walk(file: &File, end: u64, head: Option<Head>) -> io::Result<Walked> {
    let (mut walk, mut walked, mut number) = (Walk::new(), Walked::default(), 0);
    let mut from = file;
    from.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(1 << 18, from.take(end));
    let mut line = Vec::new();
    walk.begin_file();
    loop {
        line.clear();
        number += 1;
        reader.by_ref().take(SEALED_MAX as u64 + 1).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(walked);
        }
        let stepped = match line.strip_suffix(b"\n") {
            Some(whole) => walk.step(whole).map_err(|broken| Fault::of(broken, &walk, |_| false)),
            None => Err(Fault::Unfinished),
        };
        match stepped {
            Ok(anchor) => {
                walked.first = walked.first.or(Some(anchor.seq));
                walked.last = Some(anchor);
                if head.is_some_and(|head| head.last.seq == anchor.seq) {
                    walked.at_head = Some(anchor.hash);
                }
            }
            Err(fault) => {
                walked.fault = Some((number, fault));
                return Ok(walked);
            }
        }
    }
}

/// How the chain goes on when the audit file is there. `found`: what is wrong.
pub(super) fn of_file(walked: &Walked, head: Option<Head>, found: &mut Vec<Found>) -> Standing {
    let known = head.map(|head| head.last).unwrap_or_default();
    let last = walked.last.unwrap_or_default();
    if walked.at_head.is_some_and(|hash| hash != known.hash) {
        found.push((
            AlarmKind::AuditFileRewritten,
            format!("record {} of the audit file is another than the one that was written", known.seq),
        ));
        return Standing::Anew(known);
    }
    if let Some((line, fault)) = walked.fault {
        let is_tail = last.seq >= known.seq;
        let code = if is_tail { AlarmKind::AuditFileUnfinished } else { AlarmKind::AuditFileDamaged };
        found.push((code, format!("line {line} of the audit file before this one: {fault}")));
        return Standing::Anew(if is_tail { last } else { known });
    }
    if last.seq < known.seq {
        let fault = Fault::Cut { from: last.seq + 1, to: known.seq };
        found.push((AlarmKind::AuditFileCut, format!("the audit file before this one: {fault}")));
        return Standing::Anew(known);
    }
    if walked.last.is_none() {
        return Standing::Anew(known);
    }
    // Without a head, but with nothing in it: the daemon was stopped at its very first start.
    if head.is_none() && last.seq > 1 {
        found.push((
            AlarmKind::AuditHeadMissing,
            format!("audit.head is missing; the audit file ends with {last}"),
        ));
    }
    Standing::Here(last)
}

/// How the chain goes on when there is no audit file. `rotated`: the last line of the newest file that was rotated away.
pub(super) fn without_file(head: Option<Head>, rotated: Option<Anchor>, found: &mut Vec<Found>) -> Standing {
    let newest = rotated.unwrap_or_default();
    let Some(head) = head else {
        if rotated.is_some() {
            found.push((
                AlarmKind::AuditHeadMissing,
                format!("audit.head is missing; the files that are there end with {newest}"),
            ));
        }
        return Standing::Anew(newest);
    };
    // The daemon was stopped in the middle of a rotation, or after it and before it wrote the head.
    if newest == head.last || newest.seq > head.last.seq {
        return Standing::Anew(newest);
    }
    found.push((
        AlarmKind::AuditFileMissing,
        format!("the audit file is missing; its last record was {}", head.last.seq),
    ));
    Standing::Anew(head.last)
}

#[cfg(test)]
mod tests {
    use super::{AlarmKind, Anchor, Fault, Head, LineHash, Standing, Walked, of_file, without_file};

    fn anchor(seq: u64) -> Anchor {
        Anchor { seq, ..format!("1:{}", "a".repeat(64)).parse().unwrap() }
    }

    fn head(seq: u64) -> Option<Head> {
        Some(Head { last: anchor(seq), first: 1 })
    }

    fn walked(seq: u64) -> Walked {
        Walked { last: Some(anchor(seq)), first: Some(1), ..Walked::default() }
    }

    #[test]
    fn a_file_is_continued_where_it_ends_and_what_is_odd_begins_a_new_one_and_is_told() {
        let cut = |line| Some((line, Fault::Unfinished));
        let other = Some(LineHash::NONE);
        let rows = [
            (walked(7), head(7), Standing::Here(anchor(7)), None),
            // Killed after the lines and before the head.
            (walked(9), head(7), Standing::Here(anchor(9)), None),
            (walked(9), None, Standing::Here(anchor(9)), Some(AlarmKind::AuditHeadMissing)),
            (walked(5), head(7), Standing::Anew(anchor(7)), Some(AlarmKind::AuditFileCut)),
            (Walked::default(), head(7), Standing::Anew(anchor(7)), Some(AlarmKind::AuditFileCut)),
            (Walked::default(), None, Standing::Anew(Anchor::default()), None),
            (
                Walked { fault: cut(8), ..walked(7) },
                head(7),
                Standing::Anew(anchor(7)),
                Some(AlarmKind::AuditFileUnfinished),
            ),
            (
                Walked { fault: cut(10), ..walked(9) },
                head(7),
                Standing::Anew(anchor(9)),
                Some(AlarmKind::AuditFileUnfinished),
            ),
            (
                Walked { fault: Some((3, Fault::Edited)), ..walked(2) },
                head(7),
                Standing::Anew(anchor(7)),
                Some(AlarmKind::AuditFileDamaged),
            ),
            (
                Walked { at_head: other, ..walked(7) },
                head(7),
                Standing::Anew(anchor(7)),
                Some(AlarmKind::AuditFileRewritten),
            ),
        ];
        for (walked, head, standing, code) in rows {
            let mut found = Vec::new();
            assert_eq!(of_file(&walked, head, &mut found), standing, "{walked:?} {head:?}");
            assert_eq!(found.first().map(|found| found.0), code, "{walked:?} {head:?}");
        }
    }

    #[test]
    fn without_a_file_the_chain_goes_on_behind_what_is_known_and_only_a_rotation_is_no_alarm() {
        let rows = [
            (None, None, Anchor::default(), None),
            (head(7), Some(anchor(7)), anchor(7), None),
            (head(7), Some(anchor(8)), anchor(8), None),
            (head(7), Some(anchor(4)), anchor(7), Some(AlarmKind::AuditFileMissing)),
            (head(7), None, anchor(7), Some(AlarmKind::AuditFileMissing)),
            (None, Some(anchor(4)), anchor(4), Some(AlarmKind::AuditHeadMissing)),
        ];
        for (head, rotated, behind, code) in rows {
            let mut found = Vec::new();
            assert_eq!(
                without_file(head, rotated, &mut found),
                Standing::Anew(behind),
                "{head:?} {rotated:?}"
            );
            assert_eq!(found.first().map(|found| found.0), code, "{head:?} {rotated:?}");
        }
    }
}
