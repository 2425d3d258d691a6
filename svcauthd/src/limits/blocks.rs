//! The blocks of sshd's drop-in, from their first line to their last, and a drop-in with and without them.

use std::collections::BTreeMap;

use super::{Forwards, Limited};

/// What sshd runs in the place of whatever is asked for (`svcauth_core::command::SHELL_PATH`).
pub const FORCED: &str = "/usr/bin/svcauth-shell --forced";
/// The first and the last line. They say which lines are svcauth's, so they never change.
const BEGIN: &str = "# From here on written by svcauth enable, from the limits in /etc/svcauth/svcauth.toml.";
const END: &str = "# The limits end here.";

/// What sshd forwards for everybody else: limits make it less, and never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Global {
    /// `AllowTcpForwarding`.
    pub tcp: Forwards,
    /// `AllowStreamLocalForwarding`.
    pub sockets: Forwards,
}

impl Global {
    /// From what sshd says about itself (`sshd -T`).
    #[must_use]
    pub fn read(settings: &str) -> Self {
        let value = |keyword: &str| {
            let says = |line: &&str| line.split(' ').next() == Some(keyword);
            let line = settings.lines().find(says).unwrap_or_default();
            Self::word(line.split(' ').nth(1).unwrap_or_default())
        };
        Self { tcp: value("allowtcpforwarding"), sockets: value("allowstreamlocalforwarding") }
    }
}

impl Global {
    /// What a value of either option allows; of the rest it says nothing.
    #[must_use]
    pub fn word(value: &str) -> Forwards {
        let (local, remote) = match value {
            "no" => (false, false),
            "local" => (true, false),
            "remote" => (false, true),
            _ => (true, true),
        };
        Forwards { local, remote, rest: false }
    }
}

fn word(rule: Forwards, sshd: Forwards) -> &'static str {
    match (rule.local && sshd.local, rule.remote && sshd.remote) {
        (true, true) => "yes",
        (true, false) => "local",
        (false, true) => "remote",
        (false, false) => "no",
    }
}

/// The blocks for these accounts, with the lines that mark them; nothing where nobody is limited.
///
/// One block for all who are limited alike. `Match all` ends the last one, for whatever an administrator writes below.
#[must_use]
pub fn blocks(limited: &[Limited], global: Global) -> String {
    let mut alike = BTreeMap::<Forwards, Vec<&str>>::new();
    for account in limited {
        alike.entry(account.forwards).or_default().push(&account.name);
    }
    if alike.is_empty() {
        return String::new();
    }
    let blocks: String =
        alike.into_iter().map(|(forwards, names)| block(&names.join(","), forwards, global)).collect();
    format!("{BEGIN}\n{blocks}Match all\n{END}\n")
}

fn block(names: &str, forwards: Forwards, global: Global) -> String {
    let mut text = format!("Match User {names}\n    ForceCommand {FORCED}\n    PermitUserRC no\n");
    if forwards.rest {
        return text;
    }
    let mut say = |keyword: &str, value: &str| text.push_str(&format!("    {keyword} {value}\n"));
    say("AllowTcpForwarding", word(forwards, global.tcp));
    say("AllowStreamLocalForwarding", word(forwards, global.sockets));
    for keyword in ["AllowAgentForwarding", "X11Forwarding", "PermitTunnel"] {
        say(keyword, "no");
    }
    if !forwards.remote {
        say("GatewayPorts", "no");
    }
    text
}

/// A drop-in with these blocks in the place of those that it has; they stand at its end, where a `Match` takes nothing in
/// that is not its own.
#[must_use]
pub fn renewed(drop_in: &[u8], blocks: &str) -> Vec<u8> {
    let mut text = without(drop_in);
    if !blocks.is_empty() && !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend_from_slice(blocks.as_bytes());
    text
}

/// A drop-in without blocks of ours.
#[must_use]
pub fn without(drop_in: &[u8]) -> Vec<u8> {
    split(drop_in).0
}

/// The blocks that a drop-in has.
#[must_use]
pub fn extract(drop_in: &[u8]) -> Vec<u8> {
    split(drop_in).1
}

