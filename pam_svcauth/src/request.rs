//! What libpam says about a request: the items of the handle, read anew in every phase.

use std::ffi::CStr;

use nix::unistd::getuid;
use pam::constants::{PAM_SILENT, PamFlag};
use pam::items::{RHost, RUser, Service as ServiceItem, Tty, User as UserItem};
use pam::module::PamHandle;
use svcauth_core::audit::escape::text_of;
use svcauth_core::policy::{Family, Source};

/// `PAM_USER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// Not set, or empty.
    Missing,
    /// Set to something that is no text, so to nothing that a snapshot names; as [`text_of`] keeps it.
    NotText(String),
    /// Set.
    Named(String),
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
        Family::of(&self.service)
    }

    /// Whether the superuser of this host calls. sudo runs with the real uid 0 for everybody who runs sudoedit, so there
    /// only the name counts, which sudo takes from the real uid it was started with.
    pub(crate) fn is_by_root(&self) -> bool {
        let named = self.ruser.as_deref() == Some("root");
        match self.family() {
            Family::Su => named && getuid().is_root(),
            Family::Sudo => named,
            Family::Sshd | Family::Job | Family::Manager | Family::Other => false,
        }
    }

    /// Where the request comes from.
    pub(crate) fn source(&self) -> Source {
        Source::of(&self.service, self.rhost.as_deref())
    }
}

impl From<&CStr> for User {
    fn from(name: &CStr) -> Self {
        match name.to_str() {
            Ok("") => Self::Missing,
            Ok(name) => Self::Named(name.to_owned()),
            Err(_) => Self::NotText(text_of(name.to_bytes())),
        }
    }
}

/// An empty item says as little as none (login sets `PAM_RHOST` to "").
fn text(item: Option<&CStr>) -> Option<String> {
    item.filter(|text| !text.is_empty()).map(|text| text_of(text.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{Family, Request, User};

    fn request(service: &str) -> Request {
        Request {
            user: User::Named("deployer".to_owned()),
            service: service.to_owned(),
            rhost: None,
            ruser: Some("root".to_owned()),
            tty: None,
            silent: false,
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
            ("cron", Family::Job),
            ("atd", Family::Job),
            ("systemd-user", Family::Manager),
            ("sudoers", Family::Other),
            ("", Family::Other),
        ] {
            let request = request(service);
            assert_eq!(request.family(), family, "{service}");
            if matches!(family, Family::Sshd | Family::Job | Family::Manager | Family::Other) {
                assert!(!request.is_by_root(), "{service}");
            }
        }
        let mut sudo = request("sudo");
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
        assert_eq!(User::from(c"d\xffployer"), User::NotText("d\\xffployer".to_owned()));
    }
}
