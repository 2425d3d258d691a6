//! PAM's common stacks: which of their lines are ours, and what keeps pam-auth-update(8) from writing them.
//!
//! They are written by pam-auth-update alone (in a private world, see `stage`), and taken out here when they cannot be put
//! back as they were: an administrator has changed them since, and that change stays.

use std::path::{Path, PathBuf};

use super::Trouble;

/// The stacks that pam-auth-update writes, as `common-NAME`, in its order.
pub const STACKS: &[&str] = &["auth", "account", "password", "session", "session-noninteractive"];
/// Where they are.
pub const FOLDER: &str = "/etc/pam.d";
/// Where pam-auth-update remembers what it wrote.
pub const MEMORY: &str = "/var/lib/pam";
/// The program.
pub const PROGRAM: &str = "/usr/sbin/pam-auth-update";
/// Our profile.
pub const PROFILE: &str = "/usr/share/pam-configs/svcauth";
/// What stands in each of our lines: the module, or the list of managed accounts of this host.
const MARKS: &[&str] = &["pam_svcauth.so", "/var/lib/svcauth/local_accounts"];
/// The stacks that must have our lines.
const OURS: &[&str] = &["account", "session", "session-noninteractive"];

/// `/etc/pam.d/common-NAME`
#[must_use]
pub fn stack_path(stack: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("common-{stack}"))
}

/// Whether every stack that must have our lines has them; `read` gives the text of one.
pub fn is_on(read: impl Fn(&str) -> Option<String>) -> bool {
    OURS.iter().all(|stack| read(stack).is_some_and(|text| text.lines().any(calls_module)))
}

/// Whether a line of a PAM file calls our module.
#[must_use]
pub fn calls_module(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default();
    line.contains("pam_svcauth.so")
}

/// A stack without our lines. A module line in front of them that jumps over them jumps as much less far.
#[must_use]
pub fn without_svcauth(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let ours = our_lines(&lines);
    let kind = |at: usize| lines.get(at).map_or("", |line| kind_of(line));
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate().filter(|(at, _)| !ours.contains(at)) {
        // Jumps count lines of the same kind only.
        let ahead: Vec<usize> =
            (at + 1..lines.len()).filter(|next| !kind(*next).is_empty() && kind(*next) == kind(at)).collect();
        let skipped = |jump: usize| ahead.iter().take(jump).filter(|next| ours.contains(next)).count();
        out.push_str(&with_jumps(line, |jump| jump - skipped(jump)));
    }
    out
}

/// Which lines are ours: those with a mark, and pam_localuser directly behind such a line.
fn our_lines(lines: &[&str]) -> Vec<usize> {
    let mut ours: Vec<usize> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.split('#').next().unwrap_or_default();
        let follows = at.checked_sub(1).is_some_and(|before| ours.contains(&before));
        let is_ours = MARKS.iter().any(|mark| code.contains(mark));
        if is_ours || (follows && code.contains("requisite") && code.contains("pam_localuser.so")) {
            ours.push(at);
        }
    }
    ours
}

/// `account`, `session` and so on; empty for what is no module line. An `@include` counts for as many lines as it has, but
/// the common stacks have none.
fn kind_of(line: &str) -> &str {
    let first = line.split_whitespace().next().unwrap_or_default();
    if first.starts_with(['#', '@']) { "" } else { first.trim_start_matches('-') }
}

/// The line with each number in its `[value=action ...]` changed.
fn with_jumps(line: &str, change: impl Fn(usize) -> usize) -> String {
    let bounds = line.find('[').zip(line.find(']')).filter(|(open, close)| open < close);
    let Some((open, close)) = bounds.filter(|_| !kind_of(line).is_empty()) else { return line.to_owned() };
    let (head, tail) = (line.get(..open).unwrap_or_default(), line.get(close..).unwrap_or_default());
    let control = line.get(open..close).unwrap_or_default();
    let item = |item: &str| match item.split_once('=') {
        Some((value, action)) => match action.parse() {
            Ok(jump) => format!("{value}={}", change(jump)),
            Err(_) => item.to_owned(),
        },
        None => item.to_owned(),
    };
    let items: Vec<String> = control.split(' ').map(item).collect();
    format!("{head}{}{tail}", items.join(" "))
}

