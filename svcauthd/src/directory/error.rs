//! Why the directory could not be read: which server, which step, what it said.

use super::guard::GuardError;
use super::ldif::LdifError;
use crate::failure::{Failure, FailureKind};
use std::path::PathBuf;

/// Why a fetch gave nothing. Whatever it was, the data of the last good fetch stay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// A file of the configuration cannot be used.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The LDIF file has a fault.
    #[error("{}: {fault}", path.display())]
    Ldif {
        /// The file.
        path: PathBuf,
        /// Line and fault.
        fault: LdifError,
    },
    /// There is nothing where the configuration looks for entries.
    #[error("{server}: there is no entry \"{base}\"; check [{section}] base and what the bind DN may read")]
    NoBase {
        /// The server or file.
        server: String,
        /// The section of the configuration.
        section: &'static str,
        /// The base.
        base: String,
    },
    /// No controller of a domain is known.
    #[error(
        "no controller of {domain} can be found: {what}; check /etc/resolv.conf, or name them in place of domain: \
         uris = [\"ldaps://dc1.{domain}\"]"
    )]
    Discovery {
        /// The domain.
        domain: String,
        /// What DNS said, escaped.
        what: String,
    },
    /// No connection.
    #[error("{server}: cannot connect: {what}")]
    Connect {
        /// The server.
        server: String,
        /// What the system said.
        what: String,
    },
    /// No protected connection: certificate, host name, protocol version.
    #[error("{server}: TLS failed: {what}; check ca_file and that the certificate names this host")]
    Tls {
        /// The server.
        server: String,
        /// What the TLS library said.
        what: String,
    },
    /// No bind with Kerberos: the keytab, the KDC, or the server's refusal.
    #[error("{server}: Kerberos failed: {what}")]
    Kerberos {
        /// The server.
        server: String,
        /// Who said what.
        what: String,
        /// Whether nobody said anything: the KDC is away.
        silent: bool,
    },
    /// The server sent what no LDAP server sends.
    #[error("{server}: the server {fault}")]
    Guard {
        /// The server.
        server: String,
        /// What it sent.
        fault: GuardError,
    },
    /// The server refused a step, or ended a search early (size limit, time limit).
    #[error("{server}: {step} failed with LDAP result {code}{}", reason(*code, text))]
    Refused {
        /// The server.
        server: String,
        /// The step: `StartTLS`, `bind`, or the search of a section.
        step: String,
        /// The LDAP result code (RFC 4511, appendix A).
        code: u32,
        /// The server's diagnostic message, as it came.
        text: String,
    },
    /// The connection broke, or the answer is not complete.
    #[error("{server}: {step} broke off: {what}")]
    Broken {
        /// The server.
        server: String,
        /// The step.
        step: String,
        /// How.
        what: String,
    },
    /// One step took longer than `timeout`.
    #[error("{server}: no answer to {step} within {seconds} s")]
    Timeout {
        /// The server.
        server: String,
        /// The step.
        step: String,
        /// The time that was allowed.
        seconds: u64,
    },
    /// The whole fetch took too long.
    #[error("the fetch was not complete within the time allowed for all of it")]
    Deadline,
    /// No password to bind with.
    #[error("bind_password_file gives no password; an empty password is never sent (RFC 4513, 5.1.2)")]
    NoSecret,
    /// None of several servers could be used.
    #[error("no server could be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoServer(Vec<FetchError>),
    /// A fault of this program; nothing was taken over.
    #[error("internal error: {0}")]
    Internal(String),
}

impl FetchError {
    /// What kind of failure it is; of several servers that failed, that of the preferred one.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::File { .. } | Self::Ldif { .. } => FailureKind::File,
            Self::NoBase { .. } | Self::NoSecret => FailureKind::Config,
            Self::Discovery { .. } | Self::Connect { .. } => FailureKind::Connect,
            Self::Tls { .. } => FailureKind::Tls,
            Self::Guard { .. } => FailureKind::Hostile,
            Self::Kerberos { silent: true, .. } => FailureKind::Connect,
            Self::Kerberos { .. } => FailureKind::Bind,
            Self::Refused { step, .. } if step == "bind" => FailureKind::Bind,
            Self::Refused { step, .. } if step == "StartTLS" => FailureKind::Tls,
            // Time, size and administrative limit: part of the list came.
            Self::Refused { code: 3 | 4 | 11, .. } | Self::Broken { .. } => FailureKind::Incomplete,
            Self::Refused { .. } => FailureKind::Refused,
            Self::Timeout { .. } | Self::Deadline => FailureKind::Timeout,
            Self::NoServer(failures) => failures.first().map_or(FailureKind::Connect, Self::kind),
            Self::Internal(_) => FailureKind::Internal,
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::new(error.kind(), error)
    }
}

fn reason(code: u32, text: &str) -> String {
    let known = match code {
        3 => " (time limit exceeded: the list is not complete)",
        4 => " (size limit exceeded: the list is not complete; raise the limit for the bind DN)",
        8 => " (stronger authentication required)",
        11 => " (administrative limit exceeded: the list is not complete)",
        32 => " (no such object)",
        49 => " (wrong bind DN or password)",
        50 => " (insufficient access)",
        51 => " (busy)",
        52 => " (unavailable)",
        _ => "",
    };
    let short: String = text.chars().take(200).collect();
    if short.is_empty() { known.to_owned() } else { format!("{known}: {short}") }
}

#[cfg(test)]
mod tests {
    use super::{FailureKind, FetchError};

    fn refused(step: &str, code: u32) -> FetchError {
        FetchError::Refused { server: "s".to_owned(), step: step.to_owned(), code, text: String::new() }
    }

    #[test]
    fn a_refusal_is_counted_by_what_was_refused() {
        for (step, code, kind) in [
            ("bind", 49, FailureKind::Bind),
            ("StartTLS", 2, FailureKind::Tls),
            ("the search of [people]", 4, FailureKind::Incomplete),
            ("the search of [people]", 50, FailureKind::Refused),
        ] {
            assert_eq!(refused(step, code).kind(), kind, "{step} {code}");
        }
    }

    #[test]
    fn several_servers_that_failed_are_one_failure_of_the_kind_of_the_first() {
        let failures = vec![refused("bind", 49), FetchError::Deadline];
        assert_eq!(FetchError::NoServer(failures).kind(), FailureKind::Bind);
    }
}
