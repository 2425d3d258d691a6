//! What is in `/etc`, byte for byte, to see what has changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use super::boot::Machine;
use crate::failure::{Context, Outcome, require};

/// Copies that useradd, userdel and systemd-sysusers keep of a file before they change it: after the user svcauth came and
/// went they hold the one before.
const BACKUPS: &[&str] = &["passwd-", "group-", "shadow-", "gshadow-"];

/// Everything below `/etc`: kind, mode, owner and content of each file. Times are left out, they change with every rename.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etc(BTreeMap<String, Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    content: Vec<u8>,
}

impl Etc {
    /// As it is now.
    pub fn of(machine: &Machine) -> Outcome<Self> {
        let mut found = BTreeMap::new();
        collect(&machine.path("/etc"), "", &mut found)?;
        Ok(Self(found))
    }

    /// Fails with every file that is not what it was; the backups of passwd, group and their shadows are left out.
    pub fn require_as(&self, before: &Self, when: &str) -> Outcome {
        let said = self.differences(before);
        require(said.is_empty(), || format!("/etc {when}: not as before\n{said}"))
    }

    /// One line for each file that came, went or changed.
    pub fn differences(&self, before: &Self) -> String {
        let mut said = String::new();
        for (name, was) in &before.0 {
            match self.0.get(name) {
                _ if BACKUPS.contains(&name.as_str()) => {}
                None => drop(writeln!(said, "    {name} is gone")),
                Some(is) if is != was => drop(writeln!(said, "    {name}: {}", was.against(is))),
                Some(_) => {}
            }
        }
        for name in self.0.keys().filter(|name| !before.0.contains_key(*name)) {
            let _ = writeln!(said, "    {name} is new");
        }
        said
    }
}

impl Entry {
    fn against(&self, is: &Self) -> String {
        if self.content != is.content {
            let text = |entry: &Self| String::from_utf8_lossy(&entry.content).into_owned();
            return format!("was\n{}\nis\n{}", text(self), text(is));
        }
        let attributes = |entry: &Self| format!("{} {:o} {:?}", entry.kind, entry.mode, entry.owner);
        format!("was {}, is {}", attributes(self), attributes(is))
    }
}

fn collect(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Entry>) -> Outcome {
    for entry in fs::read_dir(folder).doing(format!("read {}", folder.display()))? {
        let path = entry?.path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        let about = fs::symlink_metadata(&path).doing(&name)?;
        let kind = about.file_type();
        let (word, content) = if kind.is_dir() {
            ("folder", Vec::new())
        } else if kind.is_symlink() {
            ("link", fs::read_link(&path)?.into_os_string().into_encoded_bytes())
        } else if kind.is_file() {
            ("file", fs::read(&path).doing(&name)?)
        } else {
            (if kind.is_socket() { "socket" } else { "other" }, Vec::new())
        };
        if kind.is_dir() {
            collect(&path, &format!("{name}/"), found)?;
        }
        let owner = (about.uid(), about.gid());
        found.insert(name, Entry { kind: word, mode: about.mode() & 0o7777, owner, content });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etc(files: &[(&str, &str, u32)]) -> Etc {
        let entry = |mode: u32, text: &str| Entry {
            kind: "file",
            mode,
            owner: (0, 0),
            content: text.as_bytes().to_vec(),
        };
        Etc(files.iter().map(|(name, text, mode)| ((*name).to_owned(), entry(*mode, text))).collect())
    }

    #[test]
    fn each_kind_of_difference_is_named_and_backups_are_none() {
        let before = etc(&[("a", "1", 0o644), ("b", "1", 0o644), ("c", "1", 0o644), ("passwd-", "1", 0o600)]);
        assert!(before.require_as(&before, "now").is_ok());
        let after = etc(&[("a", "2", 0o644), ("b", "1", 0o600), ("d", "1", 0o644), ("passwd-", "2", 0o600)]);
        let said = after.differences(&before);
        for part in ["a: was\n1\nis\n2", "b: was file 644", "c is gone", "d is new"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(!said.contains("passwd-"));
    }
}
