//! What a process says that it is. Anybody can write anything there: it is shown, and proves nothing.

use svcauth_core::audit::escape::{for_terminal, text_of};
use svcauth_host::sessions::Place;

/// Bytes of a command line that are read; what comes behind is cut.
const COMMAND_MAX: usize = 8192;
/// Columns of a command in a table.
const COLUMNS: usize = 60;
const CUT: &str = "...";

/// The words of a process with blanks between, or its name in brackets where it shows none, as ps(1) has it.
pub(super) fn command(place: &Place) -> Option<String> {
    let words = place.command_line(COMMAND_MAX)?;
    if words.iter().all(|byte| *byte == 0) {
        return place.name().map(|name| format!("[{}]", text_of(&name)));
    }
    Some(joined(words))
}

fn joined(mut words: Vec<u8>) -> String {
    let is_cut = words.len() == COMMAND_MAX;
    while !is_cut && words.last() == Some(&0) {
        words.pop();
    }
    words.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    let mut text = text_of(&words);
    if is_cut {
        text.push_str(CUT);
    }
    text
}

/// As much of a command as a line has room for.
pub(super) fn short(command: &str) -> String {
    let mut shown = 0;
    for (at, c) in command.char_indices() {
        shown += for_terminal(c.encode_utf8(&mut [0; 4])).chars().count();
        if shown > COLUMNS {
            return command.get(..at).unwrap_or_default().to_owned() + CUT;
        }
    }
    command.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, COMMAND_MAX, for_terminal, joined, short};

    #[test]
    fn words_are_joined_and_what_is_no_text_is_kept() {
        assert_eq!(joined(b"sleep\x00600\0".to_vec()), "sleep 600");
        assert_eq!(joined(b"a\0\0b\0\0\0".to_vec()), "a  b");
        assert_eq!(joined(b"a\xff\n".to_vec()), "a\\xff\n");
        let long = joined(vec![b'x'; COMMAND_MAX]);
        assert!(long.len() == COMMAND_MAX + 3 && long.ends_with("x..."), "{}", long.len());
    }

    #[test]
    fn a_hostile_command_is_one_short_line() {
        for hostile in ["\u{202e}".repeat(40_000), "\n".repeat(100_000), "e\u{301}\u{1b}[2J".repeat(9999)] {
            let shown = for_terminal(&short(&hostile));
            assert!(shown.chars().count() <= COLUMNS + 3 && shown.ends_with("..."), "{shown}");
            assert!(!shown.contains('\n') && !shown.contains('\u{1b}'), "{shown}");
        }
        assert_eq!(short("sleep 600"), "sleep 600");
    }
}
