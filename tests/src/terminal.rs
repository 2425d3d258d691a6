//! What the commands of this room print. Colour is for a terminal only, and for those who want it.

use std::io::{IsTerminal, Write, stdout};

/// One line to standard output, in one write. A reader that went away is no reason to stop.
pub fn say(text: &str) {
    let _ = stdout().write_all(format!("{text}\n").as_bytes());
}

/// The words of the command line. `cargo demo -- --ldap` and `cargo demo --ldap` are the same.
pub fn words() -> Vec<String> {
    without_dashes(std::env::args().skip(1).collect())
}

fn without_dashes(mut words: Vec<String>) -> Vec<String> {
    if words.first().is_some_and(|first| first == "--") {
        words.remove(0);
    }
    words
}

/// How a piece of text looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// What matters less.
    Dim,
    /// What went well.
    Good,
    /// What went wrong.
    Bad,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Palette {
    coloured: bool,
}

impl Palette {
    /// Colours when standard output is a terminal and `NO_COLOR` is not set.
    pub fn of_stdout() -> Self {
        Self { coloured: stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// `text` in a style.
    pub fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => "",
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Bad => "31",
        };
        if self.coloured && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Control characters of a program's output made visible, line ends and tabs apart.
pub fn printable(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\n' && c != '\t' { c.escape_default().to_string() } else { c.into() }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_no_escape_is_written() {
        let text = Palette { coloured: false }.paint(Style::Bad, "no");
        assert_eq!(text, "no");
        assert!(Palette { coloured: true }.paint(Style::Bad, "no").contains('\x1b'));
    }

    #[test]
    fn two_dashes_of_cargo_are_no_word_of_ours() {
        let words = |list: &[&str]| without_dashes(list.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(words(&["--", "--ldap"]), ["--ldap"]);
        assert_eq!(words(&["--ldap"]), ["--ldap"]);
    }

    #[test]
    fn a_program_cannot_reach_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\tc\n"), "a\\u{1b}[2Jb\tc\n");
    }
}
