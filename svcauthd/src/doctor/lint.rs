//! Every code that `svcauth doctor` can name. Codes are an interface: never renamed, never reused (docs/doctor.md).

use std::path::{Path, PathBuf};

use super::{Finding, Severity};

/// A code and how bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lint {
    /// The word for scripts.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
}

/// Where a finding is.
pub(super) type Place = Option<(PathBuf, Option<usize>)>;

impl Lint {
    /// A finding in a line of a file.
    pub(super) fn at(&self, file: &Path, line: usize, what: String, fix: String) -> Finding {
        self.found(Some((file.to_owned(), Some(line))), what, fix)
    }

    /// A finding about a file as a whole.
    pub(super) fn of(&self, file: impl AsRef<Path>, what: String, fix: String) -> Finding {
        self.found(Some((file.as_ref().to_owned(), None)), what, fix)
    }

    /// A finding.
    pub(super) fn found(&self, place: Place, what: String, fix: String) -> Finding {
        Finding { code: self.code, severity: self.severity, place, what, fix }
    }
}

macro_rules! lints {
    ($($name:ident = $severity:ident $code:literal;)+) => {
        $(pub(super) const $name: Lint = Lint { code: $code, severity: Severity::$severity };)+
        /// All of them, in the order of docs/doctor.md.
        pub const ALL: &[Lint] = &[$($name),+];
    };
}

