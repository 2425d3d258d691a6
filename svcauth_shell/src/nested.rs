//! Repositories in the working tree of another one, which git does not serve here.
//!
//! What is pushed may hold a folder that looks like a repository, with hooks and a configuration. Where a push is checked out
//! (`receive.denyCurrentBranch=updateInstead`), the folder comes to lie below the paths of the rule, and whoever names it next
//! has its hooks run: anything, then, and not a push.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use svcauth_core::command::Program;

use crate::failure::Failure;

/// What git serves: the service and the path of a repository, and no other word.
const SERVICES: [&[u8]; 3] = [b"upload-pack", b"upload-archive", b"receive-pack"];

/// Looks at the folders above a repository, up to the paths of the rule. Links in between count by where they lie: what a push
/// has made lies in the working tree.
///
/// # Errors
/// One of them is a working tree. For the person.
pub(crate) fn check(program: &Program, home: &str) -> Result<(), Failure> {
    let [service, path] = program.arguments.as_slice() else { return Ok(()) };
    if !crate::confine::is_git(program) || !SERVICES.contains(&service.as_slice()) {
        return Ok(());
    }
    let here = match path.strip_prefix(b"~") {
        Some([other, ..]) if *other != b'/' => {
            return Err(Failure::refused(format!("{}: write the whole path", path.escape_ascii())));
        }
        Some(_) => PathBuf::from(home),
        None => std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
    };
    let every = [String::from("/")];
    let paths = program.files.as_ref().map_or(&every[..], |files| &files.paths);
    for folder in above(path, &here).into_iter().filter(|folder| !is_outside(folder, paths)) {
        if folder.join(".git").symlink_metadata().is_ok() {
            return Err(Failure::refused(format!(
                "{} lies in the working tree {}: what is pushed into one is served as no repository",
                path.escape_ascii(),
                folder.display()
            )));
        }
    }
    Ok(())
}

/// Whether a folder only leads to the paths of the rule. Nothing is pushed there.
fn is_outside(folder: &Path, paths: &[String]) -> bool {
    let leads = |path: &String| Path::new(path).starts_with(folder);
    let is_below = |path: &String| folder.starts_with(path);
    paths.iter().any(leads) && !paths.iter().any(is_below)
}

/// The folders above a repository, by their names. `.git` is one with the folder that it lies in.
fn above(path: &[u8], here: &Path) -> Vec<PathBuf> {
    let path = path.strip_prefix(b"~").map_or(path, |rest| rest.strip_prefix(b"/").unwrap_or(rest));
    let whole = here.join(OsStr::from_bytes(path));
    // As git and the kernel read it; `..` stays, for a link may stand before it.
    let mut parts: Vec<Component<'_>> = whole.components().collect();
    if parts.last() == Some(&Component::Normal(OsStr::new(".git"))) {
        parts.pop();
    }
    parts.pop();
    (1..=parts.len()).filter_map(|count| Some(parts.get(..count)?.iter().collect())).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{above, is_outside};

    #[test]
    fn the_folders_above_a_repository_are_those_of_its_path() {
        for (path, folders) in [
            ("/srv/git/a.git", &["/", "/srv", "/srv/git"][..]),
            ("/srv//git/./a.git/", &["/", "/srv", "/srv/git"]),
            ("/srv/a/.git", &["/", "/srv"]),
            ("/srv/a/.git/", &["/", "/srv"]),
            ("/a/../b", &["/", "/a", "/a/.."]),
            ("x/a.git", &["/", "/home", "/home/d", "/home/d/x"]),
            ("~/x/a.git", &["/", "/home", "/home/d", "/home/d/x"]),
            ("~", &["/", "/home"]),
            ("/", &[]),
        ] {
            let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
            assert_eq!(above(path.as_bytes(), Path::new("/home/d")), folders, "{path}");
        }
    }

    #[test]
    fn what_only_leads_to_the_paths_of_a_rule_is_not_looked_at() {
        let is_outside = |folder: &str, paths: &[&str]| {
            is_outside(Path::new(folder), &paths.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert!(is_outside("/srv", &["/srv/git"]) && is_outside("/srv", &["/home/d", "/srv/git"]));
        assert!(!is_outside("/srv/git", &["/srv/git"]) && !is_outside("/srv/git/a", &["/srv/git"]));
        assert!(!is_outside("/srv/git/a", &["/srv/git", "/srv/git/a/b"]), "the first one has it");
        assert!(!is_outside("/", &["/"]) && !is_outside("/elsewhere", &["/srv/git"]));
    }
}
