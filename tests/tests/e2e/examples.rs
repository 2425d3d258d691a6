//! Files of `conf/` that belong to programs which no other test starts: units, users and folders, as systemd's own tools
//! read them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use svcauth_tests::artifacts::workspace_folder;
use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Ended, Program};
use svcauth_tests::site::Site;
use svcauth_tests::world::World;

cases!("examples":
    systemd_understands_every_line_of_every_unit,
    the_user_and_the_folders_are_those_that_the_daemon_needs,
);

const UNITS: &str = "/etc/systemd/system";

/// The files of `conf/` with this end.
fn examples(end: &str) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(workspace_folder()?.join("conf"))?.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == end)).collect();
    found.sort();
    Ok(found)
}

/// What systemd says about a unit of this world.
fn verified(unit: &Path) -> Outcome<Ended> {
    Program::new("systemd-analyze").args(&["verify", "--man=no"]).arg(unit).run()
}

fn systemd_understands_every_line_of_every_unit(world: &mut World) -> Outcome {
    // What the units start has to be there.
    Site::example().install(world)?;
    let units = examples("service")?;
    require(!units.is_empty(), || "there is no unit".to_owned())?;
    for unit in units {
        let text = fs::read_to_string(&unit)?;
        let name = unit.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let installed = Path::new(UNITS).join(&name);
        world.write(&installed, 0o644, &text)?;
        let said = verified(&installed)?.expect_ok().doing(&name)?;
        require_eq(&name, format!("{}{}", said.stdout, said.stderr).as_str(), "")?;
        // It says so where a line is no good.
        world.write(&installed, 0o644, text.replacen("[Service]", "[Service]\nProtectClok=yes", 1))?;
        let said = verified(&installed)?;
        require_contains(&name, &format!("{}{}", said.stdout, said.stderr), "ProtectClok")?;
    }
    Ok(())
}

fn the_user_and_the_folders_are_those_that_the_daemon_needs(world: &mut World) -> Outcome {
    let root = Path::new("/run/world/root");
    for folder in ["etc", "usr/lib/sysusers.d", "usr/lib/tmpfiles.d"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for folder in ["sysusers", "tmpfiles"] {
        let text = fs::read_to_string(workspace_folder()?.join(format!("conf/{folder}.conf")))?;
        world.write(root.join(format!("usr/lib/{folder}.d/svcauth.conf")), 0o644, text)?;
        let program = if folder == "sysusers" { "systemd-sysusers" } else { "systemd-tmpfiles" };
        let done = Program::new(program).arg(format!("--root={}", root.display()));
        let done = if folder == "tmpfiles" { done.arg("--create") } else { done };
        done.arg("svcauth.conf").run()?.expect_ok()?;
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
