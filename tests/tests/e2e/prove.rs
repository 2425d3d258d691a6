//! `svcauth doctor --prove`: a host where everything is as it must be, and each way in which it can be wrong.
//! A seed is put into a host that was just proven, and what is said then is about that seed.

mod traces;

use std::fs;
use std::path::Path;
use std::time::Duration;

use self::traces::{fingerprint, processes, same_files};
use serde_json::Value;
use svcauth_tests::failure::{Context as _, Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Ended, Program, wait_until};
use svcauth_tests::runner::Case;
use svcauth_tests::site::{Site, list_at, text_at};
use svcauth_tests::world::World;

// Two worlds, each proven once and then broken in many ways.
const PROFILE: Option<&str> = Some("prove by profile");
const BY_HAND: Option<&str> = Some("prove by hand");

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "prove::a_host_with_the_profile_is_proven_and_is_as_it_was_afterwards",
        run: a_host_with_the_profile_is_proven_and_is_as_it_was_afterwards,
        shares: PROFILE,
    },
    Case {
        name: "prove::a_line_that_ignores_or_is_optional_or_gone_is_no_enforcement",
        run: a_line_that_ignores_or_is_optional_or_gone_is_no_enforcement,
        shares: PROFILE,
    },
    Case {
        name: "prove::lines_without_a_way_in_when_the_module_is_lost_shut_root_out",
        run: lines_without_a_way_in_when_the_module_is_lost_shut_root_out,
        shares: PROFILE,
    },
    Case {
        name: "prove::where_rules_limit_somebody_the_limits_are_proven_and_a_shell_that_lets_everything_by_is_none",
        run: where_rules_limit_somebody_the_limits_are_proven_and_a_shell_that_lets_everything_by_is_none,
        shares: PROFILE,
    },
    Case {
        name: "prove::a_host_set_up_by_hand_is_proven_though_sshd_has_the_refused_key_in_a_file",
        run: a_host_set_up_by_hand_is_proven_though_sshd_has_the_refused_key_in_a_file,
        shares: BY_HAND,
    },
    Case {
        name: "prove::what_goes_past_pam_fails_where_it_goes_past_and_nowhere_else",
        run: what_goes_past_pam_fails_where_it_goes_past_and_nowhere_else,
        shares: BY_HAND,
    },
    Case {
        name: "prove::without_the_name_service_nothing_is_proven",
        run: without_the_name_service_nothing_is_proven,
        shares: BY_HAND,
    },
    Case {
        name: "prove::what_sshd_forbids_to_everybody_is_no_proof_and_no_failure",
        run: what_sshd_forbids_to_everybody_is_no_proof_and_no_failure,
        shares: BY_HAND,
    },
    Case {
        name: "prove::without_root_or_namespaces_it_says_so_and_proves_nothing",
        run: without_root_or_namespaces_it_says_so_and_proves_nothing,
        shares: None,
    },
];

/// What a proof said.
struct Said {
    code: i32,
    answer: Value,
}

impl Said {
    /// The steps with this result.
    fn steps(&self, result: &str) -> Vec<&str> {
        let with = |step: &&Value| text_at(step, "/result") == result;
        list_at(&self.answer, "/steps").iter().filter(with).map(|step| text_at(step, "/step")).collect()
    }

    fn detail(&self, name: &str) -> &str {
        let named = |step: &&Value| text_at(step, "/step") == name;
        list_at(&self.answer, "/steps").iter().find(named).map_or("", |step| text_at(step, "/detail"))
    }

    fn report(&self) -> String {
        let steps = list_at(&self.answer, "/steps").iter();
        steps.filter(|step| text_at(step, "/result") != "ok").map(|step| format!("{step}\n")).collect()
    }

    fn is_proof(&self) -> Outcome {
        require_eq("failed steps", &self.steps("failed"), &Vec::<&str>::new()).doing(self.report())?;
        require_eq("exit status", &self.code, &0)?;
        require_eq("proven", &self.answer.pointer("/proven"), &Some(&Value::Bool(true)))?;
        for step in EVERYWHERE.split_whitespace() {
            require(self.steps("ok").contains(&step), || format!("{step} was not shown\n{}", self.report()))?;
        }
        Ok(())
    }

    fn fails_nothing(&self, ok: &[&str]) -> Outcome {
        ok.iter().try_for_each(|step| {
            require(self.steps("ok").contains(step), || format!("{step} is not ok\n{}", self.report()))
        })
    }