/// What pam-auth-update remembers of a stack, without us.
#[must_use]
pub fn memory_without_svcauth(text: &str) -> String {
    let mut ours = false;
    let keep = |line: &&str| {
        if let Some(name) = line.strip_prefix("Module: ") {
            ours = name.trim_end() == "svcauth";
        }
        !ours
    };
    text.split_inclusive('\n').filter(keep).collect()
}

/// Whether a stack calls a module that was there when it was written, and that is gone with its line since: a package was removed.
/// Such a stack put back would shut everybody out.
#[must_use]
pub fn calls_what_is_gone(old: &str, now: &str) -> bool {
    let still = modules(now);
    modules(old).into_iter().any(|module| !still.contains(&module) && !is_installed(module))
}

/// Those that libpam does not do without: the ones of lines with a `-` in front may be missing.
fn modules(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('-'));
    let words = lines.flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    words.filter(|word| word.ends_with(".so")).collect()
}

/// Whether libpam finds it: `/usr/lib/TRIPLET/security` on Debian, `/usr/lib64/security` elsewhere.
fn is_installed(module: &str) -> bool {
    let folders = ["/usr/lib", "/lib"].into_iter().filter_map(|lib| std::fs::read_dir(lib).ok());
    let multiarch = folders.flatten().flatten().map(|entry| entry.path());
    let plain = ["/usr/lib", "/lib", "/usr/lib64", "/lib64"].map(PathBuf::from);
    // A module that is written as a path is that path, whatever it is joined to.
    plain.into_iter().chain(multiarch).any(|lib| lib.join("security").join(module).exists())
}

/// Why pam-auth-update leaves the stacks alone: the first line of a block of its own that it did not write.
#[must_use]
pub fn why_refused(
    read_stack: impl Fn(&str) -> Option<String>,
    read_memory: impl Fn(&str) -> Option<String>,
) -> Trouble {
    let next = "Nothing was changed. Take the edit out of the block between the comments of pam-auth-update (above and \
                below the block, edits stay), or run `pam-auth-update --force` if it can be dropped, and then this \
                command again";
    for stack in STACKS {
        let path = stack_path(stack);
        let Some(text) = read_stack(stack) else {
            return Trouble::new(format!(
                "{}: there is no such file, so pam-auth-update(8) writes none. {next}",
                path.display()
            ));
        };
        let Some(memory) = read_memory(stack) else {
            return Trouble::new(format!(
                "{MEMORY}/{stack}: pam-auth-update(8) does not remember what it wrote. {next}"
            ));
        };
        if let Some((number, what)) = first_edit(stack, &text, &memory) {
            let at = number.map_or_else(String::new, |number| format!(":{number}"));
            return Trouble::new(format!("{}{at}: {what}. {next}", path.display()));
        }
    }
    Trouble::new(format!(
        "{PROGRAM} left the files of {FOLDER} as they were and did not say why; run it by hand: pam-auth-update --enable svcauth"
    ))
}

const PRIMARY: &str = "# here are the per-package modules (the \"Primary\" block)";
const FALLBACK: &str = "# here's the fallback if no module succeeds";
const ADDITIONAL: &str = "# and here are more per-package modules (the \"Additional\" block)";
const END: &str = "# end of pam-auth-update config";

/// The first line in the blocks of a stack that pam-auth-update does not remember, as it compares them itself.
fn first_edit(stack: &str, text: &str, memory: &str) -> Option<(Option<usize>, String)> {
    let mut known = memory.lines().filter(|line| !line.starts_with("Module: ")).map(call);
    let kind = stack.trim_end_matches("-noninteractive");
    let mut waiting = [PRIMARY, FALLBACK, ADDITIONAL, END].into_iter().peekable();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        if waiting.peek().is_some_and(|mark| line.starts_with(mark)) {
            waiting.next();
            inside = !inside;
        } else if inside {
            let written = line.strip_prefix(kind).map(str::trim_start).unwrap_or(line);
            if !known.any(|known| known == call(written)) {
                return Some((
                    Some(at + 1),
                    format!("this line was changed or added by hand: {}", line.trim()),
                ));
            }
        }
    }
    // The last mark only ends what is read.
    waiting.next().filter(|mark| *mark != END).map(|mark| (None, format!("the comment `{mark}` is gone")))
}

