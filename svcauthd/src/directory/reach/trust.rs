//! Which certificates count. To read them takes up to 50 ms, so what was read is kept while nothing has changed.

use crate::directory::error::FetchError;
use native_tls::{Certificate, Protocol, TlsConnector};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the certificates of the system are kept: an update of them changes files that nobody here knows by name.
const KEPT: Duration = Duration::from_secs(3600);

/// What was read last.
#[derive(Default)]
pub(super) struct Trust {
    kept: Option<(Source, Instant, TlsConnector)>,
}

/// Where certificates came from, and which version of it.
#[derive(PartialEq, Eq)]
struct Source {
    ca_file: Option<PathBuf>,
    version: Option<Version>,
}

/// Device, inode, size, and the last change of content and of inode in nanoseconds.
#[derive(PartialEq, Eq)]
struct Version {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<Metadata> for Version {
    fn from(file: Metadata) -> Self {
        Self {
            file: (file.dev(), file.ino()),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

impl Trust {
    /// What is trusted: the authorities of `ca_file` and no others, or those of the system.
    ///
    /// # Errors
    /// [`FetchError::File`] when there is no certificate in the file, or it cannot be read.
    pub(super) fn connector(
        &mut self,
        ca_file: Option<&Path>,
        now: Instant,
    ) -> Result<TlsConnector, FetchError> {
        // Looked at before it is read: what changes in between is read again next time.
        let version = ca_file.and_then(|path| std::fs::metadata(path).ok()).map(Version::from);
        let source = Source { ca_file: ca_file.map(Path::to_path_buf), version };
        if let Some((kept, since, connector)) = &self.kept {
            if *kept == source && now.saturating_duration_since(*since) < KEPT {
                return Ok(connector.clone());
            }
        }
        self.kept = None;
        let connector = read(ca_file)?;
        self.kept = Some((source, now, connector.clone()));
        Ok(connector)
    }
}

fn read(ca_file: Option<&Path>) -> Result<TlsConnector, FetchError> {
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    if let Some(path) = ca_file {
        let fault = |what: String| FetchError::File { path: path.to_path_buf(), what };
        let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
        let certificates = Certificate::stack_from_pem(&pem).map_err(|error| fault(error.to_string()))?;
        if certificates.is_empty() {
            return Err(fault("there is no certificate in it (expected PEM)".to_owned()));
        }
        builder.disable_built_in_roots(true);
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| FetchError::Internal(format!("TLS cannot be set up: {error}")))
}
