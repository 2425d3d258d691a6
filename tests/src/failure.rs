//! Why a step failed, as a sentence for the person who reads the test output.

use std::fmt;

/// What went wrong, in one or more lines. Context is put in front with [`Context::doing`].
#[derive(Debug)]
pub struct Failure(String);

/// The result of a step: a value, or the sentence that says why there is none.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure that reads `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<nix::Error> for Failure {
    fn from(error: nix::Error) -> Self {
        Self(error.desc().to_owned())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Puts what was being done in front of an error.
pub trait Context<T> {
    /// The same result; an error reads `<action>: <error>`.
    fn doing(self, action: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn doing(self, action: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| Failure(format!("{action}: {error}")))
    }
}

/// Succeeds when `holds`; otherwise fails with what `otherwise` says.
pub fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Failure(otherwise())) }
}

/// Succeeds when both sides are equal; otherwise says what was expected and what came.
pub fn require_eq<A, B>(what: &str, got: &A, expected: &B) -> Outcome
where
    A: PartialEq<B> + fmt::Debug + ?Sized,
    B: fmt::Debug + ?Sized,
{
    require(got == expected, || format!("{what}\n  expected: {expected:?}\n  got:      {got:?}"))
}

/// Succeeds when `text` holds `part`; otherwise shows the text.
pub fn require_contains(what: &str, text: &str, part: &str) -> Outcome {
    require(text.contains(part), || format!("{what}: no {part:?} in\n{}", indent(text)))
}

/// Succeeds when `text` does not hold `part`; otherwise shows the text.
pub fn require_lacks(what: &str, text: &str, part: &str) -> Outcome {
    require(!text.contains(part), || format!("{what}: unexpected {part:?} in\n{}", indent(text)))
}

/// Every line of `text` moved right by four columns.
pub fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_action_then_cause() {
        let error: Result<(), _> = Err("no such file");
        assert_eq!(error.doing("open /x").unwrap_err().to_string(), "open /x: no such file");
    }

    #[test]
    fn a_difference_shows_both_sides() {
        assert!(require_eq("uid", &7001, &7001).is_ok());
        let text = require_eq("uid", &0, &7001).unwrap_err().to_string();
        assert!(text.contains("expected: 7001") && text.contains("got:      0"), "{text}");
    }
}
