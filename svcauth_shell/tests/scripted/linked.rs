//! The shell is linked statically: what the account has for the dynamic linker and the C library does not reach it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use crate::peer::{Peer, SHELL, UID, program};

crate::sharing!("linked": no_library_of_the_account_is_loaded);

/// A library that says by a file that it was loaded.
const MARKER: &str = "#include <fcntl.h>\n#include <unistd.h>\n__attribute__((constructor)) static void loaded(void)\n\
    { close(open(\"/tmp/loaded\", O_CREAT | O_WRONLY, 0666)); }\n\
    unsigned int la_version(unsigned int v) { loaded(); return v; }\nvoid gconv(void) {}\n";

fn no_library_of_the_account_is_loaded(world: &mut World) -> Outcome {
    let _peer = Peer::saying(program("/bin/true", &[]))?;
    world.write("/srv/marker.c", 0o644, MARKER)?;
    fs::create_dir_all("/srv/lib")?;
    Program::new("cc")
        .args(&["-shared", "-fPIC", "-o", "/srv/lib/libc.so.6.marker", "/srv/marker.c"])
        .run()?
        .expect_ok()?;
    let marker = "/srv/lib/libc.so.6.marker";
    fs::copy(marker, "/srv/lib/libnss_marker.so.2")?;
    let loaded = |program: &str, name: &str, value: &str| -> Outcome<bool> {
        let _ = fs::remove_file("/tmp/loaded");
        let mut command = Command::new(program);
        command.args(["-c", "x"]).uid(UID).gid(UID).env_clear().env("PATH", "/usr/bin").env(name, value);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        require(program != SHELL || status.success(), || format!("{name}: {status}"))?;
        Ok(fs::exists("/tmp/loaded")?)
    };
    for (name, value) in [("LD_PRELOAD", marker), ("LD_AUDIT", marker)] {
        require(loaded("/bin/bash", name, value)?, || format!("{name} does not work at all"))?;
        require(!loaded(SHELL, name, value)?, || format!("{name} reaches the shell"))?;
    }
    // What has no effect that a file would show: nothing else is different either.
    let plain = behaviour("NOTHING", "x")?;
    for (name, value) in [
        ("LD_LIBRARY_PATH", "/srv/lib"),
        ("LD_DEBUG", "all"),
        ("LD_SHOW_AUXV", "1"),
        ("GCONV_PATH", "/srv/lib"),
        ("LOCPATH", "/srv/lib"),
        ("GLIBC_TUNABLES", "glibc.malloc.check=3:glibc.malloc.perturb=165"),
        ("MALLOC_CHECK_", "3"),
        ("MALLOC_PERTURB_", "165"),
        ("MALLOC_TRACE", "/tmp/loaded"),
        ("RUST_BACKTRACE", "full"),
        ("RUST_MIN_STACK", "1"),
    ] {
        let other = behaviour(name, value)?;
        require(other == plain, || format!("{name}: {other:?} and not {plain:?}"))?;
        require(!fs::exists("/tmp/loaded")?, || format!("{name} makes a file"))?;
    }
    Ok(())
}

/// Status and output of a program that prints its environment.
fn behaviour(name: &str, value: &str) -> Outcome<(Option<i32>, String, String)> {
    let _ = fs::remove_file("/tmp/loaded");
    let _peer = Peer::saying(program("/usr/bin/env", &[]))?;
    let mut command = Command::new(SHELL);
    command.args(["-c", "x"]).uid(UID).gid(UID).env_clear().env(name, value);
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}
