//! The local users of this host, for accounts of `/etc/passwd` that are managed too: the snapshot does not know their uid.
//!
//! The file is read directly. Asking the name service would ask our own module, and every other source with it.

use std::path::Path;

use svcauth_core::id::parse_id;

use crate::snapshot_file::read_trusted_bytes;

/// A file with some hundred thousand users: 16 MiB.
const PASSWD_MAX: u64 = 16 << 20;

/// The uid of the local user of exactly this name; the first line counts, as it does for libc. `None` when there is none, or
/// the file cannot be read, or others than root can have written it.
#[must_use]
pub fn uid_of(name: &str) -> Option<u32> {
    in_passwd(&read_trusted_bytes(Path::new("/etc/passwd"), PASSWD_MAX).ok()?, name)
}

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalUser {
    /// The name.
    pub name: String,
    /// The uid.
    pub uid: u32,
    /// The home directory.
    pub home: String,
    /// The login shell; `/bin/sh` where the field is empty (passwd(5)).
    pub shell: String,
}

/// The local users with this uid, in the order of the file; several names may share one. Empty when there is none, or the file
/// cannot be read, or others than root can have written it.
#[must_use]
pub fn with_uid(uid: u32) -> Vec<LocalUser> {
    let passwd = read_trusted_bytes(Path::new("/etc/passwd"), PASSWD_MAX).unwrap_or_default();
    let users = passwd.split(|byte| *byte == b'\n').filter_map(user);
    users.filter(|user| user.uid == uid).collect()
}

fn user(line: &[u8]) -> Option<LocalUser> {
    let mut fields = line.split(|byte| *byte == b':');
    let mut text = || fields.next().and_then(|field| std::str::from_utf8(field).ok()).map(str::to_owned);
    let (name, _password, uid) = (text()?, text()?, text()?);
    let (_gid, _gecos, home) = (text()?, text()?, text()?);
    let shell = text().filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".to_owned());
    Some(LocalUser { name, uid: parse_id(uid.as_bytes())?, home, shell })
}

fn in_passwd(passwd: &[u8], name: &str) -> Option<u32> {
    let mut lines = passwd.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b':'));
    lines.find_map(|mut fields| (fields.next()? == name.as_bytes()).then(|| parse_id(fields.nth(1)?)))?
}

#[cfg(test)]
mod tests {
    use super::{LocalUser, in_passwd, uid_of, user, with_uid};

    #[test]
    fn the_first_line_of_exactly_this_name_counts() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\npostgres:x:112:113::/:/bin/sh\npostgres:x:7:7::/:\n\
                       odd:x:-1:7\n+nis::::::\nb\xff:x:9:9\nbare";
        assert_eq!(in_passwd(passwd, "root"), Some(0));
        assert_eq!(in_passwd(passwd, "postgres"), Some(112));
        for none in ["Postgres", "postgre", "odd", "+nis", "bare", "", "x"] {
            assert_eq!(in_passwd(passwd, none), None, "{none}");
        }
    }

    #[test]
    fn a_line_is_read_with_home_and_shell_and_one_that_is_not_whole_is_nobody() {
        let jenkins = LocalUser {
            name: "jenkins".to_owned(),
            uid: 112,
            home: "/srv/ci".to_owned(),
            shell: "/bin/bash".to_owned(),
        };
        assert_eq!(user(b"jenkins:x:112:113:Jenkins,,,:/srv/ci:/bin/bash"), Some(jenkins.clone()));
        for line in [&b"jenkins:x:112:113::/srv/ci:"[..], b"jenkins:x:112:113::/srv/ci"] {
            assert_eq!(user(line), Some(LocalUser { shell: "/bin/sh".to_owned(), ..jenkins.clone() }));
        }
        for nobody in [&b""[..], b"jenkins:x:112", b"jenkins:x:-1:1::/:/bin/sh", b"j\xff:x:1:1::/:/bin/sh"] {
            assert_eq!(user(nobody), None);
        }
        assert_eq!(with_uid(0).first().map(|user| user.name.as_str()), Some("root"));
    }

    #[test]
    fn the_file_of_this_host_can_be_read() {
        assert_eq!(uid_of("root"), Some(0));
    }
}
