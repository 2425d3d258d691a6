//! The file systems of the private world: what exists is read-only, what has to be written is covered by memory.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use super::fault::{Doing as _, Done, Fault};

/// Where everything of the proof lies that is no copy of something.
pub(super) const HERE: &str = "/run/svcauth-prove";

/// What is covered, and how deep its folders (not the files in them) are made again, empty.
const COVERED: &[(&str, usize)] = &[
    ("/tmp", 0),
    ("/var/tmp", 0),
    ("/home", 0),
    ("/root", 0),
    ("/etc/svcauth", 0),
    ("/etc/cron.d", 0),
    ("/var/lib/svcauth", 0),
    ("/var/lib/sudo", 1),
    ("/var/db/sudo", 1),
    ("/var/lib/lastlog", 0),
    ("/var/lib/wtmpdb", 0),
    ("/var/log", 1),
    ("/var/mail", 0),
    ("/var/spool/mail", 0),
    ("/var/spool/cron", 1),
    ("/var/spool/at", 1),
];
/// Folders of /run that programs would take for the service behind them.
const NOT_IN_RUN: &[&str] = &["systemd", "user", "dbus", "svcauth-prove"];
/// Files that programs of a login write into only where they exist.
const BOOKS: &[(&str, u32)] =
    &[("/run/utmp", 0o664), ("/var/log/wtmp", 0o664), ("/var/log/btmp", 0o660), ("/var/log/lastlog", 0o664)];
/// Where at(1) counts, in the folder of its jobs. It does not make the file where it may not make others.
const COUNTER: &str = ".SEQ";
/// Device nodes that programs of a login need.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// What is said about all this.
pub(super) const DIFFERENCES: &[&str] = &[
    "everything is read-only, but these begin empty and in memory: /run, /dev, /tmp, /var/tmp, /home, root's home, /var/log, \
     /var/lib/svcauth, /etc/svcauth, and the spools of cron, at and mail",
    "the network is a loopback, processes are those of the proof, and neither the host's log nor its audit log is there",
    "/etc/crontab and /etc/cron.d are empty: no job of this host runs",
];

/// A folder, or the empty file that at(1) counts its jobs in, to be made again.
struct Folder {
    is_file: bool,
    path: PathBuf,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Covers it all. The calling process must be alone in its mount and process namespaces.
pub(super) fn build(root_home: &str) -> Done {
    mount_at("/", MsFlags::MS_REC | MsFlags::MS_PRIVATE).doing("make the mounts private")?;
    read_only()?;
    file_system("proc", Path::new("/proc"), "")?;
    cover(Path::new("/run"), 1)?;
    for folder in ["sshd", "lock", "sudo"].map(|name| Path::new("/run").join(name)) {
        fs::create_dir_all(&folder).doing("make a folder of /run")?;
    }
    fs::set_permissions("/run/lock", Permissions::from_mode(0o1777)).doing("open /run/lock")?;
    fs::create_dir_all(HERE).doing(format!("make {HERE}"))?;
    devices()?;
    for (path, depth) in COVERED.iter().copied().chain([(root_home, 0)]) {
        cover(Path::new(path), depth)?;
    }
    for (path, mode) in BOOKS {
        File::create(path).doing(format!("make {path}"))?;
        fs::set_permissions(path, Permissions::from_mode(*mode)).doing(format!("set the mode of {path}"))?;
    }
    Ok(())
}

/// Puts memory over a folder, with its owner, mode and inner folders. What is not there stays so.
pub(super) fn cover(path: &Path, depth: usize) -> Done {
    let Ok(path) = fs::canonicalize(path) else {
        return Ok(());
    };
    // Two names for one folder: covered already, or a part of what is.
    if !path.is_dir() || path == Path::new("/") {
        return Ok(());
    }
    let mut folders = Vec::new();
    skeleton(&path, depth, &mut folders);
    file_system("tmpfs", &path, "mode=755")?;
    folders.iter().try_for_each(remake)
}

fn skeleton(path: &Path, depth: usize, into: &mut Vec<Folder>) {
    let Ok(about) = fs::symlink_metadata(path) else {
        return;
    };
    let mode = about.mode() & 0o7777;
    into.push(Folder {
        is_file: about.is_file(),
        path: path.to_owned(),
        mode,
        uid: about.uid(),
        gid: about.gid(),
    });
    let counter = path.join(COUNTER);
    if counter.is_file() {
        skeleton(&counter, 0, into);
    }
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let service = path == Path::new("/run") && NOT_IN_RUN.iter().any(|name| entry.file_name() == *name);
        if !service && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            skeleton(&entry.path(), depth - 1, into);
        }
    }
}

