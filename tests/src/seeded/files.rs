//! Faults of the name service, the files of svcauth, what runs, and homes.

use super::{Fault, On, row};

const NSS_MODULE: &str = "$LIB/libnss_svcauth.so.2";
const NSSWITCH: &str = "/etc/nsswitch.conf";
const CONFIG: &str = "/etc/svcauth/svcauth.toml";
const CONFIRMED: &str = "/var/lib/svcauth/confirmed";
const LDIF: &str = "/etc/svcauth/directory.ldif";
const TIMEDATECTL: &str = "/usr/bin/timedatectl";
const DPKG: &str = "/var/lib/dpkg/status";
const AT_JOB: &str = "/var/spool/cron/atjobs/a0000101";

pub(super) const NAMES: &[Fault] = &[
    row("nss_missing", NSSWITCH, &[NSSWITCH], "sed -i 's/ svcauth//' /etc/nsswitch.conf"),
    row("nss_half", NSSWITCH, &[NSSWITCH], "sed -i '/^group/s/ svcauth//' /etc/nsswitch.conf"),
    row(
        "nss_order",
        NSSWITCH,
        &[NSSWITCH],
        "sed -i 's/^passwd:.*/passwd: svcauth files/' /etc/nsswitch.conf",
    ),
    row(
        "nss_cut_off",
        NSSWITCH,
        &[NSSWITCH],
        "sed -i 's/^group:.*/group: files [NOTFOUND=return] svcauth/' /etc/nsswitch.conf",
    ),
    row("nss_initgroups", NSSWITCH, &[NSSWITCH], "echo 'initgroups: files' >>/etc/nsswitch.conf"),
    row(
        "nss_merge",
        NSSWITCH,
        &[NSSWITCH],
        "sed -i 's/^group:.*/group: files [SUCCESS=merge] svcauth/' /etc/nsswitch.conf",
    ),
    // A socket is all that glibc and doctor look for.
    row(
        "nss_cache",
        "/run/nscd/socket",
        &[],
        "mkdir /run/nscd; perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"/run/nscd/socket\")) || die'",
    )
    .undone_by("rm -r /run/nscd"),
    row("nss_file_writable", NSSWITCH, &[NSSWITCH], "chmod 666 /etc/nsswitch.conf"),
    row("nss_local_uid", "/etc/passwd", &["/etc/passwd"], "echo 'dave:x:7777:100::/:/bin/sh' >>/etc/passwd"),
    row("nss_local_gid", "/etc/group", &["/etc/group"], "echo 'daves:x:7777:' >>/etc/group"),
    row("nss_module_missing", NSSWITCH, &[NSS_MODULE], "rm $LIB/libnss_svcauth.so.2"),
    row(
        "nss_module_broken",
        "/libnss_svcauth.so.2",
        &[NSS_MODULE],
        "echo garbage >$LIB/new; chmod 644 $LIB/new; mv $LIB/new $LIB/libnss_svcauth.so.2",
    ),
    row("nss_module_writable", "/libnss_svcauth.so.2", &[NSS_MODULE], "chmod 666 $LIB/libnss_svcauth.so.2"),
    row(
        "local_account_unknown",
        CONFIG,
        &[CONFIG],
        "sed -i 's/^#* *local_accounts = .*//; s/^\\[accounts\\]/&\\nlocal_accounts = [\"ghost\"]/' /etc/svcauth/svcauth.toml",
    ),
];

pub(super) const STATE: &[Fault] = &[
    row("config_invalid", CONFIG, &[CONFIG], "echo 'nonsense = 1' >>/etc/svcauth/svcauth.toml"),
    row("state_writable", CONFIG, &[CONFIG], "chmod 666 /etc/svcauth/svcauth.toml"),
    row("state_writable", "/access.snap", &[], "chmod o+w /var/lib/svcauth").undone_by("chmod o-w /var/lib/svcauth"),
    row("state_readable", "/access.snap", &[], "chmod o+r /var/lib/svcauth/access.snap")
        .undone_by("chmod o-r /var/lib/svcauth/access.snap"),
    row("state_readable", "/run/svcauth/sessions", &[], "chmod 755 /run/svcauth/sessions").undone_by("chmod 700 /run/svcauth/sessions"),
    row("state_hidden", "/accounts.snap", &[], "chmod o-r /var/lib/svcauth/accounts.snap").undone_by("chmod o+r /var/lib/svcauth/accounts.snap"),
    row("command_writable", "/usr/bin/svcauth", &[], "chmod g+w /usr/bin/svcauth").undone_by("chmod g-w /usr/bin/svcauth"),
    row(
        "disk_nearly_full",
        "/var/log/svcauth",
        &[],
        "mount -t tmpfs -o size=1m,mode=700 none /var/log/svcauth; dd if=/dev/zero of=/var/log/svcauth/x bs=4096 status=none || true",
    )
    .undone_by("umount --lazy /var/log/svcauth"),
];