/// Control and module of a line, without where it jumps to and without options, which may be edited.
fn call(line: &str) -> String {
    let (control, rest) = match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((control, rest)) => (control, rest),
        None => line.split_once(char::is_whitespace).unwrap_or((line, "")),
    };
    let jumps = |item: &str| match item.split_once('=') {
        Some((value, action)) if action == "end" || action.parse::<u32>().is_ok() => format!("{value}=#"),
        _ => item.to_owned(),
    };
    let control: Vec<String> = control.split_whitespace().map(jumps).collect();
    format!("{} {}", control.join(" "), rest.split_whitespace().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{call, first_edit, is_on, memory_without_svcauth, without_svcauth};

    const LINES: &str = "account\t[success=2 ignore=2 module_unknown=ignore default=die]\tpam_svcauth.so \n\
        account\trequisite\tpam_listfile.so item=user sense=deny onerr=succeed quiet file=/var/lib/svcauth/local_accounts\n\
        account\trequisite\tpam_localuser.so \n";
    const REST: &str = "account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so \n\
        # here's the fallback if no module succeeds\naccount\trequisite\t\tpam_deny.so\n\
        # and here are more per-package modules (the \"Additional\" block)\n# end of pam-auth-update config\n";
    const HEAD: &str = "# my own\n# here are the per-package modules (the \"Primary\" block)\n";
    const MEMORY: &str = "Module: svcauth\n[success=2 ignore=2 module_unknown=ignore default=die]\tpam_svcauth.so\n\
        requisite\tpam_listfile.so item=user\nrequisite\tpam_localuser.so\nModule: unix\n\
        [success=end new_authtok_reqd=done default=ignore]\tpam_unix.so\n";

    #[test]
    fn our_lines_go_and_nothing_else_does() {
        let local = "account requisite pam_localuser.so\n# pam_svcauth.so\n";
        let edited = format!("{HEAD}{LINES}{REST}{local}");
        assert_eq!(without_svcauth(&edited), format!("{HEAD}{REST}{local}"));
        assert_eq!(without_svcauth(REST), REST);
        assert_eq!(
            memory_without_svcauth(MEMORY),
            "Module: unix\n[success=end new_authtok_reqd=done default=ignore]\tpam_unix.so\n"
        );
    }

    #[test]
    fn a_jump_over_our_lines_becomes_shorter_and_one_of_another_kind_stays() {
        let before = format!(
            "auth [success=4] x.so\naccount [success=4 default=ignore] first.so\naccount [a=1 b=0] second.so\n{LINES}{REST}"
        );
        let after = without_svcauth(&before);
        assert!(after.starts_with("auth [success=4] x.so\naccount [success=1 default=ignore] first.so\naccount [a=0 b=0] second.so\n"), "{after}");
    }

    #[test]
    fn a_stack_is_on_when_account_and_both_sessions_call_the_module() {
        assert!(is_on(|_| Some(LINES.to_owned())));
        assert!(!is_on(|stack| (stack != "session-noninteractive").then(|| LINES.to_owned())));
        assert!(!is_on(|_| Some("# pam_svcauth.so\n".to_owned())));
    }

    #[test]
    fn an_edit_inside_of_a_block_is_named_by_its_line() {
        assert_eq!(first_edit("account", &format!("{HEAD}{LINES}{REST}"), MEMORY), None);
        let option = REST.replace("pam_unix.so", "pam_unix.so broken_shadow");
        assert_eq!(
            first_edit("account", &format!("{HEAD}{LINES}{option}"), MEMORY),
            None,
            "options may be edited"
        );
        let added = format!("{HEAD}{LINES}account required pam_time.so\n{REST}");
        let (line, what) = first_edit("account", &added, MEMORY).unwrap();
        assert!(line == Some(6) && what.contains("pam_time"), "{line:?} {what}");
        let (line, what) = first_edit("account", "account required pam_unix.so\n", MEMORY).unwrap();
        assert!(line.is_none() && what.contains("Primary"), "{what}");
    }

    #[test]
    fn lines_are_compared_without_the_length_of_their_jumps() {
        assert_eq!(
            call("[success=end default=ignore]\tpam_unix.so x"),
            call("[success=3 default=ignore]   pam_unix.so")
        );
        assert_ne!(call("required pam_unix.so"), call("requisite pam_unix.so"));
    }
}
