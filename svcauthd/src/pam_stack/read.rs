//! Reading pam.d as libpam does: lines, continuations, `@include` (Debian), `include` and `substack`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Control, Kind, Line, Phase, Stack};

/// Where libpam looks for the file of a service, in this order.
const FOLDERS: [&str; 2] = ["etc/pam.d", "usr/lib/pam.d"];
/// Files in files, as libpam allows (`PAM_SUBSTACK_MAX_LEVEL`).
const DEPTH: usize = 16;
/// Bytes of a file that are read; a large one has some thousand.
const BYTES_MAX: u64 = 1 << 20;
/// Lines of a stack; without a bound files that include each other would make more than memory has.
const LINES_MAX: usize = 4096;

/// Something that libpam will complain about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1.
    pub number: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads the stacks of one host.
#[derive(Clone, Debug)]
pub struct Reader {
    root: PathBuf,
}

/// What goes into the stack: lines of every phase, or of one.
#[derive(Clone, Copy)]
struct Wish {
    phase: Option<Phase>,
    level: usize,
    depth: usize,
}

impl Reader {
    /// A reader of the host whose root folder this is.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The names of all services that have a file, in alphabetical order.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        let folders = FOLDERS.iter().filter_map(|folder| std::fs::read_dir(self.root.join(folder)).ok());
        let entries = folders.flatten().flatten().filter(|entry| entry.path().is_file());
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The stack of a service; empty if it has no file.
    #[must_use]
    pub fn stack(&self, service: &str) -> Stack {
        let file = self.find(service);
        let mut stack = Stack {
            service: service.to_owned(),
            file: file.clone(),
            lines: Vec::new(),
            troubles: Vec::new(),
        };
        if let Some(file) = file {
            let wish = Wish { phase: None, level: 0, depth: DEPTH };
            if let Err(why) = self.add(&mut stack, &file, wish) {
                stack.troubles.push(Trouble { file, number: 1, what: why });
            }
        }
        stack
    }

    /// The path as a program on this host sees it.
    fn find(&self, name: &str) -> Option<PathBuf> {
        if name.starts_with('/') {
            return Some(PathBuf::from(name));
        }
        let candidates = FOLDERS.iter().map(|folder| Path::new("/").join(folder).join(name));
        candidates.into_iter().find(|path| self.on_disk(path).exists())
    }

