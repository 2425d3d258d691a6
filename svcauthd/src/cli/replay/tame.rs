//! What a recording may do to the terminal of whoever plays it: draw, and nothing else.
//!
//! Left out are sequences that make a terminal answer, because the answer is typed into the shell of whoever plays it; those
//! that print, and that change, move or report the window; and strings to the terminal itself (OSC, DCS, APC, PM, SOS): titles,
//! the clipboard, notifications, files, pictures. ECMA-48; ctlseqs of xterm.

/// Bytes of a control sequence beyond which it is none.
const LONGEST: usize = 64;

/// Where in a sequence the stream is; what comes in parts is one.
#[derive(Debug, Default)]
pub(super) struct Tame {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    Escape,
    /// A control sequence so far, without its introducer.
    Sequence(String),
    /// A string to the terminal.
    Message,
    /// Perhaps its end.
    MessageEscape,
}

impl Tame {
    /// What of a piece of a recording is shown.
    pub(super) fn take(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            self.state = match std::mem::take(&mut self.state) {
                State::Text => text_state(c, &mut out),
                State::Escape => escape_state(c, &mut out),
                State::Sequence(so_far) => sequence_state(so_far, c, &mut out),
                State::Message => message_state(c),
                State::MessageEscape if c == '\\' => State::Text,
                State::MessageEscape => escape_state(c, &mut out),
            };
        }
        out
    }
}

fn text_state(c: char, out: &mut String) -> State {
    match c {
        '\x1b' => State::Escape,
        '\u{9b}' => State::Sequence(String::new()),
        '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => State::Message,
        // ENQ and DECID ask who the terminal is; the other controls beyond ASCII nobody sends today.
        '\x05' | '\u{80}'..='\u{9f}' => State::Text,
        c => {
            out.push(c);
            State::Text
        }
    }
}

fn escape_state(c: char, out: &mut String) -> State {
    match c {
        '[' => State::Sequence(String::new()),
        ']' | 'P' | 'X' | '^' | '_' => State::Message,
        '\x1b' => State::Escape,
        'Z' => State::Text,
        c if c.is_ascii() && !c.is_control() => {
            out.push('\x1b');
            out.push(c);
            State::Text
        }
        c => text_state(c, out),
    }
}

fn sequence_state(mut so_far: String, c: char, out: &mut String) -> State {
    match c {
        '\x1b' => State::Escape,
        '\x18' | '\x1a' => State::Text,
        '@'..='~' => {
            if is_for_the_screen(&so_far, c) {
                out.push_str("\x1b[");
                out.push_str(&so_far);
                out.push(c);
            }
            State::Text
        }
        ' '..='?' if so_far.len() < LONGEST => {
            so_far.push(c);
            State::Sequence(so_far)
        }
        _ => State::Text,
    }
}

fn message_state(c: char) -> State {
    match c {
        '\x1b' => State::MessageEscape,
        '\x07' | '\x18' | '\x1a' | '\u{9c}' => State::Text,
        _ => State::Message,
    }
}

