//! Every file of `conf/` is loaded by a test, with the program that it is for.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use svcauth_tests::artifacts::workspace_folder;

const E2E: &str = "tests/tests/e2e/";

/// Who runs the role for Ansible.
const ROLE: &str = "the_role_sets_a_host_up_and_changes_nothing_the_second_time";

/// A file of `conf/`, the file of a test, and the test that loads it as it is.
const LOADED: &[(&str, &str, &str)] = &[
    ("ansible/roles/svcauth/defaults/main.yml", "setup/automation.rs", ROLE),
    ("ansible/roles/svcauth/handlers/main.yml", "setup/automation.rs", ROLE),
    ("ansible/roles/svcauth/meta/main.yml", "setup/automation.rs", ROLE),
    ("ansible/roles/svcauth/tasks/enable.yml", "setup/automation.rs", ROLE),
    ("ansible/roles/svcauth/tasks/main.yml", "setup/automation.rs", ROLE),
    ("ansible/roles/svcauth/tasks/setup.yml", "setup/automation.rs", ROLE),
    ("ansible/roles/svcauth/templates/answers.toml.j2", "setup/automation.rs", ROLE),
    ("ansible/site.yml", "setup/automation.rs", ROLE),
    (
        "cloud-init.yaml",
        "setup/automation.rs",
        "what_the_cloud_does_at_the_first_boot_works_as_it_is_written",
    ),
    ("directory.ldif", "login.rs", "the_account_resolves_though_no_local_file_has_it"),
    (
        "pam-configs/svcauth",
        "activation.rs",
        "enable_puts_svcauth_in_force_and_disable_leaves_every_byte_as_it_was",
    ),
    ("pam/atd", "jobs.rs", "a_job_of_at_runs_as_its_account_whatever_its_environment_says"),
    ("pam/cron", "jobs.rs", "a_crontab_runs_as_its_account_where_a_rule_names_cron_and_nowhere_else"),
    ("pam/login", "su_sudo.rs", "a_console_login_has_nobody_behind_it_and_is_refused"),
    ("pam/sshd", "login.rs", "bob_gets_in_and_the_log_names_him_his_key_and_his_role"),
    ("pam/su", "su_sudo.rs", "bob_may_and_carol_may_not_by_su"),
    ("pam/su-l", "su_sudo.rs", "login_shells_and_sudoedit_are_no_way_round"),
    ("pam/sudo", "su_sudo.rs", "bob_may_and_carol_may_not_by_sudo"),
    ("pam/sudo-i", "su_sudo.rs", "login_shells_and_sudoedit_are_no_way_round"),
    ("sshd/svcauth.conf", "login.rs", "keys_come_from_the_directory_for_those_who_may_only"),
    ("svcauth-rollback.service", "examples.rs", "systemd_understands_every_line_of_every_unit"),
    ("svcauth.toml", "login.rs", "bob_gets_in_and_the_log_names_him_his_key_and_his_role"),
    ("svcauthd.service", "examples.rs", "systemd_understands_every_line_of_every_unit"),
    ("sysusers.conf", "examples.rs", "the_user_and_the_folders_are_those_that_the_daemon_needs"),
    ("tmpfiles.conf", "examples.rs", "the_user_and_the_folders_are_those_that_the_daemon_needs"),
];

/// Every file below a folder, relative to `root`.
fn files(folder: &Path, root: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let shown = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    entries.flat_map(|path| if path.is_dir() { files(&path, root) } else { [shown(&path)].into() }).collect()
}

#[test]
fn every_example_is_loaded_by_a_test() {
    let root = workspace_folder().unwrap();
    let conf = root.join("conf");
    let known: BTreeSet<String> = LOADED.iter().map(|(file, ..)| (*file).to_owned()).collect();
    assert_eq!(files(&conf, &conf), known);
    for (file, test_file, test) in LOADED {
        let source = fs::read_to_string(root.join(E2E).join(test_file)).unwrap();
        assert!(source.contains(&format!("fn {test}(")), "{file}: no test {test} in {test_file}");
    }
}
