//! Faults of sshd and sudo.

use super::{Fault, On, row};

const CONFIG: &str = "/etc/svcauth/svcauth.toml";
/// A drop-in that sshd reads before that of svcauth.
const EARLY: &str = "/etc/ssh/sshd_config.d/00-seed.conf";
const SUDO_PROGRAM: &str = "/usr/bin/sudo";
const SUDOERS: &str = "/etc/sudoers.d/seed";
const NSSWITCH: &str = "/etc/nsswitch.conf";

pub(super) const SSHD: &[Fault] = &[
    row("sshd_no_pam", EARLY, &[EARLY], "echo 'UsePAM no' >/etc/ssh/sshd_config.d/00-seed.conf"),
    row("sshd_shadowed", EARLY, &[EARLY], "echo 'UsePAM no' >/etc/ssh/sshd_config.d/00-seed.conf"),
    row(
        "sshd_user_environment",
        EARLY,
        &[EARLY],
        "echo 'PermitUserEnvironment yes' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row("sshd_accept_env", EARLY, &[EARLY], "echo 'AcceptEnv *' >/etc/ssh/sshd_config.d/00-seed.conf"),
    row(
        "sshd_accept_env",
        EARLY,
        &[EARLY],
        "echo 'AcceptEnv SVCAUTH_*' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row(
        "sshd_accept_env",
        EARLY,
        &[EARLY],
        "printf 'Match Address 10.1.2.0/24\\nAcceptEnv LD_*\\n' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row(
        "sshd_no_keys_command",
        EARLY,
        &[EARLY],
        "printf 'Match User dep*\\nAuthorizedKeysCommand none\\n' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row(
        "sshd_other_keys_command",
        EARLY,
        &[EARLY],
        "printf 'Match Group application\\nAuthorizedKeysCommand /usr/bin/true\\n' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row(
        "sshd_keys_command_user",
        EARLY,
        &[EARLY],
        "echo 'AuthorizedKeysCommandUser nobody' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row(
        "sshd_chroot",
        EARLY,
        &[EARLY],
        "printf 'Match User deployer\\nChrootDirectory /srv\\n' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row(
        "sshd_no_include",
        "/etc/ssh/sshd_config",
        &["/etc/ssh/sshd_config"],
        "sed -i '/^Include/d' /etc/ssh/sshd_config",
    ),
    row(
        "sshd_pam_service",
        EARLY,
        &[EARLY],
        "echo 'PAMServiceName other' >/etc/ssh/sshd_config.d/00-seed.conf",
    )
    .only(On::Debian13),
    row("sshd_not_running", "/etc/ssh/sshd_config", &[], "mv /run/sshd /run/sshd-seeded")
        .undone_by("mv /run/sshd-seeded /run/sshd"),
    row(
        "sshd_not_all_asked",
        "/etc/ssh/sshd_config",
        &[EARLY],
        "for i in $(seq 70); do printf 'Match Address 10.%s.0.0/16\\nX11Forwarding no\\n' $i; done >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row("sshd_config_invalid", EARLY, &[EARLY], "echo 'Nonsense yes' >/etc/ssh/sshd_config.d/00-seed.conf"),
    row(
        "sshd_file_writable",
        "/etc/ssh/sshd_config",
        &["/etc/ssh/sshd_config"],
        "chmod 666 /etc/ssh/sshd_config",
    ),
    row(
        "sshd_key_file",
        "/home/deployer/.ssh/authorized_keys2",
        &["/home/deployer/.ssh"],
        "mkdir -p /home/deployer/.ssh; ssh-keygen -q -t ed25519 -N '' -f /run/seeded/key; \
         cp /run/seeded/key.pub /home/deployer/.ssh/authorized_keys2",
    ),
    row(
        "sshd_key_file_unreadable",
        "/home/deployer/.ssh/authorized_keys2",
        &["/home/deployer/.ssh"],
        "mkdir -p /home/deployer/.ssh; ln -s /etc/shadow /home/deployer/.ssh/authorized_keys2",
    ),
    row(
        "sshd_ca_unknown",
        "/etc/ssh/seed_ca.pub",
        &[EARLY, "/etc/ssh/seed_ca.pub"],
        "ssh-keygen -q -t ed25519 -N '' -f /run/seeded/ca; cp /run/seeded/ca.pub /etc/ssh/seed_ca.pub; \
         echo 'TrustedUserCAKeys /etc/ssh/seed_ca.pub' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row(
        "sshd_ca_missing",
        "/etc/ssh/sshd_config",
        &[CONFIG, "/etc/svcauth/user_ca.pub"],
        "ssh-keygen -q -t ed25519 -N '' -f /run/seeded/ca; cp /run/seeded/ca.pub /etc/svcauth/user_ca.pub; \
         sed -i '/^\\[certificates\\]/d; s/^# *trusted_ca.*//' /etc/svcauth/svcauth.toml; \
         printf '\\n[certificates]\\ntrusted_ca = [\"/etc/svcauth/user_ca.pub\"]\\n' >>/etc/svcauth/svcauth.toml",
    ),
];

pub(super) const SUDO: &[Fault] = &[
    row("sudo_no_session", SUDOERS, &[SUDOERS], "echo 'Defaults !pam_session' >/etc/sudoers.d/seed"),
    row(
        "sudo_no_session",
        SUDOERS,
        &[SUDOERS],
        "echo 'Defaults:local env_reset, !pam_session' >/etc/sudoers.d/seed",
    ),
    row("sudo_no_account", SUDOERS, &[SUDOERS], "echo 'Defaults !pam_acct_mgmt' >/etc/sudoers.d/seed"),
    row("sudo_no_cred", SUDOERS, &[SUDOERS], "echo 'Defaults !pam_setcred' >/etc/sudoers.d/seed"),
    row("sudo_pam_service", SUDOERS, &[SUDOERS], "echo 'Defaults pam_service=runuser' >/etc/sudoers.d/seed"),
    row(
        "sudo_unknown_id",
        SUDOERS,
        &[SUDOERS],
        "echo 'Defaults runas_allow_unknown_id' >/etc/sudoers.d/seed",
    ),
    // The way that Ubuntu has them, where sudo-rs is sudo.
    row(
        "sudo_rs",
        SUDO_PROGRAM,
        &[SUDO_PROGRAM, "/usr/lib/cargo"],
        "mkdir -p /usr/lib/cargo/bin; cp -a /usr/bin/sudo /usr/lib/cargo/bin/sudo; ln -sf ../lib/cargo/bin/sudo /usr/bin/sudo",
    ),
    row("sudo_remote", NSSWITCH, &[NSSWITCH], "echo 'sudoers: files sss' >>/etc/nsswitch.conf"),
];
