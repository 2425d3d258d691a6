//! PAM: can a managed account get past svcauth, can anybody else be shut out?
//!
//! Nothing is compared with a model stack. Each stack is walked as libpam walks it, with svcauth refusing, letting pass,
//! and lost, and what the program would hear is the finding.

mod answers;
mod module_file;
mod order;
mod outcome;
mod services;

use std::collections::BTreeSet;
use std::path::Path;

use self::answers::is_ours;
pub(super) use self::services::well_known;
use self::services::{Kind, kind_of};
use super::lint;
use super::{Finding, Host};
use crate::pam_stack::{Line, Phase, Reader, Stack};

/// What a stack of a service is looked at with.
struct Look<'a> {
    stack: &'a Stack,
    /// What libpam takes for a phase that the service has no line of.
    other: &'a Stack,
}

impl Look<'_> {
    /// The lines that libpam walks for a phase.
    fn lines(&self, phase: Phase) -> Vec<Line> {
        let own = self.stack.phase(phase);
        if own.is_empty() { self.other.phase(phase) } else { own }
    }

    fn service(&self) -> &str {
        &self.stack.service
    }

    /// The file to edit.
    fn file(&self) -> &Path {
        self.stack.file.as_deref().unwrap_or(Path::new("/etc/pam.d/other"))
    }

    /// Whether svcauth stands in a phase.
    fn has_ours(&self, phase: Phase) -> bool {
        self.lines(phase).iter().any(is_ours)
    }
}

/// Whether any service has a line of svcauth.
pub(super) fn is_enabled(host: &Host) -> bool {
    let reader = Reader::new(host.root());
    reader.services().iter().any(|service| reader.stack(service).lines.iter().any(is_ours))
}

/// All findings about pam.d and the module.
pub(super) fn examine(host: &Host) -> Vec<Finding> {
    let reader = Reader::new(host.root());
    let other = reader.stack("other");
    let stacks: Vec<Stack> = reader.services().iter().map(|service| reader.stack(service)).collect();
    let included = included_files(&stacks);
    let (mut found, mut named) = (module_file::examine(host, &stacks), Vec::new());
    found.extend(writable_files(host, &stacks));
    for stack in &stacks {
        let is_included = stack.file.as_ref().is_some_and(|file| included.contains(file.as_path()));
        let kind = kind_of(&stack.service, is_included);
        if kind == Kind::Nobody {
            continue;
        }
        let look = Look { stack, other: &other };
        named.extend(service(&look, kind).into_iter().map(|finding| (finding, stack.service.as_str())));
    }
    found.extend(grouped(named));
    found
}

/// A line of a common file is in many services: one finding for all of them, which names them.
fn grouped(named: Vec<(Finding, &str)>) -> Vec<Finding> {
    let mut groups: Vec<(Finding, Vec<&str>)> = Vec::new();
    for (finding, service) in named {
        let same = |other: &Finding| (other.code, &other.place) == (finding.code, &finding.place);
        match groups.iter_mut().find(|(other, _)| same(other)) {
            Some((_, services)) => services.push(service),
            None => groups.push((finding, vec![service])),
        }
    }
    let name = |(mut finding, mut services): (Finding, Vec<&str>)| {
        services.dedup();
        finding.what = format!("{}: {}", services.join(", "), finding.what);
        finding
    };
    groups.into_iter().map(name).collect()
}

fn included_files(stacks: &[Stack]) -> BTreeSet<&Path> {
    let foreign = |stack: &&Stack, line: &&Line| Some(&line.file) != stack.file.as_ref();
    stacks
        .iter()
        .flat_map(|stack| stack.lines.iter().filter(move |line| foreign(&stack, line)))
        .map(|line| line.file.as_path())
        .collect()
}

fn service(look: &Look<'_>, kind: Kind) -> Vec<Finding> {
    let mut found: Vec<Finding> = look
        .stack
        .troubles
        .iter()
        .map(|trouble| {
            let what =
                format!("{}; libpam lets this line fail, and nobody gets in, root included", trouble.what);
            lint::PAM_BROKEN_LINE.at(
                &trouble.file,
                trouble.number,
                what,
                "correct or delete the line (man 5 pam.d)".to_owned(),
            )
        })
        .collect();
    found.extend(services::missing(look, kind));
    for phase in [Phase::Account, Phase::Session] {
        if look.has_ours(phase) {
            found.extend(outcome::examine(look, phase, kind));
            found.extend(order::examine(look, phase));
        }
    }
    found
}

/// Whoever can write a stack can take svcauth out of it.
fn writable_files(host: &Host, stacks: &[Stack]) -> Vec<Finding> {
    let files: BTreeSet<&Path> = stacks
        .iter()
        .flat_map(|stack| stack.lines.iter().map(|line| line.file.as_path()).chain(stack.file.as_deref()))
        .collect();
    let look = |file: &&Path| super::trust::not_only_roots(host, file);
    let found = files.iter().filter_map(|file| look(file).map(|why| (file, why)));
    found
        .map(|(file, why)| {
            let what = format!("{why}: whoever can change it can take svcauth out of the stack");
            lint::PAM_FILE_WRITABLE.of(file, what, super::trust::repair(file, 0o644))
        })
        .collect()
}

#[cfg(test)]
#[path = "../pam_tests.rs"]
mod tests;
