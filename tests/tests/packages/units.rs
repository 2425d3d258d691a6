//! The units: systemd reads them without a complaint, and how much they are exposed is a number that does not grow.

use std::fs;

use svcauth_tests::program::Program;

use super::{Scratch, workspace};

/// What `systemd-analyze security` says about a unit file: 0 is nothing, 10 is everything.
fn exposure(unit: &std::path::Path) -> f64 {
    let words = ["systemd-analyze", "security", "--offline=true", "--no-pager"];
    let ended = Program::from_words(&words).unwrap().arg(unit).run().unwrap().expect_ok().unwrap();
    let line = ended.stdout.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    line.split(": ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn the_sandbox_of_the_service_is_as_strict_as_two_processes_in_one_unit_can_be() {
    let unit = workspace("conf/svcauthd.service");
    let scratch = Scratch::new("unit");
    let text = fs::read_to_string(&unit).unwrap();
    // The measure works: without its sandbox the unit is exposed.
    let bare = scratch.0.join("bare.service");
    fs::write(&bare, "[Service]\nExecStart=/usr/sbin/svcauthd\n").unwrap();
    assert!(exposure(&bare) > 9.0);
    // The monitor needs root, a network for its worker, and the processes of others: decision 24 counts the points.
    let whole = exposure(&unit);
    assert!(whole <= 2.4, "{whole}");
    // What the worker is: a child of the unit with another user and no capability, which nothing can give back.
    let worker = scratch.0.join("worker.service");
    let lines = text.lines().map(|line| match line.split_once('=') {
        Some(("CapabilityBoundingSet", _)) => "CapabilityBoundingSet=\n".to_owned(),
        Some(("SupplementaryGroups", _)) => "User=svcauth\n".to_owned(),
        _ => format!("{line}\n"),
    });
    fs::write(&worker, lines.collect::<String>()).unwrap();
    let worker = exposure(&worker);
    assert!(worker < 2.0, "{worker}");
}

#[test]
fn systemd_has_nothing_to_say_about_a_unit_but_that_it_is_not_installed_here() {
    for unit in ["svcauthd.service", "svcauth-rollback.service"] {
        let words = ["systemd-analyze", "verify", "--man=no"];
        let program = Program::from_words(&words).unwrap().arg(workspace("conf").join(unit));
        let ended = program.run().unwrap();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let other = |line: &&str| !line.contains("is not executable: No such file or directory");
        assert_eq!(said.lines().filter(other).count(), 0, "{}", ended.report());
    }
}
