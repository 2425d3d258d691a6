//! The account phase: what the account alone decides. Nobody is known yet: sshd shows no key here.

use pam::module::PamHandle;
use svcauth_core::policy::{Decision, Family, Source, decide_target};
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;

use crate::answer::Answer;
use crate::record;
use crate::request::Request;
use crate::target::{self, Managed, Target};

/// Is `PAM_USER` managed, and if so usable: enabled, on this host, through this service, with this snapshot?
pub(crate) fn check(_pamh: &mut PamHandle, request: &Request) -> Answer {
    let clock = Clock::now();
    match target::look_up(&request.user, &clock) {
        Target::Unmanaged => Answer::NotOurs,
        // Recorded by the session phase.
        _ if request.is_by_root() => Answer::Granted,
        Target::Unusable(unusable) => {
            let mut record = record::of_request(request, &host_names());
            record.uid = unusable.uid;
            record.detail = Some(unusable.detail);
            record::deny(record, unusable.reason);
            Answer::Denied
        }
        Target::Managed(managed) => decide(request, &managed, &clock),
    }
}

fn decide(request: &Request, managed: &Managed, clock: &Clock) -> Answer {
    // Under sudo PAM_USER is the caller here, and may well be an account that is used through sshd only. A user manager is
    // held against the open sessions in the session phase.
    let is_asked = !matches!(request.family(), Family::Sudo | Family::Manager);
    let service = is_asked.then_some(request.service.as_str());
    let hosts = host_names();
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let at = managed.circumstances(service, &names, Source::NotYetKnown, clock);
    match decide_target(&managed.policy, &managed.account, &at).decision {
        Decision::Allow => Answer::Granted,
        Decision::Deny(reason) => {
            let mut record = record::of_request(request, &hosts);
            record::add_target(&mut record, managed);
            record::deny(record, reason);
            Answer::Denied
        }
    }
}