    fn on_disk(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn add(&self, stack: &mut Stack, file: &Path, wish: Wish) -> Result<(), String> {
        let text = self.text(file)?;
        for (number, words) in logical_lines(&text) {
            if stack.lines.len() >= LINES_MAX {
                return Err(format!("more than {LINES_MAX} lines with all that is included"));
            }
            self.add_line(stack, (file, number), &words, wish);
        }
        Ok(())
    }

    fn text(&self, file: &Path) -> Result<String, String> {
        let path = self.on_disk(file);
        // A pipe in pam.d would hang every login, and must not hang the one who looks for the reason.
        if !path.metadata().map_err(|error| error.to_string())?.is_file() {
            return Err("no regular file".to_owned());
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(|error| error.to_string())?;
        file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn add_line(&self, stack: &mut Stack, at: (&Path, usize), words: &[String], wish: Wish) {
        let (first, rest) = match words.split_first() {
            Some((first, rest)) => (first.as_str(), rest),
            None => return,
        };
        if first.eq_ignore_ascii_case("@include") {
            let name = rest.first().map_or("", String::as_str);
            self.include(stack, at, name, wish, (wish.phase, wish.level));
            return;
        }
        let named = phase_of(first.strip_prefix('-').unwrap_or(first));
        // libpam puts another word where it does most harm: into auth, unless one phase alone is included.
        let phase = named.or(wish.phase).unwrap_or(Phase::Auth);
        if wish.phase.is_some_and(|wanted| wanted != phase) {
            return;
        }
        let why = named.is_none().then(|| format!("no kind of line: {first}"));
        if let Some(why) = &why {
            trouble(stack, at, why.clone());
        }
        self.add_module(stack, at, (phase, why), rest, wish);
    }

    /// What stands behind the phase; `why` makes a line fail whatever it calls.
    fn add_module(
        &self,
        stack: &mut Stack,
        at: (&Path, usize),
        (phase, why): (Phase, Option<String>),
        rest: &[String],
        wish: Wish,
    ) {
        let module = rest.get(1).map_or("", String::as_str);
        match rest.first().map(|word| word.to_ascii_lowercase()).as_deref() {
            None => broken(stack, at, phase, wish, "the line has no control".to_owned()),
            Some("include") => self.include(stack, at, module, wish, (Some(phase), wish.level)),
            Some("substack") => {
                let kind = Kind::Substack(module.to_owned());
                push(stack, at, phase, wish.level, (Control::required(), kind));
                // What cannot be included fails outside of the substack.
                self.include(stack, at, module, wish, (Some(phase), wish.level + 1));
            }
            Some(word) => {
                // The module is called all the same, and whatever it answers is bad.
                let control = Control::parse(word).unwrap_or_else(|part| {
                    trouble(stack, at, format!("no control: {part}"));
                    Control::broken()
                });
                let why = why.or_else(|| module.is_empty().then(|| "the line has no module".to_owned()));
                if module.is_empty() {
                    trouble(stack, at, "the line has no module".to_owned());
                }
                let arguments = rest.get(2..).unwrap_or_default().to_vec();
                let kind = why.map_or_else(|| Kind::Module(module.to_owned(), arguments), Kind::Broken);
                push(stack, at, phase, wish.level, (control, kind));
            }
        }
    }

    fn include(
        &self,
        stack: &mut Stack,
        at: (&Path, usize),
        name: &str,
        wish: Wish,
        what: (Option<Phase>, usize),
    ) {
        let (phase, level) = what;
        let added = match (self.find(name), wish.depth.checked_sub(1)) {
            (None, _) => Err("there is no such file".to_owned()),
            (_, None) => Err(format!("files are included more than {DEPTH} deep")),
            (Some(file), Some(depth)) => self.add(stack, &file, Wish { phase, level, depth }),
        };
        if let Err(why) = added {
            // Of a missing @include libpam 1.5.2 gives up the whole service; the trouble says that nobody gets in.
            let phase = phase.unwrap_or(Phase::Auth);
            broken(stack, at, phase, wish, format!("cannot include {name}: {why}"));
        }
    }
}

fn broken(stack: &mut Stack, at: (&Path, usize), phase: Phase, wish: Wish, what: String) {
    trouble(stack, at, what.clone());
    push(stack, at, phase, wish.level, (Control::broken(), Kind::Broken(what)));
}

fn trouble(stack: &mut Stack, at: (&Path, usize), what: String) {
    stack.troubles.push(Trouble { file: at.0.to_owned(), number: at.1, what });
}

fn push(stack: &mut Stack, at: (&Path, usize), phase: Phase, level: usize, what: (Control, Kind)) {
    let (file, number) = (at.0.to_owned(), at.1);
    stack.lines.push(Line { phase, control: what.0, kind: what.1, file, number, level });
}

fn phase_of(word: &str) -> Option<Phase> {
    [Phase::Auth, Phase::Account, Phase::Session, Phase::Password]
        .into_iter()
        .find(|phase| phase.word().eq_ignore_ascii_case(word))
}

/// The lines with their words: comments are gone, lines that end with a backslash go on, brackets keep words together.
fn logical_lines(text: &str) -> Vec<(usize, Vec<String>)> {
    let (mut found, mut pending) = (Vec::new(), None::<(usize, String)>);
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        let (number, mut whole) = pending.take().unwrap_or((index + 1, String::new()));
        if let Some(goes_on) = line.strip_suffix('\\') {
            whole.push_str(goes_on);
            whole.push(' ');
            pending = Some((number, whole));
            continue;
        }
        whole.push_str(line);
        found.push((number, words(&whole)));
    }
    found.extend(pending.map(|(number, whole)| (number, words(&whole))));
    found.retain(|(_, words)| !words.is_empty());
    found
}

fn words(line: &str) -> Vec<String> {
    let (mut found, mut word, mut inside) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '[' if word.is_empty() => inside = true,
            ']' if inside => inside = false,
            _ => {}
        }
        if c.is_whitespace() && !inside {
            found.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else {
            word.push(c);
        }
    }
    found.extend((!word.is_empty()).then_some(word));
    found
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
