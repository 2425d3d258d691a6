//! Who is not managed: root, and the users of `/etc/passwd` that are not in `local_accounts`.
//!
//! The files are read directly. The name service would load whatever nsswitch.conf names into this process, and a statically
//! linked program cannot ask it in a sound way.

use std::fs;

use svcauth_core::command::SHELL_PATH;
use svcauth_core::id::parse_id;

/// The users of this host.
const PASSWD: &str = "/etc/passwd";
/// Which of them svcauth manages, one name a line; svcauthd writes it.
const LOCAL_ACCOUNTS: &str = "/var/lib/svcauth/local_accounts";
/// What runs for root when nothing better is known.
const LAST_RESORT: &str = "/bin/sh";

/// What these files say about a uid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Local {
    /// Nobody limits this one: this shell is its own.
    Unmanaged(String),
    /// The daemon is to be asked.
    Ask,
}

/// Root is never managed, and needs neither file. All others need both: when one cannot be read, the daemon is asked.
pub(crate) fn look(uid: u32) -> Local {
    let passwd = fs::read(PASSWD).unwrap_or_default();
    if uid == 0 {
        return Local::Unmanaged(own_shell(&passwd, uid).unwrap_or_else(|| LAST_RESORT.to_owned()));
    }
    fs::read(LOCAL_ACCOUNTS).map_or(Local::Ask, |managed| find(&passwd, &managed, uid))
}

/// The own shell of somebody of whom the daemon says that he is not managed.
pub(crate) fn shell_of(uid: u32) -> Option<String> {
    own_shell(&fs::read(PASSWD).ok()?, uid)
}

fn find(passwd: &[u8], managed: &[u8], uid: u32) -> Local {
    let is_managed = |name: &[u8]| managed.split(|byte| *byte == b'\n').any(|line| line == name);
    // Several names may share a uid; one that is managed makes all of them so.
    if users(passwd, uid).any(|user| is_managed(user.name)) {
        return Local::Ask;
    }
    own_shell(passwd, uid).map_or(Local::Ask, Local::Unmanaged)
}

struct User<'a> {
    name: &'a [u8],
    shell: &'a [u8],
}

/// The lines with exactly seven fields and this uid.
fn users(passwd: &[u8], uid: u32) -> impl Iterator<Item = User<'_>> {
    let lines =
        passwd.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>());
    lines.filter_map(move |fields| match fields.as_slice() {
        [name, _, id, _, _, _, shell] if parse_id(id).is_some_and(|id| id == uid) => {
            Some(User { name, shell })
        }
        _ => None,
    })
}

/// An empty field means /bin/sh (passwd(5)). Our own path is no shell to run: it would ask again, for ever.
fn own_shell(passwd: &[u8], uid: u32) -> Option<String> {
    let shell = users(passwd, uid).next()?.shell;
    let shell = if shell.is_empty() { LAST_RESORT } else { std::str::from_utf8(shell).ok()? };
    (shell.starts_with('/') && shell != SHELL_PATH).then(|| shell.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Local, find, own_shell};

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/usr/bin/svcauth-shell\n\
        alice:x:1000:1000::/home/alice:/bin/zsh\n\
        postgres:x:112:113::/var/lib/postgresql:/bin/bash\n\
        guarded:x:1001:1001::/home/guarded:/usr/bin/svcauth-shell\n\
        plain:x:1002:1002::/home/plain:\n\
        one:x:1003:1003::/:/bin/sh\n\
        two:x:1003:1003::/:/bin/sh\n\
        short:x:1004:1004::/\n\
        long:x:1005:1005::/:/bin/sh:x\n\
        relative:x:1006:1006::/:sh\n\
        odd:x:+1007:1007::/:/bin/sh\n";

    #[test]
    fn local_users_run_their_own_shell() {
        for (uid, shell) in [(1000, "/bin/zsh"), (1002, "/bin/sh"), (1003, "/bin/sh")] {
            assert_eq!(find(PASSWD, b"postgres\n", uid), Local::Unmanaged(shell.to_owned()), "{uid}");
        }
    }

    #[test]
    fn the_daemon_is_asked_about_everybody_else() {
        assert_eq!(find(PASSWD, b"postgres\n", 112), Local::Ask, "managed");
        assert_eq!(find(PASSWD, b"two", 1003), Local::Ask, "managed by another name");
        assert_eq!(find(PASSWD, b"", 112), Local::Unmanaged("/bin/bash".to_owned()));
        for uid in [1001, 1004, 1005, 1006, 1007, 7000, u32::MAX] {
            assert_eq!(find(PASSWD, b"", uid), Local::Ask, "{uid}");
        }
        assert_eq!(find(b"", b"", 1000), Local::Ask);
    }

    #[test]
    fn this_program_is_nobodys_own_shell() {
        assert_eq!(own_shell(PASSWD, 1000).as_deref(), Some("/bin/zsh"));
        assert_eq!(own_shell(PASSWD, 0), None);
        assert_eq!(own_shell(PASSWD, 1001), None);
    }
}
