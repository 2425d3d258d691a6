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

fn in_passwd(passwd: &[u8], name: &str) -> Option<u32> {
    let mut lines = passwd.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b':'));
    lines.find_map(|mut fields| (fields.next()? == name.as_bytes()).then(|| parse_id(fields.nth(1)?)))?
}

#[cfg(test)]
mod tests {
    use super::{in_passwd, uid_of};

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
    fn the_file_of_this_host_can_be_read() {
        assert_eq!(uid_of("root"), Some(0));
    }
}
