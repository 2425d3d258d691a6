//! The homes of accounts, what runs for an account without anybody behind it, and programs that change the user past PAM.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::host::beginning;
use super::site::Account;
use super::{Finding, Host, Site, lint};
use crate::key_files::careful::{Contents, read};

/// How long homes are looked at.
const PATIENCE: Duration = Duration::from_secs(10);
/// Files of a home that set the environment of a session, or run before what was asked for.
const STARTUP: &[(&str, &str)] = &[
    (".pam_environment", "pam_env reads it where user_readenv=1 is set"),
    (".ssh/environment", "sshd reads it where PermitUserEnvironment is set"),
    (".ssh/rc", "sshd runs it at the beginning of each session"),
];
/// Whoever can write one of them runs what he likes as the account.
const RUN_AT_LOGIN: &[&str] = &[
    ".ssh",
    ".bashrc",
    ".profile",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".zshrc",
    ".zshenv",
    ".cshrc",
    ".kshrc",
];

pub(super) fn examine(host: &Host, site: &Site) -> Vec<Finding> {
    examine_until(Instant::now() + PATIENCE, host, site)
}

fn examine_until(until: Instant, host: &Host, site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, account) in site.accounts.iter().enumerate() {
        if Instant::now() > until {
            let what = format!(
                "{index} of {} homes were looked at, and then the time was over",
                site.accounts.len()
            );
            found.push(lint::HOMES_UNSEEN.found(
                None,
                what,
                "nothing, or look at the rest with ls -ld".to_owned(),
            ));
            break;
        }
        found.extend(home(host, account));
        found.extend(alone(host, account));
    }
    found.extend(at_jobs(host, site));
    found.extend(past_pam(host));
    found
}

fn home(host: &Host, account: &Account) -> Vec<Finding> {
    let (name, home) = (&account.name, account.home.as_path());
    if home.as_os_str().is_empty() || home == Path::new("/") || home.starts_with("/nonexistent") {
        return Vec::new();
    }
    let on_disk = host.path(home);
    let Ok(meta) = on_disk.metadata() else {
        let what = format!("the home of {name} is not there: sessions begin in /");
        let fix = format!(
            "run: install -d -m 0750 -o {} -g {name} {} (or use pam_mkhomedir)",
            account.uid,
            home.display()
        );
        return vec![lint::HOME_MISSING.of(home, what, fix)];
    };
    if meta.uid() != account.uid && meta.uid() != 0 {
        let what = format!(
            "the home of {name} belongs to uid {}: whoever that is puts keys and startup files into it, and acts as {name}",
            meta.uid()
        );
        return vec![lint::HOME_FOREIGN.of(
            home,
            what,
            format!("run: chown {} {}", account.uid, home.display()),
        )];
    }
    let mut found = Vec::new();
    if meta.mode() & 0o002 != 0 {
        let what = format!(
            "everybody can write the home of {name}: startup files there run as {name} at the next login"
        );
        found.push(lint::HOME_WRITABLE.of(home, what, format!("run: chmod o-w {}", home.display())));
    }
    found.extend(writable_inside(account, &on_disk));
    found.extend(startup(account, &on_disk));
    found
}

/// No link is followed: of a link, its own mode says nothing.
fn writable_inside(account: &Account, on_disk: &Path) -> Vec<Finding> {
    let look = |name: &&str| {
        let meta = on_disk.join(name).symlink_metadata().ok().filter(|meta| !meta.is_symlink())?;
        if meta.mode() & 0o002 == 0 {
            return None;
        }
        let path = account.home.join(name);
        let what =
            format!("everybody can write it, and what is in it runs as {} at the next login", account.name);
        let fix = format!("run: chmod o-w {}", path.display());
        Some(lint::HOME_WRITABLE.of(path, what, fix))
    };
    RUN_AT_LOGIN.iter().filter_map(look).collect()
}

