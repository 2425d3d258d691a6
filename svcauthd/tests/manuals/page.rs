//! Reading manual pages: the source in mdoc(7), which says what each word is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One page.
pub(crate) struct Page {
    /// Its file, such as `svcauth.toml.5`.
    pub(crate) file: String,
    pub(crate) lines: Vec<String>,
}

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

impl Page {
    pub(crate) fn read(file: &str) -> Self {
        let text = fs::read_to_string(workspace().join("docs/man").join(file)).unwrap();
        Self { file: file.to_owned(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// Every page, and no other file is in the folder.
    pub(crate) fn all() -> Vec<Self> {
        let mut files: Vec<String> = fs::read_dir(workspace().join("docs/man"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort_unstable();
        assert!(files.len() > 5, "{files:?}");
        for file in &files {
            assert!([".1", ".5", ".8"].iter().any(|end| file.ends_with(end)), "{file} is no manual page");
        }
        files.iter().map(|file| Self::read(file)).collect()
    }

    /// The lines of a section (`.Sh`).
    pub(crate) fn section(&self, title: &str) -> &[String] {
        between(&self.lines, &format!(".Sh {title}"), &[".Sh "])
            .unwrap_or_else(|| panic!("{}: no section {title}", self.file))
    }

    /// The lines of a part of a section (`.Ss`).
    pub(crate) fn part(&self, title: &str) -> &[String] {
        between(&self.lines, &format!(".Ss {title}"), &[".Sh ", ".Ss "])
            .unwrap_or_else(|| panic!("{}: no part {title}", self.file))
    }

    /// The examples: what stands in literal displays.
    pub(crate) fn displays(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut is_inside = false;
        for line in &self.lines {
            match line.as_str() {
                line if line.starts_with(".Bd ") => {
                    is_inside = true;
                    found.push(String::new());
                }
                ".Ed" => is_inside = false,
                line if is_inside => found.last_mut().unwrap().push_str(&format!("{}\n", plain(line))),
                _ => {}
            }
        }
        found
    }
}

/// The titles of the parts of some lines.
pub(crate) fn parts(lines: &[String]) -> Vec<String> {
    lines.iter().filter_map(|line| line.strip_prefix(".Ss ")).map(str::to_owned).collect()
}

fn between<'a>(lines: &'a [String], head: &str, ends: &[&str]) -> Option<&'a [String]> {
    let start = lines.iter().position(|line| line == head)? + 1;
    let tail = &lines[start..];
    let is_end = |line: &String| ends.iter().any(|end| line.starts_with(end));
    Some(&tail[..tail.iter().position(is_end).unwrap_or(tail.len())])
}

/// What stands behind `.It MACRO WORD`, up to the next item, by word.
pub(crate) fn items(lines: &[String], macro_name: &str) -> BTreeMap<String, Vec<String>> {
    let prefix = format!(".It {macro_name} ");
    let mut found = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(word) = line.strip_prefix(&prefix) else { continue };
        let is_end = |line: &String| [".It ", ".El", ".Ss ", ".Sh "].iter().any(|end| line.starts_with(end));
        let tail = &lines[at + 1..];
        let body = tail[..tail.iter().position(is_end).unwrap_or(tail.len())].to_vec();
        assert!(found.insert(word.to_owned(), body).is_none(), "{word} is there twice");
    }
    found
}

/// A text as it is shown.
pub(crate) fn plain(text: &str) -> String {
    let shown = text.replace("\\(dq", "\"").replace("\\e", "\u{1}").replace("\\&", "").replace("\\:", "");
    assert!(!shown.contains('\\'), "an escape that this reader does not know: {text}");
    shown.replace('\u{1}', "\\")
}

/// A line with a macro, or a text line, as words: `.Ql 15s .` is `15s.`, near enough to look for words in it.
pub(crate) fn words(lines: &[String]) -> String {
    let mut out = String::new();
    for line in lines {
        let text = match line.strip_prefix('.') {
            Some(call) => call.split_once(' ').map_or("", |(_, rest)| rest),
            None => line,
        };
        out.push_str(&plain(text));
        out.push(' ');
    }
    out
}
