use std::path::{Path, PathBuf};

use super::{examine, is_enabled};
use crate::doctor::{Finding, Host, Severity};

const PROFILE: &str = include_str!("../../../conf/pam-configs/svcauth");
/// The two stacks of a service that nobody has changed since Debian 12 was installed, and what they include.
const STOCK: &[(&str, &str)] = &[
    (
        "common-auth",
        "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
    ),
    (
        "common-account",
        "ACCOUNT\naccount\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so \naccount\trequisite\tpam_deny.so\naccount required pam_permit.so\n",
    ),
    (
        "common-session",
        "session\t[default=1]\tpam_permit.so\nsession requisite pam_deny.so\nsession required pam_permit.so\nSESSION\nsession required pam_unix.so\nsession optional pam_systemd.so\n",
    ),
    (
        "common-session-noninteractive",
        "session [default=1] pam_permit.so\nsession requisite pam_deny.so\nsession required pam_permit.so\nSESSION\nsession required pam_unix.so\n",
    ),
    ("common-password", "password required pam_unix.so\n"),
    (
        "sshd",
        "@include common-auth\naccount required pam_nologin.so\n@include common-account\n\
         session [success=ok ignore=ignore module_unknown=ignore default=bad] pam_selinux.so close\n\
         session required pam_loginuid.so\nsession optional pam_keyinit.so force revoke\n@include common-session\n\
         session optional pam_motd.so noupdate\nsession required pam_limits.so\nsession required pam_env.so\n\
         session required pam_env.so user_readenv=1 envfile=/etc/default/locale\n@include common-password\n",
    ),
    (
        "su",
        "auth sufficient pam_rootok.so\nsession required pam_env.so readenv=1\nsession required pam_limits.so\n\
         @include common-auth\n@include common-account\n@include common-session\n",
    ),
    (
        "su-l",
        "auth include su\naccount include su\npassword include su\nsession optional pam_keyinit.so force revoke\nsession include su\n",
    ),
    (
        "sudo",
        "session required pam_limits.so\n@include common-auth\n@include common-account\n@include common-session-noninteractive\n",
    ),
    (
        "sudo-i",
        "session required pam_limits.so\n@include common-auth\n@include common-account\n@include common-session\n",
    ),
    (
        "login",
        "auth optional pam_faildelay.so delay=3000000\nauth requisite pam_nologin.so\nsession required pam_loginuid.so\n\
         session required pam_env.so readenv=1\n@include common-auth\nsession required pam_limits.so\n@include common-account\n\
         @include common-session\n@include common-password\n",
    ),
    (
        "cron",
        "@include common-auth\nsession required pam_loginuid.so\nsession required pam_env.so\n@include common-account\n\
         @include common-session-noninteractive\nsession required pam_limits.so\n",
    ),
    (
        "atd",
        "auth required pam_env.so user_readenv=1\n@include common-auth\n@include common-account\nsession required pam_loginuid.so\n\
         @include common-session-noninteractive\nsession required pam_limits.so\n",
    ),
    (
        "other",
        "@include common-auth\n@include common-account\n@include common-password\n@include common-session\n",
    ),
    ("passwd", "@include common-password\n"),
    (
        "chfn",
        "auth sufficient pam_rootok.so\n@include common-auth\n@include common-account\n@include common-session\n",
    ),
    (
        "runuser",
        "auth sufficient pam_rootok.so\nsession required pam_limits.so\nsession required pam_unix.so\n",
    ),
];

struct World(PathBuf);

