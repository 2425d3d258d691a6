//! Process 1 of the private world: the order of events.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::setsid;

use super::cast::{ACCOUNT, Cast};
use super::fault::{Doing as _, Done, Fault};
use super::forwards::Target;
use super::log::Log;
use super::logins::{Moment, of_others};
use super::scene::{Keys, MARKS, Part, Scene, side_by_side, tell};
use super::sshd::Sshd;
use super::state::State;
use super::{
    Said, Step, audit_ffi, etc, jobs, limits, local_ways, loopback, outages, private, ssh_ways, sshd, state,
};

/// The audit session of whoever started this is not that of the proof (proc(5), loginuid; -1 is none).
const NO_LOGIN: &str = "4294967295";

/// Everything, as process 1. Ends with the process outside, whatever happens to that.
pub(super) fn run() -> ExitCode {
    if !stands_by() {
        return ExitCode::FAILURE;
    }
    if let Err(fault) = prove() {
        tell(&Said::Step(Step::failed("setup", "the host can be tried out in private", fault.to_string())));
    }
    tell(&Said::End);
    ExitCode::SUCCESS
}

/// Dies with the one who started it; that one may have ended before this was said, and then gives no word.
fn stands_by() -> bool {
    if set_pdeathsig(Signal::SIGKILL).is_err() {
        return false;
    }
    tell(&Said::Ready);
    let mut word = [0; 2];
    std::io::stdin().read_exact(&mut word).is_ok()
}

fn prove() -> Done {
    // Fails only for the leader of a group, which this is not always.
    let _ = setsid();
    umask(Mode::from_bits_truncate(0o022));
    let cast = Cast::choose()?;
    if outages::modules().is_empty() {
        return Err(Fault::new(
            "pam_svcauth.so is not in the folders of libpam; is libpam-svcauth installed?",
        ));
    }
    seclude(&cast)?;
    let log = Log::start()?;
    homes(&cast)?;
    let keys = Keys::make()?;
    let (allowed, refused) = (Keys::public(&keys.allowed), Keys::public(&keys.refused));
    let mut state = State::publish(&cast, &allowed, &refused)?;
    tell(&Said::Step(Step::ok("published", "the installed daemon publishes the probe's directory", "")));
    if !state::resolves(ACCOUNT) {
        return Err(Fault::new(
            "the account of the probe does not exist on this host: the name service does not ask svcauth (the lines passwd and \
             group of /etc/nsswitch.conf, or libnss_svcauth.so.2). Nothing is proven",
        ));
    }
    tell(&Said::Step(Step::ok(
        "resolves",
        "the name service of the host finds the account of the probe",
        "",
    )));
    let sshd =
        Sshd::start(&cast, &format!("{allowed}\n{refused}\n"), &format!("{}\n", Keys::public(&keys.local)))?;
    let scene = Scene { cast, log, keys, sshd };
    try_all(&scene)?;
    outages::run(&scene, &mut state);
    Ok(())
}

/// From here on nothing of this process reaches the host.
fn seclude(cast: &Cast) -> Done {
    private::build(&cast.root_home)?;
    audit_ffi::hide_kernel_audit().doing("hide the kernel's audit log")?;
    loopback::up()?;
    etc::alter(cast)?;
    // Where the kernel has no audit sessions, or keeps them as they are, it is as it is.
    let _ = fs::File::options()
        .write(true)
        .open("/proc/self/loginuid")
        .and_then(|mut id| id.write_all(NO_LOGIN.as_bytes()));
    let differences = private::DIFFERENCES.iter().chain(etc::DIFFERENCES).chain([&sshd::DIFFERENCE]);
    differences.for_each(|text| tell(&Said::Difference((*text).to_owned())));
    Ok(())
}

fn try_all(scene: &Scene) -> Done {
    let target = Target::open()?;
    let mut parts: Vec<Part<'_>> = Vec::new();
    match &scene.sshd {
        Some(sshd) => {
            parts.extend(ssh_ways::parts(scene, sshd, &target));
            parts.extend(limits::part(scene, sshd));
        }
        None => tell(&Said::Step(Step::skipped("sshd", "logins by ssh", "sshd is not installed"))),
    }
    parts.push(Box::new(|| local_ways::steps(scene)));
    parts.push(Box::new(|| jobs::cron(scene)));
    parts.push(Box::new(|| jobs::at(scene)));
    parts.extend(of_others(scene, Moment { word: "normal", when: "" }));
    let ok = side_by_side(parts);
    let Some(sshd) = &scene.sshd else {
        return Ok(());
    };
    if !ok.iter().any(|step| step.starts_with("sshd_") && step.ends_with("_refused")) {
        let why =
            "its configuration lets the probe's account in by no way, so that no refusal means anything";
        tell(&Said::Step(Step::failed("sshd_nothing", "something is shown about sshd", why)));
    }
    let idle: Part<'_> = Box::new(|| ssh_ways::idle(scene, sshd));
    side_by_side(vec![idle]);
    Ok(())
}

fn homes(cast: &Cast) -> Done {
    let accounts = [&cast.account, &cast.second].into_iter().chain(&cast.limited);
    for player in cast.local_users().into_iter().chain(accounts) {
        etc::home(format!("/home/{}", player.name).as_ref(), player.uid, player.gid)?;
    }
    fs::create_dir_all(MARKS).doing("make the folder for marks")?;
    fs::set_permissions(MARKS, Permissions::from_mode(0o1777)).doing("open the folder for marks")
}
