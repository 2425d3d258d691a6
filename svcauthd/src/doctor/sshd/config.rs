//! sshd_config with all that it includes, line by line: which line says what (sshd_config(5)).

use std::path::{Path, PathBuf};

use svcauth_core::policy::Pattern;

use crate::doctor::Host;

/// The main file.
pub(super) const MAIN: &str = "/etc/ssh/sshd_config";
/// Where a relative `Include` begins.
const FOLDER: &str = "/etc/ssh";
/// Files in files: what sshd itself allows.
const DEPTH: usize = 16;
/// Lines that are read, of all files together.
const LINES_MAX: usize = 20_000;

/// One line that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) file: PathBuf,
    pub(super) number: usize,
    /// In small letters.
    pub(super) keyword: String,
    pub(super) arguments: Vec<String>,
    /// The criteria of the `Match` that it stands under.
    pub(super) under: Option<Vec<String>>,
}

/// All of them, in the order in which sshd reads them: the first that says something wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) directives: Vec<Directive>,
    /// Files that were read.
    pub(super) files: Vec<PathBuf>,
}

impl Config {
    pub(super) fn read(host: &Host) -> Self {
        let mut config = Self::default();
        add(host, &mut config, Path::new(MAIN), &mut None, DEPTH);
        config
    }

    /// The lines with a keyword.
    pub(super) fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a Directive> {
        self.directives.iter().filter(move |directive| directive.keyword == keyword)
    }

    /// The line that an effective value comes from: the first that says so, or that says anything.
    pub(super) fn origin<'a>(&'a self, keyword: &'a str, value: &str) -> Option<&'a Directive> {
        let says_so = |directive: &&Directive| directive.arguments.join(" ").eq_ignore_ascii_case(value);
        self.all(keyword).find(says_so).or_else(|| self.all(keyword).next())
    }
}

fn add(host: &Host, config: &mut Config, file: &Path, under: &mut Option<Vec<String>>, depth: usize) {
    let (Some(text), Some(depth)) = (host.text(file), depth.checked_sub(1)) else { return };
    config.files.push(file.to_owned());
    for (index, line) in text.lines().enumerate() {
        let words = words(line);
        let Some((keyword, arguments)) = words.split_first() else { continue };
        let keyword = keyword.to_ascii_lowercase();
        if config.directives.len() >= LINES_MAX {
            return;
        }
        if keyword == "match" {
            *under = Some(arguments.to_vec())
                .filter(|words| !words.first().is_some_and(|word| word.eq_ignore_ascii_case("all")));
        }
        config.directives.push(Directive {
            file: file.to_owned(),
            number: index + 1,
            keyword: keyword.clone(),
            arguments: arguments.to_vec(),
            under: under.clone(),
        });
        if keyword == "include" {
            for file in arguments.iter().flat_map(|pattern| files(host, pattern)) {
                // A Match in an included file ends with it.
                add(host, config, &file, &mut under.clone(), depth);
            }
        }
    }
}

/// The words of a line: separated by blanks or one `=`, held together by quotes, up to a comment.
fn words(line: &str) -> Vec<String> {
    let (mut found, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.trim().chars() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted && word.is_empty() => break,
            '=' if !quoted && found.is_empty() => {
                found.extend((!word.is_empty()).then(|| std::mem::take(&mut word)))
            }
            c if c.is_whitespace() && !quoted => {
                found.extend((!word.is_empty()).then(|| std::mem::take(&mut word)))
            }
            c => word.push(c),
        }
    }
    found.extend((!word.is_empty()).then_some(word));
    // "Keyword = value"
    if found.get(1).is_some_and(|word| word == "=") {
        found.remove(1);
    }
    found
}

/// The files that a pattern of `Include` names, in the order of glob(3).
pub(super) fn files(host: &Host, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in Path::new(FOLDER).join(pattern).components().skip(1) {
        let part = part.as_os_str().to_string_lossy().into_owned();
        found = found.into_iter().flat_map(|folder| step(host, &folder, &part)).collect();
    }
    found
}

fn step(host: &Host, folder: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?', '[']) {
        let path = folder.join(part);
        return if host.has(&path) { vec![path] } else { Vec::new() };
    }
    // A set in brackets is taken for any one character: a file too many is looked at, and none is missed.
    let mut simple = String::new();
    let mut rest = part;
    while let Some((before, behind)) = rest.split_once('[') {
        simple.push_str(before);
        simple.push('?');
        rest = behind.split_once(']').map_or("", |(_, rest)| rest);
    }
    simple.push_str(rest);
    let pattern = Pattern::new(simple);
    let is_meant = |name: &String| pattern.matches(name) && !name.starts_with('.');
    host.names(folder).into_iter().filter(is_meant).map(|name| folder.join(name)).collect()
}
