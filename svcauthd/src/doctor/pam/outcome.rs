//! What a program hears in the end: when svcauth refuses, when it has nothing to say, and when its file is lost.

use super::Look;
use super::answers::{Visitor, is_fall_back, is_ours, on_a_good_day, when_refused};
use super::lint;
use super::services::Kind;
use crate::doctor::Finding;
use crate::pam_stack::{Code, Ending, Line, Phase, walk};

/// How our lines stand in the distribution's common files (conf/pam-configs/svcauth).
const PROFILE: &str = "run: pam-auth-update --package --remove svcauth && pam-auth-update --enable svcauth (or write the three lines of \
                       /usr/share/pam-configs/svcauth there again)";

pub(super) fn examine(look: &Look<'_>, phase: Phase, kind: Kind) -> Vec<Finding> {
    let lines = look.lines(phase);
    let Some(endings) = walk(&lines, when_refused, is_ours) else {
        return vec![too_complex(look, phase)];
    };
    let mut found: Vec<Finding> = endings
        .iter()
        .filter(|it| opens(look, phase, it))
        .filter_map(|it| let_in(&lines, it, kind))
        .collect();
    found.dedup();
    // Where a refusal does not count, nothing can be learned from the rest.
    if found.is_empty() {
        found.extend(lost(look, phase, &lines));
        found.extend(everyday(look, phase, &lines));
    }
    found.extend(double(&lines));
    found
}

/// Whether a program takes this end for a yes. sshd takes a password that must be changed for one, and sudo goes on after
/// a `PAM_SESSION_ERR`.
fn opens(look: &Look<'_>, phase: Phase, ending: &Ending) -> bool {
    let is_sudo = matches!(look.service(), "sudo" | "sudo-i");
    match ending.status {
        Code::SUCCESS => true,
        Code::NEW_AUTHTOK_REQD => phase == Phase::Account,
        Code::SESSION_ERR => is_sudo && phase == Phase::Session,
        _ => false,
    }
}

fn let_in(lines: &[Line], ending: &Ending, kind: Kind) -> Option<Finding> {
    let ours = lines.iter().find(|line| is_ours(line))?;
    let by = |index: Option<usize>| index.and_then(|index| lines.get(index)).unwrap_or(ours);
    let finding = if ending.status == Code::SESSION_ERR {
        let (file, number) = by(ending.status_by).place();
        let what = "sudo runs the command when the first failure of the stack is PAM_SESSION_ERR, which this line can give: \
                    a refusal of svcauth behind it is lost";
        lint::PAM_SUDO_MASKED.at(file, number, what.to_owned(), before(ours, "this line"))
    } else if ending.watched {
        let (file, number) = ours.place();
        let what = "its control lets the rest of the stack decide: whoever svcauth refuses gets in";
        lint::PAM_DENIAL_IGNORED.at(file, number, what.to_owned(), PROFILE.to_owned())
    } else {
        let (file, number) = by(ending.left_out_by).place();
        let what = "this line can end the stack, or jump, before svcauth is asked";
        // The session decides once more, where there is certainly one.
        let is_early = ours.phase == Phase::Account && kind == Kind::OpensSessions;
        let lint = if is_early { lint::PAM_ACCOUNT_JUMP_OVER } else { lint::PAM_JUMP_OVER };
        lint.at(file, number, what.to_owned(), before(ours, "this line"))
    };
    Some(finding)
}

fn before(ours: &Line, what: &str) -> String {
    let (file, number) = ours.place();
    format!(
        "put {what} behind the lines of svcauth, which begin in {} line {number} (pam-auth-update --force --enable svcauth writes \
         the common files again)",
        file.display()
    )
}

