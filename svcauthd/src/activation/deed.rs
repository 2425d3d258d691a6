//! The audit record of switching on and off: who decides about managed accounts changes with it.

use svcauth_core::audit::{Event, Record};
use svcauth_host::audit;
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;

/// What /proc/self/loginuid says where no login leads to (pam_loginuid(8)).
const NO_LOGIN: u32 = u32::MAX;

/// Records what this command has done. It is done whether or not a log takes the record.
pub fn record(command: &str, outcome: &str) {
    let _ = audit::write(&of(command, outcome, login()));
}

fn login() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/self/loginuid").ok()?;
    text.trim().parse().ok().filter(|uid| *uid != NO_LOGIN)
}

fn of(command: &str, outcome: &str, login: Option<u32>) -> Record {
    let who = login.map_or_else(
        || "by root, without a login".to_owned(),
        |uid| format!("by root, logged in as uid {uid}"),
    );
    Record {
        event: Event::Admin,
        time: Some(Clock::now().wall.saturating_mul(1_000_000)),
        host: host_names().into_iter().next(),
        pid: Some(std::process::id()),
        command: Some(command.to_owned()),
        detail: Some(format!("{who}: {outcome}")),
        ..Record::default()
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_deed_names_the_command_who_had_logged_in_and_what_came_of_it() {
        let record = of("svcauth enable", "switched on", Some(1001));
        assert_eq!(record.detail.as_deref(), Some("by root, logged in as uid 1001: switched on"));
        assert_eq!((record.event.as_str(), record.command.as_deref()), ("admin", Some("svcauth enable")));
        let alone = of("svcauth rollback", "put back", None);
        assert_eq!(alone.detail.as_deref(), Some("by root, without a login: put back"));
    }
}
