//! Whether the daemon sees the processes of others: how /proc is mounted for it, and what it may do.

use super::{Finding, Host, lint};
use crate::cli::client::daemon_pid;

/// What the kernel says about the daemon where none runs: root as the unit starts it, without capabilities that matter here.
const AS_INSTALLED: &str = "Gid:\t0\t0\t0\t0\nGroups:\t\nCapEff:\t0000000000000000\n";

/// A daemon that does not see processes. Its unit may give it a /proc of its own.
pub(super) fn examine(host: &Host) -> Option<Finding> {
    let daemon = daemon_pid().ok().filter(|_| host.is_this());
    let own = daemon.and_then(|pid| host.text(format!("/proc/{pid}/mounts")));
    let status = daemon.and_then(|pid| host.text(format!("/proc/{pid}/status")));
    let mounts = host.text("/proc/self/mounts").unwrap_or_default();
    let status = status.as_deref().unwrap_or(AS_INSTALLED);
    let option = hides_processes(own.as_deref().unwrap_or(&mounts), status)?;
    let blind = "the daemon sees no processes of others: it takes their sessions for ended, cannot end what a person has left \
                 running, refuses every command of limited accounts, and svcauth who cannot name them";
    let again = "and run: systemctl daemon-reload && systemctl restart svcauthd";
    if hides_processes(&mounts, status).is_none() {
        let what = format!("the unit of svcauthd gives it a /proc with {option} (ProtectProc=): {blind}");
        let fix = format!("take ProtectProc= out of what systemctl cat svcauthd shows {again}");
        return Some(lint::PROC_HIDDEN.of("/usr/lib/systemd/system/svcauthd.service", what, fix));
    }
    let what = format!("/proc is mounted with {option}: {blind}");
    let group = option.split(',').find_map(|option| option.strip_prefix("gid="));
    let let_in = group.filter(|_| !is_for_tracers(&option)).map_or_else(String::new, |gid| {
        format!(
            "; or let it in: systemctl edit svcauthd, write [Service] and SupplementaryGroups={gid} {again}"
        )
    });
    let fix = format!("take hidepid out of /etc/fstab and run: mount -o remount,hidepid=0 /proc{let_in}");
    Some(lint::PROC_HIDDEN.of("/proc", what, fix))
}

/// The options by which /proc hides processes from a process with this status (proc(5), and `has_pid_permissions` of the
/// kernel): who is in the group of the mount, that of root where none is named, sees all, and so does who may trace all.
fn hides_processes(mounts: &str, status: &str) -> Option<String> {
    let lines = mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut proc = lines.filter(|words| words.get(1) == Some(&"/proc") && words.get(2) == Some(&"proc"));
    let options: Vec<&str> = proc.next()?.get(3)?.split(',').collect();
    let value = |name: &str| options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let hides = value("hidepid").filter(|value| !matches!(*value, "0" | "off"))?;
    let gid = value("gid");
    let shown = gid.map_or_else(|| format!("hidepid={hides}"), |gid| format!("hidepid={hides},gid={gid}"));
    let is_in = groups(status).contains(&gid.unwrap_or("0")) && !is_for_tracers(&shown);
    (!is_in && !may_trace(status)).then_some(shown)
}

/// No group helps then.
fn is_for_tracers(option: &str) -> bool {
    let value = option.split(',').next();
    matches!(value, Some("hidepid=4" | "hidepid=ptraceable"))
}

/// The groups of a process: the one that counts for files is the last of four.
fn groups(status: &str) -> Vec<&str> {
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line("Gid:").split_whitespace().nth(3).into_iter().chain(line("Groups:").split_whitespace()).collect()
}

/// `CAP_SYS_PTRACE`, the 19th (capabilities(7)).
fn may_trace(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|all| all & 1 << 19 != 0)
}

#[cfg(test)]
mod tests {
    use super::{AS_INSTALLED, hides_processes};

    fn mounts(options: &str) -> String {
        format!("sysfs /sys sysfs rw 0 0\nproc /proc proc {options} 0 0\nx /y proc rw,hidepid=2,gid=4 0 0\n")
    }

    /// What the kernel does was looked at on Linux 6.18, with the capabilities of the unit.
    #[test]
    fn a_proc_that_hides_processes_from_the_daemon_is_found_among_the_mounts() {
        for (options, found) in [
            ("rw,nosuid", None),
            ("rw,hidepid=0,gid=4", None),
            ("rw,hidepid=off,gid=4", None),
            // Who is in the group of root sees all.
            ("rw,hidepid=2", None),
            ("rw,hidepid=noaccess", None),
            ("rw,gid=0,hidepid=invisible", None),
            ("rw,hidepid=2,gid=4", Some("hidepid=2,gid=4")),
            ("rw,nosuid,gid=4,hidepid=noaccess", Some("hidepid=noaccess,gid=4")),
            ("rw,hidepid=ptraceable", Some("hidepid=ptraceable")),
            ("rw,hidepid=4", Some("hidepid=4")),
        ] {
            assert_eq!(hides_processes(&mounts(options), AS_INSTALLED).as_deref(), found, "{options}");
        }
    }

    #[test]
    fn a_daemon_in_the_group_of_the_mount_sees_all_but_where_only_tracers_do() {
        let status = "Name:\tsvcauthd\nGid:\t0\t0\t0\t0\nGroups:\t4 5 991 \nCapEff:\t00000000000000e0\n";
        let found = |options: &str, status: &str| hides_processes(&mounts(options), status);
        assert_eq!(found("rw,hidepid=2,gid=4", status), None);
        assert_eq!(found("rw,hidepid=2,gid=40", status).as_deref(), Some("hidepid=2,gid=40"));
        assert!(found("rw,hidepid=ptraceable,gid=4", status).is_some());
        let tracer = status.replace("00000000000000e0", "00000000000800e0");
        assert_eq!(found("rw,hidepid=ptraceable,gid=40", &tracer), None);
    }
}