impl World {
    /// A host on which pam-auth-update has put the profile of `conf/pam-configs` into its place.
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("svcauth-doctor-pam-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let world = Self(root);
        for (service, text) in STOCK {
            let text = text.replace("ACCOUNT", &lines_of("Account")).replace("SESSION", &lines_of("Session"));
            world.write(&format!("/etc/pam.d/{service}"), &text);
        }
        let library = crate::doctor::elf::smallest();
        let folder = world.0.join("usr/lib/x86_64-linux-gnu/security");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("pam_permit.so"), &library).unwrap();
        std::fs::write(folder.join("pam_svcauth.so"), &library).unwrap();
        world
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, service: &str) -> String {
        std::fs::read_to_string(self.0.join("etc/pam.d").join(service)).unwrap()
    }

    /// Replaces a part of a file in pam.d, which must be there.
    fn change(&self, service: &str, from: &str, to: &str) {
        let text = self.read(service);
        assert!(text.contains(from), "{service} has no {from:?}");
        self.write(&format!("/etc/pam.d/{service}"), &text.replace(from, to));
    }

    fn findings(&self) -> Vec<Finding> {
        examine(&Host::in_folder(&self.0))
    }

    /// `code file:line` of what is worse than a note.
    fn codes(&self) -> Vec<String> {
        let found = self.findings().into_iter().filter(|it| it.severity > Severity::Note);
        let mut codes: Vec<String> = found
            .map(|it| {
                let (file, line) = it.place.unwrap();
                let line = line.map_or_else(String::new, |line| format!(":{line}"));
                format!("{} {}{line}", it.code, file.file_name().unwrap().to_string_lossy())
            })
            .collect();
        codes.sort();
        codes
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The lines of a part of the profile, as pam-auth-update writes them.
fn lines_of(part: &str) -> String {
    let begins = format!("{part}:");
    let lines = PROFILE.lines().skip_while(|line| *line != begins).skip(1);
    let lines = lines.take_while(|line| line.starts_with('\t'));
    lines.map(|line| format!("{}{line}\n", part.to_lowercase())).collect::<String>().trim_end().to_owned()
}

#[test]
fn a_host_with_the_profile_of_the_package_has_no_fault() {
    let world = World::new("healthy");
    assert!(is_enabled(&Host::in_folder(&world.0)));
    assert_eq!(world.codes(), [] as [&str; 0]);
    // Debian 12 reads ~/.pam_environment behind svcauth.
    let notes: Vec<_> = world.findings().into_iter().map(|it| (it.code, it.place.unwrap().0)).collect();
    assert_eq!(
        notes,
        [
            ("pam_user_env", PathBuf::from("/etc/pam.d/atd")),
            ("pam_user_env", PathBuf::from("/etc/pam.d/sshd"))
        ]
    );
}

#[test]
fn a_host_without_a_line_of_svcauth_is_not_enabled() {
    let world = World::new("off");
    for service in ["common-account", "common-session", "common-session-noninteractive"] {
        world.change(service, "pam_svcauth.so", "pam_other.so");
    }
    assert!(!is_enabled(&Host::in_folder(&world.0)));
}

const FIRST: &str = "[success=2 ignore=2 module_unknown=ignore default=die]\tpam_svcauth.so";
const LOCAL: &str = "requisite\tpam_localuser.so";

/// A change of one file, and what is found then.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    ("common-session", FIRST, "optional pam_svcauth.so", &["pam_denial_ignored common-session:4"]),
    ("common-session", FIRST, "sufficient pam_svcauth.so", &["pam_denial_ignored common-session:4"]),
    ("common-session", "default=die", "default=ignore", &["pam_denial_ignored common-session:4"]),
    ("common-account", "default=die", "default=ignore", &["pam_denial_ignored common-account:1"]),
    (
        "common-session",
        "default=die",
        "perm_denied=ignore default=die",
        &["pam_denial_ignored common-session:4"],
    ),
    (
        "common-session",
        "session required pam_permit.so\n",
        "session required pam_permit.so\nsession sufficient pam_ldap.so\n",
        &["pam_jump_over common-session:4"],
    ),
    (
        "sshd",
        "session optional pam_keyinit.so force revoke\n",
        "session [success=4 default=ignore] pam_succeed_if.so user ingroup x\n",
        &["pam_jump_over sshd:6"],
    ),
    (
        "sshd",
        "account required pam_nologin.so\n",
        "account [new_authtok_reqd=done default=ignore] pam_unix.so\n",
        &["pam_account_jump_over sshd:2"],
    ),
    (
        "sudo",
        "session required pam_limits.so\n",
        "session required pam_namespace.so\n",
        &["pam_sudo_masked sudo:1"],
    ),
    (
        "sudo-i",
        "session required pam_limits.so\n",
        "session required pam_systemd_home.so\n",
        &["pam_sudo_masked sudo-i:1"],
    ),
    ("common-session", "module_unknown=ignore ", "", &["pam_fails_shut common-session:4"]),
    ("common-session", LOCAL, "optional\tpam_localuser.so", &["pam_fails_open common-session:4"]),
    ("common-account", "/local_accounts", "/nobody", &["pam_fails_open common-account:1"]),
    ("common-account", "success=2 ignore=2", "success=2 ignore=die", &["pam_shuts_out common-account:1"]),
    ("common-session", "success=2 ignore=2", "success=99 ignore=99", &["pam_shuts_out common-session:4"]),
    ("common-session", "success=2 ignore=2", "success=1 ignore=2", &["pam_allows_nobody common-session:4"]),
    (
        "su",
        "@include common-session\n",
        "session requisite pam_svcauth.so\n@include common-session\n",
        &["pam_double su:6", "pam_fails_shut su:6"],
    ),
    ("cron", "session required pam_loginuid.so\n", "", &["pam_no_loginuid common-session-noninteractive:4"]),
    (
        "sshd",
        "session required pam_loginuid.so\nsession optional pam_keyinit.so force revoke\n@include common-session\n",
        "@include common-session\nsession required pam_loginuid.so\n",
        &["pam_before_loginuid common-session:4"],
    ),
    (
        "sshd",
        "session required pam_loginuid.so\n",
        "session required pam_loginuid.so\nsession required pam_env.so user_readenv=1\n",
        &["pam_after_user_env sshd:6"],
    ),
    (
        "sshd",
        "@include common-auth\n",
        "auth required pam_env.so user_readenv=1\n",
        &["pam_after_user_env sshd:1"],
    ),
    ("sshd", "@include common-session\n", "session required pam_unix.so\n", &["pam_session_missing sshd"]),
    ("sshd", "@include common-account\n", "account required pam_unix.so\n", &["pam_account_missing sshd"]),
    (
        "login",
        "@include common-session",
        "@include common-sesion",
        &["pam_broken_line login:8", "pam_session_missing login"],
    ),
    (
        "sudo",
        "session required pam_limits.so\n",
        "sesion required pam_limits.so\n",
        &["pam_broken_line sudo:1"],
    ),
];

