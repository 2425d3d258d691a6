//! What is recorded of a command: its line as it was asked for, who is behind it, and a sentence that says both.

use svcauth_core::audit::escape::{for_terminal, text_of};
use svcauth_core::audit::{Event, Record, Verdict, capped};
use svcauth_core::command::protocol::Ask;
use svcauth_core::policy::Reason;
use svcauth_host::sessions::{Session, SessionOrigin};

use super::judge::{Judged, Ruled};

/// Longest command in a record, in bytes; of a longer one the rest is cut, and the record says so.
pub(super) const COMMAND_MAX: usize = 16 << 10;
/// The same within a sentence.
const SENTENCE_MAX: usize = 1 << 10;
/// The same on the terminal of whoever was refused.
const SHOWN_MAX: usize = 200;

/// Adds what was asked for, and what became of it.
pub(super) fn add(record: &mut Record, ask: &Ask, session: Option<&Session>, judged: &Judged) {
    record.event = Event::Command;
    record.command = command(ask);
    record.role = (!judged.roles.is_empty()).then(|| judged.roles.join(","));
    let sentence = sentence(ask, session, judged);
    let learned = matches!(judged.ruled, Ruled::Learn(..));
    let (decision, reason, more) = match &judged.ruled {
        Ruled::Run(_) => (Verdict::Allow, None, None),
        Ruled::Learn(_, refusal) => (Verdict::Allow, Some(refusal.reason), Some(refusal.detail.as_str())),
        Ruled::Refuse(reason, detail) => (Verdict::Deny, Some(*reason), detail.as_deref()),
    };
    record.mode = learned.then(|| "learn".to_owned());
    record.decision = Some(decision);
    record.reason = reason.map(|reason| reason.code().to_owned());
    record.detail = Some(match more {
        Some(more) => format!("{sentence}: {more}"),
        None => sentence,
    });
}

/// Adds where what the shell shows is recorded.
pub(super) fn add_recording(record: &mut Record, id: &str) {
    if let Some(detail) = &mut record.detail {
        detail.push_str("; recorded as ");
        detail.push_str(id);
    }
}

/// The command as records keep it.
pub(super) fn command(ask: &Ask) -> Option<String> {
    ask.line.as_deref().map(|line| capped(&text_of(line), COMMAND_MAX).into_owned())
}

/// `bob is in application and executed ls /`; `carol is not in application and is not authorized to execute ls /`.
fn sentence(ask: &Ask, session: Option<&Session>, judged: &Judged) -> String {
    let who = match session.map(|session| &session.origin) {
        Some(SessionOrigin::Person(name) | SessionOrigin::Local(name)) => name.as_str(),
        Some(SessionOrigin::Root) => "root",
        None => "somebody unknown",
    };
    let line = ask.line.as_deref().map(|line| capped(&text_of(line), SENTENCE_MAX).into_owned());
    let (did, may) = match &line {
        Some(line) => (format!("executed {line}"), format!("is not authorized to execute {line}")),
        None => ("opened a shell".to_owned(), "is not authorized to open a shell".to_owned()),
    };
    let (is_in, what) = match &judged.ruled {
        Ruled::Run(_) | Ruled::Learn(..) => (Some("is in"), did),
        Ruled::Refuse(Reason::NotInRole | Reason::MissingRole, _) => (Some("is not in"), may),
        Ruled::Refuse(..) => (Some("is in"), may),
    };
    let roles = match &judged.ruled {
        // Of several roles, one would have done.
        Ruled::Refuse(Reason::NotInRole, _) => judged.roles.join(" or "),
        _ => judged.roles.join(" and "),
    };
    match is_in.filter(|_| !roles.is_empty()) {
        Some(is_in) => format!("{who} {is_in} {roles} and {what}"),
        None => format!("{who} {what}"),
    }
}

/// What the person reads, on one line without control characters.
pub(super) fn message(ask: &Ask, account: &str, reason: Reason, detail: Option<&str>) -> String {
    let why = detail.filter(|_| is_for_the_person(reason)).unwrap_or_else(|| reason.sentence());
    let what = match ask.line.as_deref() {
        Some(line) => for_terminal(&capped(&text_of(line), SHOWN_MAX)),
        None => "an interactive shell".to_owned(),
    };
    format!("{what} is not allowed for {}: {}", for_terminal(account), for_terminal(&capped(why, SHOWN_MAX)))
}

/// What is wrong on the host is the administrator's to read.
fn is_for_the_person(reason: Reason) -> bool {
    matches!(reason, Reason::CommandNotAllowed | Reason::ShellNotAllowed)
}

#[cfg(test)]
mod tests {
    use svcauth_core::command::{Plan, Refusal};

    use super::{Ask, COMMAND_MAX, Judged, Reason, Record, Ruled, SessionOrigin, add, message};
    use crate::monitor::session_fixture::session;

