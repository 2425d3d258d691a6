//! Damaged snapshots, as glibc and libpam meet them: no crash, no wrong answer, no hang, nobody locked out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::{User, mkfifo};
use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Ended, Program};
use svcauth_tests::site::SVCAUTH_ID;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent, no_passwords, sudo};

cases!("damage":
    accounts_cut_at_every_length_never_give_a_wrong_answer,
    accounts_with_any_byte_flipped_never_give_a_wrong_answer,
    an_access_snapshot_cut_or_flipped_never_lets_carol_in,
    a_missing_or_empty_snapshot_denies_managed_accounts_only,
    a_snapshot_of_the_wrong_owner_or_mode_is_not_believed,
    a_fifo_or_a_link_in_its_place_neither_hangs_nor_counts,
    a_thousand_replacements_under_threads_and_forks_give_whole_answers,
);

const ACCOUNTS: &str = "/var/lib/svcauth/accounts.snap";
const ACCESS: &str = "/var/lib/svcauth/access.snap";

/// A host whose daemon is gone, so that nobody repairs what the test breaks.
fn frozen(world: &World) -> Outcome<Host> {
    let host = Plan::new(world)?.start(world)?;
    no_passwords(world)?;
    host.daemon.freeze()?;
    Ok(host)
}

/// Puts bytes in the place of a file as the daemon would: same owner, same mode, by rename.
fn replace(path: &str, bytes: &[u8]) -> Outcome {
    let fresh = format!("{path}.test");
    let (group, mode) = if path == ACCESS { (SVCAUTH_ID, 0o640) } else { (0, 0o644) };
    fs::write(&fresh, bytes)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
    chown(&fresh, Some(0), Some(group))?;
    fs::rename(fresh, path).doing(format!("replace {path}"))
}

/// `getent` for an account, a local user and root at once, with a time limit: the two local ones always answer.
fn ask() -> Outcome<Ended> {
    let ended = Program::new("getent").args(&["passwd", "deployer", "local", "root"]);
    let ended = ended.patience(Duration::from_secs(60)).run()?;
    require(ended.code == 0 || ended.code == 2, || ended.report())?;
    require_contains("local users", &ended.stdout, "local:x:1010:")?;
    require_contains("local users", &ended.stdout, "root:x:0:0:")?;
    Ok(ended)
}

/// Either the whole right entry, or none.
fn ask_and_compare(right: &str) -> Outcome<bool> {
    let ended = ask()?;
    let found = ended.stdout.lines().find(|line| line.contains("deployer") || line.contains("7001"));
    require(found.is_none_or(|line| line == right), || format!("a wrong answer\n{}", ended.report()))?;
    Ok(found.is_some())
}

fn right_entry() -> Outcome<String> {
    let entry = getent("passwd", "deployer")?.expect_ok()?.text().to_owned();
    require_contains("the entry", &entry, "deployer:*:7001:7000:")?;
    Ok(entry)
}

fn accounts_cut_at_every_length_never_give_a_wrong_answer(world: &mut World) -> Outcome {
    let _host = frozen(world)?;
    let (whole, right) = (fs::read(ACCOUNTS)?, right_entry()?);
    for length in 0..whole.len() {
        replace(ACCOUNTS, whole.get(..length).unwrap_or_default())?;
        let found = ask_and_compare(&right).doing(format!("cut to {length} of {} bytes", whole.len()))?;
        require(!found, || format!("a file cut to {length} of {} bytes was believed", whole.len()))?;
    }
    replace(ACCOUNTS, &whole)?;
    require(ask_and_compare(&right)?, || "the whole file does not answer".to_owned())
}

