//! What sshd does for people whose access rules limit them: the options of their keys, and the blocks of the drop-in.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::directory::person_dn;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::keys::Key;
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::{Site, svcauth, svcauth_json, text_at};
use svcauth_tests::sshd::{CLIENT, Sshd, client};
use svcauth_tests::world::World;

use crate::activation::{differing, enable, files};
use crate::host::{Host, Plan};

cases!("sshd_limits":
    a_key_lets_sshd_forward_what_the_rules_of_its_owner_allow_and_no_more,
    enable_writes_blocks_for_limited_accounts_and_nobody_else_sees_a_difference,
    where_a_key_brings_no_options_the_blocks_count,
    what_sshd_would_serve_by_itself_is_asked_about,
);

const DROP_IN: &str = "/etc/ssh/sshd_config.d/10-svcauth.conf";
const TOKEN: &[u8] = b"reached the target\n";

/// A TCP port and a Unix socket that say where one has come to.
pub(crate) struct Target(u16);

impl Target {
    const SOCKET: &'static str = "/tmp/target";

    pub(crate) fn open() -> Outcome<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let port = tcp.local_addr()?.port();
        let unix = UnixListener::bind(Self::SOCKET)?;
        fs::set_permissions(Self::SOCKET, fs::Permissions::from_mode(0o777))?;
        std::thread::spawn(move || tcp.incoming().flatten().for_each(|mut peer| drop(peer.write_all(TOKEN))));
        std::thread::spawn(move || {
            unix.incoming().flatten().for_each(|mut peer| drop(peer.write_all(TOKEN)))
        });
        Ok(Self(port))
    }
}

/// Whether one way to forward works, by its letter in the rows below.
pub(crate) fn works(user: &str, key: &Key, way: char, target: &Target, port: u16) -> Outcome<bool> {
    let to = target.0;
    let socket = format!("/tmp/forwarded-{port}");
    let word = match way {
        'L' => ["-L".to_owned(), format!("127.0.0.1:{port}:127.0.0.1:{to}")],
        'l' => ["-L".to_owned(), format!("127.0.0.1:{port}:{}", Target::SOCKET)],
        'D' => ["-D".to_owned(), format!("127.0.0.1:{port}")],
        'R' => ["-R".to_owned(), format!("127.0.0.1:{port}:127.0.0.1:{to}")],
        'r' => ["-R".to_owned(), format!("{socket}:127.0.0.1:{to}")],
        'W' => {
            let word = format!("127.0.0.1:{to}");
            let ended = client(&["-W", &word], user, key, &[]).patience(Duration::from_secs(60)).run()?;
            return Ok(ended.stdout.as_bytes() == TOKEN);
        }
        _ => return in_session(user, key, way),
    };
    let log = tempfile()?;
    let options = ["-N", "-oExitOnForwardFailure=yes", &word[0], &word[1]];
    let mut ssh = client(&options, user, key, &[]).start(log)?;
    // What is not granted ends the client, or ends a connection that it has taken; before it is logged in it takes none.
    wait_until("an answer of the forward", Duration::from_secs(60), || {
        let here = || TcpStream::connect(("127.0.0.1", port)).ok();
        let said = match way {
            'r' => UnixStream::connect(&socket).ok().map(says_token),
            'D' => here().map(|stream| through_proxy(stream, to)),
            _ => here().map(says_token),
        };
        said.or_else(|| ssh.ended().map(|_| false))
    })
}

/// The letters of the ways that lead somewhere; each gets a port of its own.
fn what_works(key: &Key, target: &Target, port: &mut u16) -> Outcome<String> {
    let mut found = String::new();
    for way in ALL.chars() {
        *port += 1;
        if works("deployer", key, way, target, *port)? {
            found.push(way);
        }
    }
    Ok(found)
}

fn tempfile() -> Outcome<fs::File> {
    Ok(fs::File::options().create(true).append(true).open("/run/world/forwards.log")?)
}

trait Patient {
    fn patient(&self) -> std::io::Result<()>;
}
impl Patient for TcpStream {
    fn patient(&self) -> std::io::Result<()> {
        self.set_read_timeout(Some(Duration::from_secs(60)))
    }
}
impl Patient for UnixStream {
    fn patient(&self) -> std::io::Result<()> {
        self.set_read_timeout(Some(Duration::from_secs(60)))
    }
}

fn says_token(mut stream: impl std::io::Read + Patient) -> bool {
    let mut said = [0; TOKEN.len()];
    stream.patient().is_ok() && stream.read_exact(&mut said).is_ok() && said == TOKEN
}