lints! {
    NOT_ENABLED = Note "not_enabled";

    CONFIG_INVALID = Fault "config_invalid";
    COMMAND_OPEN = Warning "command_open";
    COMMAND_MISSING = Note "command_missing";
    RULE_UNMANAGED = Warning "rule_unmanaged";
    RULE_UNKNOWN_ACCOUNT = Note "rule_unknown_account";
    RULE_UNKNOWN_SERVICE = Note "rule_unknown_service";

    PAM_SERVICE_UNPROTECTED = Fault "pam_service_unprotected";
    PAM_OTHER_SERVICE_UNPROTECTED = Warning "pam_other_service_unprotected";
    PAM_SESSION_MISSING = Fault "pam_session_missing";
    PAM_ACCOUNT_MISSING = Warning "pam_account_missing";
    PAM_DENIAL_IGNORED = Fault "pam_denial_ignored";
    PAM_JUMP_OVER = Fault "pam_jump_over";
    PAM_ACCOUNT_JUMP_OVER = Warning "pam_account_jump_over";
    PAM_SUDO_MASKED = Fault "pam_sudo_masked";
    PAM_TOO_COMPLEX = Warning "pam_too_complex";
    PAM_SHUTS_OUT = Fault "pam_shuts_out";
    PAM_ALLOWS_NOBODY = Fault "pam_allows_nobody";
    PAM_FAILS_OPEN = Fault "pam_fails_open";
    PAM_FAILS_SHUT = Warning "pam_fails_shut";
    PAM_DOUBLE = Warning "pam_double";
    PAM_BEFORE_LOGINUID = Fault "pam_before_loginuid";
    PAM_NO_LOGINUID = Warning "pam_no_loginuid";
    PAM_AFTER_USER_ENV = Fault "pam_after_user_env";
    PAM_USER_ENV = Note "pam_user_env";
    PAM_BROKEN_LINE = Fault "pam_broken_line";
    PAM_FILE_WRITABLE = Fault "pam_file_writable";
    PAM_MODULE_MISSING = Fault "pam_module_missing";
    PAM_MODULE_BROKEN = Fault "pam_module_broken";
    PAM_MODULE_WRITABLE = Fault "pam_module_writable";

    SSHD_NO_PAM = Fault "sshd_no_pam";
    SSHD_PAM_SERVICE = Fault "sshd_pam_service";
    SSHD_CONFIG_INVALID = Fault "sshd_config_invalid";
    SSHD_FILE_WRITABLE = Fault "sshd_file_writable";
    SSHD_SHADOWED = Fault "sshd_shadowed";
    SSHD_NO_INCLUDE = Fault "sshd_no_include";
    SSHD_USER_ENVIRONMENT = Warning "sshd_user_environment";
    SSHD_ACCEPT_ENV = Warning "sshd_accept_env";
    SSHD_NO_KEYS_COMMAND = Warning "sshd_no_keys_command";
    SSHD_OTHER_KEYS_COMMAND = Warning "sshd_other_keys_command";
    SSHD_KEYS_COMMAND_USER = Warning "sshd_keys_command_user";
    SSHD_KEY_FILE = Warning "sshd_key_file";
    SSHD_KEY_FILE_UNREADABLE = Warning "sshd_key_file_unreadable";
    SSHD_KEY_FILES_UNSEEN = Warning "sshd_key_files_unseen";
    SSHD_CA_MISSING = Warning "sshd_ca_missing";
    SSHD_CA_UNKNOWN = Note "sshd_ca_unknown";
    SSHD_CHROOT = Note "sshd_chroot";
    SSHD_LIMITS_OLD = Warning "sshd_limits_old";
    SSHD_INTERNAL_SFTP = Fault "sshd_internal_sftp";
    SSHD_FORWARDS_MORE = Warning "sshd_forwards_more";
    SSHD_NOT_RUNNING = Note "sshd_not_running";
    SSHD_NOT_ALL_ASKED = Note "sshd_not_all_asked";

    NSS_MISSING = Warning "nss_missing";
    NSS_HALF = Warning "nss_half";
    NSS_ORDER = Fault "nss_order";
    NSS_CUT_OFF = Warning "nss_cut_off";
    NSS_INITGROUPS = Warning "nss_initgroups";
    NSS_MERGE = Note "nss_merge";
    NSS_CACHE = Note "nss_cache";
    NSS_OTHER_SOURCE = Fault "nss_other_source";
    NSS_SOURCE_UNKNOWN = Warning "nss_source_unknown";
    NSS_LOCAL_UID = Fault "nss_local_uid";
    NSS_LOCAL_GID = Warning "nss_local_gid";
    NSS_FILE_WRITABLE = Fault "nss_file_writable";
    NSS_MODULE_MISSING = Warning "nss_module_missing";
    NSS_MODULE_BROKEN = Warning "nss_module_broken";
    NSS_MODULE_WRITABLE = Fault "nss_module_writable";
    LOCAL_ACCOUNT_UNKNOWN = Warning "local_account_unknown";

    SUDO_NO_SESSION = Fault "sudo_no_session";
    SUDO_PAM_SERVICE = Fault "sudo_pam_service";
    SUDO_UNKNOWN_ID = Warning "sudo_unknown_id";
    SUDO_NO_ACCOUNT = Warning "sudo_no_account";
    SUDO_NO_CRED = Note "sudo_no_cred";
    SUDO_REMOTE = Note "sudo_remote";
    SUDO_RS = Note "sudo_rs";

    LIMITED_OTHER_SHELL = Fault "limited_other_shell";
    LIMITED_STARTUP_FILES = Warning "limited_startup_files";
    LIMITS_OTHER_WAY = Warning "limits_other_way";
    LIMITS_NO_LANDLOCK = Warning "limits_no_landlock";
    SHELL_MISSING = Fault "shell_missing";
    SHELL_BROKEN = Fault "shell_broken";
    SHELL_WRITABLE = Fault "shell_writable";
    SHELL_LISTED = Fault "shell_listed";

    STATE_WRITABLE = Fault "state_writable";
    STATE_READABLE = Warning "state_readable";
    STATE_HIDDEN = Warning "state_hidden";
    COMMAND_WRITABLE = Fault "command_writable";
    DISK_NEARLY_FULL = Warning "disk_nearly_full";

    SNAPSHOT_MISSING = Fault "snapshot_missing";
    SNAPSHOT_INVALID = Fault "snapshot_invalid";
    SNAPSHOT_STALE = Fault "snapshot_stale";
    SNAPSHOT_OLD = Warning "snapshot_old";
    PACKAGES_DIFFER = Warning "packages_differ";
    DAEMON_NOT_RUNNING = Warning "daemon_not_running";
    DAEMON_NO_ANSWER = Warning "daemon_no_answer";
    DAEMON_NOT_ENABLED = Warning "daemon_not_enabled";
    DIRECTORY_FAILS = Warning "directory_fails";
    AUDIT_NOT_WRITTEN = Warning "audit_not_written";
    AUDIT_SPOOL_GROWS = Warning "audit_spool_grows";
    CLOCK_UNSYNCHRONISED = Warning "clock_unsynchronised";
    CLOCK_JUMPED = Warning "clock_jumped";
    PROC_HIDDEN = Warning "proc_hidden";
    NO_AUDIT_SESSIONS = Note "no_audit_sessions";

    HOME_FOREIGN = Fault "home_foreign";
    HOME_WRITABLE = Fault "home_writable";
    HOME_MISSING = Note "home_missing";
    HOME_STARTUP_FILE = Note "home_startup_file";
    HOMES_UNSEEN = Note "homes_unseen";
    ACCOUNT_CRONTAB = Note "account_crontab";
    ACCOUNT_AT_JOB = Note "account_at_job";
    ACCOUNT_LINGERS = Warning "account_lingers";
    KSU = Warning "ksu";
    DOAS = Warning "doas";
    PLACES_UNSEEN = Warning "places_unseen";
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
