//! What libpam says about a request: the items of the handle, read anew in every phase.

use std::ffi::CStr;
use std::net::IpAddr;

use nix::unistd::getuid;
use pam::constants::{PAM_SILENT, PamFlag};
use pam::items::{RHost, RUser, Service as ServiceItem, Tty, User as UserItem};
use pam::module::PamHandle;
use svcauth_core::policy::Source;

/// `PAM_USER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// Not set, or empty.
    Missing,
    /// Set to something that is no text, so to nothing that a snapshot names.
    NotText,
    /// Set.
    Named(String),
}

/// What is known about whoever calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// sshd: the PAM environment says what it proved.
    Sshd,
    /// su and runuser: `PAM_RUSER` is who called, from the real uid.
    Su,
    /// sudo: the same, but in the account phase `PAM_USER` is the caller too.
    Sudo,
    /// Anything else: nothing is known.
    Other,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) user: User,
    pub(crate) service: String,
    pub(crate) rhost: Option<String>,
    pub(crate) ruser: Option<String>,
    pub(crate) tty: Option<String>,
    pub(crate) silent: bool,
}

impl Request {
    /// Reads the items. Never prompts, as pam_get_user(3) would.
    pub(crate) fn read(pamh: &PamHandle, flags: PamFlag) -> Self {
        let user = pamh.get_item::<UserItem<'_>>().ok().flatten();
        Self {
            user: user.map_or(User::Missing, |name| User::from(name.0)),
            service: text(pamh.get_item::<ServiceItem<'_>>().ok().flatten().map(|item| item.0))
                .unwrap_or_default(),
            rhost: text(pamh.get_item::<RHost<'_>>().ok().flatten().map(|item| item.0)),
            ruser: text(pamh.get_item::<RUser<'_>>().ok().flatten().map(|item| item.0)),
            tty: text(pamh.get_item::<Tty<'_>>().ok().flatten().map(|item| item.0)),
            silent: flags & PAM_SILENT != 0,
        }
    }

    /// Root by name is none of our business, whatever else is wrong.
    pub(crate) fn is_for_root(&self) -> bool {
        self.user == User::Named("root".to_owned())
    }

    pub(crate) fn family(&self) -> Family {
        match self.service.as_str() {
            "sshd" => Family::Sshd,
            "su" | "su-l" | "runuser" | "runuser-l" => Family::Su,
            "sudo" | "sudo-i" => Family::Sudo,
            _ => Family::Other,
        }
    }

    /// Whether the superuser of this host calls. sudo runs with the real uid 0 for everybody who runs sudoedit, so there
    /// only the name counts, which sudo takes from the real uid it was started with.
    pub(crate) fn is_by_root(&self) -> bool {
        let named = self.ruser.as_deref() == Some("root");
        match self.family() {
            Family::Su => named && getuid().is_root(),
            Family::Sudo => named,
            Family::Sshd | Family::Other => false,
        }
    }

    /// Where the request comes from. A host name (`UseDNS yes`) is not an address: no rule with `from` covers it.
    pub(crate) fn source(&self) -> Source {
        let address = self.rhost.as_deref().and_then(address_of);
        match (self.family(), address) {
            (Family::Sshd, Some(address)) => Source::Address(address),
            _ => Source::Local,
        }
    }
}

impl From<&CStr> for User {
    fn from(name: &CStr) -> Self {
        match name.to_str() {
            Ok("") => Self::Missing,
            Ok(name) => Self::Named(name.to_owned()),
            Err(_) => Self::NotText,
        }
    }
}

/// An empty item says as little as none (login sets `PAM_RHOST` to "").
fn text(item: Option<&CStr>) -> Option<String> {
    item.filter(|text| !text.is_empty()).map(|text| text.to_string_lossy().into_owned())
}

/// An address; a link-local one may carry its interface, as in `fe80::1%eth0`.
fn address_of(rhost: &str) -> Option<IpAddr> {
    let (address, _) = rhost.split_once('%').unwrap_or((rhost, ""));
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::{Family, Request, Source, User};

    fn request(service: &str, rhost: Option<&str>) -> Request {
        Request {
            user: User::Named("deployer".to_owned()),
            service: service.to_owned(),
            rhost: rhost.map(str::to_owned),
            ruser: Some("root".to_owned()),
            tty: None,
            silent: false,
        }
    }

    #[test]
    fn only_sshd_says_which_address_a_request_comes_from_and_only_as_an_address() {
        let v4 = Source::Address(Ipv4Addr::new(10, 1, 2, 3).into());
        let v6 = Source::Address("fe80::1".parse::<Ipv6Addr>().unwrap().into());
        for (service, rhost, source) in [
            ("sshd", Some("10.1.2.3"), v4),
            ("sshd", Some("fe80::1%eth0"), v6),
            ("sshd", Some("bastion.example.com"), Source::Local),
            ("sshd", Some("10.1.2.3 "), Source::Local),
            ("sshd", None, Source::Local),
            ("su", Some("10.1.2.3"), Source::Local),
            ("vsftpd", Some("10.1.2.3"), Source::Local),
        ] {
            assert_eq!(request(service, rhost).source(), source, "{service} {rhost:?}");
        }
    }

    #[test]
    fn the_superuser_calls_only_through_su_runuser_and_sudo() {
        for (service, family) in [
            ("su", Family::Su),
            ("su-l", Family::Su),
            ("runuser", Family::Su),
            ("runuser-l", Family::Su),
            ("sudo", Family::Sudo),
            ("sudo-i", Family::Sudo),
            ("sshd", Family::Sshd),
            ("login", Family::Other),
            ("cron", Family::Other),
            ("sudoers", Family::Other),
            ("", Family::Other),
        ] {
            let request = request(service, None);
            assert_eq!(request.family(), family, "{service}");
            if matches!(family, Family::Sshd | Family::Other) {
                assert!(!request.is_by_root(), "{service}");
            }
        }
        let mut sudo = request("sudo", None);
        assert!(sudo.is_by_root());
        for other in [None, Some("alice"), Some("ROOT"), Some("root ")] {
            sudo.ruser = other.map(str::to_owned);
            assert!(!sudo.is_by_root(), "{other:?}");
        }
    }

    #[test]
    fn a_user_that_is_empty_is_missing_and_one_that_is_no_text_is_nobody_we_know() {
        assert_eq!(User::from(c""), User::Missing);
        assert_eq!(User::from(c"deployer"), User::Named("deployer".to_owned()));
        assert_eq!(User::from(c"d\xffployer"), User::NotText);
    }
}
