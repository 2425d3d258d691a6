//! Why a refresh failed: in words for the administrator, and as one of few kinds for who counts failures.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines the kinds with their names, each a label value of `svcauth_refresh_errors_total`.
macro_rules! kinds {
    ($($variant:ident $name:literal $meaning:literal)*) => {
        /// What kind of failure it is. A closed set: no text of a server gets into a metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FailureKind {
            $(#[doc = $meaning] $variant,)*
        }

        impl FailureKind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    Connect "connect" "No server could be reached."
    Tls "tls" "A certificate, a host name or a protocol version is not what it must be."
    Bind "bind" "The directory does not take the credentials."
    Refused "refused" "The directory refused a search."
    Incomplete "incomplete" "The answer is not whole: a connection that broke, a size limit, a missing part."
    Hostile "hostile" "The server sent what no LDAP server sends."
    Timeout "timeout" "The directory did not answer in time."
    Config "config" "The configuration, or a file that it names, does not fit the directory."
    File "file" "The LDIF file cannot be read or has a fault."
    Shrink "shrink" "The directory has suspiciously lost entries."
    TooLarge "too_large" "The directory is larger than svcauth takes over."
    Publish "publish" "This host could not write the snapshot or read its own users."
    Worker "worker" "The worker died, hung or talked nonsense."
    Internal "internal" "svcauth itself failed."
}

/// A refresh that failed; what was published before stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For who counts.
    pub kind: FailureKind,
    /// For who has to do something about it.
    pub reason: String,
}

impl Failure {
    /// A failure of this kind.
    #[must_use]
    pub fn new(kind: FailureKind, reason: impl fmt::Display) -> Self {
        Self { kind, reason: reason.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::FailureKind;

    #[test]
    fn a_kind_goes_over_the_wire_under_the_name_it_has_in_the_metrics() {
        for kind in FailureKind::ALL {
            let wire = serde_json::to_string(kind).unwrap();
            assert_eq!(wire, format!("\"{}\"", kind.as_str()));
        }
        assert!(serde_json::from_str::<FailureKind>("\"anything\"").is_err());
    }
}