/// SOCKS 5 (RFC 1928), without a password, to a port of the loopback.
fn through_proxy(mut stream: TcpStream, to: u16) -> bool {
    let [high, low] = to.to_be_bytes();
    let mut answer = [0; 12];
    let asked = stream.patient().is_ok()
        && stream.write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low]).is_ok()
        && stream.read_exact(&mut answer).is_ok();
    asked && answer[3] == 0 && says_token(stream)
}

/// What a session finds: an agent, a display, a terminal.
fn in_session(user: &str, key: &Key, way: char) -> Outcome<bool> {
    let (options, variable): (&[&str], &str) = match way {
        'A' => (&["-A"], "SSH_AUTH_SOCK"),
        'X' => (&["-X", "-oForwardX11Trusted=yes"], "DISPLAY"),
        _ => (&["-tt"], "SSH_TTY"),
    };
    let command = format!("printenv {variable}");
    let ssh = client(options, user, key, &[&command]).env("DISPLAY", ":7").env("SSH_AUTH_SOCK", AGENT);
    Ok(!ssh.patience(Duration::from_secs(60)).run()?.text().is_empty())
}

const AGENT: &str = "/run/world/agent";
const ALL: &str = "LlDWRrAXt";

/// A site where alice, bob and carol may use deployer, each by a rule of his own.
fn three_rules(world: &World, limits: [&str; 3]) -> Outcome<Plan> {
    let mut plan = Plan::new(world)?;
    let mut rules = String::new();
    for ((login, limits), gid) in ["alice", "bob", "carol"].iter().zip(limits).zip(7501..) {
        let group = format!("only-{login}");
        plan.site.directory.group(&group, gid, &[person_dn(login)]);
        rules
            .push_str(&format!("[[access]]\naccounts = [\"deployer\"]\nroles = [\"{group}\"]\n{limits}\n\n"));
    }
    plan.site.access(&rules);
    for line in
        ["AuthorizedKeysFile none", "PermitTunnel yes", "X11Forwarding yes", "XAuthLocation /usr/bin/true"]
    {
        plan.sshd_line(line);
    }
    Ok(plan)
}

fn a_key_lets_sshd_forward_what_the_rules_of_its_owner_allow_and_no_more(world: &mut World) -> Outcome {
    let any = "commands = [{ kind = \"any\" }]\nforwarding";
    let of = |word: &str| format!("{any} = \"{word}\"");
    let (no, local, remote) = (of("no"), of("local"), of("remote"));
    let mut plan = three_rules(world, ["", &no, &local])?;
    plan.person(world, "dave")?;
    plan.site.directory.group("only-dave", 7504, &[person_dn("dave")]);
    plan.site
        .config
        .push_str(&format!("[[access]]\naccounts = [\"deployer\"]\nroles = [\"only-dave\"]\n{remote}\n"));
    plan.install(world)?;
    Site::keys_from_directory(world)?;
    world.write("/home/deployer/.ssh/rc", 0o644, "touch /tmp/rc-ran\n")?;
    let host = plan.start_installed(world)?;
    let _agent = Program::new("ssh-agent").args(&["-D", "-a", AGENT]).start(tempfile()?)?;
    let target = Target::open()?;
    let mut port = 23_000;
    // `-R` of a Unix socket is what options of a key cannot keep from somebody who may forward from his side.
    for (login, allowed) in [("alice", ALL), ("bob", "t"), ("carol", "LlDWrt"), ("dave", "Rrt")] {
        let _ = fs::remove_file("/tmp/rc-ran");
        host.ssh(login, "deployer", &["true"])?.expect_ok()?;
        require_eq(
            &format!("whether ~/.ssh/rc runs for {login}"),
            &fs::exists("/tmp/rc-ran")?,
            &(login == "alice"),
        )?;
        let found = what_works(host.key(login)?, &target, &mut port)?;
        require_eq(&format!("what works for {login}"), found.as_str(), allowed)?;
    }
    explained(&host)
}

fn explained(host: &Host) -> Outcome {
    let key = host.key("carol")?.public();
    let mut words = key.split(' ');
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let said = svcauth(&["ssh-keys", "deployer", "SHA256:x", kind, blob])?.expect_ok()?;
    let options = "restrict,pty,command=\"/usr/bin/svcauth-shell --forced\",port-forwarding,permitlisten=\"svcauth.invalid:1\"";
    require_eq("carol's key", said.text(), &format!("{options} {kind} {blob}"))?;
    let said = svcauth(&["explain", "carol", "deployer"])?.expect_ok()?;
    require_contains(
        "carol",
        &said.stdout,
        "\n  allows no interactive shell, forwarding from the client's side\n",
    )?;
    require_contains("carol", &said.stdout, "\n  allows any command, by the account's own shell\n")?;
    let said = svcauth(&["explain", "alice", "deployer"])?.expect_ok()?;
    require_lacks("alice", &said.stdout, "allows")?;
    let (_, found) = svcauth_json(&["explain", "carol", "deployer"])?;
    let rule = found.pointer("/rules/2/limits").cloned().unwrap_or_default();
    require_eq("the limits in JSON", text_at(&rule, "/forwarding"), "local")
}

