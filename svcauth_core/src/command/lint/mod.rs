//! Command rules that allow more than they say: programs that run other programs, and files that are run later.
//!
//! A rule that leaves a place open allows whatever fits there, and for many programs that is a way to run anything. What is
//! known of them stands in `programs.rs`; whether a place is open for it is tried with the pattern itself.

mod programs;

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::transfer::parts;
use super::{Access, CommandRule, Files, Limits, WordPattern};
use programs::{Danger, dangers};

/// What an administrator should know about the commands of a rule, a sentence each. A rule that allows any command, or a
/// shell, hides nothing and has none.
#[must_use]
pub fn lint(limits: &Limits) -> Vec<String> {
    if limits.shell || limits.commands.contains(&CommandRule::Any) {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    for rule in &limits.commands {
        match rule {
            CommandRule::Words(patterns) => found.extend(words(patterns, limits)),
            CommandRule::Sftp(files) => {
                found.extend(transfer("sftp", files).or_else(|| unreachable_read(files, limits)))
            }
            CommandRule::Rsync(files) => found.extend(transfer("rsync", files)),
            CommandRule::Scp(files) => found.extend(transfer("scp", files)),
            CommandRule::Git(files) => found.extend(hooks(files, limits)),
            CommandRule::Any => {}
        }
    }
    found.into_iter().collect()
}

fn words(patterns: &[WordPattern], limits: &Limits) -> Vec<String> {
    let Some((WordPattern::Exact(program), patterns)) = patterns.split_first() else { return Vec::new() };
    let rule = core::iter::once(program.clone()).chain(patterns.iter().map(ToString::to_string));
    let rule = format!("[\"{}\"]", rule.collect::<Vec<_>>().join("\", \""));
    let name = program.rsplit('/').next().unwrap_or(program);
    let mut found: Vec<String> = dangers(name)
        .filter(|danger| is_open(*danger, patterns))
        .map(|danger| format!("{rule}: {name} {}", danger.sentence()))
        .collect();
    found.extend(replaceable(program, limits).map(|path| {
        format!("{rule}: a transfer may write {path}, and so put another program here where its folder's mode allows")
    }));
    found
}

/// The path of a transfer that may write the program.
fn replaceable<'a>(program: &str, limits: &'a Limits) -> Option<&'a String> {
    // The system's own are not the account's to write.
    let is_system =
        ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"].iter().any(|folder| program.starts_with(folder));
    written(limits).find(|path| !is_system && holds(path, program))
}

/// What transfers may write.
fn written(limits: &Limits) -> impl Iterator<Item = &String> {
    let files = limits.commands.iter().filter_map(|rule| match rule {
        CommandRule::Rsync(files) | CommandRule::Scp(files) | CommandRule::Sftp(files) => Some(files),
        CommandRule::Words(_) | CommandRule::Git(_) | CommandRule::Any => None,
    });
    files.filter(|files| files.access == Access::Write).flat_map(|files| &files.paths)
}

/// A push runs the hooks of its repository, and a transfer could bring some.
fn hooks(files: &Files, limits: &Limits) -> Option<String> {
    if files.access == Access::Read {
        return None;
    }
    let met = |path: &&String| files.paths.iter().any(|git| holds(git, path) || holds(path, git));
    let path = written(limits).find(met)?;
    Some(format!(
        "git with access = \"write\" runs the hooks of repositories, and a transfer may write {path}, and so any hook; \
         keep repositories apart from what is transferred"
    ))
}

fn holds(path: &str, program: &str) -> bool {
    let mut program = parts(program.as_bytes());
    parts(path.as_bytes()).all(|part| program.next() == Some(part))
}

fn transfer(kind: &str, files: &Files) -> Option<String> {
    if files.access == Access::Read {
        return None;
    }
    let path = files.paths.iter().find(|path| *path == "/" || holds_a_home(path))?;
    let (to, place) = if path == "/" { ("every path", "crontabs, ") } else { (path.as_str(), "") };
    Some(format!(
        "{kind} with access = \"write\" to {to}: what the account itself runs later ({place}user units, ~/.profile, ~/.ssh) \
         can be written, and so any program be run; name the folders that are needed"
    ))
}

/// Whether a path is a home directory by its name, or the folder of all.
fn holds_a_home(path: &str) -> bool {
    let mut parts = parts(path.as_bytes());
    match parts.next() {
        Some(b"home") => parts.nth(1).is_none(),
        Some(b"root") => parts.next().is_none(),
        _ => false,
    }
}

/// One session reads and writes, so it cannot be confined to both.
fn unreachable_read(files: &Files, limits: &Limits) -> Option<String> {
    let writes =
        |rule: &CommandRule| matches!(rule, CommandRule::Sftp(other) if other.access == Access::Write);
    (files.access == Access::Read && limits.commands.iter().any(writes)).then(|| {
        format!(
            "sftp with access = \"read\" to {} is never used: where another command allows sftp to write, a session is \
             confined to the paths of that one",
            files.paths.join(", ")
        )
    })
}

/// Whether the patterns leave room for it.
fn is_open(danger: Danger, patterns: &[WordPattern]) -> bool {
    let exact = |pattern: &WordPattern| matches!(pattern, WordPattern::Exact(_));
    match danger {
        Danger::Always(_) => true,
        Danger::Unless(word, _) => {
            !patterns.iter().any(|pattern| matches!(pattern, WordPattern::Exact(exact) if exact == word))
        }
        Danger::Words(words, _) => {
            patterns.iter().filter(|pattern| !exact(pattern)).any(|pattern| fits(pattern, words))
        }
        Danger::Behind(words, _) => {
            let behind = patterns.iter().skip_while(|pattern| !fits(pattern, words));
            behind.clone().next().is_some_and(|at| *at == WordPattern::Rest)
                || behind.skip(1).any(|pattern| !exact(pattern))
        }
        Danger::Argument(_) => leaves_the_argument_open(patterns),
    }
}

fn fits(pattern: &WordPattern, words: &[&str]) -> bool {
    words.iter().any(|word| pattern.matches(word.as_bytes()))
}

/// Whether somebody else than the administrator writes the first argument that is no option: what an interpreter or a
/// program such as env(1) runs. Without one an interpreter reads what to do from its input.
fn leaves_the_argument_open(patterns: &[WordPattern]) -> bool {
    let argument = patterns.iter().find(|pattern| match pattern {
        WordPattern::Exact(word) => !word.starts_with('-') || word == "-",
        _ => true,
    });
    match argument {
        Some(WordPattern::Exact(word)) => word == "-",
        Some(_) => true,
        // Only options, such as --version.
        None => !patterns.iter().any(
            |pattern| matches!(pattern, WordPattern::Exact(word) if word.starts_with("--") || word == "-V"),
        ),
    }
}