    /// No proof: these failed, and these not.
    fn fails(&self, seed: &str, failed: &[&str], ok: &[&str]) -> Outcome {
        require_eq(&format!("exit status with {seed}"), &self.code, &1).doing(self.report())?;
        for step in failed {
            require(self.steps("failed").contains(step), || {
                format!("{seed}: {step} did not fail\n{}", self.report())
            })?;
        }
        for step in ok {
            require(self.steps("ok").contains(step), || {
                format!("{seed}: {step} is not ok\n{}", self.report())
            })?;
        }
        Ok(())
    }
}

/// What a host with everything installed must have shown.
const EVERYWHERE: &str = "\
    sshd_command_allowed sshd_command_refused sshd_terminal_refused sshd_sftp_refused \
    sshd_scp_refused sshd_scp_old_refused sshd_local_forward_refused sshd_remote_forward_refused \
    sshd_dynamic_forward_refused sshd_local_socket_refused sshd_remote_socket_refused \
    sshd_agent_refused sshd_idle_refused sshd_directory_key_refused su_refused su_login_refused \
    sudo_refused sudo_login_refused sudoedit_refused login_refused cron_refused at_refused \
    sshd_root_normal login_root_no_access su_root_no_snapshots sudo_root_no_config \
    sshd_root_no_module sshd_local_no_module login_local_garbage_module sshd_account_no_module \
    su_account_no_module sudo_account_no_access";
/// What somebody gets who is not kept out by PAM.
const PAST_PAM: &[&str] = &[
    "sshd_command_refused",
    "sshd_sftp_refused",
    "sshd_local_forward_refused",
    "su_refused",
    "sudo_refused",
];

fn prove() -> Outcome<Said> {
    let ended = Program::new("/usr/bin/svcauth").args(&["doctor", "--prove", "--json"]).run()?;
    let answer = serde_json::from_str(&ended.stdout)
        .map_err(|why| Failure::new(format!("{why}\n{}", ended.report())))?;
    Ok(Said { code: ended.code, answer })
}

/// The first case of a world does it; one that is run alone does it itself.
fn installed(world: &World, install: fn(&World) -> Outcome) -> Outcome {
    if Path::new("/usr/bin/svcauth").exists() { Ok(()) } else { install(world) }
}

fn install(world: &World) -> Outcome {
    Site::example().install(world)?;
    Site::keys_from_directory(world)
}

/// The distribution's stacks, and the profile turned on as `svcauth enable` does it.
fn install_with_profile(world: &World) -> Outcome {
    let stacks: Vec<_> = fs::read_dir("/etc/pam.d")?.flatten().map(|entry| entry.path()).collect();
    let kept: Vec<_> =
        stacks.into_iter().filter_map(|path| fs::read(&path).ok().map(|text| (path, text))).collect();
    install(world)?;
    for (path, text) in kept {
        world.write(path, 0o644, text)?;
    }
    world.write(
        "/usr/share/pam-configs/svcauth",
        0o644,
        include_str!("../../../conf/pam-configs/svcauth"),
    )?;
    let enable = Program::new("pam-auth-update").args(&["--package", "--force", "--enable", "svcauth"]);
    enable.env("DEBIAN_FRONTEND", "noninteractive").run()?.expect_ok()?;
    require_contains("the stack", &fs::read_to_string("/etc/pam.d/common-session")?, "pam_svcauth.so")
}

/// Changes a file for as long as it takes to prove something, and puts it back.
fn with(world: &World, files: &[&str], change: &dyn Fn(&str) -> String) -> Outcome<Said> {
    let mut kept = Vec::new();
    for file in files {
        let (text, mode) = (fs::read(file)?, fs::metadata(file)?.permissions());
        world.write(file, 0o644, change(&String::from_utf8_lossy(&text)))?;
        fs::set_permissions(file, mode.clone())?;
        kept.push((file, text, mode));
    }
    let said = prove();
    for (file, text, mode) in kept {
        world.write(file, 0o644, text)?;
        fs::set_permissions(file, mode)?;
    }
    said
}

fn a_host_with_the_profile_is_proven_and_is_as_it_was_afterwards(world: &mut World) -> Outcome {
    install_with_profile(world)?;
    let log = world.log().mark();
    let (before, running) = (fingerprint()?, processes()?);
    prove()?.is_proof()?;
    same_files(&before)?;
    // What was killed at the end is buried a moment later.
    wait_until("the processes of the host", Duration::from_secs(60), || {
        (processes().ok()? == running).then_some(())
    })
    .doing(format!("{:?}, not {running:?}", processes()?))?;
    killed_in_the_middle_it_leaves_nothing()?;
    same_files(&before)?;
    require_eq("what the host has logged", &world.log().lines_since(log), &Vec::<String>::new())
}

