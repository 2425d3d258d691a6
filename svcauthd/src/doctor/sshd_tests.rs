use std::path::{Path, PathBuf};

use super::config::{Config, files};
use super::effective::{Answers, Effective, Login};
use super::{judge, limits, place_in};
use crate::doctor::{Host, Site};
use crate::limits::{Forwards, Global, Limited};

const DROP_IN: &str = include_str!("../../../conf/sshd/svcauth.conf");
const MAIN: &str = "# x\nInclude /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\nAcceptEnv LANG LC_*\n";

struct World(PathBuf);

impl World {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("svcauth-doctor-sshd-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let world = Self(root);
        world.write("sshd_config", MAIN);
        world.write("sshd_config.d/10-svcauth.conf", DROP_IN);
        world
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join("etc/ssh").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn host(&self) -> Host {
        Host::in_folder(&self.0)
    }

    /// `code file:line` of what follows from the files, and from these values in the place of sshd's answer.
    fn codes(&self, changed: &[(&str, &str)]) -> Vec<String> {
        let mut values: Vec<(&str, &str)> = vec![
            ("usepam", "yes"),
            ("permituserenvironment", "no"),
            ("acceptenv", "LANG"),
            ("authorizedkeyscommand", "/usr/bin/svcauth ssh-keys %u %f %t %k"),
            ("authorizedkeyscommanduser", "svcauth"),
            ("chrootdirectory", "none"),
            ("trustedusercakeys", "none"),
        ];
        for (keyword, value) in changed {
            values.retain(|(other, _)| other != keyword);
            values.push((keyword, value));
        }
        let text: String = values.iter().map(|(keyword, value)| format!("{keyword} {value}\n")).collect();
        let logins = vec![(Login::plain("deployer"), Effective::parse(&text))];
        let answers = Answers { logins, ..Answers::default() };
        let found = judge(&self.host(), &Site::default(), &Config::read(&self.host()), &answers);
        let shown = found.into_iter().map(|it| {
            let (file, line) = it.place.unwrap();
            let line = line.map_or_else(String::new, |line| format!(":{line}"));
            format!("{} {}{line}", it.code, file.strip_prefix("/etc/ssh").unwrap().display())
        });
        shown.collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn lines_are_read_in_the_order_of_sshd_with_the_match_that_they_stand_under() {
    let world = World::new("order");
    world.write("sshd_config.d/20-x.conf", "Match User a\n  X11Forwarding no\n");
    world.write("sshd_config", "Include sshd_config.d/*.conf\nPort=22 # c\n\"UsePAM\" = \"yes\"\nMatch Address 10.0.0.0/8,::1\nUsePAM no\nMatch all\nBanner none\n");
    let config = Config::read(&world.host());
    let shown: Vec<String> = config
        .directives
        .iter()
        .filter(|it| it.file != Path::new("/etc/ssh/sshd_config.d/10-svcauth.conf"))
        .map(|it| {
            format!("{} {} {:?}", it.number, it.keyword, it.under.as_ref().map(|words| words.join(" ")))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "1 include None",
            "1 match Some(\"User a\")",
            "2 x11forwarding Some(\"User a\")",
            "2 port None",
            "3 usepam None",
            "4 match Some(\"Address 10.0.0.0/8,::1\")",
            "5 usepam Some(\"Address 10.0.0.0/8,::1\")",
            "6 match None",
            "7 banner None"
        ]
    );
    let pam: Vec<_> = config.all("usepam").map(|it| it.arguments.join(" ")).collect();
    assert_eq!(pam, ["yes", "yes", "no"]);
    assert_eq!(config.files.len(), 3);
    let named: Vec<_> = files(&world.host(), "/etc/*/sshd_config.d/[12]0-*.conf");
    assert_eq!(named.len(), 2);
}

#[test]
fn a_host_with_the_drop_in_of_the_package_has_no_finding() {
    assert_eq!(World::new("healthy").codes(&[]), [] as [&str; 0]);
}

#[test]
fn every_option_that_lets_somebody_past_is_named_where_it_is_said() {
    for (line, value, code) in [
        ("UsePAM no", ("usepam", "no"), "sshd_no_pam sshd_config:1"),
        (
            "PermitUserEnvironment yes",
            ("permituserenvironment", "yes"),
            "sshd_user_environment sshd_config:1",
        ),
        ("AcceptEnv *", ("acceptenv", "*"), "sshd_accept_env sshd_config:1"),
        ("AcceptEnv LANG SVCAUTH_*", ("acceptenv", "LANG SVCAUTH_*"), "sshd_accept_env sshd_config:1"),
        ("AcceptEnv LD_*", ("acceptenv", "LD_*"), "sshd_accept_env sshd_config:1"),
        (
            "AuthorizedKeysCommand none",
            ("authorizedkeyscommand", "none"),
            "sshd_no_keys_command sshd_config:1",
        ),
        (
            "AuthorizedKeysCommand /bin/x %u",
            ("authorizedkeyscommand", "/bin/x %u"),
            "sshd_other_keys_command sshd_config:1",
        ),
        (
            "AuthorizedKeysCommandUser nobody",
            ("authorizedkeyscommanduser", "nobody"),
            "sshd_keys_command_user sshd_config:1",
        ),
        ("PAMServiceName other", ("pamservicename", "other"), "sshd_pam_service sshd_config:1"),
        ("ChrootDirectory /srv", ("chrootdirectory", "/srv"), "sshd_chroot sshd_config:1"),
    ] {
        let world = World::new("option");
        world.write("sshd_config", &format!("{line}\n{MAIN}"));
        let codes = world.codes(&[value]);
        assert!(codes.contains(&code.to_owned()), "{line}: {codes:?}");
        // What stands before our drop-in wins over it.
        let is_ours = DROP_IN.lines().any(|ours| ours.split(' ').next() == line.split(' ').next());
        let shadowed = codes.contains(&"sshd_shadowed sshd_config:1".to_owned());
        assert_eq!(shadowed, is_ours, "{line}: {codes:?}");
    }
}

#[test]
fn a_drop_in_that_sshd_does_not_read_or_reads_too_late_is_named() {
    let world = World::new("shadow");
    world.write("sshd_config", "UsePAM yes\n");
    assert_eq!(world.codes(&[]), ["sshd_no_include sshd_config"]);
    world.write("sshd_config", MAIN);
    world.write("sshd_config.d/05-cloud.conf", "\nUsePAM no\n");
    assert_eq!(world.codes(&[]), ["sshd_shadowed sshd_config.d/05-cloud.conf:2"]);
    world.write("sshd_config.d/05-cloud.conf", "UsePAM yes\nMatch User x\nUsePAM no\n");
    assert_eq!(world.codes(&[]), [] as [&str; 0]);
}

#[test]
fn the_place_is_taken_from_what_sshd_says() {
    for (said, file, line) in [
        (
            "/etc/ssh/sshd_config.d/x.conf: line 3: Bad configuration option: X",
            "/etc/ssh/sshd_config.d/x.conf",
            Some(3),
        ),
        ("/etc/ssh/sshd_config line 9: Directive 'X' is not allowed", "/etc/ssh/sshd_config", Some(9)),
        ("sshd: no hostkeys available -- exiting.", "/etc/ssh/sshd_config", None),
    ] {
        assert_eq!(place_in(said), (PathBuf::from(file), line));
    }
}

/// What is found about a limited account with these values in the place of sshd's answer.
fn about_limited(world: &World, forwards: Forwards, changed: &[(&str, &str)]) -> Vec<String> {
    let mut text: String = [
        "allowtcpforwarding no",
        "allowstreamlocalforwarding no",
        "allowagentforwarding no",
        "x11forwarding no",
        "permittunnel no",
        "forcecommand /usr/bin/svcauth-shell --forced",
        "subsystem sftp /usr/lib/openssh/sftp-server",
    ]
    .iter()
    .filter(|line| !changed.iter().any(|(keyword, _)| line.starts_with(keyword)))
    .map(|line| format!("{line}\n"))
    .collect();
    changed.iter().for_each(|(keyword, value)| text.push_str(&format!("{keyword} {value}\n")));
    let answers =
        Answers { logins: vec![(Login::plain("deployer"), Effective::parse(&text))], ..Answers::default() };
    let limited = [Limited { name: "deployer".to_owned(), forwards }];
    let found = limits::judge(&world.host(), &Config::read(&world.host()), &answers, &limited);
    found.into_iter().map(|it| it.code.to_owned()).collect()
}

#[test]
fn what_sshd_does_for_a_limited_account_beyond_its_rules_is_named() {
    const OTHER: (&str, &str) = ("forcecommand", "none");
    let world = World::new("limited");
    let none = Forwards::NOTHING;
    let local = Forwards { local: true, ..none };
    for (forwards, changed, code) in [
        (none, &[][..], None),
        (none, &[OTHER], None),
        (none, &[OTHER, ("subsystem", "sftp internal-sftp -f AUTH")], Some("sshd_internal_sftp")),
        (none, &[("forcecommand", "internal-sftp -R")], Some("sshd_internal_sftp")),
        (none, &[("subsystem", "sftp internal-sftp")], None),
        (none, &[("allowtcpforwarding", "local")], Some("sshd_forwards_more")),
        (none, &[("allowtcpforwarding", "yes"), ("disableforwarding", "yes")], None),
        (local, &[("allowtcpforwarding", "local")], None),
        (local, &[("allowtcpforwarding", "yes")], Some("sshd_forwards_more")),
        (local, &[("allowstreamlocalforwarding", "remote")], Some("sshd_forwards_more")),
        (local, &[("allowagentforwarding", "yes")], Some("sshd_forwards_more")),
        (local, &[("permittunnel", "point-to-point")], Some("sshd_forwards_more")),
        (Forwards::ANYTHING, &[("x11forwarding", "yes"), ("allowtcpforwarding", "yes")], None),
    ] {
        let found = about_limited(&world, forwards, changed);
        assert_eq!(found, code.into_iter().collect::<Vec<_>>(), "{forwards:?} {changed:?}");
    }
    // The shell of an account of /etc/passwd is its own.
    world.write("../passwd", "deployer:x:1500:1500::/home/deployer:/bin/bash\n");
    assert_eq!(about_limited(&world, none, &[]), ["limited_startup_files"]);
    assert_eq!(about_limited(&world, none, &[OTHER]), ["limited_other_shell"]);
    world.write("../passwd", "deployer:x:1500:1500::/home/deployer:/usr/bin/svcauth-shell\n");
    assert_eq!(about_limited(&world, none, &[OTHER]), [] as [&str; 0]);
}

#[test]
fn a_drop_in_that_lags_behind_the_rules_is_named() {
    let world = World::new("lags");
    let both = Forwards { local: true, remote: true, rest: false };
    let global = Global { tcp: both, sockets: both };
    let account = |name: &str| Limited { name: name.to_owned(), forwards: both };
    let code = |limited: &[Limited]| limits::behind(&world.host(), limited, global).map(|it| it.code);
    assert_eq!(code(&[]), None);
    assert_eq!(code(&[account("a")]), Some("sshd_limits_old"));
    let blocks = crate::limits::blocks(&[account("a")], global);
    world.write("sshd_config.d/10-svcauth.conf", &format!("{DROP_IN}{blocks}MaxAuthTries 3\n"));
    assert_eq!(code(&[account("a")]), None);
    assert_eq!(code(&[account("a"), account("b")]), Some("sshd_limits_old"));
    assert_eq!(code(&[]), Some("sshd_limits_old"));
}