    fn ask(line: Option<&str>) -> Ask {
        let line = line.map(|line| line.as_bytes().to_vec());
        Ask { line, terminal: false, can_confine: true, resume: None }
    }

    fn recorded(origin: Option<SessionOrigin>, line: Option<&str>, roles: &[&str], ruled: Ruled) -> Record {
        let session = origin.map(|origin| session("deployer", origin, "10.1.2.3"));
        let mut record = Record::default();
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        add(&mut record, &ask(line), session.as_ref(), &Judged { roles, ruled, is_taped: false });
        record
    }

    fn person(name: &str) -> Option<SessionOrigin> {
        Some(SessionOrigin::Person(name.to_owned()))
    }

    /// Whose session, which command, with which roles; what becomes of it, and what more there is to say; the sentence.
    type Told = (
        &'static str,
        Option<&'static str>,
        &'static [&'static str],
        Option<Reason>,
        &'static str,
        &'static str,
    );

    const APP: &[&str] = &["application"];
    const BOTH: &[&str] = &["application", "dba"];
    const SENTENCES: [Told; 8] = [
        ("bob", Some("ls /"), APP, None, "", "bob is in application and executed ls /"),
        (
            "carol",
            Some("ls /"),
            APP,
            Some(Reason::NotInRole),
            "",
            "carol is not in application and is not authorized to execute ls /",
        ),
        (
            "carol",
            Some("id"),
            BOTH,
            Some(Reason::NotInRole),
            "",
            "carol is not in application or dba and is not authorized to execute id",
        ),
        ("bob", None, BOTH, None, "", "bob is in application and dba and opened a shell"),
        (
            "bob",
            Some("id"),
            APP,
            Some(Reason::CommandNotAllowed),
            "no rule has the program id",
            "bob is in application and is not authorized to execute id: no rule has the program id",
        ),
        ("bob", None, &[], Some(Reason::Stale), "", "bob is not authorized to open a shell"),
        ("root", Some("id"), &[], None, "", "root executed id"),
        ("", Some("id"), &[], Some(Reason::NoOrigin), "", "somebody unknown is not authorized to execute id"),
    ];

    #[test]
    fn the_sentence_says_who_is_in_what_and_what_they_did_or_may_not_do() {
        for (who, line, roles, refused, more, sentence) in SENTENCES {
            let origin = match who {
                "" => None,
                "root" => Some(SessionOrigin::Root),
                who => person(who),
            };
            let more = (!more.is_empty()).then(|| more.to_owned());
            let ruled = match refused {
                Some(reason) => Ruled::Refuse(reason, more),
                None => Ruled::Run(Plan::Line),
            };
            let record = recorded(origin, line, roles, ruled);
            assert_eq!(record.detail.as_deref(), Some(sentence));
            assert_eq!(record.command.as_deref(), line);
        }
    }

    #[test]
    fn what_a_learning_rule_lets_run_is_allowed_and_says_why_it_would_not_be() {
        let refusal = Refusal { reason: Reason::ShellNotAllowed, detail: "no rule has a shell".to_owned() };
        let plan = Plan::Shell { record: false };
        let record = recorded(person("bob"), None, &["application"], Ruled::Learn(plan, refusal));
        assert_eq!(
            record.to_line(),
            "command reason=shell_not_allowed mode=learn role=application \
             detail=\"bob is in application and opened a shell: no rule has a shell\""
        );
        assert_eq!(record.decision, Some(super::Verdict::Allow));
    }

    #[test]
    fn a_long_command_is_cut_visibly_and_one_that_is_no_text_loses_nothing() {
        let long = "x".repeat(COMMAND_MAX + 5);
        let record = recorded(person("bob"), Some(&long), &[], Ruled::Run(Plan::Line));
        assert!(record.command.unwrap().ends_with("x...(+5 bytes)"));
        assert!(record.detail.unwrap().len() < 1200);
        let odd = Ask { line: Some(b"ls \xff\n".to_vec()), ..ask(None) };
        assert_eq!(super::command(&odd).as_deref(), Some("ls \\xff\n"));
    }

    #[test]
    fn what_the_person_reads_is_one_line_whatever_was_asked() {
        let ask = ask(Some("ls\n\u{1b}[2J"));
        let detail = Some("no rule has \u{7}");
        assert_eq!(
            message(&ask, "deployer", Reason::CommandNotAllowed, detail),
            "ls\\x0a\\x1b[2J is not allowed for deployer: no rule has \\x07"
        );
        // What is wrong with the host is not for whoever asks.
        let shown = message(&ask, "deployer", Reason::InternalError, Some("/run/x: no space"));
        assert!(shown.ends_with("svcauth itself failed"), "{shown}");
    }
}
