//! The files of keys in the homes of accounts: which ones sshd reads, and how root reads them without being led astray.

pub(crate) mod careful;
pub(crate) mod sshd_config;
