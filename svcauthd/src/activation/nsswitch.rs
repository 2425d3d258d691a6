//! `/etc/nsswitch.conf` (nsswitch.conf(5)): the word `svcauth` behind the sources of users and groups, and out again.
//!
//! Everything else of the file stays as it is, byte by byte.

use super::Trouble;

/// The file.
pub const PATH: &str = "/etc/nsswitch.conf";
/// Our word.
const WORD: &str = "svcauth";
/// Databases that need us.
const NEEDED: &[&str] = &["passwd", "group"];
/// Without such a line glibc asks the sources of `group` for the groups of a user; with one, only those that it names.
const IF_THERE: &str = "initgroups";
/// What glibc takes for a database that the file does not name (since 2.32).
const DEFAULT: &str = "files";

/// The file with us in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// All of it.
    pub bytes: Vec<u8>,
    /// What the administrator should know about it.
    pub notes: Vec<String>,
}

/// A word or an action of a line, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    text: String,
    start: usize,
    end: usize,
}

impl Token {
    fn is_action(&self) -> bool {
        self.text.starts_with('[')
    }
}

/// Adds us behind the sources that are there; `None` is a file that is not there.
///
/// # Errors
/// A line that cannot be changed without changing what it means to others: with its number and what to do.
pub fn with_svcauth(file: Option<&[u8]>) -> Result<Edited, Trouble> {
    let mut lines = split(file.unwrap_or_default());
    let mut notes = Vec::new();
    for database in [NEEDED, &[IF_THERE]].concat() {
        match only_line(&lines, database)? {
            Some(at) => {
                let line = lines.get_mut(at).map(std::mem::take).unwrap_or_default();
                let added = add_to_line(&line, at + 1, &mut notes)?;
                if let Some(slot) = lines.get_mut(at) {
                    *slot = added;
                }
            }
            None if database == IF_THERE => {}
            None => {
                notes.push(format!("{PATH} has no line for {database}; it gets one that means the same"));
                finish_last(&mut lines);
                lines.push(format!("{:<15} {DEFAULT} {WORD}\n", format!("{database}:")));
            }
        }
    }
    Ok(Edited { bytes: join(&lines), notes })
}

/// Takes us out of every line.
#[must_use]
pub fn without_svcauth(file: &[u8]) -> Vec<u8> {
    let lines: Vec<String> = split(file).into_iter().map(|line| remove_from_line(&line)).collect();
    join(&lines)
}

/// Whether users and groups are both asked of us.
#[must_use]
pub fn is_on(file: &[u8]) -> bool {
    let lines = split(file);
    let names_us = |database: &&str| {
        let line = lines.iter().rfind(|line| database_of(line) == Some(*database));
        line.is_some_and(|line| tokens(line).iter().any(|token| token.text == WORD))
    };
    NEEDED.iter().all(names_us)
}

/// Each byte as one character: what is no ASCII is none of ours, and goes back as it came.
fn split(file: &[u8]) -> Vec<String> {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
    file.split_inclusive(|byte| *byte == b'\n').map(line).collect()
}

fn join(lines: &[String]) -> Vec<u8> {
    // Every character was one byte.
    lines.iter().flat_map(|line| line.chars()).filter_map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn finish_last(lines: &mut [String]) {
    if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push('\n');
    }
}

/// The database that a line is about.
fn database_of(line: &str) -> Option<&str> {
    let (name, _) = line.trim_start().split_once(':')?;
    (!name.contains(|c: char| c.is_ascii_whitespace() || c == '#')).then_some(name)
}

fn only_line(lines: &[String], database: &str) -> Result<Option<usize>, Trouble> {
    let about = |(at, line): (usize, &String)| (database_of(line) == Some(database)).then_some(at);
    let mut found = lines.iter().enumerate().filter_map(about);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        (Some(one), Some(two)) => Err(Trouble::new(format!(
            "{PATH}:{}: a second line for {database}, the first is line {}; keep the one that counts (glibc takes the \
             last) and run the command again",
            two + 1,
            one + 1
        ))),
        (None, Some(_)) => Ok(None),
    }
}