/// The module's file is gone, or garbage: libpam answers PAM_MODULE_UNKNOWN in its place.
fn lost(look: &Look<'_>, phase: Phase, lines: &[Line]) -> Vec<Finding> {
    let Some(ours) = lines.iter().find(|line| is_ours(line)) else { return Vec::new() };
    let gets_in = |visitor| good_day(look, phase, lines, visitor, Code::MODULE_UNKNOWN);
    let (file, number) = ours.place();
    let mut found = Vec::new();
    for (visitor, who, line) in [
        (Visitor::DirectoryAccount, "an account of the directory", "requisite pam_localuser.so"),
        (
            Visitor::LocalAccount,
            "an account of local_accounts",
            "requisite pam_listfile.so ... file=/var/lib/svcauth/local_accounts",
        ),
    ] {
        if gets_in(visitor) {
            let what = format!(
                "when the module's file is lost or replaced, {who} gets in unasked: the line \"{line}\" behind it is missing or changed"
            );
            found.push(lint::PAM_FAILS_OPEN.at(file, number, what, PROFILE.to_owned()));
            break;
        }
    }
    if !gets_in(Visitor::Local) && good_day(look, phase, lines, Visitor::Local, Code::IGNORE) {
        let what =
            "when the module's file is lost or replaced, nobody gets in any more, root included".to_owned();
        found.push(lint::PAM_FAILS_SHUT.at(file, number, what, PROFILE.to_owned()));
    }
    found
}

/// Nothing is wrong, and still somebody does not get in.
fn everyday(look: &Look<'_>, phase: Phase, lines: &[Line]) -> Option<Finding> {
    let ours = lines.iter().find(|line| is_ours(line))?;
    let (file, number) = ours.place();
    let without: Vec<Line> =
        lines.iter().filter(|line| !is_ours(line) && !is_fall_back(line)).cloned().collect();
    let in_without = without.is_empty() || good_day(look, phase, &without, Visitor::Local, Code::IGNORE);
    if in_without && !good_day(look, phase, lines, Visitor::Local, Code::IGNORE) {
        let what = "svcauth has nothing to say about root and local users, and its control lets the stack fail then: nobody gets in";
        return Some(lint::PAM_SHUTS_OUT.at(file, number, what.to_owned(), PROFILE.to_owned()));
    }
    let visitor = Visitor::DirectoryAccount;
    if in_without && !good_day(look, phase, lines, visitor, Code::SUCCESS) {
        let what = "a managed account is refused also when svcauth lets it in; its control must jump over the two lines for a lost module";
        return Some(lint::PAM_ALLOWS_NOBODY.at(file, number, what.to_owned(), PROFILE.to_owned()));
    }
    None
}

/// Whether a visitor gets in on a day on which nothing else is wrong.
fn good_day(look: &Look<'_>, phase: Phase, lines: &[Line], visitor: Visitor, ours: Code) -> bool {
    let answers = |line: &Line| on_a_good_day(line, visitor, ours);
    let endings = walk(lines, answers, is_ours).unwrap_or_default();
    endings.iter().any(|ending| opens(look, phase, ending))
}

fn too_complex(look: &Look<'_>, phase: Phase) -> Finding {
    let what = format!(
        "the {} lines have more ways than can be followed; nothing is known about them",
        phase.word()
    );
    lint::PAM_TOO_COMPLEX.of(
        look.file(),
        what,
        "run: svcauth doctor --prove, which asks the stack itself".to_owned(),
    )
}

/// A line that was written by hand, and another by pam-auth-update: each session would be decided and recorded twice.
fn double(lines: &[Line]) -> Option<Finding> {
    let mut ours = lines.iter().filter(|line| is_ours(line));
    let (first, second) = (ours.next()?, ours.next()?);
    let ((first_file, first_number), (file, number)) = (first.place(), second.place());
    let what = format!(
        "svcauth is called a second time (first in {} line {first_number}): each session is decided and recorded twice",
        first_file.display()
    );
    // Lines that were written by hand stand in the file of the service.
    let common = |file: &std::path::Path| file.to_string_lossy().contains("/common-");
    let (file, number) =
        if common(file) && !common(first_file) { (first_file, first_number) } else { (file, number) };
    Some(lint::PAM_DOUBLE.at(file, number, what, format!("delete line {number} of {}", file.display())))
}
