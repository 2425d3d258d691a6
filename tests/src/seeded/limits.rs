//! Faults of the limits of access rules. A healthy host has none: each seed limits the last rule of the configuration first.

use super::{Fault, row};

const CONFIG: &str = "/etc/svcauth/svcauth.toml";
const SHELL: &str = "/usr/bin/svcauth-shell";
const SSHD: &str = "/etc/ssh/sshd_config";
/// A drop-in that sshd reads before that of svcauth.
const EARLY: &str = "/etc/ssh/sshd_config.d/00-seed.conf";

pub(super) const LIMITS: &[Fault] = &[
    row(
        "command_open",
        CONFIG,
        &[CONFIG],
        "echo 'commands = [[\"/usr/bin/find\", \"<rest>\"]]' >>/etc/svcauth/svcauth.toml",
    ),
    row("sshd_limits_old", "/10-svcauth.conf", &[CONFIG], "limit"),
    row(
        "sshd_internal_sftp",
        SSHD,
        &[CONFIG, SSHD],
        "limit; sed -i 's/^Subsystem.*/Subsystem sftp internal-sftp/' /etc/ssh/sshd_config",
    ),
    row(
        "sshd_forwards_more",
        EARLY,
        &[CONFIG, EARLY],
        "limit; printf 'Match User deployer\\nAllowAgentForwarding yes\\n' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row("limited_other_shell", "/etc/passwd", &[CONFIG, "/etc/passwd"], "limit; local_account"),
    row(
        "limited_startup_files",
        "/etc/passwd",
        &[CONFIG, "/etc/passwd", EARLY],
        "limit; local_account; \
         printf 'Match User robot\\nForceCommand /usr/bin/svcauth-shell --forced\\n' >/etc/ssh/sshd_config.d/00-seed.conf",
    ),
    row("limits_other_way", CONFIG, &[CONFIG], "limit"),
    row("rule_unmanaged", CONFIG, &[CONFIG], "rule_about nobody"),
    row("rule_unknown_account", CONFIG, &[CONFIG], "rule_about deploier"),
    row(
        "rule_unknown_service",
        CONFIG,
        &[CONFIG],
        "rule_about deployer; echo 'services = [\"ssh\"]' >>/etc/svcauth/svcauth.toml",
    ),
    row(
        "command_missing",
        CONFIG,
        &[CONFIG],
        "limit; echo 'commands = [[\"/usr/bin/nothing\"]]' >>/etc/svcauth/svcauth.toml",
    ),
    row("shell_missing", SHELL, &[CONFIG, SHELL], "limit; rm /usr/bin/svcauth-shell"),
    row("shell_broken", SHELL, &[CONFIG, SHELL], "limit; chmod 750 /usr/bin/svcauth-shell"),
    // Linked as any other program.
    row(
        "shell_broken",
        SHELL,
        &[CONFIG, SHELL],
        "limit; cp /usr/bin/true /usr/bin/svcauth-new; mv /usr/bin/svcauth-new /usr/bin/svcauth-shell",
    ),
    row("shell_writable", SHELL, &[CONFIG, SHELL], "limit; chmod o+w /usr/bin/svcauth-shell"),
    row(
        "shell_listed",
        "/etc/shells",
        &[CONFIG, "/etc/shells"],
        "limit; echo /usr/bin/svcauth-shell >>/etc/shells",
    ),
];

/// What the seeds call.
pub(super) const FUNCTIONS: &str = r#"
rule_about() { printf '\n[[access]]\naccounts = ["%s"]\nroles = ["application"]\n' "$1" >>/etc/svcauth/svcauth.toml; }
limit() { echo 'shell = "deny"' >>/etc/svcauth/svcauth.toml; }
local_account() {
    echo 'robot:x:1500:1500::/home/robot:/bin/sh' >>/etc/passwd
    sed -i 's/^#* *local_accounts = .*//; s/^\[accounts\]/&\nlocal_accounts = ["robot"]/' /etc/svcauth/svcauth.toml
    printf '\n[[access]]\naccounts = ["robot"]\nroles = ["application"]\nshell = "deny"\n' >>/etc/svcauth/svcauth.toml
}
"#;
