//! A program that is confined to the files of its rule.

use std::fs;
use std::os::unix::fs::{chown, symlink};

use svcauth_core::command::Access;
use svcauth_core::command::protocol::Told;
use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::program::Ended;
use svcauth_tests::world::World;

use crate::peer::{HOME, Peer, UID, confined, program, shell};

crate::sharing!("confined":
    a_program_reads_below_its_paths_and_nowhere_else,
    hooks_of_git_read_the_settings_of_the_host,
    what_was_pushed_into_a_working_tree_is_served_as_no_repository,
    a_program_writes_below_its_paths_and_nowhere_else,
    links_and_proc_lead_nowhere,
    nothing_that_was_transferred_runs,
    a_path_that_is_not_there_or_not_to_be_trusted_is_refused,
    without_files_nothing_is_confined,
);

/// Two folders of the account: one is for the rule, with links in it, one is not.
fn folders(world: &World) -> Outcome {
    world.home("deployer", UID, UID)?;
    for old in ["/srv/in", "/srv/out"] {
        let _ = fs::remove_dir_all(old);
    }
    for folder in ["/srv/in", "/srv/in/deep", "/srv/out"] {
        fs::create_dir_all(folder)?;
        chown(folder, Some(UID), Some(UID))?;
    }
    fs::copy("/bin/true", "/srv/in/tool")?;
    for file in ["/srv/in/file", "/srv/out/file", "/home/deployer/.bashrc"] {
        fs::write(file, "secret\n")?;
        chown(file, Some(UID), Some(UID))?;
    }
    world.write("/etc/settings", 0o644, "for everybody\n")?;
    for (link, target) in [
        ("/srv/in/out", "/srv/out"),
        ("/srv/in/deep/up", "../../out/file"),
        ("/srv/in/root", "/proc/self/root"),
    ] {
        symlink(target, link)?;
    }
    Ok(())
}

/// Runs a script in a shell that is confined to /srv/in.
fn run(world: &World, access: Access, script: &str) -> Outcome<Ended> {
    let _peer = Peer::saying(confined("/bin/sh", &["-c", script], access, &["/srv/in"]))?;
    shell(world, &["-c", "x"]).dir(HOME).run()
}

/// The positive without the confinement, and the negative with it.
fn only_without(world: &World, access: Access, script: &str) -> Outcome {
    folders(world)?;
    {
        let _peer = Peer::saying(program("/bin/sh", &[b"-c", script.as_bytes()]))?;
        shell(world, &["-c", "x"]).dir(HOME).run()?.expect_ok()?;
    }
    folders(world)?;
    let ended = run(world, access, script)?.expect_refused()?;
    require(ended.stderr.contains("ermission denied") || ended.stderr.contains("cross-device"), || {
        ended.report()
    })
}

fn a_program_reads_below_its_paths_and_nowhere_else(world: &mut World) -> Outcome {
    folders(world)?;
    for access in [Access::Read, Access::Write] {
        for script in [
            "cat /srv/in/file",
            "ls /srv/in/deep",
            "cat /etc/passwd",
            "cd /srv/in && cat file",
            "cat </dev/null",
        ] {
            run(world, access, script)?.expect_ok()?;
        }
        for script in [
            "cat /srv/out/file",
            "cat /etc/settings",
            "ls /etc",
            "ls /srv",
            "ls /srv/out",
            "cat .bashrc",
            "cat /srv/in/../out/file",
            "ls /",
            "ls /tmp",
        ] {
            only_without(world, access, script)?;
        }
    }
    Ok(())
}

fn hooks_of_git_read_the_settings_of_the_host(world: &mut World) -> Outcome {
    folders(world)?;
    fs::copy("/bin/sh", "/srv/git-hook")?;
    let words = &["-c", "cat /etc/settings && ls /etc >/dev/null && ! cat /srv/out/file"];
    let _peer = Peer::saying(confined("/srv/git-hook", words, Access::Read, &["/srv/in"]))?;
    shell(world, &["-c", "x"]).dir(HOME).run()?.expect_ok().map(drop)
}

/// A folder with hooks of its own is in a push like any other.
fn what_was_pushed_into_a_working_tree_is_served_as_no_repository(world: &mut World) -> Outcome {
    folders(world)?;
    let make = |words: &[&str]| {
        let words = [&["git", "-c", "init.defaultBranch=main", "init", "-q"], words].concat();
        world.as_account("deployer", UID, UID, &words).dir(HOME).run()?.expect_ok().map(drop)
    };
    make(&["/srv/in/site"])?;
    for bare in ["/srv/in/site/pushed.git", "/srv/in/bare.git", "/srv/in/site/.git/hidden.git"] {
        make(&["--bare", bare])?;
    }
    make(&["--bare", "in.git"])?;
    symlink("pushed.git", "/srv/in/site/link.git")?;
    let serve = |path: &str, paths: &[&str]| {
        let _peer = Peer::saying(confined("/usr/bin/git", &["receive-pack", path], Access::Write, paths))?;
        shell(world, &["-c", "x"]).dir(HOME).run()
    };
    let paths = &["/srv/in", HOME];
    for good in
        ["/srv/in/site", "/srv/in/site/", "/srv/in/site/.git", "/srv/in/bare.git", "in.git", "~/in.git"]
    {
        let ended = serve(good, paths)?;
        require(ended.stdout.contains("capabilities^{}"), || format!("{good}: {}", ended.report()))?;
    }
    let inside = [
        "/srv/in/site/pushed.git",
        "/srv/in/site/pushed",
        "/srv/in/./site//link.git",
        "../../srv/in/site/pushed.git",
    ];
    for path in inside.iter().chain(&[
        "/srv/in/site/.git/hidden.git",
        "~/../../srv/in/site/pushed.git",
        "~deployer/in.git",
    ]) {
        let ended = serve(path, paths)?.expect_code(126)?;
        require(ended.stderr.lines().count() == 1 && ended.stdout.is_empty(), || ended.report())?;
    }
    // A folder above the paths of the rule is nobody's who pushes.
    let ended = serve("/srv/in/site/pushed.git", &["/srv/in/site/pushed.git"])?;
    require(ended.stdout.contains("capabilities^{}"), || ended.report())
}