#[test]
fn every_change_of_a_stack_that_matters_is_named_with_its_file_and_line() {
    for (index, (service, from, to, codes)) in ROWS.iter().enumerate() {
        let world = World::new(&format!("row-{index}"));
        assert_eq!(world.codes(), [] as [&str; 0]);
        world.change(service, from, to);
        assert_eq!(world.codes(), *codes, "{service}: {from:?} -> {to:?}\n{:#?}", world.findings());
    }
}

#[test]
fn a_service_without_svcauth_is_named_by_what_is_known_of_it() {
    for (service, text, code) in [
        (
            "sshd",
            "account required pam_unix.so\nsession required pam_unix.so\n",
            Some("pam_service_unprotected sshd"),
        ),
        (
            "vsftpd",
            "account required pam_unix.so\nsession required pam_unix.so\n",
            Some("pam_service_unprotected vsftpd"),
        ),
        (
            "vsftpd",
            "@include common-account\nsession required pam_unix.so\n",
            Some("pam_session_missing vsftpd"),
        ),
        // Without lines of its own, a phase is that of `other`, where svcauth is.
        ("vsftpd", "auth required pam_unix.so\n", None),
        (
            "mine",
            "account required pam_permit.so\nsession required pam_permit.so\n",
            Some("pam_other_service_unprotected mine"),
        ),
        ("mine", "@include common-account\n@include common-session\n", None),
        (
            "other",
            "account required pam_deny.so\nsession required pam_deny.so\n",
            Some("pam_service_unprotected other"),
        ),
        ("sshd.dpkg-old", "account required pam_unix.so\n", None),
        ("useradd", "account required pam_permit.so\n", None),
    ] {
        let world = World::new("services");
        world.write(&format!("/etc/pam.d/{service}"), text);
        assert_eq!(world.codes(), code.into_iter().collect::<Vec<_>>(), "{service}: {text}");
    }
}

#[test]
fn a_service_with_account_lines_alone_is_a_fault_only_where_it_is_known_to_let_people_in() {
    for (service, text, code) in [
        // Its session lines are those of `other`: that is no worse than to have none of svcauth at all.
        (
            "mine",
            "auth required pam_unix.so\naccount required pam_unix.so\n",
            Some("pam_other_service_unprotected mine"),
        ),
        ("vsftpd", "account required pam_unix.so\n", Some("pam_service_unprotected vsftpd")),
        // As the package sssd-common has it.
        (
            "sssd-shadowutils",
            "#%PAM-1.0\nauth [success=done ignore=ignore default=die] pam_unix.so nullok try_first_pass\n\
             auth required pam_deny.so\n\naccount required pam_unix.so\naccount required pam_permit.so\n",
            None,
        ),
    ] {
        let world = World::new("account-lines");
        world.write(&format!("/etc/pam.d/{service}"), text);
        assert_eq!(world.codes(), code.into_iter().collect::<Vec<_>>(), "{service}: {text}");
    }
}

#[test]
fn a_common_line_is_one_finding_that_names_its_services() {
    let world = World::new("grouped");
    world.change("common-session", "default=die", "default=ignore");
    let found = world.findings().into_iter().find(|it| it.code == "pam_denial_ignored").unwrap();
    assert!(found.what.starts_with("login, other, sshd, su, su-l, sudo-i: "), "{}", found.what);
    assert_eq!(found.place, Some((PathBuf::from("/etc/pam.d/common-session"), Some(4))));
}

#[test]
fn a_module_that_is_lost_or_not_only_roots_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new("module");
    let module = world.0.join("usr/lib/x86_64-linux-gnu/security/pam_svcauth.so");
    let mode =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(&module, 0o664);
    assert_eq!(world.codes(), ["pam_module_writable pam_svcauth.so"]);
    mode(&module, 0o644);
    mode(module.parent().unwrap(), 0o777);
    assert_eq!(world.codes(), ["pam_module_writable pam_svcauth.so"]);
    mode(module.parent().unwrap(), 0o755);
    assert_eq!(world.codes(), [] as [&str; 0]);
    std::fs::write(&module, "garbage").unwrap();
    assert_eq!(world.codes(), ["pam_module_broken pam_svcauth.so"]);
    std::fs::remove_file(&module).unwrap();
    assert_eq!(world.codes(), ["pam_module_missing pam_svcauth.so"]);
    mode(&world.0.join("etc/pam.d/su"), 0o666);
    assert_eq!(world.codes(), ["pam_file_writable su", "pam_module_missing pam_svcauth.so"]);
}
