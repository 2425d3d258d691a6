//! The users and groups of this host's own files, read from the files: asking NSS would be asking ourselves.

use std::collections::{HashMap, HashSet};
use std::io;

/// Names and ids in /etc/passwd and /etc/group (passwd(5), group(5)). What they hold is never published over them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalNames {
    users: HashMap<String, Ids>,
    uids: HashSet<u32>,
    groups: HashSet<String>,
    gids: HashSet<u32>,
}

/// The ids of a local user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The uid.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
}

impl LocalNames {
    /// Reads both files.
    ///
    /// # Errors
    /// When one of them cannot be read: then nobody knows what is local, and nothing may be published.
    pub fn read() -> io::Result<Self> {
        let read = |path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Self::parse(&read("/etc/passwd")?, &read("/etc/group")?))
    }

    /// From the texts of both files; a line that is none (a comment, a NIS marker) is passed over, its name is kept.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        let mut names = Self::default();
        for line in passwd.lines() {
            let mut fields = line.split(':');
            let Some(name) = fields.next().filter(|name| !name.is_empty()) else {
                continue;
            };
            let mut id = || fields.next().and_then(|id| id.parse::<u32>().ok());
            let (_, uid, gid) = (id(), id(), id());
            names.uids.extend(uid);
            if let (Some(uid), Some(gid)) = (uid, gid) {
                names.users.insert(name.to_owned(), Ids { uid, gid });
            }
        }
        for line in group.lines() {
            let mut fields = line.split(':');
            let Some(name) = fields.next().filter(|name| !name.is_empty()) else {
                continue;
            };
            names.groups.insert(name.to_owned());
            names
                .gids
                .extend(fields.nth(1).and_then(|gid| gid.parse::<u32>().ok()));
        }
        names
    }

    /// Whether /etc/passwd has a user of this name, in whatever case.
    #[must_use]
    pub fn has_user(&self, name: &str) -> bool {
        self.users.contains_key(name) || self.users.keys().any(|user| user.eq_ignore_ascii_case(name))
    }
    /// Whether /etc/passwd has a user with this uid.
    #[must_use]
    pub fn has_uid(&self, uid: u32) -> bool {
        self.uids.contains(&uid)
    }
    /// Whether /etc/group has a group of this name, in whatever case.
    #[must_use]
    pub fn has_group(&self, name: &str) -> bool {
        self.groups.contains(name) || self.groups.iter().any(|group| group.eq_ignore_ascii_case(name))
    }
    /// Whether /etc/group has a group with this gid.
    #[must_use]
    pub fn has_gid(&self, gid: u32) -> bool {
        self.gids.contains(&gid)
    }
    /// The ids of a local user.
    #[must_use]
    pub fn ids_of(&self, user: &str) -> Option<Ids> {
        self.users.get(user).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ids, LocalNames};

    #[test]
    fn names_and_ids_of_both_files_are_known() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n# comment\n+::::::\npostgres:x:112:120::/var/lib/postgresql:/bin/bash\n";
        let names = LocalNames::parse(passwd, "root:x:0:\nsudo:x:27:alice,bob\n");
        assert!(
            names.has_user("postgres")
                && names.has_user("Postgres")
                && names.has_uid(112)
                && names.has_uid(0)
        );
        assert!(names.has_group("sudo") && names.has_group("SUDO") && names.has_gid(27));
        assert!(
            !names.has_user("alice")
                && !names.has_uid(27)
                && !names.has_group("alice")
                && !names.has_gid(112)
        );
        assert_eq!(names.ids_of("postgres"), Some(Ids { uid: 112, gid: 120 }));
    }
}
