//! docs/walkthrough.md, typed line by line by somebody who has just installed the packages.

use std::time::{Duration, Instant};

use svcauth_tests::failure::{Context, Failure, Outcome, require};
use svcauth_tests::machine::{Debian, Machine, Version};
use svcauth_tests::machine_cases;
use svcauth_tests::program::Program;
use svcauth_tests::sshd::CLIENT;
use svcauth_tests::walkthrough::{Step, steps};

machine_cases!("walkthrough":
    whoever_follows_the_walkthrough_has_bob_in_and_carol_refused,
);

const DOCUMENT: &str = include_str!("../../../docs/walkthrough.md");
/// What the document promises.
const LIMIT: Duration = Duration::from_secs(300);

fn whoever_follows_the_walkthrough_has_bob_in_and_carol_refused(debian: &Debian) -> Outcome {
    let machine = debian.plain()?;
    machine.explaining(|machine| {
        let folder = debian.packages().copy_to(machine, Version::This)?;
        let (started, steps) = (Instant::now(), steps(DOCUMENT));
        require(steps.len() > 8, || format!("{} commands in the document", steps.len()))?;
        for step in &steps {
            follow(machine, &folder, step).doing(format!("docs/walkthrough.md:{}", step.number))?;
        }
        // Who reads and types is slower than this, and machines of tests are slower than most.
        require(started.elapsed() < LIMIT, || format!("it took {:?}", started.elapsed()))
    })
}

fn follow(machine: &Machine, folder: &str, step: &Step) -> Outcome {
    let script = format!("cd {folder} && {}", step.command);
    let program = if step.in_new_login {
        let key = ["-i", "/root/keys/root", "-tt", "root@127.0.0.1"];
        machine.program(&["ssh"])?.args(CLIENT).args(&key).arg(&step.command)
    } else {
        machine.program(&["sh", "-c", &script])?
    };
    let mut talk = Program::converse(program)?;
    for (question, answer) in step.answers() {
        talk.answer(&question, &answer)?;
    }
    let (_, shown) = talk.end()?;
    match step.differs(&shown) {
        None => Ok(()),
        Some(line) => Err(Failure::new(format!("{:?} is not what is shown:\n{shown}", line))),
    }
}
