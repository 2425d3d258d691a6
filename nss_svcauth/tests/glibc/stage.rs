//! The world inside the private world: an nsswitch.conf that names the module, and a glibc that finds it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::room::artifact;
use crate::room::world;

const ON_STAGE: &str = "NSS_SVCAUTH_TEST_ON_STAGE";
const LIBRARIES: &str = "/var/lib/nss-libraries";
const NSSWITCH: &str = "/var/lib/nsswitch.conf";

/// Declares tests whose process finds the module through nsswitch.conf.
#[macro_export]
macro_rules! on_stage {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            $crate::stage::run(concat!(module_path!(), "::", stringify!($name)), || $body);
        }
    )*};
}

/// Runs `body` on the stage. glibc reads nsswitch.conf and the library path once, hence one more process.
pub(crate) fn run(test: &str, body: fn()) {
    if std::env::var_os(ON_STAGE).is_some() {
        return body();
    }
    if !world::is_inside() {
        return world::run(test, || ());
    }
    set_up();
    let (_, name) = test.split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ON_STAGE, "1")
        .env("LD_LIBRARY_PATH", LIBRARIES)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        output.status.success() && text.contains("1 passed"),
        "on the stage ({}):\n{text}",
        output.status
    );
}

fn set_up() {
    fs::create_dir(LIBRARIES).unwrap();
    symlink(artifact::module(), format!("{LIBRARIES}/libnss_svcauth.so.2")).unwrap();
    fs::write(NSSWITCH, "passwd: files svcauth\ngroup: files svcauth\n").unwrap();
    let mounted = Command::new("mount").args(["--bind", NSSWITCH, "/etc/nsswitch.conf"]).status().unwrap();
    assert!(mounted.success(), "/etc/nsswitch.conf cannot be covered");
}