fn accounts_with_any_byte_flipped_never_give_a_wrong_answer(world: &mut World) -> Outcome {
    let _host = frozen(world)?;
    let (whole, right) = (fs::read(ACCOUNTS)?, right_entry()?);
    let mut refused = 0;
    for (at, mask) in (0..whole.len()).flat_map(|at| [(at, 0x01), (at, 0xff)]) {
        let mut bytes = whole.clone();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= mask;
        }
        replace(ACCOUNTS, &bytes)?;
        let found = ask_and_compare(&right).doing(format!("byte {at} xor {mask:#x}"))?;
        refused += usize::from(!found);
    }
    require(refused > 0, || "no flip was noticed: the test does not reach the file".to_owned())?;
    replace(ACCOUNTS, &whole)?;
    require(ask_and_compare(&right)?, || "the whole file does not answer".to_owned())
}

fn an_access_snapshot_cut_or_flipped_never_lets_carol_in(world: &mut World) -> Outcome {
    let _host = frozen(world)?;
    let whole = fs::read(ACCESS)?;
    sudo(world, "bob", "deployer", &["true"])?.expect_ok()?;
    sudo(world, "carol", "deployer", &["true"])?.expect_refused()?;
    // Every length and every byte are tried on the reader itself; through sudo each try takes a while.
    let step = (whole.len() / 60).max(1);
    for at in (0..whole.len()).step_by(step) {
        let mut flipped = whole.clone();
        if let Some(byte) = flipped.get_mut(at) {
            *byte ^= 0x41;
        }
        for (what, bytes) in [("cut", whole.get(..at).unwrap_or_default()), ("flipped", &flipped)] {
            replace(ACCESS, bytes)?;
            sudo(world, "carol", "deployer", &["true"])?.expect_refused().doing(format!("{what} at {at}"))?;
            if what == "cut" {
                sudo(world, "bob", "deployer", &["true"])?
                    .expect_refused()
                    .doing(format!("{what} at {at}"))?;
            }
        }
        sudo(world, "carol", "local", &["true"])?.expect_ok().doing(format!("a local target, at {at}"))?;
    }
    replace(ACCESS, &whole)?;
    sudo(world, "bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn a_missing_or_empty_snapshot_denies_managed_accounts_only(world: &mut World) -> Outcome {
    let host = frozen(world)?;
    let whole = fs::read(ACCESS)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    for (make, reason) in [("missing", "snapshot_missing"), ("empty", "snapshot_invalid")] {
        if make == "missing" {
            fs::remove_file(ACCESS)?
        } else {
            replace(ACCESS, b"")?
        }
        let mark = world.log().mark();
        host.ssh("bob", "deployer", &["true"])?.expect_refused()?;
        sudo(world, "bob", "deployer", &["true"])?.expect_refused()?;
        world.log().wait_for(mark, "deny", &[("account", "deployer"), ("reason", reason)])?;
        host.ssh("bob", "root", &["true"])?.expect_ok()?;
        host.ssh("bob", "local", &["true"])?.expect_ok()?;
        replace(ACCESS, &whole)?;
        host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    }
    // Without accounts.snap the name does not resolve, and nothing else is disturbed.
    let (accounts, right) = (fs::read(ACCOUNTS)?, right_entry()?);
    fs::remove_file(ACCOUNTS)?;
    require(!ask_and_compare(&right)?, || "an answer out of nothing".to_owned())?;
    host.ssh("bob", "local", &["true"])?.expect_ok()?;
    replace(ACCOUNTS, &accounts)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn a_snapshot_of_the_wrong_owner_or_mode_is_not_believed(world: &mut World) -> Outcome {
    let host = frozen(world)?;
    let (access, accounts, right) = (fs::read(ACCESS)?, fs::read(ACCOUNTS)?, right_entry()?);
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    for (owner, mode) in [(7001, 0o640), (1010, 0o644), (0, 0o666), (0, 0o660)] {
        let spoil = |path: &str| -> Outcome {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            Ok(chown(path, Some(owner), None)?)
        };
        replace(ACCESS, &access)?;
        spoil(ACCESS)?;
        sudo(world, "bob", "deployer", &["true"])?
            .expect_refused()
            .doing(format!("owner {owner} mode {mode:o}"))?;
        replace(ACCESS, &access)?;
        replace(ACCOUNTS, &accounts)?;
        spoil(ACCOUNTS)?;
        require(!ask_and_compare(&right)?, || {
            format!("accounts of owner {owner} mode {mode:o} were believed")
        })?;
        replace(ACCOUNTS, &accounts)?;
    }
    host.ssh("bob", "local", &["true"])?.expect_ok()?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn a_fifo_or_a_link_in_its_place_neither_hangs_nor_counts(world: &mut World) -> Outcome {
    let host = frozen(world)?;
    let right = right_entry()?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    for path in [ACCESS, ACCOUNTS] {
        let whole = fs::read(path)?;
        for what in ["fifo", "link", "folder", "device"] {
            fs::remove_file(path)?;
            match what {
                "fifo" => mkfifo(path, Mode::from_bits_truncate(0o644))?,
                "link" => {
                    // The right bytes, the right owner; only the way there is wrong.
                    replace("/srv/copy", &whole)?;
                    symlink("/srv/copy", path)?;
                }
                "folder" => fs::create_dir(path)?,
                _ => symlink("/dev/zero", path)?,
            }
            let began = Instant::now();
            let answered = ask_and_compare(&right)?;
            sudo(world, "bob", "deployer", &["true"])?.expect_refused().doing(format!("{what} at {path}"))?;
            require(path == ACCESS || !answered, || format!("{what} at {path} was believed"))?;
            host.ssh("bob", "local", &["true"])?.expect_ok()?;
            require(began.elapsed() < Duration::from_secs(60), || {
                format!("{what} at {path}: {:?}", began.elapsed())
            })?;
            if what == "folder" {
                fs::remove_dir(path)?
            } else {
                fs::remove_file(path)?
            }
            replace(path, &whole)?;
        }
        host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    }
    Ok(())
}

fn a_thousand_replacements_under_threads_and_forks_give_whole_answers(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    let generations = two_generations(world, host)?;
    let (stop, asked, wrong) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| -> Outcome {
        let (stop, asked, wrong) = (&stop, &asked, &wrong);
        for reader in 0..32 {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let right =
                        if reader % 8 == 0 { forked_answer_is_right() } else { threaded_answer_is_right() };
                    asked.fetch_add(1, Ordering::Relaxed);
                    wrong.fetch_add(usize::from(!right), Ordering::Relaxed);
                }
            });
        }
        let result = (0..1000).try_for_each(|at| {
            std::thread::sleep(Duration::from_millis(2));
            generations.get(at % 2).map_or(Ok(()), |bytes| replace(ACCOUNTS, bytes))
        });
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    let (asked, wrong) = (asked.into_inner(), wrong.into_inner());
    require(asked > 1000, || format!("only {asked} questions were asked"))?;
    require_eq(&format!("wrong answers out of {asked}"), &wrong, &0)
}

/// The bytes of two generations: deployer has one shell in the first and another in the second.
fn two_generations(world: &World, mut host: Host) -> Outcome<[Vec<u8>; 2]> {
    let first = fs::read(ACCOUNTS)?;
    let dn = svcauth_tests::directory::account_dn("deployer");
    host.site.directory.remove_value(&dn, "loginShell", "/bin/bash")?;
    host.site.directory.add_value(&dn, "loginShell", "/bin/sh")?;
    host.publish(world)?;
    let second = fs::read(ACCOUNTS)?;
    require(first != second, || "the two generations are the same".to_owned())?;
    host.daemon.kill()?;
    Ok([first, second])
}

/// Asks glibc in this process. A file is replaced all the time, and yet there is always a whole one.
fn threaded_answer_is_right() -> bool {
    let user = User::from_name("deployer").ok().flatten();
    user.is_some_and(|user| user.uid.as_raw() == 7001 && is_shell(&user.shell.to_string_lossy()))
}

fn forked_answer_is_right() -> bool {
    let ended = Command::new("getent").args(["passwd", "7001"]).stdin(Stdio::null()).output();
    let line = ended.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    line.starts_with("deployer:*:7001:7000:") && line.trim_end().rsplit(':').next().is_some_and(is_shell)
}

fn is_shell(shell: &str) -> bool {
    matches!(shell, "/bin/bash" | "/bin/sh")
}