/// As `kill -9` by an administrator who does not want to wait.
fn killed_in_the_middle_it_leaves_nothing() -> Outcome {
    let (before, mounts) = (processes()?, fs::read_to_string("/proc/self/mounts")?);
    let line = "svcauth doctor --prove >/run/world/said & sleep 0.1; while ! grep -q 'by ssh' /run/world/said; do sleep 0.05; done; \
                kill -9 $!; wait $!; true";
    let killed_in_the_middle = || -> Outcome<bool> {
        Program::new("bash").args(&["-c", line]).run()?.expect_ok()?;
        let said = fs::read_to_string("/run/world/said")?;
        fs::remove_file("/run/world/said")?;
        Ok(!said.contains("proven"))
    };
    // Whoever watches it may be too late on a busy machine.
    let mut tries = (0..10).map(|_| killed_in_the_middle());
    let found = tries.find(|tried| !matches!(tried, Ok(false)));
    found.unwrap_or_else(|| Err(Failure::new("it was never in the middle")))?;
    wait_until("the end of all", Duration::from_secs(60), || (processes().ok()? == before).then_some(()))?;
    require_eq("mounts", &fs::read_to_string("/proc/self/mounts")?, &mounts)
}

const COMMON: &[&str] =
    &["/etc/pam.d/common-account", "/etc/pam.d/common-session", "/etc/pam.d/common-session-noninteractive"];

/// The three lines of the profile as one, with another control; none without.
fn one_line(control: Option<&str>, phases: &[&str], text: &str) -> String {
    let fallback = |line: &&str| !line.contains("pam_listfile.so") && !line.contains("pam_localuser.so");
    let lines = text.lines().filter(fallback).filter_map(|line| {
        let phase = line.split_whitespace().next().unwrap_or_default();
        if !line.contains("pam_svcauth.so") || !phases.contains(&phase) {
            return Some(line.to_owned());
        }
        control.map(|control| format!("{phase} {control} pam_svcauth.so"))
    });
    lines.map(|line| line + "\n").collect()
}

fn a_line_that_ignores_or_is_optional_or_gone_is_no_enforcement(world: &mut World) -> Outcome {
    installed(world, install_with_profile)?;
    let both: &[&str] = &["account", "session"];
    let root = ["sshd_root_normal", "login_root_normal"];
    for (seed, control, phases) in [
        ("default=ignore", Some("[success=ok ignore=ignore default=ignore]"), both),
        ("optional", Some("optional"), both),
        ("no session line", None, &["session"]),
        ("no line at all", None, both),
    ] {
        let said = with(world, COMMON, &|text| one_line(control, phases, text))?;
        said.fails(
            seed,
            PAST_PAM,
            &[&["sshd_command_allowed", "su_allowed", "sudo_allowed"], &root[..]].concat(),
        )?;
    }
    Ok(())
}

fn lines_without_a_way_in_when_the_module_is_lost_shut_root_out(world: &mut World) -> Outcome {
    installed(world, install_with_profile)?;
    let said = with(world, COMMON, &|text| one_line(Some("requisite"), &["account", "session"], text))?;
    let shut_out =
        ["sshd_root_no_module", "sshd_local_no_module", "su_root_no_module", "login_root_garbage_module"];
    said.fails(
        "requisite alone",
        &shut_out,
        &["sshd_command_refused", "sshd_root_normal", "sshd_root_no_access"],
    )?;
    require_contains("the reason", said.detail("sshd_root_no_module"), "pam_svcauth.so")?;
    prove()?.is_proof()
}

fn where_rules_limit_somebody_the_limits_are_proven_and_a_shell_that_lets_everything_by_is_none(
    world: &mut World,
) -> Outcome {
    const LIMITS: [&str; 3] =
        ["sshd_limits_command_allowed", "sshd_limits_command_refused", "sshd_limits_shell_refused"];
    const OPEN: &str = "#!/bin/sh\nexec /bin/sh -c \"${SSH_ORIGINAL_COMMAND:-exec /bin/sh}\"\n";
    installed(world, install_with_profile)?;
    let limited = |text: &str| format!("{text}shell = \"deny\"\n");
    let said = with(world, &["/etc/svcauth/svcauth.toml"], &limited)?;
    said.is_proof()?;
    said.fails_nothing(&LIMITS)?;
    let open = |text: &str| if text.starts_with("\x7fELF") { OPEN.to_owned() } else { limited(text) };
    let said = with(world, &["/etc/svcauth/svcauth.toml", "/usr/bin/svcauth-shell"], &open)?;
    let [allowed, refused @ ..] = LIMITS;
    said.fails("a shell that lets everything by", &refused, &[allowed, "sshd_command_refused"])
}

