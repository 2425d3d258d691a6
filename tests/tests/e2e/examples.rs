//! Files of `conf/` that belong to programs which no other test starts: units, users and folders, as systemd's own tools
//! read them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Ended, Program};
use svcauth_tests::site::Site;
use svcauth_tests::world::World;

cases!("examples":
    systemd_understands_every_line_of_every_unit,
    the_user_and_the_folders_are_those_that_the_daemon_needs,
);

const FOLDER: &str = "/etc/systemd/system";
const UNITS: &[(&str, &str)] = &[
    ("svcauthd.service", include_str!("../../../conf/svcauthd.service")),
    ("svcauth-rollback.service", include_str!("../../../conf/svcauth-rollback.service")),
];
const SYSUSERS: &str = include_str!("../../../conf/sysusers.conf");
const TMPFILES: &str = include_str!("../../../conf/tmpfiles.conf");

/// What systemd says about a unit of this world.
fn verified(unit: &Path) -> Outcome<Ended> {
    Program::new("systemd-analyze").args(&["verify", "--man=no"]).arg(unit).run()
}

fn systemd_understands_every_line_of_every_unit(world: &mut World) -> Outcome {
    // What the units start has to be there.
    Site::example().install(world)?;
    for (name, text) in UNITS {
        let installed = Path::new(FOLDER).join(name);
        world.write(&installed, 0o644, text)?;
        let said = verified(&installed)?.expect_ok().doing(name)?;
        require_eq(name, format!("{}{}", said.stdout, said.stderr).as_str(), "")?;
        // It says so where a line is no good.
        world.write(&installed, 0o644, text.replacen("[Service]", "[Service]\nProtectClok=yes", 1))?;
        let said = verified(&installed)?;
        require_contains(name, &format!("{}{}", said.stdout, said.stderr), "ProtectClok")?;
    }
    Ok(())
}

fn the_user_and_the_folders_are_those_that_the_daemon_needs(world: &mut World) -> Outcome {
    let root = Path::new("/run/world/root");
    for folder in ["etc", "usr/lib/sysusers.d", "usr/lib/tmpfiles.d"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for (kind, text, args) in [("sysusers", SYSUSERS, &[][..]), ("tmpfiles", TMPFILES, &["--create"])] {
        world.write(root.join(format!("usr/lib/{kind}.d/svcauth.conf")), 0o644, text)?;
        let tool = Program::new(format!("systemd-{kind}")).arg(format!("--root={}", root.display()));
        tool.args(args).arg("svcauth.conf").run()?.expect_ok()?;
    }
    let passwd = fs::read_to_string(root.join("etc/passwd"))?;
    let user: Vec<&str> = passwd.trim().split(':').collect();
    require_eq("the user", &(user.first(), user.last()), &(Some(&"svcauth"), Some(&"/usr/sbin/nologin")))?;
    let gid: u32 = user.get(3).and_then(|gid| gid.parse().ok()).unwrap_or_default();
    require(gid != 0, || passwd.clone())?;
    for (folder, mode, group) in [
        ("var/lib/svcauth", 0o755, gid),
        ("var/log/svcauth", 0o700, 0),
        ("run/svcauth", 0o755, gid),
        ("run/svcauth/sessions", 0o700, 0),
    ] {
        let found = fs::metadata(root.join(folder)).doing(folder)?;
        let is = (found.permissions().mode() & 0o7777, found.uid(), found.gid());
        require_eq(folder, &is, &(mode, 0, group))?;
    }
    Ok(())
}