pub(super) const RUNNING: &[Fault] = &[
    // As another boot a day and more ago has left it.
    row(
        "snapshot_stale",
        CONFIRMED,
        &[CONFIRMED],
        "stop_daemon; read word generation wall rest </var/lib/svcauth/confirmed; \
         echo \"confirmed $generation $((wall - 100000)) 5 another-boot\" >/var/lib/svcauth/confirmed",
    )
    .undone_by("start_daemon"),
    row(
        "snapshot_old",
        CONFIRMED,
        &[CONFIRMED],
        "stop_daemon; read word generation wall rest </var/lib/svcauth/confirmed; \
         echo \"confirmed $generation $((wall - 50000)) 5 another-boot\" >/var/lib/svcauth/confirmed",
    )
    .undone_by("start_daemon"),
    // The clock was set back a year, and the machine started again.
    row(
        "snapshot_stale",
        CONFIRMED,
        &[CONFIRMED],
        "stop_daemon; read word generation wall rest </var/lib/svcauth/confirmed; \
         echo \"confirmed $generation $((wall + 31536000)) 5 another-boot\" >/var/lib/svcauth/confirmed",
    )
    .undone_by("start_daemon"),
    row(
        "clock_jumped",
        "",
        &[CONFIRMED],
        "stop_daemon; read word generation wall rest </var/lib/svcauth/confirmed; \
         echo \"confirmed $generation $((wall - 7200)) $rest\" >/var/lib/svcauth/confirmed",
    )
    .undone_by("start_daemon"),
    row(
        "snapshot_missing",
        "/accounts.snap",
        &["/var/lib/svcauth/accounts.snap"],
        "stop_daemon; rm /var/lib/svcauth/accounts.snap",
    )
    .undone_by("start_daemon"),
    row(
        "snapshot_invalid",
        "/access.snap",
        &["/var/lib/svcauth/access.snap"],
        "stop_daemon; dd if=/dev/urandom of=/var/lib/svcauth/access.snap bs=64 count=1 conv=notrunc status=none",
    )
    .undone_by("start_daemon"),
    row("daemon_not_running", "", &[], "systemctl stop svcauthd").undone_by("start_daemon").only(On::Machines),
    row("daemon_not_enabled", "svcauthd.service", &[], "systemctl -q disable svcauthd").undone_by("systemctl -q enable svcauthd").only(On::Machines),
    // Also when so many have asked it that connect(2) waits for ever.
    row(
        "daemon_no_answer",
        "/svcauthd.sock",
        &[],
        "kill -STOP $(pgrep -x svcauthd); perl -MSocket -e 'do { socket(S, AF_UNIX, SOCK_STREAM | 2048, 0) || die } while (connect(S, \
         sockaddr_un(\"/run/svcauth/svcauthd.sock\")))'",
    )
    .undone_by("kill -CONT $(pgrep -x svcauthd); until svcauth status >/dev/null; do sleep 0.1; done"),
    row("directory_fails", "", &[LDIF], "echo nonsense >>/etc/svcauth/directory.ldif; svcauth sync || true")
        .undone_by("svcauth sync"),
    row(
        "audit_not_written",
        "/audit.jsonl",
        &[],
        "chmod 777 /var/log/svcauth; mv /var/log/svcauth/audit.jsonl /var/log/svcauth/kept; until audit_fails; do sleep 0.1; done",
    )
    .undone_by(
        "mv /var/log/svcauth/kept /var/log/svcauth/audit.jsonl; chmod 700 /var/log/svcauth; while audit_fails; do sleep 0.1; done",
    ),
    // The thread that writes stands still, as it does when the disk hangs.
    row(
        "audit_spool_grows",
        "/run/svcauth/audit.spool",
        &[],
        "rm -f /run/held; hold $(recorder) </dev/null >/dev/null 2>&1 & echo $! >/run/tracer; until [ -e /run/held ]; do sleep 0.1; done; \
         dd if=/dev/zero of=/run/svcauth/audit.spool bs=1M count=5 oflag=append conv=notrunc status=none",
    )
    .undone_by(
        "kill $(cat /run/tracer); rm /run/tracer /run/held; until [ $(cat /run/svcauth/audit.spool* | wc -c) -lt 1048576 ]; do sleep 0.1; done",
    )
    .only(On::Worlds),
    // What the kernel says is so for every host that it runs, and nobody may set it for a test; timedatectl is who says it.
    row(
        "clock_unsynchronised",
        "",
        &[TIMEDATECTL],
        "printf '#!/bin/sh\\n[ \"$*\" != \"show --property=NTPSynchronized --value\" ] || echo no\\n' >/usr/bin/new; chmod 755 /usr/bin/new; \
         mv /usr/bin/new /usr/bin/timedatectl",
    )
    .only(On::Worlds),
    row(
        "packages_differ",
        "",
        &[DPKG],
        "sed -i '/^Package: libpam-svcauth$/,/^$/s/^Version: .*/Version: 0.0.9-1/' /var/lib/dpkg/status",
    )
    .only(On::Machines),
    // The daemon has a /proc of its own under systemd: how that of the host is mounted does not matter.
    row(
        "proc_hidden",
        "/svcauthd.service",
        &[],
        "mkdir -p /run/systemd/system/svcauthd.service.d; \
         printf '[Service]\\nProtectProc=ptraceable\\n' >/run/systemd/system/svcauthd.service.d/seed.conf; \
         systemctl daemon-reload; systemctl restart svcauthd",
    )
    .undone_by("stop_daemon; rm -r /run/systemd/system/svcauthd.service.d; systemctl daemon-reload; start_daemon")
    .only(On::Machines),
];

