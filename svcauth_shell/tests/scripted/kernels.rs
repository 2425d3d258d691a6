//! Kernels that lack what the shell would use: a filter of system calls makes this one so (seccomp(2)).

use svcauth_core::command::Access;
use svcauth_core::command::protocol::Told;
use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use crate::peer::{HOME, Peer, SHELL, UID, confined, program};

crate::sharing!("kernels":
    without_landlock_nothing_runs_that_must_be_confined,
    a_program_gets_no_descriptor_beside_the_three,
);

const LANDLOCK_CREATE_RULESET: u32 = 444;
const CLOSE_RANGE: u32 = 436;
/// No call has this number.
const NONE: u32 = 999;

/// Opens a folder at 7, lets one call fail with ENOSYS, and becomes the shell. The three instructions: load the number, compare
/// it, answer.
const LACKING: &str = "import ctypes, os, struct, sys
os.dup2(os.open('/srv', os.O_RDONLY), 7)
i = lambda code, jt, jf, k: struct.pack('HBBI', code, jt, jf, k)
text = i(0x20, 0, 0, 0) + i(0x15, 0, 1, int(sys.argv[1])) + i(0x06, 0, 0, 0x50000 | 38) + i(0x06, 0, 0, 0x7fff0000)
text = ctypes.create_string_buffer(text)
program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 4, ctypes.addressof(text)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.argv[2], [sys.argv[2], '-c', 'x'])
";

fn lacking(world: &World, call: u32) -> Program {
    let _ = world.home("deployer", UID, UID);
    let call = call.to_string();
    world.as_account("deployer", UID, UID, &["/usr/bin/python3", "-c", LACKING, &call, SHELL]).dir(HOME)
}

fn without_landlock_nothing_runs_that_must_be_confined(world: &mut World) -> Outcome {
    world.write("/srv/file", 0o644, "read\n")?;
    let answer = confined("/bin/cat", &["/srv/file"], Access::Read, &["/srv/file"]);
    let peer = Peer::saying(answer.clone())?;
    let ended = lacking(world, NONE).run()?.expect_ok()?;
    require(ended.text() == "read" && peer.heard().asked[0].can_confine, || ended.report())?;
    // It says so, and does not count on the daemon to have listened.
    let peer = Peer::saying(answer)?;
    let ended = lacking(world, LANDLOCK_CREATE_RULESET).run()?.expect_code(126)?;
    let why = ended.stderr.contains("which this kernel cannot do") && ended.stdout.is_empty();
    require(why && !peer.heard().asked[0].can_confine, || ended.report())?;
    require(peer.end()? == Told::NotStarted(13), || format!("{:?}", peer.heard()))?;
    let _peer = Peer::saying(program("/bin/cat", &[b"/srv/file"]))?;
    lacking(world, LANDLOCK_CREATE_RULESET).run()?.expect_ok().map(drop)
}

fn a_program_gets_no_descriptor_beside_the_three(world: &mut World) -> Outcome {
    // The own shell gets what we got.
    let _peer = Peer::saying(crate::peer::own_shell())?;
    let own = "exec 7</srv; exec /usr/bin/svcauth-shell -c 'ls /proc/self/fd'";
    let own = world.as_account("deployer", UID, UID, &["/bin/bash", "-c", own]);
    let ended = own.run()?.expect_ok()?;
    require(ended.stdout.lines().any(|fd| fd == "7"), || ended.report())?;
    // ls has one more for the folder that it lists.
    let _peer = Peer::saying(program("/bin/ls", &[b"/proc/self/fd"]))?;
    for call in [NONE, CLOSE_RANGE] {
        let ended = lacking(world, call).run()?.expect_ok()?;
        require(ended.stdout == "0\n1\n2\n3\n", || ended.report())?;
    }
    Ok(())
}
