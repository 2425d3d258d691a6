//! The file systems of a world: copies on write of what programs need, empty ones for the rest.

use std::fs::{self, File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::unistd::sethostname;

use super::ARTIFACTS;
use crate::ansible;
use crate::artifacts::Artifacts;
use crate::failure::{Context, Outcome};
use crate::program::Program;

/// Folders whose content is needed and may be changed: an overlay each.
const COPIED: &[&str] = &["etc", "usr", "var"];
/// Folders that start empty.
const EMPTY: &[(&str, u32)] =
    &[("tmp", 0o1777), ("home", 0o755), ("root", 0o700), ("srv", 0o755), ("mnt", 0o755)];
/// Device nodes that programs of a login need.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
/// The name of the host inside; `hosts = ["web*"]` matches it.
const HOSTNAME: &str = "web1.example.com";

/// Builds them all. The calling process must be alone in its mount and process namespaces.
pub(super) fn build(artifacts: Option<&Artifacts>) -> Outcome {
    mount_at("/", MsFlags::MS_REC | MsFlags::MS_PRIVATE).doing("make the mounts private")?;
    let products = artifacts.map_or_else(|| Ok(Vec::new()), open_products)?;
    let ansible = artifacts.and_then(|built| ansible::below(built.folder())).map(File::open).transpose()?;
    file_system("proc", "/proc", "")?;
    file_system("tmpfs", "/run", "mode=755")?;
    for name in COPIED {
        overlay(name)?;
    }
    for (name, mode) in EMPTY {
        if Path::new("/").join(name).is_dir() {
            file_system("tmpfs", &format!("/{name}"), &format!("mode={mode:o}"))?;
        }
    }
    devices()?;
    show_products(&products)?;
    ansible.map_or(Ok(()), |folder| show_folder(&folder, ansible::FOLDER))?;
    for (folder, mode) in
        [("/run/sshd", 0o755), ("/run/lock", 0o1777), ("/run/sudo", 0o711), ("/run/world", 0o755)]
    {
        make_folder(folder, mode)?;
    }
    // A path that nobody thought of fails loudly in place of changing the machine.
    mount_at("/", MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY)
        .doing("make the rest read-only")?;
    sethostname(HOSTNAME)?;
    Program::new("ip").args(&["link", "set", "lo", "up"]).run()?.expect_ok().map(drop)
}

/// Opened before anything is hidden: the target folder may lie below /tmp or /root.
fn open_products(artifacts: &Artifacts) -> Outcome<Vec<(PathBuf, File)>> {
    let inside = Artifacts::in_folder(ARTIFACTS);
    let pairs = [
        (artifacts.nss_module(), inside.nss_module()),
        (artifacts.pam_module(), inside.pam_module()),
        (artifacts.daemon(), inside.daemon()),
        (artifacts.command(), inside.command()),
        (artifacts.shell(), inside.shell()),
    ];
    let open = |(from, to): (PathBuf, PathBuf)| {
        File::open(&from).doing(format!("open {}", from.display())).map(|file| (to, file))
    };
    pairs.into_iter().map(open).collect()
}

fn show_products(products: &[(PathBuf, File)]) -> Outcome {
    for (path, file) in products {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        File::create(path)?;
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        bind(&source, path)?;
    }
    Ok(())
}

/// Shows an opened folder, which nothing inside can change.
fn show_folder(folder: &File, at: &str) -> Outcome {
    fs::create_dir_all(at)?;
    bind(&format!("/proc/self/fd/{}", folder.as_raw_fd()), Path::new(at))?;
    mount_at(at, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY).doing(format!("protect {at}"))
}

fn overlay(name: &str) -> Outcome {
    let (upper, work) = (format!("/run/world/upper/{name}"), format!("/run/world/work/{name}"));
    make_folder(&upper, 0o755)?;
    make_folder(&work, 0o755)?;
    let options = format!("lowerdir=/{name},upperdir={upper},workdir={work}");
    file_system("overlay", &format!("/{name}"), &options)
}

/// A /dev of its own: the log socket and the terminals of the machine stay out of reach.
fn devices() -> Outcome {
    const NEW: &str = "/run/world/dev";
    make_folder(NEW, 0o755)?;
    file_system("tmpfs", NEW, "mode=755")?;
    for name in DEVICES {
        let node = format!("{NEW}/{name}");
        File::create(&node)?;
        bind(&format!("/dev/{name}"), Path::new(&node))?;
    }
    make_folder(&format!("{NEW}/pts"), 0o755)?;
    file_system("devpts", &format!("{NEW}/pts"), "newinstance,ptmxmode=666,mode=620,gid=5")?;
    make_folder(&format!("{NEW}/shm"), 0o1777)?;
    for (link, to) in [("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1")] {
        symlink(to, format!("{NEW}/{link}"))?;
    }
    mount(Some(NEW), "/dev", None::<&str>, MsFlags::MS_MOVE, None::<&str>).doing("move the new /dev")
}

fn file_system(kind: &str, at: &str, options: &str) -> Outcome {
    let options = (!options.is_empty()).then_some(options);
    mount(Some(kind), at, Some(kind), MsFlags::empty(), options).doing(format!("mount {kind} on {at}"))
}

fn bind(from: &str, to: &Path) -> Outcome {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .doing(format!("bind {from} to {}", to.display()))
}

fn mount_at(at: &str, flags: MsFlags) -> nix::Result<()> {
    mount(None::<&str>, at, None::<&str>, flags, None::<&str>)
}

/// The mode is set apart, because the umask of the caller takes from what mkdir is given.
fn make_folder(path: &str, mode: u32) -> Outcome {
    fs::create_dir_all(path).doing(format!("make {path}"))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).doing(format!("set the mode of {path}"))
}