pub(super) const HOMES: &[Fault] = &[
    row("home_foreign", "/home/deployer", &[], "chown nobody /home/deployer")
        .undone_by("chown 7001 /home/deployer"),
    row("home_writable", "/home/deployer", &[], "chmod o+w /home/deployer")
        .undone_by("chmod o-w /home/deployer"),
    row(
        "home_writable",
        "/home/deployer/.profile",
        &["/home/deployer/.profile"],
        "touch /home/deployer/.profile; chmod 666 /home/deployer/.profile",
    ),
    row("home_missing", "/home/deployer", &["/home/deployer"], "rm -rf /home/deployer"),
    row(
        "home_startup_file",
        "/home/deployer/.pam_environment",
        &["/home/deployer/.pam_environment"],
        "echo 'X DEFAULT=1' >/home/deployer/.pam_environment",
    ),
    row(
        "home_startup_file",
        "/home/deployer/.ssh/rc",
        &["/home/deployer/.ssh"],
        "mkdir -p /home/deployer/.ssh; echo true >/home/deployer/.ssh/rc",
    ),
    row(
        "account_crontab",
        "/crontabs/deployer",
        &["/var/spool/cron/crontabs/deployer"],
        "echo '* * * * * true' >/var/spool/cron/crontabs/deployer",
    ),
    row(
        "account_at_job",
        "/atjobs/a0000101",
        &[AT_JOB],
        "mkdir -p /var/spool/cron/atjobs; touch /var/spool/cron/atjobs/a0000101; chown 7001 /var/spool/cron/atjobs/a0000101",
    ),
    row(
        "account_lingers",
        "/linger/deployer",
        &["/var/lib/systemd/linger"],
        "mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/deployer",
    ),
    row("doas", "/usr/bin/doas", &["/usr/bin/doas"], "echo x >/usr/bin/doas; chmod 4755 /usr/bin/doas"),
    row("ksu", "/usr/bin/ksu", &["/usr/bin/ksu"], "echo x >/usr/bin/ksu; chmod 4755 /usr/bin/ksu")
        .only(On::Machines),
];

/// What the seeds call.
pub(super) const FUNCTIONS: &str = r#"
audit_fails() { svcauth status --json | grep -q '"audit_error": *"'; }
recorder() { grep -lx recorder /proc/$(pgrep -ox svcauthd)/task/*/comm | cut -d/ -f5; }
hold() {
exec perl -e '
require "syscall.ph";
# PTRACE_SEIZE and PTRACE_INTERRUPT (ptrace(2)); behind waitpid with __WALL the thread stands still until this process ends.
my $thread = $ARGV[0] + 0;
syscall(&SYS_ptrace, 0x4206, $thread, 0, 0) == 0 || die "seize: $!";
syscall(&SYS_ptrace, 0x4207, $thread, 0, 0) == 0 || die "interrupt: $!";
waitpid($thread, 0x40000000) == $thread || die "wait: $!";
open(my $held, ">", "/run/held") || die "held: $!";
close $held;
sleep 600;
' "$1"
}
"#;
