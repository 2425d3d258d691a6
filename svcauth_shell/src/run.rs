//! What happens, from top to bottom.

use std::env;
use std::ffi::{CString, OsStr, OsString, c_int};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::prctl::set_dumpable;
use nix::unistd::{chdir, getuid};
use svcauth_core::command::protocol::{Answer, Ask, Told};
use svcauth_core::command::{Program, SFTP_SERVERS, SHELL_PATH};

use crate::failure::{Failure, say};
use crate::invocation::Invocation;
use crate::link::Link;
use crate::local::Local;
use crate::process_sys::{Descriptors, Signals, Words};
use crate::{
    FAILED, confine, daemon, environment, invocation, local, nested, parent, process_sys, recorded,
    terminal_sys,
};

/// The whole program. Gives its exit status, or ends by the signal that ended the command.
#[must_use]
pub fn run() -> c_int {
    std::panic::set_hook(Box::new(|panic| {
        terminal_sys::restore();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        say(&format!("internal error at {place}; nothing more was run"));
        std::process::exit(c_int::from(FAILED));
    }));
    match ask_and_run() {
        Ok(Told::Killed(signal)) => process_sys::die_of(signal),
        Ok(Told::Exited(status)) => status,
        Ok(_) => c_int::from(FAILED),
        Err(failure) => c_int::from(failure.tell()),
    }
}

fn ask_and_run() -> Result<Told, Failure> {
    // Others of this uid cannot attach to us, and no core of us is written. The command is as it would be without us:
    // execve(2) makes it so.
    set_dumpable(false).map_err(broken)?;
    process_sys::hold_standard_descriptors().map_err(broken)?;
    let words: Vec<OsString> = env::args_os().collect();
    let asked = invocation::read(&words, env::var_os("SSH_ORIGINAL_COMMAND"))?;
    let uid = getuid().as_raw();
    if let Local::Unmanaged(shell) = local::look(uid) {
        return Err(become_shell(&shell, &asked));
    }
    let question = Ask {
        line: asked.line.clone(),
        terminal: terminal_sys::is_ours(),
        can_confine: confine::is_possible(),
        resume: None,
    };
    let (connection, answer) = daemon::ask(&question)?;
    match answer {
        Answer::Shell { shell, id, record } => {
            let mut link = Link::new(connection, question, id);
            let words = shell_words(&shell, &asked)?;
            if record {
                recorded::run(&mut link, words)
            } else {
                start_and_wait(&mut link, &words, Descriptors::Inherited, || Ok(()))
            }
        }
        Answer::Program { program, account, home, id } => {
            run_program(&mut Link::new(connection, question, id), &program, &account, &home)
        }
        Answer::Refused { message, .. } => Err(Failure::refused(message)),
        Answer::NotManaged => Err(become_shell(&unmanaged_shell(uid)?, &asked)),
        Answer::Resumed => Err(Failure::failed("svcauthd answered what was not asked; nothing was run")),
    }
}

/// The shell of somebody whom the daemon does not manage: that of `/etc/passwd`, or, for users of another source, the one
/// that sshd or su has named.
fn unmanaged_shell(uid: u32) -> Result<String, Failure> {
    let named = || env::var("SHELL").ok().filter(|shell| shell.starts_with('/') && shell != SHELL_PATH);
    local::shell_of(uid).or_else(named).ok_or_else(|| {
        Failure::refused(format!(
            "uid {uid} has {SHELL_PATH} as its shell, and svcauth does not manage it; nothing was run"
        ))
    })
}

/// Without a parent: nobody wants to know how it ends.
fn become_shell(shell: &str, asked: &Invocation) -> Failure {
    match shell_words(shell, asked) {
        Ok(words) => cannot_start(shell, process_sys::become_program(&words)),
        Err(failure) => failure,
    }
}

fn run_program(link: &mut Link, program: &Program, account: &str, home: &str) -> Result<Told, Failure> {
    let words = program_words(program, account, home)?;
    begin_at(home)?;
    let confinement = nested::check(program, home)
        .and_then(|()| program.files.as_ref().map(|files| confine::prepare(program, files)).transpose());
    match confinement {
        Ok(None) => start_and_wait(link, &words, Descriptors::Closed, || Ok(())),
        Ok(Some(confinement)) => start_and_wait(link, &words, Descriptors::Closed, || confinement.put_on()),
        Err(failure) => {
            link.tell(&Told::NotStarted(Errno::EACCES as i32));
            Err(failure)
        }
    }
}

