//! A document as somebody who follows it: its commands in their order, what it says that they show, and what it answers to
//! their questions.
//!
//! In a block ` ```console ` a line that begins with `# ` is a command for root; what follows is what it shows, up to the next
//! one. `...` stands for anything on its line, and alone on a line for any lines. A line that ends with a question, its
//! default in brackets, and an answer is a question that is answered so. In a block ` ```console new-login ` the commands are
//! run in a login that is opened for them.

/// One command of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its line in the document, from 1.
    pub number: usize,
    /// What is typed.
    pub command: String,
    /// Whether a new login is opened for it.
    pub in_new_login: bool,
    /// The lines that the document shows below it.
    pub shown: Vec<String>,
}

/// Every command of a document.
pub fn steps(document: &str) -> Vec<Step> {
    let (mut steps, mut block): (Vec<Step>, Option<bool>) = (Vec::new(), None);
    for (number, line) in (1..).zip(document.lines()) {
        match (block, line) {
            (None, "```console") => block = Some(false),
            (None, "```console new-login") => block = Some(true),
            (Some(_), "```") => block = None,
            (Some(in_new_login), line) => match (line.strip_prefix("# "), steps.last_mut()) {
                (Some(command), _) => {
                    let command = command.to_owned();
                    steps.push(Step { number, command, in_new_login, shown: Vec::new() });
                }
                (None, Some(step)) => step.shown.push(line.to_owned()),
                (None, None) => {}
            },
            (None, _) => {}
        }
    }
    steps
}

impl Step {
    /// The questions of the document, each as far as the program shows it, with the answer that is typed.
    pub fn answers(&self) -> Vec<(String, String)> {
        self.shown.iter().filter_map(|line| question(line)).collect()
    }

    /// Whether this is what the document shows; else its first line that is not there.
    pub fn differs(&self, printed: &str) -> Option<String> {
        let mut lines = printed.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let mut skip = false;
        for wanted in self.shown.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty()) {
            if wanted == "..." {
                skip = true;
                continue;
            }
            let found = if skip {
                lines.any(|line| fits(wanted, line))
            } else {
                lines.next().is_some_and(|line| fits(wanted, line))
            };
            if !found {
                return Some(wanted.to_owned());
            }
            skip = false;
        }
        lines.next().filter(|_| !skip).map(|line| format!("nothing, where this is shown: {line}"))
    }
}

/// A question up to its answer, and that.
fn question(line: &str) -> Option<(String, String)> {
    let end = line.find("? [").and_then(|at| Some(at + line.get(at..)?.find(']')? + 1));
    let end = end.or_else(|| line.find("?").map(|at| at + 1))?;
    let (asked, answer) = line.split_at_checked(end)?;
    (answer.is_empty() || answer.starts_with(' ')).then(|| (asked.to_owned(), answer.trim().to_owned()))
}

/// Whether a line is what the document has, where `...` stands for anything.
fn fits(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split("...");
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    if !wanted.contains("...") {
        return rest.is_empty();
    }
    let parts: Vec<&str> = parts.collect();
    let (last, middle) = parts.split_last().map_or(("", &[][..]), |(last, middle)| (*last, middle));
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "text\n```console\n# one\nout\n# two --x\nWhich? [a] b\nName (DN)? c\n```\n\n```sh\n# no\n```\n\
                            ```console new-login\n# three\n...\nlast\n```\n";

    #[test]
    fn commands_come_with_what_they_show_and_what_is_answered() {
        let steps = steps(DOCUMENT);
        let commands: Vec<(&str, bool)> =
            steps.iter().map(|step| (step.command.as_str(), step.in_new_login)).collect();
        assert_eq!(commands, [("one", false), ("two --x", false), ("three", true)]);
        let answers = steps.get(1).map(Step::answers).unwrap_or_default();
        assert_eq!(answers, [("Which? [a]".into(), "b".into()), ("Name (DN)?".into(), "c".into())]);
        assert_eq!(steps.first().map(|step| (step.number, step.answers())), Some((3, vec![])));
    }

    #[test]
    fn what_is_shown_differs_by_the_first_line_that_is_not_there() {
        let step = |shown: &str| Step {
            number: 1,
            command: String::new(),
            in_new_login: false,
            shown: shown.lines().map(str::to_owned).collect(),
        };
        assert_eq!(step("a\nb").differs("a\n\nb\n"), None);
        assert_eq!(step("a\n...\nz").differs("a\nb\nc\nz"), None);
        assert_eq!(step("wrote ... at ...").differs("wrote x at 12:00"), None);
        assert_eq!(step("a").differs("b").as_deref(), Some("a"));
        assert_eq!(step("a\n...\nz").differs("a\nb").as_deref(), Some("z"));
        assert!(step("a").differs("a\nb").is_some_and(|why| why.contains("b")));
        assert!(step("x ... y").differs("x z").is_some());
    }
}
