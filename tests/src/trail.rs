//! The audit trail as an administrator reads it: with `svcauth log`.

use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::program::{Ended, Program, wait_until};
use crate::site::svcauth;

/// How long a record may take from whoever writes it into the file.
const PATIENCE: Duration = Duration::from_secs(60);

/// The records that `svcauth log --json ARGS` shows.
pub fn entries(args: &[&str]) -> Outcome<Vec<Value>> {
    let ended = svcauth(&[&["log", "--json"], args].concat())?.expect_ok()?;
    let parse = |line: &str| {
        serde_json::from_str(line)
            .map_err(|error| Failure::new(format!("{error} in {line:?}\n{}", ended.report())))
    };
    ended.stdout.lines().map(parse).collect()
}

/// Waits until `svcauth log --json ARGS` shows so many records, and gives them.
pub fn wait_for(args: &[&str], count: usize) -> Outcome<Vec<Value>> {
    let mut last = Vec::new();
    let found = wait_until(&format!("{count} records of svcauth log {args:?}"), PATIENCE, || {
        last = entries(args).ok()?;
        (last.len() >= count).then(|| last.clone())
    });
    found.map_err(|why| Failure::new(format!("{why}; there are {}: {last:#?}", last.len())))
}

/// Runs `svcauth ARGS` on a terminal of its own; what it shows, both streams together.
pub fn on_a_terminal(args: &[&str]) -> Outcome<Ended> {
    // script(1) takes one text for a shell; the arguments go past it, whatever they hold.
    let names: Vec<String> = (0..args.len()).map(|number| format!("ARG{number}")).collect();
    let words: Vec<String> = names.iter().map(|name| format!("\"${name}\"")).collect();
    let command = format!("stty -onlcr cols 200; exec /usr/bin/svcauth {}", words.join(" "));
    let script = Program::new("script").args(&["-qec", &command, "/dev/null"]);
    names.iter().zip(args).fold(script, |script, (name, arg)| script.env(name, arg)).run()
}

/// The first character that a terminal would obey or hide, line ends and tabs apart.
pub fn deceptive(text: &str) -> Option<char> {
    text.chars().find(|c| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(u32::from(*c), 0xad | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfffd | 0xe0000..=0xe0fff)
    })
}

#[cfg(test)]
mod tests {
    use super::deceptive;

    #[test]
    fn what_would_drive_a_terminal_is_seen_and_ordinary_text_is_not() {
        for (text, found) in [
            ("zo\u{eb} \u{6f22}\tx\n", None),
            ("a\u{1b}[2J", Some('\u{1b}')),
            ("a\u{9b}31m", Some('\u{9b}')),
            ("a\rb", Some('\r')),
            ("a\u{202e}", Some('\u{202e}')),
            ("a\u{e0041}", Some('\u{e0041}')),
            // What reading makes of bytes that are no text.
            ("a\u{fffd}", Some('\u{fffd}')),
        ] {
            assert_eq!(deceptive(text), found, "{text:?}");
        }
    }
}
