//! sftp and scp: paths and links out of their folder, /proc, and options of the programs behind them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::world::World;

use super::super::clients::Client;
use super::rsync::prepare;
use super::{Attempt, ByClient, HOMES, Range, fill, refused};

const RULE: &str = r#"commands = [
    { kind = "sftp", access = "write", paths = ["/srv/data"] },
    { kind = "scp", access = "write", paths = ["/srv/data"] },
    { kind = "rsync", access = "write", paths = ["/srv/data"] },
]"#;

/// What sftp is fed with.
const SFTP: &[&str] = &[
    "get /srv/secret MARK",
    "get /srv/data/../secret MARK",
    "get /srv/data/leak MARK",
    "get /srv/data/out/secret MARK",
    "symlink /srv/secret /srv/data/link\nget /srv/data/link MARK",
    "symlink / /srv/data/root\nget /srv/data/root/srv/secret MARK",
    "put /tmp/client/here MARK",
    "put /tmp/client/here /srv/data/marks/mark",
    "mkdir MARK",
    "symlink /srv/secret MARK",
    "get /proc/self/root/srv/secret MARK",
    "get /proc/self/cwd/evil MARK",
    "get /etc/profile MARK",
];
/// The same where not even a local user gets anything.
const SFTP_UNPROVEN: &[&str] = &[
    "get /proc/self/environ MARK",
    "get /proc/self/mem MARK",
    "put /tmp/client/here /proc/self/mem",
    "put /tmp/client/here /proc/self/oom_score_adj",
    "ln /srv/secret /srv/data/hard\nget /srv/data/hard MARK",
];

/// Words of scp.
const SCP: &[&[&str]] = &[
    &["-O", ":/srv/secret", "MARK"],
    &["-O", ":/srv/data/../secret", "MARK"],
    &["-O", ":/srv/data/leak", "MARK"],
    &["-O", ":/srv/data/out/secret", "MARK"],
    &["-O", "/tmp/client/here", ":MARK"],
    &["-O", "/tmp/client/here", ":/srv/data/marks/mark"],
    &["-O", "/tmp/client/here", ":/srv/data/x; touch MARK"],
    &["-O", "/tmp/client/here", ":/srv/data/$(touch MARK)"],
    &["-O", "/tmp/client/here", ":/srv/data/`touch MARK`"],
    &["-O", "-r", ":/srv/data/out", "/tmp/marks/"],
    &["-s", ":/srv/secret", "MARK"],
    &["-s", "/tmp/client/here", ":MARK"],
    &["-s", ":/srv/data/leak", "MARK"],
];

/// Servers that sftp asks for: a subsystem by its name, or a command.
const SUBSYSTEMS: &[&str] = &["evil", "/usr/bin/touch MARK", "/srv/trap", "/srv/evil.sh MARK"];

const LINES: &[Attempt] = &[
    refused("scp -S /srv/trap /srv/data/there x:y"),
    refused("scp -o ProxyCommand=/srv/trap /srv/data/there x:y"),
    refused("scp -F HOME/ssh_config /srv/data/there x:y"),
    refused("scp -D /srv/trap /srv/data/there x:y"),
    refused("scp -O -S /srv/trap -t /srv/data").unproven(),
    refused("scp /srv/secret MARK"),
    refused("scp -t MARK").unproven(),
    refused("scp -f /srv/data /srv/secret").unproven(),
    refused("scp -t -- -oProxyCommand=/srv/trap").unproven().confined(),
    refused("scp -rf /srv").unproven(),
    refused("sftp -S /srv/trap x"),
    refused("sftp -D /srv/trap"),
    refused("ssh -o ProxyCommand=/srv/trap x"),
    refused("ssh -F HOME/ssh_config x"),
    refused("/usr/lib/openssh/sftp-server; touch MARK"),
    refused("/usr/lib/openssh/sftp-server -d /").unproven(),
    refused("/usr/lib/openssh/sftp-server -R -d / -l DEBUG3").unproven(),
    refused("/usr/lib/openssh/sftp-server -u 0 -f AUTH").unproven().confined(),
    refused("/usr/lib/openssh/sftp-server -Q requests").unproven(),
    refused("/usr/lib/openssh/../openssh/sftp-server").unproven(),
];

