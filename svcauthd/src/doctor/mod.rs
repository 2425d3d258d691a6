//! What on this host keeps svcauth from deciding, or lets somebody past it, and what to do about each.
//!
//! `svcauth doctor` shows it, and `svcauth enable` refuses to go on while there is a fault.

mod elf;
mod homes;
mod host;
#[expect(unsafe_code, reason = "a question to the kernel that no library asks")]
mod landlock_sys;
mod limits;
mod lint;
mod nss;
mod pam;
mod proc_mount;
pub mod prove;
mod rules;
mod running;
mod settings;
mod site;
mod sshd;
mod state;
mod sudo;
mod trust;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::config_file::ConfigFileError;

pub use host::Host;
pub use lint::{ALL, Lint};
pub use site::Site;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know; nothing is open and nobody is shut out.
    Note,
    /// Something that svcauth promises does not hold in a corner; logins are decided.
    Warning,
    /// A managed account can be reached past svcauth, or root or a local account can be shut out.
    Fault,
}

impl Severity {
    /// The word for people and scripts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable word for scripts, as in `pam_default_ignore`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file that has to change, and the line in it from 1, where there is one.
    pub place: Option<(PathBuf, Option<usize>)>,
    /// What is wrong and what it means, in one sentence.
    pub what: String,
    /// What to do: a command or an edit that can be copied.
    pub fix: String,
}

/// How long the looking may take that touches homes, which may be on a server that is down.
const PATIENCE: Duration = Duration::from_secs(20);
/// What touches homes, and nothing else: where one does not answer, all that is in it is left out.
const IN_HOMES: &[Look] = &[sshd::key_files, homes::examine];

type Look = fn(&Host, &Site) -> Vec<Finding>;

/// Looks at this host; it takes some seconds at most, and changes nothing. The worst comes first.
#[must_use]
pub fn examine() -> Vec<Finding> {
    examine_host(&Arc::new(Host::this()), &Arc::new(Site::read()))
}

/// Looks at a host, and at what svcauth knows there.
fn examine_host(host: &Arc<Host>, site: &Arc<Site>) -> Vec<Finding> {
    let is_enabled = pam::is_enabled(host) || nss::is_enabled(host);
    let mut found = settings::examine(site, is_enabled);
    if is_enabled {
        found.extend(pam::examine(host));
        found.extend(sudo::examine(host));
        found.extend(nss::examine(host, site));
        found.extend(nss::unknown_local_accounts(host, site));
        found.extend(state::examine(host, site));
        found.extend(running::examine(host, site));
        found.extend(rules::examine(host, site));
        found.extend(limits::examine(host, site));
        found.extend(sshd::examine(host, site));
        found.extend(within(PATIENCE, host, site, IN_HOMES));
    } else {
        let what = "no service and no name service asks svcauth: it decides nothing on this host".to_owned();
        let is_set_up = !site.fault.as_ref().is_some_and(ConfigFileError::is_missing);
        let fix =
            if is_set_up { "run: svcauth enable" } else { "run: svcauth setup, and then: svcauth enable" };
        found.push(lint::NOT_ENABLED.found(None, what, fix.to_owned()));
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

/// Looks in threads of their own, which are left behind if they do not come back: a call to a server that is down waits for
/// ever.
fn within(patience: Duration, host: &Arc<Host>, site: &Arc<Site>, looks: &[Look]) -> Vec<Finding> {
    let until = Instant::now() + patience;
    let begun: Vec<Receiver<Vec<Finding>>> = looks.iter().map(|look| begin(host, site, *look)).collect();
    let (mut found, mut is_all) = (Vec::new(), true);
    for look in &begun {
        match look.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(findings) => found.extend(findings),
            Err(_) => is_all = false,
        }
    }
    if !is_all {
        let what = "homes, or files of keys in them, did not answer in time, and were left out".to_owned();
        let fix =
            "look for a mounted file system whose server is down: findmnt -t nfs,nfs4,cifs,autofs".to_owned();
        found.push(lint::PLACES_UNSEEN.found(None, what, fix));
    }
    found
}

fn begin(host: &Arc<Host>, site: &Arc<Site>, look: Look) -> Receiver<Vec<Finding>> {
    let (sender, receiver) = channel();
    let (host, site) = (Arc::clone(host), Arc::clone(site));
    // Nobody listens any more when it took too long.
    std::thread::spawn(move || drop(sender.send(look(&host, &site))));
    receiver
}

/// Each finding once: the same line of a file can matter for many.
fn once(found: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for finding in found {
        if !kept.iter().any(|other| (other.code, &other.place) == (finding.code, &finding.place)) {
            kept.push(finding);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Finding, Host, Look, Site, lint, within};

    fn hangs(_: &Host, _: &Site) -> Vec<Finding> {
        loop {
            std::thread::park();
        }
    }

    fn answers(_: &Host, _: &Site) -> Vec<Finding> {
        vec![lint::KSU.found(None, String::new(), String::new())]
    }

    #[test]
    fn a_place_that_does_not_answer_keeps_nothing_else_from_being_told() {
        let (host, site) = (Arc::new(Host::in_folder(Path::new("/"))), Arc::new(Site::default()));
        let codes = |patience: u64, looks: &[Look]| -> Vec<&str> {
            let found = within(Duration::from_millis(patience), &host, &site, looks);
            found.into_iter().map(|finding| finding.code).collect()
        };
        assert_eq!(codes(60_000, &[answers, answers]), ["ksu", "ksu"]);
        assert_eq!(codes(500, &[hangs, hangs]), ["places_unseen"]);
        // What answers at once has done so by then, unless the machine is busy.
        let tells_both = |patience| codes(patience, &[answers, hangs]) == ["ksu", "places_unseen"];
        assert!([500, 5_000, 50_000].into_iter().any(tells_both));
    }
}
