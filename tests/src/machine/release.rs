//! The distributions whose trees are booted.

use std::fmt;

/// A release of Debian that svcauth is packaged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Release {
    /// Debian 12: systemd 252, OpenSSH 9.2, glibc 2.36.
    Debian12,
    /// Debian 13: systemd 257, OpenSSH 10.0, glibc 2.41.
    Debian13,
}

impl Release {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Debian12, Self::Debian13];

    /// What the names of cases begin with.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debian12 => "debian12",
            Self::Debian13 => "debian13",
        }
    }

    /// The code name that the archive knows it by.
    pub fn suite(self) -> &'static str {
        match self {
            Self::Debian12 => "bookworm",
            Self::Debian13 => "trixie",
        }
    }

    /// The one that [`Release::word`] names.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|release| release.word() == word)
    }

    /// What a plain server has, besides the minimal system, when somebody comes to install svcauth on it; without a network
    /// nothing can be fetched later, so what svcauth depends on is here, too.
    pub(super) fn packages(self) -> Vec<&'static str> {
        let libssl = match self {
            Self::Debian12 => "libssl3",
            Self::Debian13 => "libssl3t64",
        };
        let mut all = vec![libssl];
        all.extend([
            "systemd",
            "systemd-sysv",
            "dbus",
            "libpam-systemd",
            "openssh-server",
            "openssh-client",
            "sudo",
            "cron",
            "libgssapi-krb5-2",
            "iproute2",
            "procps",
            "rsync",
        ]);
        all
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_found_by_its_word_again() {
        for release in Release::ALL {
            assert_eq!(Release::of_word(release.word()), Some(*release));
        }
        assert_eq!(Release::of_word("debian11"), None);
    }
}
