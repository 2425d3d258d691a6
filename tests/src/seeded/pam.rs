//! Faults of the PAM stacks and of the module.

use super::{Fault, row};

const ACCOUNT: &str = "/etc/pam.d/common-account";
const SESSION: &str = "/etc/pam.d/common-session";
const PAM_MODULE: &str = "$LIB/security/pam_svcauth.so";

pub(super) const PAM: &[Fault] = &[
    row(
        "pam_denial_ignored",
        SESSION,
        &[SESSION],
        "sed -i '/pam_svcauth/s/default=die/default=ignore/' /etc/pam.d/common-session",
    ),
    row(
        "pam_denial_ignored",
        ACCOUNT,
        &[ACCOUNT],
        r"sed -i 's/\[.*\]\(.*pam_svcauth\)/optional \1/' /etc/pam.d/common-account",
    ),
    row(
        "pam_denial_ignored",
        SESSION,
        &[SESSION],
        r"sed -i 's/\[.*\]\(.*pam_svcauth\)/sufficient \1/' /etc/pam.d/common-session",
    ),
    row(
        "pam_service_unprotected",
        "/etc/pam.d/vsftpd",
        &["/etc/pam.d/vsftpd"],
        "printf 'account required pam_unix.so\\nsession required pam_unix.so\\n' >/etc/pam.d/vsftpd",
    ),
    row(
        "pam_other_service_unprotected",
        "/etc/pam.d/mine",
        &["/etc/pam.d/mine"],
        "printf 'account required pam_unix.so\\nsession required pam_unix.so\\n' >/etc/pam.d/mine",
    ),
    row(
        "pam_session_missing",
        "/etc/pam.d/cron",
        &["/etc/pam.d/cron"],
        "sed -i 's/^@include common-session.*/session required pam_unix.so/' /etc/pam.d/cron",
    ),
    row(
        "pam_account_missing",
        "/etc/pam.d/su",
        &["/etc/pam.d/su"],
        "sed -i 's/^@include common-account.*/account required pam_unix.so/' /etc/pam.d/su",
    ),
    row(
        "pam_jump_over",
        SESSION,
        &[SESSION],
        "sed -i '/pam_svcauth/i session sufficient pam_unix.so' /etc/pam.d/common-session",
    ),
    row(
        "pam_account_jump_over",
        ACCOUNT,
        &[ACCOUNT],
        "sed -i '/pam_svcauth/i account [success=ok new_authtok_reqd=done default=ignore] pam_unix.so' /etc/pam.d/common-account",
    ),
    row(
        "pam_sudo_masked",
        "/etc/pam.d/sudo",
        &["/etc/pam.d/sudo"],
        "sed -i '1i session required pam_namespace.so' /etc/pam.d/sudo",
    ),
    row(
        "pam_before_loginuid",
        SESSION,
        &["/etc/pam.d/sshd"],
        "sed -i '/pam_loginuid/d' /etc/pam.d/sshd; echo 'session required pam_loginuid.so' >>/etc/pam.d/sshd",
    ),
    row("pam_no_loginuid", SESSION, &["/etc/pam.d/sshd"], "sed -i '/pam_loginuid/d' /etc/pam.d/sshd"),
    row(
        "pam_after_user_env",
        "/etc/pam.d/sshd",
        &["/etc/pam.d/sshd"],
        "sed -i '/pam_loginuid/a session required pam_env.so user_readenv=1' /etc/pam.d/sshd",
    ),
    row(
        "pam_user_env",
        "/etc/pam.d/login",
        &["/etc/pam.d/login"],
        "echo 'session required pam_env.so user_readenv=1' >>/etc/pam.d/login",
    ),
    row(
        "pam_shuts_out",
        ACCOUNT,
        &[ACCOUNT],
        "sed -i '/pam_svcauth/s/ignore=2/ignore=die/' /etc/pam.d/common-account",
    ),
    row(
        "pam_allows_nobody",
        SESSION,
        &[SESSION],
        "sed -i '/pam_svcauth/s/success=2/success=1/' /etc/pam.d/common-session",
    ),
    row(
        "pam_double",
        "/etc/pam.d/su",
        &["/etc/pam.d/su"],
        "sed -i '1i session requisite pam_svcauth.so' /etc/pam.d/su",
    ),
    row(
        "pam_broken_line",
        "/etc/pam.d/cron",
        &["/etc/pam.d/cron"],
        "echo '@include common-nothing' >>/etc/pam.d/cron",
    ),
    row(
        "pam_broken_line",
        "/etc/pam.d/su",
        &["/etc/pam.d/su"],
        "echo 'session requird pam_unix.so' >>/etc/pam.d/su",
    ),
    // Each of four levels begins with the verdict that those above it have come to.
    row(
        "pam_too_complex",
        "/etc/pam.d/su",
        &["/etc/pam.d/su", "/etc/pam.d/seed1", "/etc/pam.d/seed2", "/etc/pam.d/seed3", "/etc/pam.d/seed4"],
        "for level in 1 2 3 4; do for line in $(seq 20); do echo 'session required pam_env.so'; done >/etc/pam.d/seed$level; done; \
         for level in 1 2 3; do echo \"session substack seed$((level + 1))\" >>/etc/pam.d/seed$level; done; \
         sed -i '1i session substack seed1' /etc/pam.d/su",
    ),
    row("pam_file_writable", "/etc/pam.d/su", &["/etc/pam.d/su"], "chmod 666 /etc/pam.d/su"),
];

pub(super) const PAM_LOST: &[Fault] = &[
    row(
        "pam_fails_open",
        SESSION,
        &[SESSION],
        r"sed -i 's/requisite\(.*pam_localuser\)/optional \1/' /etc/pam.d/common-session",
    ),
    row(
        "pam_fails_open",
        ACCOUNT,
        &[ACCOUNT],
        "sed -i 's/local_accounts/nothing/' /etc/pam.d/common-account",
    ),
    row(
        "pam_fails_shut",
        SESSION,
        &[SESSION],
        "sed -i 's/module_unknown=ignore default=die/default=die/' /etc/pam.d/common-session",
    ),
    row("pam_module_missing", "/security/pam_svcauth.so", &[PAM_MODULE], "rm $LIB/security/pam_svcauth.so"),
    row(
        "pam_module_broken",
        "/security/pam_svcauth.so",
        &[PAM_MODULE],
        "echo garbage >$LIB/security/new; chmod 644 $LIB/security/new; mv $LIB/security/new $LIB/security/pam_svcauth.so",
    ),
    // Another kind of machine in its header.
    row(
        "pam_module_broken",
        "/security/pam_svcauth.so",
        &[PAM_MODULE],
        "cp $LIB/security/pam_svcauth.so $LIB/security/new; printf '\\377\\376' | dd of=$LIB/security/new bs=1 seek=18 conv=notrunc status=none; \
         mv $LIB/security/new $LIB/security/pam_svcauth.so",
    ),
    row(
        "pam_module_writable",
        "/security/pam_svcauth.so",
        &[PAM_MODULE],
        "chmod 666 $LIB/security/pam_svcauth.so",
    ),
];