/// The sources and actions of a line, without its comment.
fn tokens(line: &str) -> Vec<Token> {
    let Some(colon) = line.find(':') else { return Vec::new() };
    let end = line.find('#').unwrap_or(line.len());
    let (mut found, mut at) = (Vec::new(), colon + 1);
    while let Some(rest) = line.get(at..end).filter(|rest| !rest.is_empty()) {
        let skipped = rest.len() - rest.trim_start_matches(is_space).len();
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let len = if rest.starts_with('[') {
            rest.find(']').map_or(rest.len(), |close| close + 1)
        } else {
            rest.find(|c: char| is_space(c) || c == '[').unwrap_or(rest.len())
        };
        let text = rest.get(..len).unwrap_or_default().to_owned();
        found.push(Token { text, start: at, end: at + len });
        at += len;
    }
    found
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// What glibc does when a source answers so (nsswitch.conf(5)): the actions behind the source, one after the other.
fn ends_search(actions: &[&Token], status: &str) -> bool {
    let mut ends = false;
    for action in actions {
        let inner = action.text.trim_matches(['[', ']']).to_ascii_lowercase();
        for item in inner.split(is_space).filter(|item| !item.is_empty()) {
            let Some((when, what)) = item.split_once('=') else { continue };
            let applies = match when.strip_prefix('!') {
                Some(other) => other != status,
                None => when == status,
            };
            if applies {
                ends = what == "return";
            }
        }
    }
    ends
}

fn add_to_line(line: &str, number: usize, notes: &mut Vec<String>) -> Result<String, Trouble> {
    let tokens = tokens(line);
    if let Some(broken) = tokens.iter().find(|token| token.is_action() && !token.text.ends_with(']')) {
        return Err(Trouble::new(format!(
            "{PATH}:{number}: {} has no end; write the closing ]",
            broken.text
        )));
    }
    let sources: Vec<usize> = (0..tokens.len()).filter(|at| !is_action_at(&tokens, *at)).collect();
    let ours = sources.iter().position(|at| tokens.get(*at).is_some_and(|token| token.text == WORD));
    let Some(last) = sources.last().filter(|last| tokens.get(**last).is_some()) else {
        return Err(Trouble::new(format!(
            "{PATH}:{number}: the line names no source; write: {} {DEFAULT}",
            line.trim()
        )));
    };
    let before = sources.get(..ours.unwrap_or(sources.len() - 1)).unwrap_or_default();
    for at in before {
        reachable(&tokens, *at, number, line, notes)?;
    }
    if ours.is_some() {
        return Ok(line.to_owned());
    }
    // An action at the end of the line says nothing until a source follows it: it stays at the end.
    let actions = actions_behind(&tokens, *last);
    let blocks = ["notfound", "unavail", "tryagain"].iter().any(|status| ends_search(&actions, status));
    let behind = if blocks { tokens.get(*last) } else { tokens.last() };
    let place = behind.map_or(line.len(), |token| token.end);
    let (head, tail) = line.split_at_checked(place).unwrap_or((line, ""));
    Ok(format!("{head} {WORD}{tail}"))
}

fn is_action_at(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(Token::is_action)
}

fn actions_behind(tokens: &[Token], source: usize) -> Vec<&Token> {
    tokens.iter().skip(source + 1).take_while(|token| token.is_action()).collect()
}

/// Whether a name that this source does not know is asked of the next one.
fn reachable(
    tokens: &[Token],
    source: usize,
    number: usize,
    line: &str,
    notes: &mut Vec<String>,
) -> Result<(), Trouble> {
    let actions = actions_behind(tokens, source);
    let text: String = actions.iter().map(|token| token.text.as_str()).collect();
    if ends_search(&actions, "notfound") {
        return Err(Trouble::new(format!(
            "{PATH}:{number}: {text} ends the search before svcauth is asked: {}; put the word svcauth in front of \
             {text} or take {text} out, and run the command again",
            line.trim()
        )));
    }
    if ["unavail", "tryagain"].iter().any(|status| ends_search(&actions, status)) {
        let name = tokens.get(source).map_or("", |token| token.text.as_str());
        notes.push(format!(
            "{PATH}:{number}: because of {text}, no account resolves while {name} does not answer"
        ));
    }
    Ok(())
}

fn remove_from_line(line: &str) -> String {
    if database_of(line).is_none() {
        return line.to_owned();
    }
    let tokens = tokens(line);
    let Some(at) = tokens.iter().position(|token| token.text == WORD) else { return line.to_owned() };
    let own = tokens.get(at);
    let (start, mut end) = own.map_or((0, 0), |token| (token.start, token.end));
    let actions = actions_behind(&tokens, at);
    if tokens.len() > at + 1 + actions.len() {
        // They speak of us, and something follows.
        end = actions.last().map_or(end, |action| action.end);
    }
    let (head, tail) = (line.get(..start).unwrap_or_default(), line.get(end..).unwrap_or_default());
    let shorter = if at == 0 {
        format!("{head}{}", tail.trim_start_matches([' ', '\t']))
    } else {
        format!("{}{tail}", head.trim_end_matches([' ', '\t']))
    };
    remove_from_line(&shorter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::{is_on, with_svcauth, without_svcauth};

    fn on(file: &str) -> String {
        let edited = with_svcauth(Some(file.as_bytes())).unwrap();
        assert!(is_on(&edited.bytes), "{file}");
        String::from_utf8(edited.bytes).unwrap()
    }

    const REST: &str = "group: files svcauth\n";

    #[test]
    fn the_word_goes_behind_the_sources_and_everything_else_stays() {
        for (before, after) in [
            ("passwd: files\n", "passwd: files svcauth\n"),
            (
                "passwd:\t\tfiles systemd  # comment [x] svcauth\n",
                "passwd:\t\tfiles systemd svcauth  # comment [x] svcauth\n",
            ),
            ("  passwd:files sss   \n", "  passwd:files sss svcauth   \n"),
            ("passwd: compat\npasswd_compat: nis\n", "passwd: compat svcauth\npasswd_compat: nis\n"),
            ("passwd: files [SUCCESS=merge] systemd\n", "passwd: files [SUCCESS=merge] systemd svcauth\n"),
            ("passwd: files sss [NOTFOUND=return]\n", "passwd: files sss svcauth [NOTFOUND=return]\n"),
            ("passwd: files sss[!SUCCESS=return]\n", "passwd: files sss svcauth[!SUCCESS=return]\n"),
            ("passwd: files svcauth sss\n", "passwd: files svcauth sss\n"),
            ("#passwd: x\npasswd: files\n", "#passwd: x\npasswd: files svcauth\n"),
            ("initgroups: files\npasswd: files\n", "initgroups: files svcauth\npasswd: files svcauth\n"),
        ] {
            let whole = on(&format!("{before}{REST}"));
            assert_eq!(whole, format!("{after}{REST}"));
            if !before.contains("files svcauth") {
                let back = without_svcauth(whole.as_bytes());
                assert_eq!(String::from_utf8(back).unwrap(), format!("{before}group: files\n"));
            }
        }
    }

    #[test]
    fn a_file_without_our_lines_or_without_a_last_line_end_gets_what_glibc_does_by_itself() {
        assert_eq!(
            on("hosts: files dns"),
            "hosts: files dns\npasswd:         files svcauth\ngroup:          files svcauth\n"
        );
        let fresh = with_svcauth(None).unwrap();
        assert_eq!(fresh.bytes, b"passwd:         files svcauth\ngroup:          files svcauth\n");
        assert_eq!(fresh.notes.len(), 2);
        assert_eq!(on("group: files\npasswd: files"), "group: files svcauth\npasswd: files svcauth");
    }

    #[test]
    fn what_would_hide_us_or_cannot_be_told_is_refused_with_its_line() {
        for (file, line, word) in [
            ("\npasswd: files [NOTFOUND=return] sss\n", ":2:", "[NOTFOUND=return]"),
            ("passwd: db [ !success=RETURN ] files\n", ":1:", "ends the search"),
            ("passwd: db [!UNAVAIL=return] files svcauth\n", ":1:", "ends the search"),
            ("passwd: files [NOTFOUND=return\n", ":1:", "closing"),
            ("passwd:\n", ":1:", "no source"),
            ("passwd: files\npasswd: sss\n", ":2:", "second line"),
        ] {
            let told = with_svcauth(Some(format!("{file}{REST}").as_bytes())).unwrap_err().to_string();
            assert!(told.contains(line) && told.contains(word), "{file}: {told}");
        }
        for fine in [
            "passwd: files [NOTFOUND=return SUCCESS=return NOTFOUND=continue] sss\n",
            "passwd: files [SUCCESS=return] sss\n",
        ] {
            assert!(on(&format!("{fine}{REST}")).contains("sss svcauth\n"));
        }
    }

    #[test]
    fn a_source_that_must_answer_first_is_a_note() {
        let edited =
            with_svcauth(Some(format!("passwd: files [UNAVAIL=return] sss\n{REST}").as_bytes())).unwrap();
        assert_eq!(edited.notes.len(), 1);
        assert!(edited.notes[0].contains(":1:"), "{:?}", edited.notes);
    }

    #[test]
    fn words_that_an_administrator_put_there_go_too() {
        for (before, after) in [
            ("passwd: svcauth files\n", "passwd: files\n"),
            ("passwd: files svcauth [NOTFOUND=return] sss\n", "passwd: files sss\n"),
            ("shadow: files svcauth svcauth\n", "shadow: files\n"),
            ("# svcauth\nhosts: svcauthd files # svcauth\n", "# svcauth\nhosts: svcauthd files # svcauth\n"),
        ] {
            assert_eq!(String::from_utf8(without_svcauth(before.as_bytes())).unwrap(), after);
        }
        assert!(!is_on(b"passwd: files svcauth\ngroup: files # svcauth\n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn any_bytes_come_back_as_they_were(file in "(passwd|group|x|#| |:|\\[|\\]|=|\n|files|\u{e9}){0,40}") {
            if let Ok(edited) = with_svcauth(Some(file.as_bytes())) {
                assert!(is_on(&edited.bytes));
                assert!(edited.bytes.len() >= file.len());
                let again = with_svcauth(Some(&edited.bytes)).unwrap();
                assert_eq!(again.bytes, edited.bytes);
                assert!(!is_on(&without_svcauth(&edited.bytes)));
            }
        }
    }
}
