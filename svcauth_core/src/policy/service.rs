//! What a PAM service can say about who is behind a request, and where the request comes from.
//!
//! PAM, `svcauth explain` and the review of open sessions ask here, so that they cannot disagree.

use core::net::IpAddr;

use super::Source;

/// The services of PAM, by what they know about whoever calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// sshd: it says what the login proved, and from which address.
    Sshd,
    /// su and runuser: `PAM_RUSER` is who called, from the real uid.
    Su,
    /// sudo: the same, but in the account phase `PAM_USER` is the caller too.
    Sudo,
    /// cron and at: a job of the account. Whoever wrote it is not known any more.
    Job,
    /// systemd's user manager of the account, which logind starts beside its first session and at boot where somebody lingers.
    Manager,
    /// Anything else: nothing is known.
    Other,
}

impl Family {
    /// The family of a PAM service, by its exact name.
    #[must_use]
    pub fn of(service: &str) -> Self {
        match service {
            "sshd" => Self::Sshd,
            "su" | "su-l" | "runuser" | "runuser-l" => Self::Su,
            "sudo" | "sudo-i" => Self::Sudo,
            "cron" | "crond" | "atd" => Self::Job,
            "systemd-user" => Self::Manager,
            _ => Self::Other,
        }
    }

    /// Whether the account itself is the origin of what comes through these services.
    #[must_use]
    pub const fn has_nobody_behind(self) -> bool {
        matches!(self, Self::Job | Self::Manager)
    }
}

impl Source {
    /// Where a request through this service comes from; `from` is `PAM_RHOST`.
    ///
    /// Only sshd says it. A host name (`UseDNS yes`) is no address, so no rule with `from` covers it; a link-local address
    /// may carry its interface, as in `fe80::1%eth0`.
    #[must_use]
    pub fn of(service: &str, from: Option<&str>) -> Self {
        let bare = from.map(|from| from.split_once('%').map_or(from, |(address, _)| address));
        let address = bare.and_then(|from| from.parse::<IpAddr>().ok());
        match (Family::of(service), address) {
            (Family::Sshd, Some(address)) => Self::Address(address),
            _ => Self::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, Source};

    #[test]
    fn a_service_is_known_by_its_exact_name_only() {
        for (family, services) in [
            (Family::Sshd, &["sshd"][..]),
            (Family::Su, &["su", "su-l", "runuser", "runuser-l"]),
            (Family::Sudo, &["sudo", "sudo-i"]),
            (Family::Job, &["cron", "crond", "atd"]),
            (Family::Manager, &["systemd-user"]),
            (Family::Other, &["login", "at", "CRON", "cron ", "sudoers", "systemd", "vsftpd", ""]),
        ] {
            for service in services {
                assert_eq!(Family::of(service), family, "{service:?}");
            }
        }
    }

    #[test]
    fn only_sshd_says_which_address_a_request_comes_from_and_only_as_an_address() {
        let address = |text: &str| Source::Address(text.parse().unwrap());
        for (service, from, source) in [
            ("sshd", Some("10.1.2.3"), address("10.1.2.3")),
            ("sshd", Some("::1"), address("::1")),
            ("sshd", Some("fe80::1%eth0"), address("fe80::1")),
            ("sshd", Some("bastion.example.com"), Source::Local),
            ("sshd", Some("10.1.2.3 "), Source::Local),
            ("sshd", Some("%eth0"), Source::Local),
            ("sshd", Some(""), Source::Local),
            ("sshd", None, Source::Local),
            ("su", Some("10.1.2.3"), Source::Local),
            ("cron", Some("10.1.2.3"), Source::Local),
            ("vsftpd", Some("10.1.2.3"), Source::Local),
        ] {
            assert_eq!(Source::of(service, from), source, "{service} {from:?}");
        }
    }
}
