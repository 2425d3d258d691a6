//! Opening what decisions are made of, for a person who asks.

use svcauth_core::snapshot::Invalid;
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_host::paths;
use svcauth_host::snapshot_file::{SnapshotError, SnapshotFile, open_access};

use super::client::NOT_SET_UP;
use super::output::Failure;
use crate::config_file::Loaded;

/// Opens `access.snap`. Who may not read it hears so with another exit status than a denial has.
pub(super) fn open() -> Result<AccessSnapshot<SnapshotFile>, Failure> {
    open_access().map_err(|error| match error {
        SnapshotError::Refused(_) if !nix::unistd::geteuid().is_root() => Failure::usage(format!(
            "only root and the group {} may read {}; run this command by sudo",
            paths::USER,
            paths::ACCESS_SNAPSHOT
        )),
        SnapshotError::Missing if Loaded::read().is_err_and(|why| why.is_missing()) => {
            Failure::new(NOT_SET_UP)
        }
        other => Failure::new(format!("{}: {other}", paths::ACCESS_SNAPSHOT)),
    })
}

/// It was opened, and a part of it cannot be read.
pub(super) fn damaged(error: Invalid) -> Failure {
    Failure::new(format!("{}: {}", paths::ACCESS_SNAPSHOT, SnapshotError::from(error)))
}
