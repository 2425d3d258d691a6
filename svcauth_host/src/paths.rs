//! The paths that scripts and other people's tools rely on. Nothing is taken from the environment.

/// The configuration.
pub const CONFIG: &str = "/etc/svcauth/svcauth.toml";
/// Where `svcauth setup` puts the password of the bind; mode 0600.
pub const BIND_SECRET: &str = "/etc/svcauth/bind.secret";
/// The directory of the published state.
pub const STATE_DIR: &str = "/var/lib/svcauth";
/// What NSS answers; mode 0644.
pub const ACCOUNTS_SNAPSHOT: &str = "/var/lib/svcauth/accounts.snap";
/// What decisions need; mode 0640, root:svcauth.
pub const ACCESS_SNAPSHOT: &str = "/var/lib/svcauth/access.snap";
/// When the directory last confirmed the published state; mode 0640, root:svcauth.
pub const CONFIRMED: &str = "/var/lib/svcauth/confirmed";
/// What was managed when the configuration could last be read; mode 0644.
pub const LAST_MANAGED: &str = "/var/lib/svcauth/managed";
/// The `local_accounts` of that configuration, one name a line; mode 0644. PAM refuses them by it when our module is gone.
pub const LOCAL_ACCOUNTS: &str = "/var/lib/svcauth/local_accounts";
/// Which group each role of the access rules is; mode 0640, root:svcauth.
pub const ROLES: &str = "/var/lib/svcauth/roles";
/// The daemon's socket; mode 0666, the peer's credentials decide.
pub const SOCKET: &str = "/run/svcauth/svcauthd.sock";
/// Where svcauth-shell asks before it runs anything; mode 0666, the peer's credentials decide.
pub const COMMAND_SOCKET: &str = "/run/svcauth/command.sock";
/// What interactive shells have shown, one file each; mode 0700.
pub const RECORDINGS_DIR: &str = "/var/log/svcauth/recordings";
/// One file per session; mode 0700.
pub const SESSIONS_DIR: &str = "/run/svcauth/sessions";
/// What the daemon has said about which session that it ends; mode 0600.
pub const REVOKED: &str = "/run/svcauth/revoked";
/// Decisions that the daemon has not counted yet; mode 0600.
pub const DECISIONS: &str = "/run/svcauth/decisions";
/// The audit trail; mode 0600. Older files have `.1`, `.2` and so on behind the name.
pub const AUDIT_FILE: &str = "/var/log/svcauth/audit.jsonl";
/// Where the audit trail stood last; mode 0600.
pub const AUDIT_HEAD: &str = "/var/lib/svcauth/audit.head";
/// Audit records that the daemon has not written to the audit trail yet; mode 0600.
pub const AUDIT_SPOOL: &str = "/run/svcauth/audit.spool";
/// Locked by the daemon for as long as it takes records out of the spool; mode 0600.
pub const RECORDER_LOCK: &str = "/run/svcauth/recorder.lock";
/// What the daemon tells Prometheus, for the textfile collector of its node exporter; mode 0644.
pub const METRICS: &str = "/var/lib/svcauth/metrics.prom";
/// The user that the worker and the keys command run as.
pub const USER: &str = "svcauth";
