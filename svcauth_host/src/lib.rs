//! What svcauth must ask the host: snapshot files, clocks, the audit sinks, the session registry, the decision counts.
//!
//! Belongs here: whatever the PAM module, the daemon and the `svcauth` command all need of the operating system. Never
//! here: deciding (that is `svcauth_core`), the network, threads. The fixed paths of design and packages are in [`paths`].
#![forbid(unsafe_code)]

pub mod audit;
pub mod audit_log;
pub mod clock;
pub mod confirmed;
pub mod decisions;
pub mod host_names;
pub mod local_users;
pub mod managed;
pub mod paths;
pub mod sessions;
pub mod snapshot_file;
pub mod spool;