fn startup(account: &Account, on_disk: &Path) -> Vec<Finding> {
    let look = |(name, why): &(&str, &str)| {
        match read(on_disk, &on_disk.join(name)) {
            Ok(Contents::Missing) => return None,
            Ok(Contents::Whole(bytes)) if bytes.is_empty() => return None,
            _ => {}
        }
        let path = account.home.join(name);
        let what = format!("{why}: it counts for everybody who uses {}", account.name);
        let fix = format!("look what is in it, and run: rm {}", path.display());
        Some(lint::HOME_STARTUP_FILE.of(path, what, fix))
    };
    STARTUP.iter().filter_map(look).collect()
}

/// What runs for an account while nobody is logged in.
fn alone(host: &Host, account: &Account) -> Vec<Finding> {
    let name = &account.name;
    let mut found = Vec::new();
    if name.contains('/') || name.starts_with('.') {
        return found;
    }
    let tables = ["/var/spool/cron/crontabs", "/var/spool/cron"].map(|folder| Path::new(folder).join(name));
    if let Some(table) =
        tables.into_iter().find(|table| host.path(table).symlink_metadata().is_ok_and(|meta| meta.is_file()))
    {
        let what = format!(
            "{name} has a crontab: its jobs have nobody behind them, and run if an access rule names the service cron"
        );
        let fix = format!("run: crontab -u {name} -l, and crontab -u {name} -r if it is not wanted");
        found.push(lint::ACCOUNT_CRONTAB.of(table, what, fix));
    }
    let linger = Path::new("/var/lib/systemd/linger").join(name);
    if host.path(&linger).symlink_metadata().is_ok() {
        let what = format!(
            "systemd starts the user manager of {name} with the machine (linger): its services have nobody behind them"
        );
        found.push(lint::ACCOUNT_LINGERS.of(linger, what, format!("run: loginctl disable-linger {name}")));
    }
    found
}

fn at_jobs(host: &Host, site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    for folder in ["/var/spool/cron/atjobs", "/var/spool/at"] {
        for name in host.names(folder) {
            let path = Path::new(folder).join(&name);
            let owner = host
                .path(&path)
                .symlink_metadata()
                .ok()
                .filter(std::fs::Metadata::is_file)
                .map(|meta| meta.uid());
            let Some(account) = site.accounts.iter().find(|account| Some(account.uid) == owner) else {
                continue;
            };
            let what = format!(
                "a job of at waits for {}: it has nobody behind it, and runs if an access rule names the service atd",
                account.name
            );
            found.push(lint::ACCOUNT_AT_JOB.of(
                path,
                what,
                "run: atq, and atrm NUMBER if it is not wanted".to_owned(),
            ));
        }
    }
    found
}

/// Programs that change the user and ask no PAM.
fn past_pam(host: &Host) -> Vec<Finding> {
    let is_setuid =
        |path: &str| host.path(path).metadata().is_ok_and(|meta| meta.is_file() && meta.mode() & 0o4000 != 0);
    let mut found = Vec::new();
    if is_setuid("/usr/bin/ksu") {
        let what = "ksu changes the user past PAM: whoever the file ~/.k5login of an account names becomes that account, and svcauth never hears of it";
        let fix =
            "run: dpkg-statoverride --update --add root root 0755 /usr/bin/ksu (or chmod u-s /usr/bin/ksu)"
                .to_owned();
        found.push(lint::KSU.of("/usr/bin/ksu", what.to_owned(), fix));
    }
    if is_setuid("/usr/bin/doas") && !asks_pam(&host.path("/usr/bin/doas")) {
        let what = "doas was built without PAM: whoever doas.conf lets in becomes a managed account, and svcauth never hears of it";
        found.push(lint::DOAS.of(
            "/usr/bin/doas",
            what.to_owned(),
            "use sudo, or a doas that asks PAM".to_owned(),
        ));
    }
    found
}