fn start_and_wait(
    link: &mut Link,
    words: &Words,
    descriptors: Descriptors,
    prepare: impl FnOnce() -> nix::Result<()>,
) -> Result<Told, Failure> {
    let (came, blocked) = Signals::take().map_err(broken)?;
    let signals = parent::signals(&blocked).map_err(broken)?;
    let started = process_sys::start(words, &came, descriptors, prepare);
    let child = started.map_err(|errno| not_started(link, words, errno))?;
    // What is not let go of is only noticed by somebody who waits for its end.
    let own: Vec<BorrowedFd<'_>> = link.watched().into_iter().chain([signals.as_fd()]).collect();
    let _ = process_sys::let_go(&own);
    drop(own);
    let end = parent::wait(child, &signals, link);
    link.tell(&end);
    Ok(end)
}

/// Tells that what was allowed has not begun.
pub(crate) fn not_started(link: &mut Link, words: &Words, errno: Errno) -> Failure {
    link.tell(&Told::NotStarted(errno as i32));
    cannot_start(&words.file.to_string_lossy(), errno)
}

/// As sshd, su and login start a shell: by its name, with a dash before it when it is to read the profile.
fn shell_words(shell: &str, asked: &Invocation) -> Result<Words, Failure> {
    let name = shell.rsplit('/').next().unwrap_or(shell);
    let name = if asked.login { format!("-{name}") } else { name.to_owned() };
    let mut words = vec![OsString::from(name)];
    if let Some(line) = &asked.line {
        words.extend([OsString::from("-c"), OsString::from_vec(as_program(line))]);
    }
    to_c(shell, words, environment::untouched(env::vars_os(), shell))
}

/// What sshd serves by itself where no command is forced is no program that a shell finds (`internal-sftp`, sshd_config(5)):
/// sftp-server(8) does the same and takes the same options.
fn as_program(line: &[u8]) -> Vec<u8> {
    match (line.strip_prefix(b"internal-sftp"), SFTP_SERVERS.first()) {
        (Some(options), Some(server)) if options.is_empty() || options.starts_with(b" ") => {
            [of_this_host(server).as_bytes(), options].concat()
        }
        _ => line.to_vec(),
    }
}

/// Where sshd starts a command. su without a dash leaves the choice to whoever calls it, and so what a program finds beside
/// itself: the Makefile, the module, the file of a relative path.
fn begin_at(home: &str) -> Result<(), Failure> {
    chdir(home).or_else(|_| chdir("/")).map_err(broken)
}

/// Exactly the words that were admitted.
fn program_words(program: &Program, account: &str, home: &str) -> Result<Words, Failure> {
    if !program.path.starts_with('/') {
        return Err(Failure::failed("svcauthd named a program without its whole path; nothing was run"));
    }
    let path = of_this_host(&program.path);
    let words = std::iter::once(OsString::from(path));
    let words = words.chain(program.arguments.iter().cloned().map(OsString::from_vec)).collect();
    let environment = environment::clean(env::vars_os(), account, home);
    to_c(path, words, environment::with(environment, &program.environment))
}

/// Distributions keep sftp-server(8) in different places, and any of them stands for the one that is here.
fn of_this_host(path: &str) -> &str {
    if !SFTP_SERVERS.contains(&path) {
        return path;
    }
    SFTP_SERVERS.into_iter().find(|path| Path::new(path).is_file()).unwrap_or(path)
}

fn to_c(file: &str, words: Vec<OsString>, environment: Vec<OsString>) -> Result<Words, Failure> {
    let c = |text: &OsStr| {
        CString::new(text.as_bytes())
            .map_err(|_| Failure::refused("a word with a byte 0 in it can be given to no program"))
    };
    let all = |texts: Vec<OsString>| texts.iter().map(|text| c(text)).collect::<Result<Vec<_>, _>>();
    Ok(Words { file: c(OsStr::new(file))?, words: all(words)?, environment: all(environment)? })
}

fn cannot_start(file: &str, errno: Errno) -> Failure {
    Failure::not_started(format!("{file} could not be started: {}", errno.desc()))
}

pub(crate) fn broken(errno: Errno) -> Failure {
    Failure::failed(format!("svcauth-shell cannot work here: {}; nothing was run", errno.desc()))
}