fn a_host_set_up_by_hand_is_proven_though_sshd_has_the_refused_key_in_a_file(world: &mut World) -> Outcome {
    install(world)?;
    let said = prove()?;
    said.is_proof()?;
    // sshd took the key from ~/.ssh/authorized_keys, and the session was refused.
    let record = "deny origin=svcauth-refused reason=not_in_role service=sshd evidence=publickey";
    require_eq("the record", &said.detail("sshd_command_refused"), &record)?;
    require_contains(
        "the record",
        said.detail("sshd_directory_key_refused"),
        "key_refused origin=svcauth-refused",
    )
}

fn what_goes_past_pam_fails_where_it_goes_past_and_nowhere_else(world: &mut World) -> Outcome {
    installed(world, install)?;
    let by_ssh = &["sshd_command_refused", "sshd_terminal_refused", "sshd_dynamic_forward_refused"];
    let local = &["su_refused", "sudo_refused", "login_refused"];
    let drop_in = "/etc/ssh/sshd_config.d/00-seed.conf";
    world.write(drop_in, 0o644, "UsePAM no\n")?;
    let said = prove();
    fs::remove_file(drop_in)?;
    said?.fails("UsePAM no", by_ssh, local)?;
    let said = with(world, &["/etc/sudoers"], &|text| format!("{text}Defaults !pam_session\n"))?;
    let sudo = ["sudo_refused", "sudo_login_refused", "sudoedit_refused"];
    said.fails("!pam_session", &sudo, &["sshd_command_refused", "su_refused"])?;
    let folder = world.pam_folder()?;
    let (module, permit) = (folder.join("pam_svcauth.so"), folder.join("pam_permit.so"));
    let kept = fs::read(&module)?;
    world.copy(permit, &module, 0o644)?;
    let said = prove();
    world.write(&module, 0o644, kept)?;
    let said = said?;
    said.fails("pam_permit in its place", PAST_PAM, &["sshd_root_normal", "sshd_command_allowed"])?;
    require_eq("why", said.detail("sshd_command_refused"), "it worked")
}

fn without_the_name_service_nothing_is_proven(world: &mut World) -> Outcome {
    installed(world, install)?;
    let said = with(world, &["/etc/nsswitch.conf"], &|text| text.replace(" svcauth", ""))?;
    said.fails("no svcauth in nsswitch.conf", &["setup"], &["published"])?;
    require_contains("why", said.detail("setup"), "does not exist on this host")?;
    require_contains("why", said.detail("setup"), "Nothing is proven")
}

fn what_sshd_forbids_to_everybody_is_no_proof_and_no_failure(world: &mut World) -> Outcome {
    installed(world, install)?;
    let drop_in = "/etc/ssh/sshd_config.d/00-seed.conf";
    world.write(drop_in, 0o644, "AllowTcpForwarding no\nPermitRootLogin no\nAllowAgentForwarding no\n")?;
    let said = prove()?;
    require_eq("exit status", &said.code, &0).doing(said.report())?;
    for step in [
        "sshd_local_forward",
        "sshd_remote_forward",
        "sshd_dynamic_forward",
        "sshd_agent",
        "sshd_root_normal",
    ] {
        require(said.steps("skipped").contains(&step), || format!("{step}\n{}", said.report()))?;
    }
    require_contains(
        "why",
        said.detail("sshd_dynamic_forward"),
        "forbidden by sshd_config for everybody: allowtcpforwarding no",
    )?;
    require_contains("why", said.detail("sshd_root_normal"), "forbidden by sshd_config: permitrootlogin no")?;
    require(said.steps("ok").contains(&"sshd_command_refused"), || said.report())?;
    world.write(drop_in, 0o644, "AllowUsers root svcauth-local\n")?;
    let said = prove()?;
    said.fails("AllowUsers without the account", &["sshd_nothing"], &["su_refused", "sudo_refused"])?;
    require_contains("why", said.detail("sshd_command"), "svcauth-probe is not listed in AllowUsers")?;
    Ok(fs::remove_file(drop_in)?)
}

fn without_root_or_namespaces_it_says_so_and_proves_nothing(world: &mut World) -> Outcome {
    let line = ["/usr/bin/svcauth", "doctor", "--prove"];
    let caps = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
    let refused = |ended: Ended, words: &str| {
        require_contains("what it says", &format!("{}{}", ended.stdout, ended.stderr), words)
    };
    install(world)?;
    world.local_user("somebody", 1020)?;
    let ended = world.as_user("somebody", &line).run()?.expect_refused()?;
    refused(ended, "root")?;
    let ended = Program::from_words(&[&caps[..], &line].concat())?.run()?.expect_code(1)?;
    refused(ended, "private namespaces are not to be had here")
}