pub(super) fn sftp_and_scp_stay_below_their_folder(world: &mut World) -> Outcome {
    let range = Range::open(world, RULE)?;
    world.write("/tmp/client/here", 0o644, "here\n")?;
    for (_, home) in HOMES {
        world.write(format!("{home}/ssh_config"), 0o644, "Host *\nProxyCommand /srv/trap\n")?;
    }
    prepare()?;
    let bob = Client::of("bob", &range.host)?;
    bob.sftp("deployer", "get /srv/data/there /tmp/client/there\n").run()?.expect_ok()?;
    bob.scp("deployer", &["-O", "/tmp/client/here", ":/srv/data/put"]).run()?.expect_ok()?;
    let proven = SFTP.iter().map(|batch| by_sftp(batch, true));
    let rows: Vec<ByClient> = proven
        .chain(SFTP_UNPROVEN.iter().map(|batch| by_sftp(batch, false)))
        .chain(SCP.iter().map(|words| by_scp(words)))
        .chain(SUBSYSTEMS.iter().map(|name| by_subsystem(name)))
        .collect();
    range.try_clients(&rows, prepare)?;
    prepare()?;
    range.try_all(LINES)?;
    no_program_of_another_user_becomes_the_account(&range)
}

/// Another user of the host could run what is set-uid, as the account: not limited, not recorded.
fn no_program_of_another_user_becomes_the_account(range: &Range<'_>) -> Outcome {
    let client = Client::of("bob", &range.host)?;
    let world = range.world;
    world.copy("/usr/bin/id", "/tmp/client/program", 0o4755)?;
    let setuid = |path: &str| Ok::<_, std::io::Error>(fs::metadata(path)?.permissions().mode() & 0o4000 != 0);
    require(setuid("/tmp/client/program")?, || "the trap is not set-uid".to_owned())?;
    let by_sftp = |batch: &str| client.sftp("deployer", batch).run();
    by_sftp("put /tmp/client/program /srv/data/put\nchmod 755 /srv/data/put\n")?.expect_ok()?;
    by_sftp("chmod 4755 /srv/data/put\n")?;
    by_sftp("put -p /tmp/client/program /srv/data/kept\n")?;
    client.scp("deployer", &["-O", "-p", "/tmp/client/program", ":/srv/data/copied"]).run()?;
    client.scp("deployer", &["-O", "/tmp/client/program", ":/srv/data/plain"]).run()?;
    client.scp("deployer", &["-s", "-p", "/tmp/client/program", ":/srv/data/new"]).run()?;
    client.rsync("deployer", &["-p", "/tmp/client/program", ":/srv/data/sent"]).run()?;
    let found: Vec<&str> = ["put", "kept", "copied", "plain", "new", "sent"]
        .into_iter()
        .filter(|name| setuid(&format!("/srv/data/{name}")).unwrap_or_default())
        .collect();
    require(found.is_empty(), || format!("set-uid are {found:?}"))
}

fn by_sftp(batch: &'static str, proven: bool) -> ByClient {
    let row = ByClient::new(format!("sftp: {batch}"), |client, user| {
        client.sftp(user, &format!("{}\n", fill(batch, &format!("/home/{user}"))))
    });
    ByClient { proven, ..row }
}

fn by_scp(words: &'static [&'static str]) -> ByClient {
    ByClient::new(format!("scp {}", words.join(" ")), |client, user| {
        let filled: Vec<String> = words.iter().map(|word| fill(word, &format!("/home/{user}"))).collect();
        client.scp(user, &filled.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

fn by_subsystem(name: &'static str) -> ByClient {
    ByClient::new(format!("subsystem {name}"), |client, user| {
        client.sftp_by(user, &fill(name, &format!("/home/{user}")))
    })
}