/// The name of the library stands in the file of a program that needs it.
fn asks_pam(program: &Path) -> bool {
    let needle = b"libpam.so";
    beginning(program, 4 << 20).is_none_or(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir_all, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};
    use std::time::Instant;

    use super::{Account, Host, Site, examine, examine_until};

    struct World(PathBuf);

    impl World {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("svcauth-doctor-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&root);
            create_dir_all(&root).unwrap();
            Self(root)
        }

        /// `code file` of every finding about an account with this uid.
        fn codes(&self, uid: u32) -> Vec<String> {
            let (name, home) = ("deployer".to_owned(), "/home/deployer".into());
            let site =
                Site { accounts: vec![Account { name, uid, home, is_local: false }], ..Site::default() };
            let found = examine(&Host::in_folder(&self.0), &site);
            found.into_iter().map(|it| format!("{} {}", it.code, it.place.unwrap().0.display())).collect()
        }

        fn home(&self) -> PathBuf {
            let home = self.0.join("home/deployer");
            create_dir_all(home.join(".ssh")).unwrap();
            mode(&home, 0o750);
            home
        }

        fn write(&self, path: &str, bits: u32) {
            let path = self.0.join(path);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(&path, "x").unwrap();
            mode(&path, bits);
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path, bits: u32) {
        set_permissions(path, Permissions::from_mode(bits)).unwrap();
    }

    fn me() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    #[test]
    fn a_home_that_others_can_put_something_into_is_named() {
        let world = World::new("homes");
        assert_eq!(world.codes(me()), ["home_missing /home/deployer"]);
        let home = world.home();
        world.write("home/deployer/.bashrc", 0o644);
        assert_eq!(world.codes(me()), [] as [&str; 0]);
        mode(&home.join(".bashrc"), 0o666);
        assert_eq!(world.codes(me()), ["home_writable /home/deployer/.bashrc"]);
        mode(&home.join(".bashrc"), 0o600);
        mode(&home, 0o757);
        assert_eq!(world.codes(me()), ["home_writable /home/deployer"]);
        // Root's is nobody's; that of another user is.
        mode(&home, 0o750);
        if me() == 0 {
            assert_eq!(world.codes(7001), [] as [&str; 0]);
            std::os::unix::fs::chown(&home, Some(1), None).unwrap();
        }
        assert_eq!(world.codes(7001), ["home_foreign /home/deployer"]);
    }

    #[test]
    fn when_the_time_is_over_the_rest_of_the_homes_is_counted_and_what_is_no_home_is_looked_at() {
        let world = World::new("slow");
        world.home();
        world.write("usr/bin/ksu", 0o4755);
        let account = |name: &str| Account {
            name: name.to_owned(),
            uid: me(),
            home: Path::new("/home").join(name),
            is_local: false,
        };
        let site = Site { accounts: vec![account("deployer"), account("jenkins")], ..Site::default() };
        let found = examine_until(Instant::now(), &Host::in_folder(&world.0), &site);
        let told: Vec<_> =
            found.iter().map(|it| (it.code, it.what.split(" homes").next().unwrap())).collect();
        assert_eq!(told[0], ("homes_unseen", "0 of 2"));
        assert_eq!((told.len(), told[1].0), (2, "ksu"));
    }

    #[test]
    fn links_and_pipes_in_a_home_are_named_and_neither_followed_nor_waited_for() {
        let world = World::new("startup");
        let (home, started) = (world.home(), Instant::now());
        symlink("/etc", home.join(".profile")).unwrap();
        assert_eq!(world.codes(me()), [] as [&str; 0]);
        nix::unistd::mkfifo(&home.join(".ssh/rc"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        symlink("/etc/passwd", home.join(".pam_environment")).unwrap();
        let named =
            ["home_startup_file /home/deployer/.pam_environment", "home_startup_file /home/deployer/.ssh/rc"];
        assert_eq!(world.codes(me()), named);
        assert!(started.elapsed().as_secs() < 60);
    }

    #[test]
    fn what_runs_without_anybody_and_what_asks_no_pam_is_named() {
        let world = World::new("alone");
        world.home();
        for (path, bits, code) in [
            ("var/spool/cron/crontabs/deployer", 0o600, "account_crontab"),
            ("var/lib/systemd/linger/deployer", 0o644, "account_lingers"),
            ("var/spool/cron/atjobs/a0000101", 0o700, "account_at_job"),
            ("usr/bin/ksu", 0o4755, "ksu"),
            ("usr/bin/doas", 0o4755, "doas"),
        ] {
            assert_eq!(world.codes(me()), [] as [&str; 0]);
            world.write(path, bits);
            assert_eq!(world.codes(me()), [format!("{code} /{path}")]);
            std::fs::remove_file(world.0.join(path)).unwrap();
        }
    }
}
