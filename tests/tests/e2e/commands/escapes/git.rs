//! git: programs of the other side, configuration that runs programs, and repositories outside.

use std::os::unix::fs::symlink;

use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use super::super::clients::Client;
use super::super::transfers::repository;
use super::super::{asked_once, own};
use super::{Attempt, ByClient, HOMES, Range, fill, refused};

const RULE: &str = r#"commands = [{ kind = "git", access = "write", paths = ["/srv/git"] }]"#;

/// Words of git, run in a working tree; `URL` is the repository on the host, `URL:` in front of a path another one there.
const CLIENT: &[&[&str]] = &[
    &["ls-remote", "--upload-pack=touch MARK; git-upload-pack", "URL"],
    &["ls-remote", "--upload-pack=/srv/evil.sh MARK", "URL"],
    &["ls-remote", "--exec=/srv/trap", "URL"],
    &["clone", "-u", "sh -c 'touch MARK' x", "URL", "/tmp/copied"],
    &["push", "--receive-pack=touch MARK; git-receive-pack", "URL", "main:other"],
    &["push", "--exec=/srv/evil.sh MARK;", "URL", "main:other"],
    &["archive", "--remote=URL", "--exec=/srv/evil.sh MARK;", "main"],
    &["clone", "-q", "URL:/srv/other.git", "MARK"],
    &["clone", "-q", "URL:/srv/git/../other.git", "MARK"],
    &["clone", "-q", "URL:/srv/git/link.git", "MARK"],
];

/// Lines that no client sends.
const LINES: &[Attempt] = &[
    refused("git -c alias.x='!touch MARK' x"),
    refused("git -c core.sshCommand='touch MARK;' ls-remote x:y"),
    refused("git ls-remote --upload-pack='touch MARK;' /srv/git/app.git"),
    refused("git -c protocol.ext.allow=always ls-remote 'ext::/srv/evil.sh MARK'"),
    refused("git --exec-path=HOME evil"),
    refused("git clone -q /srv/other.git MARK"),
    refused("git archive --remote=/srv/other.git --output=MARK main"),
    refused("git-upload-pack '/srv/git/app.git'; touch MARK"),
    refused("git-upload-pack /srv/git/app.git$(touch MARK)"),
    refused("git-upload-pack --help").unproven(),
    refused("git upload-pack --help").unproven(),
    refused("git-upload-pack '-x'").unproven(),
    refused("git-upload-pack --exec=/srv/trap '/srv/git/app.git'").unproven(),
    refused("git-upload-pack '/srv/git/app.git' '/srv/other.git'").unproven(),
    refused("git-upload-pack '/srv/gitolite'").unproven(),
    refused("git-receive-pack '/srv/git/../other.git'").unproven(),
    refused("git -c core.hooksPath=HOME receive-pack '/srv/git/app.git'").unproven(),
    refused("git-http-backend").unproven(),
];

pub(super) fn git_does_what_the_rule_says_and_nothing_else(world: &mut World) -> Outcome {
    let range = Range::open(world, RULE)?;
    repositories(world, &range)?;
    let rows: Vec<ByClient> = CLIENT.iter().map(|words| row(words)).collect();
    range.try_clients(&rows, || {
        let _ = std::fs::remove_dir_all("/tmp/copied");
        Ok(())
    })?;
    range.try_all(LINES)?;
    by_configuration(world, &range)
}

/// A repository with a commit, one outside of the folder of the rule, and a link to that. Both users may change them.
fn repositories(world: &World, range: &Range<'_>) -> Outcome {
    // As an administrator has it whose repositories belong to several accounts.
    world.write("/etc/gitconfig", 0o644, "[safe]\n\tdirectory = *\n")?;
    for (_, home) in HOMES {
        world.write(format!("{home}/git-evil"), 0o755, "#!/bin/sh\ntouch /tmp/marks/mark\n")?;
    }
    let bob = Client::of("bob", &range.host)?;
    world.write("/tmp/client/file", 0o644, "file\n")?;
    for words in [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-q", "-m", "1"]] {
        bob.git("/tmp/client", words).run()?.expect_ok()?;
    }
    for path in ["/srv/git/app.git", "/srv/other.git"] {
        repository(path)?;
        bob.git("/tmp/client", &["push", "-q", path, "main"]).run()?.expect_ok()?;
        Program::new("chmod").args(&["-R", "a+rwX", path]).run()?.expect_ok()?;
    }
    symlink("/srv/other.git", "/srv/git/link.git")?;
    bob.git("/tmp/client", &["push", "-q", "deployer@127.0.0.1:/srv/git/app.git", "main:by-shell"])
        .run()?
        .expect_ok()
        .map(drop)
}

fn row(words: &'static [&'static str]) -> ByClient {
    ByClient::new(words.join(" "), |client, user| {
        let url = format!("{user}@127.0.0.1:/srv/git/app.git");
        let word = |word: &&str| {
            let other = word.replace("URL:", &format!("{user}@127.0.0.1:")).replace("URL", &url);
            fill(&other, &format!("/home/{user}"))
        };
        let words: Vec<String> = words.iter().map(word).collect();
        client.git("/tmp/client", &words.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

/// What git on the host would run because its configuration says so: by variables of the client, and by the file in the home.
/// The marker lies where the rule lets git write.
fn by_configuration(world: &World, range: &Range<'_>) -> Outcome {
    const HOOK: &str = "touch /srv/git/mark; exec";
    let variables = [
        "-oSetEnv=GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=uploadpack.packObjectsHook GIT_CONFIG_VALUE_0=\"touch /srv/git/mark; exec\"",
        "-oSetEnv=GIT_CONFIG_PARAMETERS=\"'uploadpack.packObjectsHook'='touch /srv/git/mark; exec'\"",
        "-oSetEnv=GIT_CONFIG_GLOBAL=/srv/evil-gitconfig",
        "",
    ];
    let config = format!("[uploadpack]\n\tpackObjectsHook = \"{HOOK}\"\n");
    world.write("/srv/evil-gitconfig", 0o644, &config)?;
    Program::new("chmod").args(&["777", "/srv/git"]).run()?.expect_ok()?;
    for option in variables {
        if option.is_empty() {
            for (_, home) in HOMES {
                world.write(format!("{home}/.gitconfig"), 0o644, &config)?;
            }
            own("/home/deployer/.gitconfig")?;
        }
        let clone = |user: &str| -> Outcome<bool> {
            let _ = std::fs::remove_dir_all("/tmp/copied");
            let mut client = Client::of("bob", &range.host)?;
            client.options.extend((!option.is_empty()).then(|| option.replace(' ', "\u{1}")));
            let url = format!("{user}@127.0.0.1:/srv/git/app.git");
            clone_with(&client, &url)?.expect_ok()?;
            Ok(std::fs::remove_file("/srv/git/mark").is_ok())
        };
        require(clone("local")?, || format!("{option:?}: the trap does not work"))?;
        let mark = world.log().mark();
        require(!clone("deployer")?, || format!("{option:?}: IT RAN"))?;
        asked_once(world, mark)?;
    }
    Ok(())
}

/// The words of ssh go through a shell here, which must not split an option.
fn clone_with(client: &Client<'_>, url: &str) -> Outcome<svcauth_tests::program::Ended> {
    let quoted: Vec<String> = client
        .ssh_line()
        .split(' ')
        .map(|word| format!("'{}'", word.replace('\u{1}', " ").replace('\'', "'\\''")))
        .collect();
    let git = client.git("/tmp/client", &["clone", "-q", url, "/tmp/copied"]);
    git.env("GIT_SSH_COMMAND", quoted.join(" ")).run()
}
