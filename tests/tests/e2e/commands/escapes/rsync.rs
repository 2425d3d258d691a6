//! rsync: options that run programs or name other files, and paths that lead out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use svcauth_tests::failure::Outcome;
use svcauth_tests::world::World;

use super::super::clients::Client;
use super::super::own;
use super::{Attempt, ByClient, Range, SECRET, fill, refused};

const RULE: &str = r#"commands = [{ kind = "rsync", access = "write", paths = ["/srv/data"] }]"#;

/// Words of the client; a path that begins with a colon is on the host.
const CLIENT: &[&[&str]] = &[
    &["--rsync-path=touch MARK; rsync", "-a", "/tmp/client/here", ":/srv/data/x"],
    &["--rsync-path=sh /srv/evil.sh MARK && rsync", "-a", "/tmp/client/here", ":/srv/data/x"],
    &["--rsync-path=rsync --log-file=MARK", "-a", "/tmp/client/here", ":/srv/data/x"],
    &["--rsync-path=/srv/trap", "-a", "/tmp/client/here", ":/srv/data/x"],
    &["-M--log-file=MARK", "-a", "/tmp/client/here", ":/srv/data/x"],
    &["-a", "/tmp/client/here", ":MARK"],
    &["-a", "/tmp/client/here", ":/srv/data/../../tmp/marks/mark"],
    &["-a", "/tmp/client/here", ":/srv/data/marks/mark"],
    &["-s", "-a", "/tmp/client/here", ":MARK"],
    &["--old-args", "-a", "/tmp/client/here", ":/srv/data/$(touch MARK)"],
    &["--old-args", "-a", "/tmp/client/here", ":/srv/data/x;touch MARK"],
    &["-b", "--backup-dir=/tmp/marks", "/tmp/client/here", ":/srv/data/there"],
    &["-a", ":/srv/secret", "MARK"],
    &["-a", ":/srv/data/../secret", "MARK"],
    &["-a", "-L", ":/srv/data/leak", "MARK"],
    &["-a", ":/srv/data/out/secret", "MARK"],
    &["-s", "-a", ":/srv/secret", "MARK"],
    &["-a", ":/srv/data/there", ":/srv/secret", "/tmp/marks"],
    &["--files-from=:/srv/secret", ":/srv/data", "/tmp/copied"],
    &["-a", "--remove-source-files", "-M--log-file=MARK", ":/srv/data/there", "/tmp/copied"],
    &["-a", "::module/secret", "MARK"],
];

/// Lines that no client sends.
const LINES: &[Attempt] = &[
    refused("rsync -e '/srv/evil.sh MARK' /srv/data/ x:/"),
    refused("rsync --rsh='/srv/evil.sh MARK' /srv/data/ x:/"),
    refused("rsync -e /srv/trap /srv/data/ x:/"),
    refused("rsync --server --rsh='/srv/evil.sh MARK' . /srv/data").unproven(),
    refused("rsync -a /srv/secret MARK"),
    refused("rsync -a --only-write-batch=MARK /srv/secret /srv/data/b"),
    refused("rsync --server --daemon --config=HOME/evil.conf --log-file=MARK .").unproven(),
    refused("rsync --server --sender -logDtpre.iLsfxCIvu . /srv/data /srv/secret").unproven(),
    refused("rsync --server -logDtpre.iLsfxCIvu . /srv/database").unproven(),
    refused("rsync --server -logDtpre.iLsfxCIvu --partial-dir=/tmp/marks . /srv/data").unproven(),
    refused("rsync --server -logDtpre.iLsfxCIvu --temp-dir=/tmp/marks . /srv/data").unproven(),
    refused("rsync --server -logDtpre.iLsfxCIvu --link-dest=/srv . /srv/data").unproven(),
    refused("rsync --server -logDtpre.iLsfxCIvu . '~root/x'").unproven().confined(),
    refused("rsync --server -logDtpre.iLsfxCIvu --log-file=MARK . /srv/data").unproven(),
];

pub(super) fn rsync_does_what_the_rule_says_and_nothing_else(world: &mut World) -> Outcome {
    let range = Range::open(world, RULE)?;
    world.write("/tmp/client/here", 0o644, "here\n")?;
    for home in ["/home/local", "/home/deployer"] {
        world.write(format!("{home}/rsyncd.conf"), 0o644, "[module]\npath = /srv\nuse chroot = no\n")?;
        world.write(
            format!("{home}/evil.conf"),
            0o644,
            "log file = /tmp/marks/mark\n[module]\npath = /srv\n",
        )?;
    }
    let rows: Vec<ByClient> = CLIENT.iter().map(|words| row(words)).collect();
    prepare()?;
    Client::of("bob", &range.host)?
        .rsync("deployer", &["-a", "/tmp/client/here", ":/srv/data/x"])
        .run()?
        .expect_ok()?;
    range.try_clients(&rows, prepare)?;
    range.try_all(LINES)
}

fn row(words: &'static [&'static str]) -> ByClient {
    ByClient::new(words.join(" "), |client, user| {
        let filled: Vec<String> = words.iter().map(|word| fill(word, &format!("/home/{user}"))).collect();
        client.rsync(user, &filled.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

/// The folder of the rule, in which both users may write, with links that lead out of it.
pub(super) fn prepare() -> Outcome {
    let _ = fs::remove_dir_all("/srv/data");
    let _ = fs::remove_dir_all("/tmp/copied");
    fs::create_dir_all("/srv/data")?;
    fs::set_permissions("/srv/data", fs::Permissions::from_mode(0o777))?;
    fs::write("/srv/data/there", "there\n")?;
    symlink(SECRET, "/srv/data/leak")?;
    symlink("/srv", "/srv/data/out")?;
    symlink("/tmp/marks", "/srv/data/marks")?;
    own("/srv/data/there")
}
