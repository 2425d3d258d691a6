//! The users and groups of this host itself: what no directory may take over.
//!
//! Read from `/etc/passwd` and `/etc/group` directly. Asking NSS would ask our own module, and every other source with it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use svcauth_core::id::{IdRange, parse_id};

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Names and ids of `/etc/passwd` and `/etc/group`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalNames {
    users: HashMap<String, Ids>,
    user_names: HashSet<String>,
    uids: HashSet<u32>,
    group_names: HashSet<String>,
    gids: HashSet<u32>,
}

/// The ids of a local user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The user id.
    pub uid: u32,
    /// The id of the primary group.
    pub gid: u32,
}

impl LocalNames {
    /// Reads both files.
    ///
    /// # Errors
    /// When one of them cannot be read; it is named in the error.
    pub fn read() -> io::Result<Self> {
        Ok(Self::parse(&read("/etc/passwd")?, &read("/etc/group")?))
    }

    /// From the contents of both files (passwd(5), group(5)). A line that cannot be read counts with what it has: its
    /// name is taken, whatever its ids are.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        let mut names = Self::default();
        for (name, uid, gid) in lines(passwd) {
            names.user_names.insert(name.to_lowercase());
            names.uids.extend(uid);
            if let (Some(uid), Some(gid)) = (uid, gid) {
                names.users.entry(name).or_insert(Ids { uid, gid });
            }
        }
        for (name, gid, _) in lines(group) {
            names.group_names.insert(name.to_lowercase());
            names.gids.extend(gid);
        }
        names
    }

    /// Whether a user has this name, in whatever case.
    #[must_use]
    pub fn has_user(&self, name: &str) -> bool {
        self.user_names.contains(&name.to_lowercase())
    }
    /// Whether a user has this uid.
    #[must_use]
    pub fn has_uid(&self, uid: u32) -> bool {
        self.uids.contains(&uid)
    }
    /// Whether a group has this name, in whatever case.
    #[must_use]
    pub fn has_group(&self, name: &str) -> bool {
        self.group_names.contains(&name.to_lowercase())
    }
    /// Whether a group has this gid.
    #[must_use]
    pub fn has_gid(&self, gid: u32) -> bool {
        self.gids.contains(&gid)
    }
    /// A user or group with an id of the range, the least of them: what it is, and its id.
    #[must_use]
    pub fn in_range(&self, range: IdRange) -> Option<(&'static str, u32)> {
        let least = |ids: &HashSet<u32>| ids.iter().copied().filter(|id| range.contains(*id)).min();
        least(&self.uids).map(|uid| ("user", uid)).or_else(|| Some(("group", least(&self.gids)?)))
    }
    /// The ids of the user of exactly this name; the first line counts, as it does for libc.
    #[must_use]
    pub fn ids_of(&self, name: &str) -> Option<Ids> {
        self.users.get(name).copied()
    }
}

fn read(path: &str) -> io::Result<String> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    let mut bytes = Vec::new();
    File::open(path).map_err(named)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(named)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("{path}: longer than {MAX_FILE} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Name and the two ids that follow the password field.
fn lines(file: &str) -> impl Iterator<Item = (String, Option<u32>, Option<u32>)> {
    file.lines().filter_map(|line| {
        let mut fields = line.split(':');
        // Lines that begin with + or - belong to the old NIS compatibility mode (nsswitch.conf(5)).
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '+', '-']))?;
        let mut ids = fields.skip(1).map(|id| parse_id(id.as_bytes()));
        Some((name.to_owned(), ids.next().flatten(), ids.next().flatten()))
    })
}

#[cfg(test)]
mod tests {
    use super::{Ids, LocalNames};

    #[test]
    fn names_and_ids_of_the_host_are_known_in_every_case() {
        let names = LocalNames::parse(
            "root:x:0:0:root:/root:/bin/bash\npostgres:x:105:110::/:/bin/sh\npostgres:x:1:1::/:\nodd:x:07:x\n+nis::::::\n\n#c\nbare",
            "root:x:0:\nsudo:x:27:bob,alice\n",
        );
        assert!(
            names.has_user("root")
                && names.has_user("Root")
                && names.has_user("odd")
                && names.has_user("bare")
        );
        assert!(!names.has_user("") && !names.has_user("+nis") && !names.has_user("bob"));
        assert!(names.has_uid(0) && names.has_uid(105) && names.has_uid(1) && !names.has_uid(110));
        assert!(names.has_group("SUDO") && names.has_gid(27) && !names.has_group("bob"));
        assert_eq!(names.ids_of("postgres"), Some(Ids { uid: 105, gid: 110 }));
        assert_eq!((names.ids_of("Postgres"), names.ids_of("odd")), (None, None));
    }

    #[test]
    fn the_files_of_this_host_can_be_read() {
        assert!(LocalNames::read().unwrap().has_user("root"));
    }
}