/// Whether a control sequence draws, and asks for no answer.
fn is_for_the_screen(parameters: &str, last: char) -> bool {
    let has = |mark: char| parameters.contains(mark);
    match last {
        // Device attributes and status, DECREQTPARM, the window, a printer.
        'c' | 'n' | 'x' | 't' | 'i' => false,
        // Of these only the forms with such a mark ask or are for the terminal itself.
        'p' | 'w' | 'y' | 'q' | 'z' | '|' | '{' | '}' | 'v' => {
            !(has('$') || has('>') || has('*') || has('"') || has('\''))
        }
        'S' | 'u' | 's' | 'm' | 'f' => !(has('?') || has('>') || has('<') || has('=')),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::Tame;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        Tame::default().take(text)
    }

    #[test]
    fn what_draws_is_shown_as_it_was() {
        for text in [
            "zo\u{eb}\r\n\t\x07\x08",
            "\x1b[1;31mred\x1b[0m\x1b[38;2;1;2;3m",
            "\x1b[2J\x1b[H\x1b[10;20H\x1b[K\x1b[?25l\x1b[?1049h\x1b[1;24r\x1b[?2004h",
            "\x1b7\x1b8\x1bM\x1b(0lqk\x1b(B\x1b=\x1b>\x1bc",
            "\x1b[3S\x1b[2T\x1b[4L\x1b[5M\x1b[6P\x1b[2 q\x1b[s\x1b[u\x1b[!p",
        ] {
            assert_eq!(shown(text), text, "{text:?}");
        }
        assert_eq!(shown("\u{9b}1mx"), "\x1b[1mx");
    }

    /// With `!!` between them.
    const NOT_SHOWN: &str = "\x1b[c!!\x1b[>c!!\x1b[=c!!\x1b[0c!!\x1b[6n!!\x1b[?6n!!\x1b[5n!!\x1b[x!!\x1bZ!!\x05!!\
        \u{9a}!!\x1b[21t!!\x1b[8;1;1t!!\x1b[5i!!\x1b[?2026$p!!\x1b[>q!!\x1b[>0q!!\x1b[1$w!!\
        \x1b[1;1;1;1;1;1*y!!\x1b[?u!!\x1b[>1u!!\x1b[?1;1;0S!!\x1b[?4m!!\x1b[>4;1m!!\x1b['|!!\
        \x1b[1;2'z!!\x1b]0;title\x07!!\x1b]2;title\x1b\\!!\x1b]52;c;aWQK\x07!!\x1b]10;?\x1b\\!!\
        \x1bP$qm\x1b\\!!\x1bP+q544e\x1b\\!!\x1b_Gi=1;AAAA\x1b\\!!\x1b^x\x1b\\!!\x1bXx\x1b\\!!\
        \u{9d}0;title\u{9c}!!\u{90}$qm\u{9c}!!\u{9b}6n!!\u{9b}c";

    #[test]
    fn what_makes_a_terminal_answer_or_is_not_for_the_screen_is_left_out() {
        assert!(NOT_SHOWN.split("!!").count() > 35);
        for text in NOT_SHOWN.split("!!") {
            assert_eq!(shown(&format!("a{text}b")), "ab", "{text:?}");
        }
    }

    #[test]
    fn a_sequence_that_is_broken_off_gets_nothing_through() {
        for (text, out) in [
            ("\x1b[\x1b[6n", ""),
            ("\x1b\x1b[6n", ""),
            ("\x1b]0;a\x1b[6n", ""),
            ("\x1b]0;a\x1b]52;c;x\x07b", "b"),
            ("\x1b]0;a\x18b", "b"),
            ("\x1b[\x186n", "6n"),
            ("\x1b[6\n", ""),
            ("\x1b]0;never ends\nls\n", ""),
        ] {
            assert_eq!(shown(text), out, "{text:?}");
        }
        assert_eq!(shown(&format!("\x1b[{}n", "1".repeat(100))), format!("{}n", "1".repeat(35)));
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("\x1b".to_owned()),
            Just("\x1b[".to_owned()),
            Just("\x1b]".to_owned()),
            Just("\x1bP".to_owned()),
            Just("\u{9b}".to_owned()),
            Just("\u{9d}".to_owned()),
            Just("\x07".to_owned()),
            Just("\x1b\\".to_owned()),
            Just("\x18".to_owned()),
            "[0-9;?>$* -~]{0,3}",
            "\\PC",
        ]
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_same_is_shown_and_taming_it_again_changes_nothing(
            pieces in proptest::collection::vec(piece(), 0..24),
        ) {
            let mut tame = Tame::default();
            let in_parts: String = pieces.iter().map(|piece| tame.take(piece)).collect();
            let whole = shown(&pieces.concat());
            prop_assert_eq!(&in_parts, &whole);
            prop_assert_eq!(shown(&whole), whole.clone());
            for bad in ["\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1bZ", "\x05"] {
                prop_assert!(!whole.contains(bad), "{:?}", whole);
            }
            prop_assert!(!whole.chars().any(|c| ('\u{80}'..='\u{9f}').contains(&c)), "{:?}", whole);
        }
    }
}
