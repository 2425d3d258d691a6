//! Faults of the name service, the files of svcauth, what runs, and homes.

use super::{Fault, row};

const NSS_MODULE: &str = "$LIB/libnss_svcauth.so.2";
const NSSWITCH: &str = "/etc/nsswitch.conf";
const CONFIG: &str = "/etc/svcauth/svcauth.toml";
const CONFIRMED: &str = "/var/lib/svcauth/confirmed";

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
    row("daemon_not_running", "", &[], "systemctl stop svcauthd").undone_by("start_daemon").on_machines(),
    row("daemon_not_enabled", "svcauthd.service", &[], "systemctl -q disable svcauthd").undone_by("systemctl -q enable svcauthd").on_machines(),
    row("proc_hidden", "/proc", &[], "mount -o remount,hidepid=2 /proc").undone_by("mount -o remount,hidepid=0 /proc"),
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
        "account_lingers",
        "/linger/deployer",
        &["/var/lib/systemd/linger"],
        "mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/deployer",
    ),
    row("doas", "/usr/bin/doas", &["/usr/bin/doas"], "echo x >/usr/bin/doas; chmod 4755 /usr/bin/doas"),
    row("ksu", "/usr/bin/ksu", &["/usr/bin/ksu"], "echo x >/usr/bin/ksu; chmod 4755 /usr/bin/ksu")
        .on_machines(),
];
