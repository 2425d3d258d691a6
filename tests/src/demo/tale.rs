//! Telling: what is done, what a program answers, and whether that is what was promised.

use crate::failure::{Failure, Outcome};
use crate::program::{Ended, Program};
use crate::terminal::{Palette, Style, printable, say};

/// The narrator.
pub(super) struct Tale {
    palette: Palette,
    checks: usize,
}

impl Tale {
    pub(super) fn new() -> Self {
        Self { palette: Palette::of_stdout(), checks: 0 }
    }

    /// How many promises were kept so far.
    pub(super) fn checks(&self) -> usize {
        self.checks
    }

    /// A new part of the story.
    pub(super) fn part(&self, title: &str) {
        say(&format!("\n{}", self.palette.paint(Style::Bold, title)));
    }

    /// A remark.
    pub(super) fn remark(&self, text: &str) {
        say(&self.palette.paint(Style::Dim, &format!("  {text}")));
    }

    /// Runs a program in sight; `shown` is the line a reader would see.
    pub(super) fn runs(&self, shown: &str, program: Program) -> Outcome<Ended> {
        say(&format!("  {shown}"));
        let ended = program.run()?;
        self.quote(&ended.stdout);
        self.quote(&ended.stderr);
        if !ended.ok() {
            self.remark(&format!("(exit status {})", ended.code));
        }
        Ok(ended)
    }

    /// Runs a line as it would be typed, without a shell: words are parted by blanks.
    pub(super) fn types(&self, line: &str) -> Outcome<Ended> {
        let words: Vec<&str> = line.split(' ').collect();
        self.runs(&format!("$ {line}"), Program::from_words(&words)?)
    }

    /// Shows lines of a file or a log.
    pub(super) fn quote(&self, text: &str) {
        for line in printable(text).lines() {
            say(&format!("    {line}"));
        }
    }

    /// A promise. The story ends when it is not kept.
    pub(super) fn check(&mut self, promise: &str, kept: bool) -> Outcome {
        if !kept {
            say(&self.palette.paint(Style::Bad, &format!("  ✗ {promise}")));
            return Err(Failure::new(format!("this is not so: {promise}")));
        }
        self.checks += 1;
        say(&self.palette.paint(Style::Good, &format!("  ✓ {promise}")));
        Ok(())
    }

    /// The last line.
    pub(super) fn end(&self, line: &str, well: bool) {
        say(&format!("\n{}", self.palette.paint(if well { Style::Good } else { Style::Bad }, line)));
    }
}