/// What sshd would do for a login of this name.
fn sshd_says(user: &str) -> Outcome<String> {
    let from = format!("user={user},host=x,addr=192.0.2.1,laddr=127.0.0.1,lport=22");
    Ok(Program::new("/usr/sbin/sshd").args(&["-T", "-C", &from]).run()?.expect_ok()?.stdout)
}

fn require_says(user: &str, lines: &[&str]) -> Outcome {
    let said = sshd_says(user)?;
    lines.iter().try_for_each(|line| {
        require(said.lines().any(|it| it == *line), || {
            format!("sshd does not say {line:?} for {user}:\n{said}")
        })
    })
}

const LIMITED: &[&str] = &[
    FORCED,
    "permituserrc no",
    "allowtcpforwarding local",
    "allowstreamlocalforwarding local",
    "allowagentforwarding no",
    "x11forwarding no",
    "permittunnel no",
    "gatewayports no",
];
const FORCED: &str = "forcecommand /usr/bin/svcauth-shell --forced";

fn enable_writes_blocks_for_limited_accounts_and_nobody_else_sees_a_difference(world: &mut World) -> Outcome {
    let plan = three_rules(world, ["", "", ""])?;
    plan.install_switched_off(world)?;
    let mut host = plan.start_installed(world)?;
    let before = files()?;
    enable(&["--yes"])?.expect_ok()?;
    let fixed = fs::read_to_string(DROP_IN)?;
    require_lacks("a drop-in without limits", &fixed, "Match")?;
    let others = ["root", "local", "bob", "jenkins", "unknown"];
    let unlimited = others.iter().map(|user| sshd_says(user)).collect::<Outcome<Vec<_>>>()?;
    // A rule that limits every managed account, and one that limits nobody but on another host.
    let limits = "[[access]]\naccounts = [\"dep*\"]\nroles = [\"only-alice\"]\nforwarding = \"local\"\n";
    let elsewhere =
        "[[access]]\naccounts = [\"*\"]\nroles = [\"only-alice\"]\nhosts = [\"db*\"]\nshell = \"deny\"\n";
    host.site.access(&format!("{limits}{elsewhere}"));
    host.publish(world)?;
    let shown = enable(&["--dry-run"])?.expect_ok()?;
    require_contains("what would change", &shown.stdout, "+Match User deployer\n+    ForceCommand ")?;
    let (code, planned) = svcauth_json(&["enable", "--dry-run"])?;
    require_eq("the state", &(code, text_at(&planned, "/state")), &(0, "on"))?;
    require_eq("what a dry run has written", &fs::read_to_string(DROP_IN)?, &fixed)?;
    let told = enable(&["--yes"])?.expect_ok()?;
    require_contains("what enable says", &told.stdout, "up to date with the limits")?;
    require_says("deployer", LIMITED)?;
    let now = others.iter().map(|user| sshd_says(user)).collect::<Outcome<Vec<_>>>()?;
    require_eq("what sshd does for all others", &now, &unlimited)?;
    require_contains("once more", &enable(&["--yes"])?.expect_ok()?.stdout, "nothing was changed")?;
    an_edited_drop_in_is_renewed(&mut host, world)?;
    svcauth(&["disable", "--yes"])?.expect_ok()?;
    require_eq(
        "what disable leaves of the drop-in",
        fs::read_to_string(DROP_IN)?.as_str(),
        "MaxAuthTries 4\n",
    )?;
    fs::remove_file(DROP_IN)?;
    world.write("/etc/svcauth/svcauth.toml", 0o644, before_config(&before))?;
    require_eq("what else is left", &differing(&before, &files()?), &Vec::<String>::new())
}

/// What an administrator adds is not in a block, and stays.
fn an_edited_drop_in_is_renewed(host: &mut Host, world: &World) -> Outcome {
    let mine = fs::read_to_string(DROP_IN)? + "MaxAuthTries 4\n";
    world.write(DROP_IN, 0o644, mine)?;
    require_says("root", &["maxauthtries 4"])?;
    host.site
        .access("[[access]]\naccounts = [\"deployer\"]\nroles = [\"only-alice\"]\nforwarding = \"any\"\n");
    host.publish(world)?;
    enable(&["--yes"])?.expect_ok()?;
    let open = ["permituserrc no", "x11forwarding yes", "allowtcpforwarding yes", "maxauthtries 4", FORCED];
    require_says("deployer", &open)?;
    require_says("root", &["forcecommand none", "maxauthtries 4"])
}

fn before_config(before: &crate::activation::Files) -> Vec<u8> {
    let path = std::path::Path::new("/etc/svcauth/svcauth.toml");
    before.get(path).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
}