fn a_program_writes_below_its_paths_and_nowhere_else(world: &mut World) -> Outcome {
    folders(world)?;
    let good = "cd /srv/in && echo a >new && mv new deep/renamed && mkdir d && rmdir d && ln -s x l && mkfifo f && : >file && \
                rm l f deep/renamed && truncate -s 5 file && ln file deep/hard && rm deep/hard";
    run(world, Access::Write, good)?.expect_ok()?;
    for script in [
        "echo x >>/srv/out/file",
        "echo x >/srv/out/new",
        "rm /srv/out/file",
        "mkdir /srv/out/d",
        "mv /srv/in/file /srv/out/moved",
        "mv /srv/out/file /srv/in/moved",
        "ln /srv/out/file /srv/in/hard",
        "truncate -s 0 /srv/out/file",
        "ln -s /etc /srv/out/l",
        "echo x >.bashrc",
        "echo x >/tmp/x",
    ] {
        only_without(world, Access::Write, script)?;
    }
    for script in [
        "echo x >>/srv/in/file",
        "echo x >/srv/in/new",
        "rm /srv/in/file",
        "mkdir /srv/in/d",
        "truncate -s 0 /srv/in/file",
        "mv /srv/in/file /srv/in/moved",
        "ln -s x /srv/in/l",
        "mkfifo /srv/in/f",
    ] {
        only_without(world, Access::Read, script)?;
    }
    Ok(())
}

fn links_and_proc_lead_nowhere(world: &mut World) -> Outcome {
    for script in [
        "cat /srv/in/out/file",
        "cat /srv/in/deep/up",
        "cat /proc/self/root/srv/out/file",
        "cat /srv/in/root/srv/out/file",
        "cat /proc/self/cwd/.bashrc",
        "head -c 1 /proc/self/environ",
        "exec 3</proc/self/mem",
        "ls /proc/self/fd",
        "cat /proc/self/maps",
    ] {
        only_without(world, Access::Write, script)?;
    }
    Ok(())
}

fn nothing_that_was_transferred_runs(world: &mut World) -> Outcome {
    only_without(world, Access::Write, "/srv/in/tool")?;
    // Nor does a program gain rights: su has the bit of its owner, and it is of no use.
    let script = "grep NoNewPrivs /proc/self/status";
    let _peer = Peer::saying(confined("/bin/sh", &["-c", script], Access::Read, &["/proc"]))?;
    let ended = shell(world, &["-c", "x"]).run()?.expect_ok()?;
    require(ended.text() == "NoNewPrivs:\t1", || ended.report())
}

fn a_path_that_is_not_there_or_not_to_be_trusted_is_refused(world: &mut World) -> Outcome {
    folders(world)?;
    let _ = fs::remove_file("/srv/by_account");
    symlink("/", "/srv/by_account")?;
    std::os::unix::fs::lchown("/srv/by_account", Some(UID), Some(UID))?;
    symlink("/srv/in", "/srv/by_root")?;
    let ask = |path: &str| -> Outcome<(Ended, Option<Told>)> {
        let peer = Peer::saying(confined("/bin/cat", &["/srv/in/file"], Access::Read, &["/srv/in", path]))?;
        let ended = shell(world, &["-c", "x"]).run()?;
        Ok((ended, peer.end().ok()))
    };
    for good in ["/srv/in/deep", "/srv/by_root", "/srv/in/file"] {
        ask(good)?.0.expect_ok()?;
    }
    for (bad, why) in [
        ("/srv/nothing", "does not exist"),
        ("/srv/by_account", "somebody but root"),
        ("/srv/by_account/srv", "link by_account"),
    ] {
        let (ended, told) = ask(bad)?;
        let one_line = ended.stderr.lines().count() == 1 && ended.stdout.is_empty();
        require(
            ended.code == 126 && one_line && ended.stderr.contains(bad) && ended.stderr.contains(why),
            || ended.report(),
        )?;
        require(told == Some(Told::NotStarted(13)), || format!("{told:?}"))?;
    }
    Ok(())
}

fn without_files_nothing_is_confined(world: &mut World) -> Outcome {
    folders(world)?;
    let _peer =
        Peer::saying(program("/bin/sh", &[b"-c", b"cat /srv/out/file; grep NoNewPrivs /proc/self/status"]))?;
    let ended = shell(world, &["-c", "x"]).run()?.expect_ok()?;
    require(ended.text() == "secret\nNoNewPrivs:\t0", || ended.report())
}