fn remake(folder: &Folder) -> Done {
    let path = &folder.path;
    let made = if folder.is_file { File::create(path).map(drop) } else { fs::create_dir_all(path) };
    let made = made
        .and_then(|()| chown(path, Some(folder.uid), Some(folder.gid)))
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(folder.mode)));
    made.doing(format!("make {} again", path.display()))
}

/// Whatever nobody thought of fails in place of changing the host.
fn read_only() -> Done {
    let text = fs::read_to_string("/proc/self/mountinfo").doing("read the mounts")?;
    for (at, flags) in text.lines().filter_map(mount_of) {
        match mount_at(&at, flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY) {
            // Hidden under another mount, or somebody's own (FUSE): nobody in here reaches it.
            Ok(()) | Err(Errno::ENOENT | Errno::EINVAL | Errno::ENOTDIR | Errno::EACCES) => {}
            Err(why) => {
                return Err(Fault::new(format!("cannot make {at} read-only in private: {}", why.desc())));
            }
        }
    }
    Ok(())
}

/// Where a line of mountinfo (proc(5)) is mounted, and the flags that must stay.
fn mount_of(line: &str) -> Option<(String, MsFlags)> {
    let mut words = line.split(' ').skip(4);
    let (at, options) = (unescaped(words.next()?), words.next()?);
    let flag = |word: &str| match word {
        "nosuid" => MsFlags::MS_NOSUID,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        "noatime" => MsFlags::MS_NOATIME,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "relatime" => MsFlags::MS_RELATIME,
        _ => MsFlags::empty(),
    };
    Some((at, options.split(',').map(flag).collect()))
}

/// `\040` and the like in place of blanks.
fn unescaped(word: &str) -> String {
    let mut parts = word.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match digits {
            Some(byte) => out.push(char::from(byte)),
            None => out.push('\\'),
        }
        out.push_str(if digits.is_some() { part.get(3..).unwrap_or_default() } else { part });
    }
    out
}

/// A /dev of its own: the log socket and the terminals of the host stay out of reach.
fn devices() -> Done {
    let new = Path::new(HERE).join("dev");
    fs::create_dir_all(&new).doing("make a new /dev")?;
    file_system("tmpfs", &new, "mode=755")?;
    for name in DEVICES {
        let (node, host) = (new.join(name), Path::new("/dev").join(name));
        if host.exists() {
            File::create(&node).doing(format!("make {}", node.display()))?;
            bind(&host, &node)?;
        }
    }
    for (folder, mode) in [("pts", 0o755), ("shm", 0o1777)] {
        fs::create_dir_all(new.join(folder)).doing("make a folder of /dev")?;
        fs::set_permissions(new.join(folder), Permissions::from_mode(mode)).doing("make a folder of /dev")?;
    }
    let group = nix::unistd::Group::from_name("tty").ok().flatten().map_or(5, |group| group.gid.as_raw());
    file_system("devpts", &new.join("pts"), &format!("newinstance,ptmxmode=666,mode=620,gid={group}"))?;
    let links = [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ];
    for (link, to) in links {
        symlink(to, new.join(link)).doing("make a link of /dev")?;
    }
    mount(Some(&new), "/dev", None::<&str>, MsFlags::MS_MOVE, None::<&str>).doing("move the new /dev")
}

fn file_system(kind: &str, at: &Path, options: &str) -> Done {
    let options = (!options.is_empty()).then_some(options);
    mount(Some(kind), at, Some(kind), MsFlags::empty(), options)
        .doing(format!("mount {kind} on {} in private (a container may forbid it)", at.display()))
}

/// Shows one file or folder in the place of another.
pub(super) fn bind(from: &Path, to: &Path) -> Done {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).doing(format!(
        "show {} as {}",
        from.display(),
        to.display()
    ))
}

fn mount_at(at: &str, flags: MsFlags) -> nix::Result<()> {
    mount(None::<&str>, at, None::<&str>, flags, None::<&str>)
}

#[cfg(test)]
mod tests {
    use super::{MsFlags, mount_of, unescaped};

    #[test]
    fn a_line_of_mountinfo_says_where_and_which_flags_must_stay() {
        let line = "36 35 98:0 / /mnt/a\\040b rw,nosuid,noexec,relatime shared:1 - ext4 /dev/sda1 rw";
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_RELATIME;
        assert_eq!(mount_of(line), Some(("/mnt/a b".to_owned(), flags)));
        assert_eq!(mount_of("36 35"), None);
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(unescaped("/a\\134b\\x"), "/a\\b\\x");
    }
}
