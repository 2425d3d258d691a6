//! What changes, as `diff -u` shows it. Nothing of a file reaches the terminal unescaped.

use std::fmt::Write as _;

use svcauth_core::audit::escape::bytes_for_terminal;

use super::change::{Change, Content};

/// Unchanged lines around a change.
const AROUND: usize = 3;
/// Above this many pairs of lines the whole file is shown as replaced.
const PAIRS_MAX: usize = 4_000_000;

/// One line of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Kept(&'a [u8]),
    Gone(&'a [u8]),
    New(&'a [u8]),
}

/// A unified diff of one file, with a line end behind each line.
#[must_use]
pub fn unified(change: &Change) -> String {
    let (old, new) = (lines(change.old.as_ref()), lines(change.new.as_ref()));
    let path = bytes_for_terminal(change.path.as_os_str().as_encoded_bytes());
    let name = |there: bool| if there { path.as_str() } else { "/dev/null" };
    let mut out = format!("--- {}\n+++ {}\n", name(change.old.is_some()), name(change.new.is_some()));
    let all = compare(&old, &new);
    for (start, end) in hunks(&all) {
        hunk(&mut out, &all, start, end);
    }
    out
}

/// The lines of a file, each with its line end: whether the last one has one is a difference, too.
fn lines(content: Option<&Content>) -> Vec<&[u8]> {
    content.map_or_else(Vec::new, |content| content.bytes.split_inclusive(|byte| *byte == b'\n').collect())
}

fn compare<'a>(old: &[&'a [u8]], new: &[&'a [u8]]) -> Vec<Line<'a>> {
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        let gone = old.iter().map(|line| Line::Gone(line));
        return gone.chain(new.iter().map(|line| Line::New(line))).collect();
    }
    let common = common(old, new);
    let at = |i: usize, j: usize| common.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                out.push(Line::Kept(a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(i + 1, j) >= at(i, j + 1) => {
                out.push(Line::Gone(a));
                i += 1;
            }
            (_, Some(b)) => {
                out.push(Line::New(b));
                j += 1;
            }
            (_, None) => return out,
        }
    }
}

/// How many lines the two have in common from each place on, at most.
fn common(old: &[&[u8]], new: &[&[u8]]) -> Vec<Vec<u32>> {
    let mut table = vec![vec![0; new.len() + 1]];
    for a in old.iter().rev() {
        let below = table.last().cloned().unwrap_or_default();
        let mut row = vec![0; new.len() + 1];
        let mut right = 0;
        for (j, b) in new.iter().enumerate().rev() {
            let (down, across) = (below.get(j).copied().unwrap_or(0), below.get(j + 1).copied().unwrap_or(0));
            right = if a == b { across + 1 } else { down.max(right) };
            if let Some(cell) = row.get_mut(j) {
                *cell = right;
            }
        }
        table.push(row);
    }
    table.reverse();
    table
}

/// Where each piece of the comparison that is shown begins and ends.
fn hunks(all: &[Line]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (at, line) in all.iter().enumerate() {
        if matches!(line, Line::Kept(_)) {
            continue;
        }
        let (start, end) = (at.saturating_sub(AROUND), (at + 1 + AROUND).min(all.len()));
        match found.last_mut() {
            Some(last) if last.1 >= start => last.1 = end,
            _ => found.push((start, end)),
        }
    }
    found
}

fn hunk(out: &mut String, all: &[Line], start: usize, end: usize) {
    let (before, shown) = (all.get(..start).unwrap_or_default(), all.get(start..end).unwrap_or_default());
    let in_old = |part: &[Line]| part.iter().filter(|line| !matches!(line, Line::New(_))).count();
    let in_new = |part: &[Line]| part.iter().filter(|line| !matches!(line, Line::Gone(_))).count();
    let range = |first: usize, count: usize| match count {
        0 => format!("{first},0"),
        1 => format!("{}", first + 1),
        _ => format!("{},{count}", first + 1),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "@@ -{} +{} @@",
        range(in_old(before), in_old(shown)),
        range(in_new(before), in_new(shown))
    );
    for line in shown {
        let (sign, text) = match line {
            Line::Kept(text) => (' ', text),
            Line::Gone(text) => ('-', text),
            Line::New(text) => ('+', text),
        };
        let bare = text.strip_suffix(b"\n");
        let _ = writeln!(out, "{sign}{}", tabbed(bare.unwrap_or(text)));
        if bare.is_none() {
            out.push_str("\\ No newline at end of file\n");
        }
    }
}