/// What is not ours, and what is: from the first line to the last one, or as far as lines look like ours.
fn split(drop_in: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut others, mut ours, mut inside) = (Vec::new(), Vec::new(), false);
    for line in drop_in.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii_end();
        let looks_ours = text.starts_with(b"Match User ")
            || text.starts_with(b"    ")
            || text == b"Match all"
            || text == END.as_bytes();
        inside = text == BEGIN.as_bytes() || inside && looks_ours;
        if inside { &mut ours } else { &mut others }.extend_from_slice(line);
        inside &= text != END.as_bytes();
    }
    (others, ours)
}

#[cfg(test)]
mod tests {
    use super::{Forwards, Global, Limited, blocks, extract, renewed, without};

    const BOTH: Forwards = Forwards { local: true, remote: true, rest: false };
    const OPEN: Global = Global { tcp: BOTH, sockets: BOTH };
    const LOCAL: Forwards = Forwards { local: true, remote: false, rest: false };

    fn account(name: &str, forwards: Forwards) -> Limited {
        Limited { name: name.to_owned(), forwards }
    }

    #[test]
    fn those_who_are_limited_alike_share_a_block_and_what_sshd_may_forward_stays_out_of_it() {
        let all = [
            account("a", Forwards::NOTHING),
            account("b", Forwards::ANYTHING),
            account("c", Forwards::NOTHING),
        ];
        let text = blocks(&all, OPEN);
        let expected = "\
Match User a,c
    ForceCommand /usr/bin/svcauth-shell --forced
    PermitUserRC no
    AllowTcpForwarding no
    AllowStreamLocalForwarding no
    AllowAgentForwarding no
    X11Forwarding no
    PermitTunnel no
    GatewayPorts no
Match User b
    ForceCommand /usr/bin/svcauth-shell --forced
    PermitUserRC no
Match all
";
        assert!(text.contains(expected), "{text}");
        assert_eq!(blocks(&[], OPEN), "");
    }

    #[test]
    fn limits_never_allow_what_sshd_does_not() {
        let text = |global| blocks(&[account("a", LOCAL)], global);
        assert!(text(OPEN).contains("AllowTcpForwarding local\n"));
        let closed = Global::read("x y\nallowtcpforwarding no\nallowstreamlocalforwarding remote\n");
        let text = text(closed);
        assert!(text.contains("AllowTcpForwarding no\n    AllowStreamLocalForwarding no\n"), "{text}");
        assert_eq!(Global::read("allowtcpforwarding yes\nallowstreamlocalforwarding all\n"), OPEN);
        assert_eq!(Global::read("allowtcpforwarding local\n").tcp, LOCAL);
    }

    #[test]
    fn blocks_are_put_in_renewed_and_taken_out_and_other_lines_stay() {
        let first = blocks(&[account("a", LOCAL)], OPEN);
        let second = blocks(&[account("b", LOCAL)], OPEN);
        for others in ["", "UsePAM yes\n", "# x\nMatch User y\n    Banner none\n"] {
            let with = renewed(others.as_bytes(), &first);
            assert_eq!(extract(&with), first.as_bytes());
            assert_eq!(renewed(&with, &first), with);
            assert_eq!(renewed(&with, &second), format!("{others}{second}").as_bytes());
            assert_eq!(without(&with), others.as_bytes());
            assert_eq!(renewed(&with, ""), others.as_bytes());
            // Lines that somebody wrote below, also where the last line of ours is gone.
            let below = [with.as_slice(), b"MaxAuthTries 3\n"].concat();
            assert_eq!(without(&below), format!("{others}MaxAuthTries 3\n").as_bytes());
            let cut = String::from_utf8(below).unwrap().replace("# The limits end here.\n", "");
            assert_eq!(without(cut.as_bytes()), format!("{others}MaxAuthTries 3\n").as_bytes());
        }
        assert_eq!(renewed(b"UsePAM yes", &first), format!("UsePAM yes\n{first}").as_bytes());
    }
}
