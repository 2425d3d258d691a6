//! The few files of /etc that are not the host's own bytes in the private world, each a copy with something added.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::cast::{ALLOWED, Cast, LOCAL, REFUSED};
use super::fault::{Doing as _, Done, Fault};
use super::private::{HERE, bind};
use super::program::number;

/// What is said about it.
pub(super) const DIFFERENCES: &[&str] = &[
    "/etc/passwd, group and shadow have three local probe users more (svcauth-allowed, svcauth-refused, svcauth-local)",
    "/etc/sudoers has a last line more, which lets the probe users run everything without a password",
    "su asks for no password (auth sufficient pam_permit.so is its first line); its account and session phases are the host's",
    "svcauth.toml and the directory are those of the probe; its id_range and its audit are the host's",
];

/// Where su's stack may be; the first one counts.
const STACKS: &[&str] = &["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d"];

/// Makes them all.
pub(super) fn alter(cast: &Cast) -> Done {
    let lines = |line: &dyn Fn(&super::cast::Player) -> String| {
        cast.local_users().iter().map(|player| line(player)).collect::<String>()
    };
    append(Path::new("/etc/passwd"), &lines(&|player| player.passwd_line()))?;
    append(Path::new("/etc/group"), &lines(&|player| player.group_line()))?;
    append(Path::new("/etc/shadow"), &lines(&|player| format!("{}:*:19700:0:99999:7:::\n", player.name)))?;
    append(Path::new("/etc/sudoers"), &sudoers())?;
    for name in ["su", "su-l"] {
        let mut stacks = STACKS.iter().map(|folder| Path::new(folder).join(name));
        if let Some(stack) = stacks.find(|stack| stack.is_file()) {
            change(&stack, |text| ["auth sufficient pam_permit.so\n".as_bytes(), text].concat())?;
        }
    }
    append(
        Path::new("/etc/at.allow"),
        &format!("root\n{LOCAL}\n{}\n{}\n", cast.account.name, cast.second.name),
    )?;
    change(Path::new("/etc/crontab"), |_| Vec::new())
}

fn sudoers() -> String {
    let probes = [ALLOWED, REFUSED, LOCAL].join(",");
    format!(
        "\nDefaults:{ALLOWED},{REFUSED} env_editor\nDefaults:{probes} !lecture\n{} ALL=(ALL:ALL) NOPASSWD: ALL\n",
        probes.replace(',', ", ")
    )
}

/// Adds lines to a file, if there is one.
fn append(path: &Path, lines: &str) -> Done {
    change(path, |text| {
        let end: &[u8] = if text.is_empty() || text.ends_with(b"\n") { b"" } else { b"\n" };
        [text, end, lines.as_bytes()].concat()
    })
}

/// Shows a changed copy in the place of a file, with the owner and the mode of it. What is not there stays so.
pub(super) fn change(path: &Path, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Done {
    let Ok(path) = fs::canonicalize(path) else {
        return Ok(());
    };
    let bytes = fs::read(&path).doing(format!("read {}", path.display()))?;
    let copy = fresh("file")?;
    fs::write(&copy, change(&bytes)).doing(format!("copy {}", path.display()))?;
    as_owned(&path, &copy)?;
    bind(&copy, &path)
}

/// Puts a copy in memory over a folder, with all that is in it, so that files can be added and taken away.
pub(super) fn copy_over(folder: &Path) -> Done {
    let copy = fresh("folder")?;
    copy_tree(folder, &copy)?;
    bind(&copy, folder)
}

fn copy_tree(from: &Path, to: &Path) -> Done {
    fs::create_dir_all(to).doing(format!("make {}", to.display()))?;
    for entry in fs::read_dir(from).doing(format!("list {}", from.display()))?.flatten() {
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().doing(format!("look at {}", source.display()))?;
        if kind.is_symlink() {
            let target = fs::read_link(&source).doing("read a link")?;
            std::os::unix::fs::symlink(target, &copy).doing("copy a link")?;
        } else if kind.is_dir() {
            copy_tree(&source, &copy)?;
        } else if kind.is_file() {
            fs::copy(&source, &copy).doing(format!("copy {}", source.display()))?;
            as_owned(&source, &copy)?;
        }
    }
    as_owned(from, to)
}

fn as_owned(like: &Path, path: &Path) -> Done {
    let about = fs::metadata(like).doing(format!("look at {}", like.display()))?;
    chown(path, Some(about.uid()), Some(about.gid()))
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(about.mode() & 0o7777)))
        .doing(format!("set owner and mode of {}", path.display()))
}

fn fresh(what: &str) -> Done<PathBuf> {
    let folder = Path::new(HERE).join("copies");
    fs::create_dir_all(&folder).doing("make the folder for copies")?;
    Ok(folder.join(format!("{what}{}", number())))
}

/// Writes a file of the private world, with its folders; those that exist on the host only are covered by a copy first.
pub(super) fn write(path: &Path, text: &str, owner: Option<(u32, u32)>, mode: u32) -> Done {
    let folder = path.parent().ok_or_else(|| Fault::new(format!("{} is in no folder", path.display())))?;
    if fs::create_dir_all(folder).is_err() {
        return Err(Fault::new(format!("{} cannot be made in private", folder.display())));
    }
    let put = || fs::write(path, text);
    if put().is_err() {
        copy_over(folder)?;
        put().doing(format!("write {}", path.display()))?;
    }
    let (uid, gid) = owner.unwrap_or((0, 0));
    chown(path, Some(uid), Some(gid))
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .doing(format!("set owner and mode of {}", path.display()))
}

/// Makes a home folder.
pub(super) fn home(path: &Path, uid: u32, gid: u32) -> Done {
    fs::create_dir_all(path)
        .and_then(|()| chown(path, Some(uid), Some(gid)))
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .doing(format!("make the home {}", path.display()))
}