/// A tab is no control that could hide something, and files of PAM are full of them.
fn tabbed(text: &[u8]) -> String {
    let cells: Vec<String> = text.split(|byte| *byte == b'\t').map(bytes_for_terminal).collect();
    cells.join("\t")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::{ProptestConfig, prop, proptest};

    use super::{Change, Content, unified};
    use crate::activation::change::Part;

    fn change(old: Option<&str>, new: Option<&str>) -> Change {
        let content = |text: &str| Content::fresh(text.as_bytes().to_vec());
        Change { path: "/etc/x".into(), part: Part::Pam, old: old.map(content), new: new.map(content) }
    }

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let shown = unified(&change(Some(old), Some(&old.replace("5\n", "5\nfive\n"))));
        assert_eq!(shown, "--- /etc/x\n+++ /etc/x\n@@ -3,6 +3,7 @@\n 3\n 4\n 5\n+five\n 6\n 7\n 8\n");
    }

    #[test]
    fn a_file_that_comes_or_goes_is_compared_with_none() {
        assert_eq!(unified(&change(None, Some("a\n"))), "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1 @@\n+a\n");
        assert_eq!(unified(&change(Some("a\n"), None)), "--- /etc/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n");
    }

    #[test]
    fn a_missing_line_end_is_said_and_no_control_reaches_the_terminal() {
        let shown = unified(&change(Some("a\tb\x1b[2J"), Some("a\tb\x1b[2J\n")));
        assert!(shown.contains("-a\tb\\x1b[2J\n\\ No newline at end of file\n+a\tb\\x1b[2J\n"), "{shown}");
    }

    /// What patch(1) would make of it is told by reading the diff back.
    fn patched(old: &str, diff: &str) -> String {
        let mut lines: Vec<String> = old.split_inclusive('\n').map(str::to_owned).collect();
        let mut shift = 0_isize;
        let mut place = 0_usize;
        for line in diff.lines().skip(2) {
            if let Some(range) = line.strip_prefix("@@ -") {
                let (first, rest) = range.split_once(' ').unwrap();
                let (start, count) = first.split_once(',').unwrap_or((first, "1"));
                let (start, count): (usize, usize) = (start.parse().unwrap(), count.parse().unwrap());
                assert!(rest.starts_with('+'));
                place = (start - usize::from(count > 0)).checked_add_signed(shift).unwrap();
            } else if let Some(text) = line.strip_prefix('-') {
                assert_eq!(lines.remove(place).trim_end_matches('\n'), text);
                shift -= 1;
            } else if let Some(text) = line.strip_prefix('+') {
                lines.insert(place, format!("{text}\n"));
                (place, shift) = (place + 1, shift + 1);
            } else {
                assert_eq!(lines[place].trim_end_matches('\n'), &line[1..]);
                place += 1;
            }
        }
        lines.concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn what_is_shown_makes_the_one_of_the_other(
            old in prop::collection::vec("[ab]", 0..40), new in prop::collection::vec("[ab]", 0..40)
        ) {
            let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let (old, new) = (text(&old), text(&new));
            assert_eq!(patched(&old, &unified(&change(Some(&old), Some(&new)))), new);
        }
    }

    #[test]
    fn patch_takes_it_where_there_is_one() {
        let (old, new) = ("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk\n");
        let folder = std::env::temp_dir().join(format!("svcauth-diff-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("x");
        std::fs::write(&file, old).unwrap();
        let started = Command::new("patch").arg(&file).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        if let Ok(mut patch) = started {
            let diff = unified(&change(Some(old), Some(new)));
            patch.stdin.take().unwrap().write_all(diff.as_bytes()).unwrap();
            assert!(patch.wait().unwrap().success());
            assert_eq!(std::fs::read_to_string(&file).unwrap(), new);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
