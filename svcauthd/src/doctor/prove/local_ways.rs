//! su, sudo and login into an account.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use super::Step;
use super::cast::{ACCOUNT, Player};
use super::denied::Expected;
use super::etc::write;
use super::fault::{Doing as _, Done};
use super::private::HERE;
use super::program::{Program, find, number};
use super::scene::{Mark, Scene};
use super::ssh_ways::{Tried, not_run};

/// A program that makes another user of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    Su,
    SuLogin,
    Sudo,
    SudoLogin,
    Sudoedit,
}

impl Switch {
    const ALL: [Self; 5] = [Self::Su, Self::SuLogin, Self::Sudo, Self::SudoLogin, Self::Sudoedit];

    /// For the name of the step, for the sentence, the program, and its PAM service.
    const fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Su => ("su", "by su", "su", "su"),
            Self::SuLogin => ("su_login", "by su -", "su", "su-l"),
            Self::Sudo => ("sudo", "by sudo", "sudo", "sudo"),
            Self::SudoLogin => ("sudo_login", "by sudo -i", "sudo", "sudo-i"),
            Self::Sudoedit => ("sudoedit", "by sudoedit", "sudoedit", "sudo"),
        }
    }

    /// For the name of a step.
    pub(super) const fn name(self) -> &'static str {
        self.words().0
    }

    /// As one types it.
    pub(super) const fn shown(self) -> &'static str {
        match self {
            Self::Su => "su",
            Self::SuLogin => "su -",
            Self::Sudo => "sudo",
            Self::SudoLogin => "sudo -i",
            Self::Sudoedit => "sudoedit",
        }
    }

    /// Becomes `target`; `by` is somebody of /etc/passwd, or root.
    pub(super) fn attempt(self, by: Option<&Player>, target: &Player) -> Done<Tried> {
        let mark = Mark::new();
        let (name, command) = (target.name, mark.command());
        let words: Vec<&str> = match self {
            Self::Su => vec!["su", name, "-c", &command],
            Self::SuLogin => vec!["su", "-", name, "-c", &command],
            Self::Sudo => vec!["sudo", "-n", "-u", name, "sh", "-c", &command],
            Self::SudoLogin => vec!["sudo", "-n", "-i", "-u", name, "sh", "-c", &command],
            Self::Sudoedit => return edit(by, target),
        };
        let ended = on_terminal(&words, by).run()?;
        Ok(Tried { worked: mark.is_of(target.uid), said: ended.said })
    }
}

/// With a terminal where there is a program that makes one: sudoers may ask for it (requiretty).
fn on_terminal(words: &[&str], by: Option<&Player>) -> Program {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let program = match find("script") {
        Some(_) => Program::new(&["script", "-q", "-e", "-c", &quoted.join(" "), "/dev/null"]),
        None => Program::new(words),
    };
    match by {
        Some(player) => program.by(player.name, player.uid, player.gid),
        None => program,
    }
}

/// Changes a file of the account, in a folder that is the account's.
fn edit(by: Option<&Player>, target: &Player) -> Done<Tried> {
    let folder = format!("{HERE}/edit{}", number());
    let (file, editor) = (format!("{folder}/file"), format!("{HERE}/editor"));
    fs::create_dir_all(&folder).doing("make a folder to edit in")?;
    write(Path::new(&file), "untouched\n", Some((target.uid, target.gid)), 0o600)?;
    chown(&folder, Some(target.uid), Some(target.gid)).doing("give the folder away")?;
    if !Path::new(&editor).exists() {
        fs::write(&editor, "#!/bin/sh\necho edited >\"$1\"\n").doing("write an editor")?;
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).doing("write an editor")?;
    }
    let ended =
        on_terminal(&["sudoedit", "-n", "-u", target.name, &file], by).env("SUDO_EDITOR", &editor).run()?;
    let worked = fs::read_to_string(&file).is_ok_and(|text| text == "edited\n");
    Ok(Tried { worked, said: ended.said })
}

/// Logs in at a terminal as somebody whom login(1) is told to believe.
pub(super) fn login(target: &Player) -> Done<Tried> {
    let mark = Mark::new();
    // login leads the session, as after getty. Below a shell that leads it, util-linux's goes into a group of its own, behind the
    // one that has the terminal, and the kernel stops it at its first tcsetattr(3) (SIGTTOU).
    let line = format!("exec login -f {}", target.name);
    let shell = Program::new(&["script", "-q", "-e", "-c", &line, "/dev/null"]);
    let ended = shell.typing(&format!("{}; exit", mark.command())).run()?;
    Ok(Tried { worked: mark.is_of(target.uid), said: ended.said })
}

/// What login needs here.
pub(super) fn login_is_here() -> bool {
    find("login").is_some() && find("script").is_some()
}

/// All of them, one after the other, because their records do not say where they come from.
pub(super) fn steps(scene: &Scene) -> Vec<Step> {
    let mut steps: Vec<Step> = Switch::ALL.into_iter().flat_map(|switch| both(scene, switch)).collect();
    steps.push(console(scene));
    steps
}

fn both(scene: &Scene, switch: Switch) -> Vec<Step> {
    let (word, by, program, service) = switch.words();
    if find(program).is_none() {
        return vec![Step::skipped(
            word,
            format!("into the account {by}"),
            format!("{program} is not installed"),
        )];
    }
    let (cast, mark) = (&scene.cast, scene.log.mark());
    let (step, what) = (format!("{word}_allowed"), format!("the allowed person gets into the account {by}"));
    let tried = switch.attempt(Some(&cast.allowed), &cast.account).unwrap_or_else(not_run);
    if !tried.worked {
        return vec![Step::failed(step, what, why(scene, mark, program, &tried))];
    }
    let expected = Expected::denial(ACCOUNT, service, "not_in_role").of(cast.refused.name);
    let (before, mark) = (expected.count(), scene.log.mark());
    let tried = switch.attempt(Some(&cast.refused), &cast.account).unwrap_or_else(not_run);
    let (refused, not) =
        (format!("{word}_refused"), format!("the refused person does not get into the account {by}"));
    let verdict = if tried.worked {
        Step::failed(refused, not, "it worked")
    } else {
        match expected.wait(before) {
            Ok(record) => Step::ok(refused, not, record),
            Err(missing) => {
                let why = why(scene, mark, program, &tried);
                Step::failed(refused, not, format!("refused, but {missing}; {why}"))
            }
        }
    };
    vec![Step::ok(step, what, ""), verdict]
}

/// Nobody is behind a login at a terminal that svcauth could know: it is for local users alone.
fn console(scene: &Scene) -> Step {
    let (step, what) = ("login_refused", "nobody gets into the account at a terminal by login");
    if !login_is_here() {
        return Step::skipped("login", what, "login or script is not installed");
    }
    let expected = Expected::denial(ACCOUNT, "login", "no_origin");
    let (before, mark) = (expected.count(), scene.log.mark());
    // That it works at all is shown with root and the local user.
    let tried = login(&scene.cast.account).unwrap_or_else(not_run);
    if tried.worked {
        return Step::failed(step, what, "it worked");
    }
    match expected.wait(before) {
        Ok(record) => Step::ok(step, what, record),
        Err(missing) => {
            Step::failed(step, what, format!("refused, but {missing}; {}", why(scene, mark, "login", &tried)))
        }
    }
}

pub(super) fn why(scene: &Scene, mark: usize, program: &str, tried: &Tried) -> String {
    format!("{program} said: {}; the log: {}", tried.said, scene.log.last(mark, &[program]))
}