/// sshd finds the keys in its own files here and never asks for options, as with passwords, tickets and certificates.
fn where_a_key_brings_no_options_the_blocks_count(world: &mut World) -> Outcome {
    let any = "commands = [{ kind = \"any\" }]\nforwarding";
    let rule = |word: &str| {
        format!("[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\n{any} = \"{word}\"\n")
    };
    let mut plan = Plan::new(world)?;
    plan.site.access(&rule("no").replace("no\"", "any\""));
    plan.sshd_line("X11Forwarding yes");
    plan.sshd_line("XAuthLocation /usr/bin/true");
    plan.install_switched_off(world)?;
    let mut host = plan.start_installed(world)?;
    enable(&["--yes"])?.expect_ok()?;
    let _agent = Program::new("ssh-agent").args(&["-D", "-a", AGENT]).start(tempfile()?)?;
    let target = Target::open()?;
    let mut port = 24_000;
    for (word, allowed) in [("any", ALL), ("local", "LlDWt"), ("remote", "Rrt"), ("no", "t")] {
        host.site.access(&rule(word));
        host.site.write(world)?;
        host.daemon.reload(world)?;
        enable(&["--yes"])?.expect_ok()?;
        let found = what_works(host.key("bob")?, &target, &mut port)?;
        require_eq(&format!("what works with {word}"), found.as_str(), allowed)?;
    }
    Ok(())
}

/// `get /etc/hostname` by sftp.
fn fetches(host: &Host, person: &str, account: &str) -> Outcome<bool> {
    let _ = fs::remove_file("/tmp/got");
    let sftp = Program::new("sftp").args(&["-q", "-s", "inside", "-b", "-"]).args(CLIENT).arg("-i");
    let sftp = sftp.arg(host.key(person)?.path()).arg(format!("{account}@127.0.0.1"));
    sftp.input("get /etc/hostname /tmp/got\n").run()?;
    Ok(fs::exists("/tmp/got")?)
}

/// Whether a server of this line lets bob put a file into a folder that deployer may write.
fn puts(host: &Host, server: &str) -> Outcome<bool> {
    let _ = fs::remove_file("/tmp/put");
    let sftp = Program::new("sftp").args(&["-q", "-s", server, "-b", "-"]).args(CLIENT).arg("-i");
    let sftp = sftp.arg(host.key("bob")?.path()).arg("deployer@127.0.0.1");
    sftp.input("put /etc/hostname /tmp/put\n").run()?;
    Ok(fs::exists("/tmp/put")?)
}

/// `/` needs no confinement, so that what sftp-server is told is all that keeps it from writing.
fn who_may_only_read_writes_nothing(host: &Host, may_write: bool) -> Outcome {
    for server in ["/usr/lib/openssh/sftp-server", "/usr/lib/openssh/sftp-server -P -R"] {
        require_eq(server, &puts(host, server)?, &may_write)?;
    }
    Ok(())
}

/// Whatever sshd is asked for, and nothing by its own hand.
const ANY: &str = "commands = [{ kind = \"any\" }]";

fn what_sshd_would_serve_by_itself_is_asked_about(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.sshd_line("Subsystem inside internal-sftp");
    plan.site.configure("# local_accounts = []", "local_accounts = [\"robot\"]")?;
    let rule = |account: &str, sftp: &str| {
        format!("[[access]]\naccounts = [\"{account}\"]\nroles = [\"application\"]\n{sftp}\n")
    };
    let rules = |sftp: &str| rule("deployer", sftp) + &rule("robot", sftp);
    plan.site.access(&rules(""));
    plan.install_switched_off(world)?;
    world.local_user("robot", 1500)?;
    Sshd::authorize(world, "robot", &[plan.key("bob")?])?;
    let mut host = plan.start_installed(world)?;
    enable(&["--yes"])?.expect_ok()?;
    for account in ["deployer", "robot"] {
        require(fetches(&host, "bob", account)?, || format!("{account}: no sftp without limits"))?;
    }
    for (limits, allowed) in [("sftp = \"read\"", true), (ANY, true), ("sftp = \"no\"", false)] {
        host.site.access(&rules(limits));
        host.site.write(world)?;
        host.daemon.reload(world)?;
        enable(&["--yes"])?.expect_ok()?;
        require_contains("the blocks", &fs::read_to_string(DROP_IN)?, "Match User deployer,robot\n")?;
        for account in ["deployer", "robot"] {
            require_eq(&format!("{account} with {limits}"), &fetches(&host, "bob", account)?, &allowed)?;
        }
        who_may_only_read_writes_nothing(&host, limits == ANY)?;
    }
    world.log().wait_for(0, "command_refused", &[("account", "robot"), ("origin", "bob")]).map(drop)
}
