//! A host that svcauth decides on and something of which is broken: root and local users get in by every way, and nobody becomes
//! deployer whom svcauth would refuse.

use std::fs;

use svcauth_tests::failure::{Context, Failure, Outcome, require, require_eq};
use svcauth_tests::machine::{Debian, Machine};
use svcauth_tests::machine_cases;

use crate::ways::{require_deployer_is_guarded, require_locals_get_in, ssh, ways_into_deployer};

machine_cases!("broken":
    without_the_pam_module_locals_get_in_and_no_account_does,
    without_the_nss_module_locals_get_in_and_no_account_does,
    a_daemon_that_is_gone_with_its_data_locks_out_accounts_alone,
    everything_broken_at_once_locks_out_accounts_alone_and_is_repaired_in_three_steps,
    without_the_profile_every_way_into_an_account_is_open,
);

/// What somebody may put in the place of a module.
pub(crate) const GARBAGE: &[&str] =
    &["nothing", "text", "a truncated module", "a module of another architecture"];

/// Puts garbage in the place of a module, by rename as every installer does.
pub(crate) fn put_garbage(machine: &Machine, path: &str, kind: &str) -> Outcome {
    let module = fs::read(machine.path(path)).doing("read the module")?;
    let garbage = match kind {
        "nothing" => return machine.tell(&format!("rm {path}")).map(drop),
        "text" => b"not a module at all\n".to_vec(),
        "a truncated module" => module.get(..module.len() / 2).unwrap_or_default().to_vec(),
        _ => of_another_architecture(module)?,
    };
    machine.write(path, 0o644, garbage)
}

/// The machine is the half word at 18 of the head of an ELF file (elf(5)): 183 is AArch64, 62 is x86-64.
fn of_another_architecture(mut module: Vec<u8>) -> Outcome<Vec<u8>> {
    let place = module.get_mut(18..20).ok_or_else(|| Failure::new("the module has no head"))?;
    let other: u16 = if place == 62_u16.to_le_bytes() { 183 } else { 62 };
    place.copy_from_slice(&other.to_le_bytes());
    Ok(module)
}

pub(crate) fn module(machine: &Machine, name: &str) -> Outcome<String> {
    machine.tell(&format!("ls /usr/lib/*/{name}"))
}

/// As it should be: bob in, everybody else out, locals in.
fn require_whole(machine: &Machine) -> Outcome {
    require_eq("bob", &ssh(machine, "bob", "deployer")?.1, &true)?;
    require_deployer_is_guarded(machine)?;
    require_locals_get_in(machine)
}

/// Locals by every way, and deployer by none, bob's included.
fn require_only_locals(machine: &Machine) -> Outcome {
    require_locals_get_in(machine)?;
    require_eq("bob", &ssh(machine, "bob", "deployer")?.1, &false)?;
    require_deployer_is_guarded(machine)
}

fn break_and_repair(debian: &Debian, name: &str) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        require_whole(machine).doing("before")?;
        let path = module(machine, name)?;
        machine.tell(&format!("cp -a {path} /root/kept"))?;
        for kind in GARBAGE {
            put_garbage(machine, &path, kind)?;
            require_only_locals(machine).doing(format!("{kind} in the place of {name}"))?;
            machine.tell(&format!("cp -a /root/kept {path}.new; mv {path}.new {path}"))?;
            require_eq("bob", &ssh(machine, "bob", "deployer")?.1, &true)
                .doing(format!("{kind} is gone again"))?;
        }
        require_whole(machine).doing("restored")
    })
}

fn without_the_pam_module_locals_get_in_and_no_account_does(debian: &Debian) -> Outcome {
    break_and_repair(debian, "security/pam_svcauth.so")
}

fn without_the_nss_module_locals_get_in_and_no_account_does(debian: &Debian) -> Outcome {
    break_and_repair(debian, "libnss_svcauth.so.2")
}

fn a_daemon_that_is_gone_with_its_data_locks_out_accounts_alone(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        machine.tell("systemctl mask --now svcauthd")?;
        require_whole(machine).doing("the daemon is stopped")?;
        machine.tell("rm -rf /run/svcauth")?;
        require_locals_get_in(machine).doing("/run/svcauth is gone")?;
        require_deployer_is_guarded(machine).doing("/run/svcauth is gone")?;
        machine.tell("cp -a /var/lib/svcauth /root/state")?;
        for (what, script) in [
            (
                "garbage for a snapshot",
                "for f in accounts access; do echo garbage >/var/lib/svcauth/$f.snap; done",
            ),
            ("no snapshot", "rm /var/lib/svcauth/*.snap"),
            ("no state at all", "rm -rf /var/lib/svcauth"),
        ] {
            machine.tell(script)?;
            require_only_locals(machine).doing(what)?;
        }
        machine.tell("cp -a /root/state /var/lib/svcauth; echo '][' >/etc/svcauth/svcauth.toml")?;
        require_locals_get_in(machine).doing("garbage for a configuration")?;
        require_deployer_is_guarded(machine).doing("garbage for a configuration")
    })
}

/// A /var of its own with no byte left.
const FILL_VAR: &str = "
mkdir /full
mount -t tmpfs -o size=64M tmpfs /full
tar -C /var --exclude=./cache --exclude=./lib/apt --exclude=./lib/dpkg -cf - . | tar -C /full -xf -
mount --bind /full /var
dd if=/dev/zero of=/var/fill bs=4k 2>/dev/null || true
! sh -c 'echo more >/var/more' 2>/dev/null
";
const BREAK_ALL: &str = "
systemctl mask --now svcauthd
rm -rf /run/svcauth
for f in $(find /var/lib/svcauth /etc/svcauth -type f); do echo '][' >$f; done
";
/// What the administrator does: room on the disk, a configuration that is one, and the packages once more.
const REPAIR: &str = "
rm /var/fill; umount -l /var
systemctl unmask svcauthd
";

fn everything_broken_at_once_locks_out_accounts_alone_and_is_repaired_in_three_steps(
    debian: &Debian,
) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        require_whole(machine).doing("before")?;
        machine.tell(BREAK_ALL)?;
        for name in ["security/pam_svcauth.so", "libnss_svcauth.so.2"] {
            put_garbage(machine, &module(machine, name)?, "a truncated module")?;
        }
        machine.tell(FILL_VAR)?;
        require_only_locals(machine).doing("broken")?;
        machine.tell(REPAIR)?;
        machine.apt("install --reinstall /root/packages/*.deb")?;
        machine.configure()?;
        require_whole(machine).doing("repaired")
    })
}

/// What the other cases of this theme call guarded would be open: the ways themselves work.
fn without_the_profile_every_way_into_an_account_is_open(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        machine.tell("pam-auth-update --remove svcauth")?;
        let open = ways_into_deployer(machine, &["deployer"])?;
        require(open.len() == 5, || format!("open are only: {}", open.join("; ")))
    })
}
