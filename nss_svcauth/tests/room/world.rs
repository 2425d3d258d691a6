//! A private world for one test: a process with its own view of /var/lib, in which it may write the snapshot.
//!
//! The module's path is fixed, and nothing is taken from the environment. So a test starts its own program again under
//! unshare(1), with a tmpfs over /var/lib, and runs there alone. As root that is a mount namespace; for everybody else a user
//! namespace around it, in which the files of the tester belong to uid 0.

use std::io::Write;
use std::process::Command;

use super::artifact;

const INSIDE: &str = "NSS_SVCAUTH_TEST_INSIDE";
/// A lookup that hangs shall fail its test, not hang it: seconds for timeout(1).
const PATIENCE: &str = "900";
/// A running nscd would answer in the module's place: its socket is covered too.
const ENTER: &str = r#"
    mount -t tmpfs -o mode=0755 tmpfs /var/lib && mkdir /var/lib/svcauth || exit 1
    if [ -d /run/nscd ]; then mount -t tmpfs tmpfs /run/nscd || exit 1; fi
    exec "$@"
"#;

/// Declares tests that run in a private world.
#[macro_export]
macro_rules! in_private_world {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            room::world::run(concat!(module_path!(), "::", stringify!($name)), || $body);
        }
    )*};
}

/// Runs `body` in a private world: at once if this process is in one, else in a new process for this test alone.
pub fn run(test: &str, body: fn()) {
    if is_inside() {
        return body();
    }
    let Some(mut command) = entering() else {
        return;
    };
    // libtest leaves out the name of the crate.
    let name = test.split_once("::").map_or(test, |(_, name)| name);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "in the private world ({}):\n{text}",
        output.status
    );
}

/// Whether this process is in a private world.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// A command that runs this program in a private world; `None`, and a message, where there can be none.
pub fn entering() -> Option<Command> {
    let program = std::env::current_exe().unwrap();
    let module = artifact::module();
    let obstacle = if program.starts_with("/var/lib") || module.starts_with("/var/lib") {
        Some("the build is below /var/lib, which the private world covers".to_owned())
    } else {
        unshare().err()
    };
    if let Some(obstacle) = obstacle {
        // Not eprintln: the message must be seen although the test passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no private world here: {obstacle}");
        return None;
    }
    let mut command = Command::new("timeout");
    command
        .args(["--foreground", PATIENCE, "unshare"])
        .args(namespaces())
        .args(["sh", "-c", ENTER, "sh"])
        .arg(program)
        .env(INSIDE, "1")
        .env(artifact::MODULE_VARIABLE, module);
    Some(command)
}

/// Root needs no user namespace, and can give files away to other users only without one.
fn namespaces() -> &'static [&'static str] {
    if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        &["--mount"]
    } else {
        &["--user", "--map-root-user", "--mount"]
    }
}

fn unshare() -> Result<(), String> {
    let output = Command::new("unshare")
        .args(namespaces())
        .args(["sh", "-c", ENTER, "sh", "true"])
        .output()
        .map_err(|error| format!("unshare(1): {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
