//! The words of a test binary's command line.

use crate::failure::{Failure, Outcome};

/// What the command line asks for; the words of the standard test runner that make sense here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    pub(crate) list: bool,
    pub(crate) show_output: bool,
    threads: Option<usize>,
}

impl Wish {
    /// Whether a case of this name is to run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let hit = |part: &String| {
            if self.exact { name == part } else { name.contains(part.as_str()) }
        };
        (self.filters.is_empty() || self.filters.iter().any(hit)) && !self.skipped.iter().any(hit)
    }

    /// One more than the processors: a case spends much of its time waiting.
    pub(crate) fn threads(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(2, usize::from);
        self.threads.unwrap_or_else(|| processors() + 1).max(1)
    }
}

/// Reads the words; an unknown option is an error.
pub(crate) fn parse(args: impl Iterator<Item = String>) -> Outcome<Wish> {
    let mut wish = Wish::default();
    let mut args = args.peekable();
    while let Some(arg) = args.next() {
        let (flag, attached) =
            arg.split_once('=').map_or((arg.as_str(), None), |(f, v)| (f, Some(v.to_owned())));
        let mut value = || attached.clone().or_else(|| args.next()).ok_or_else(|| missing_value(flag));
        match flag {
            "--exact" => wish.exact = true,
            "--list" => wish.list = true,
            "--nocapture" | "--no-capture" | "--show-output" => wish.show_output = true,
            "--skip" => wish.skipped.push(value()?),
            "--test-threads" => wish.threads = value()?.parse().ok(),
            "--format" | "--color" | "-Z" => drop(value()?),
            "--quiet" | "-q" | "--include-ignored" | "--test" => {}
            _ if flag.starts_with('-') => return Err(Failure::new(format!("unknown option {flag}"))),
            _ => wish.filters.push(arg),
        }
    }
    Ok(wish)
}

fn missing_value(flag: &str) -> Failure {
    Failure::new(format!("{flag} needs a value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(words: &[&str]) -> Wish {
        parse(words.iter().map(|word| (*word).to_owned())).unwrap()
    }

    #[test]
    fn filters_choose_by_part_of_a_name_and_skip_wins() {
        let some = wish(&["login", "--skip", "carol"]);
        assert!(some.wants("login::bob_is_allowed"));
        assert!(!some.wants("login::carol_is_refused"));
        assert!(!some.wants("outage::x"));
        assert!(wish(&[]).wants("anything"));
    }

    #[test]
    fn exact_means_the_whole_name() {
        let one = wish(&["login::bob", "--exact", "--test-threads=1"]);
        assert!(one.wants("login::bob") && !one.wants("login::bobby"));
        assert_eq!(one.threads(), 1);
    }
}
