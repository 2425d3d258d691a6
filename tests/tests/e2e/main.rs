//! The end-to-end tests: real programs in private worlds. `cargo test -p svcauth_tests --features e2e`.
//!
//! One file per theme. The name of a case is a sentence; each denial is preceded by what proves that the same step works
//! when it should.

mod activation;
mod activation_refusals;
mod activation_trial;
mod ad;
mod ad_changes;
mod ad_kerberos;
mod audit_file;
mod audit_log;
mod audit_schema;
mod broken_host;
mod browser;
mod certificates;
mod cli;
mod command_socket;
mod commands;
mod damage;
mod doctor;
mod everywhere;
mod evil;
mod examples;
mod forging;
mod host;
mod hostile;
mod injection;
mod jobs;
mod journal;
mod kerberos;
mod latency;
mod login;
mod manual;
mod methods;
mod metrics;
mod outage;
mod plain;
mod prove;
mod pushed;
mod reach;
mod reports;
mod revocation;
mod role_ids;
mod roles;
mod secrets;
mod setup;
mod shared_use;
mod sid;
mod sshd_limits;
mod state;
mod steps;
mod story;
mod su_sudo;
mod who;

use std::process::ExitCode;

use svcauth_tests::runner::Case;

/// Every theme but those that run against each kind of directory.
const THEMES: &[&[Case]] = &[
    plain::CASES,
    login::CASES,
    certificates::CASES,
    methods::CASES,
    kerberos::CASES,
    forging::CASES,
    jobs::CASES,
    su_sudo::CASES,
    who::CASES,
    steps::CASES,
    reports::CASES,
    roles::CASES,
    shared_use::CASES,
    revocation::exact::CASES,
    revocation::grace::CASES,
    outage::CASES,
    prove::CASES,
    command_socket::CASES,
    command_socket::hostile::CASES,
    command_socket::recordings::CASES,
    pushed::CASES,
    broken_host::CASES,
    secrets::CASES,
    examples::CASES,
    browser::CASES,
    audit_file::CASES,
    hostile::CASES,
    damage::CASES,
    doctor::CASES,
    cli::CASES,
    manual::CASES,
    activation::CASES,
    activation_refusals::CASES,
    activation_trial::CASES,
    audit_log::CASES,
    audit_schema::CASES,
    injection::CASES,
    journal::CASES,
    metrics::CASES,
    ad::CASES,
    ad_kerberos::CASES,
    reach::CASES,
    ad_changes::CASES,
    sid::CASES,
    sshd_limits::CASES,
    role_ids::CASES,
    state::CASES,
    evil::CASES,
];

fn main() -> ExitCode {
    let everywhere = everywhere::CASES.iter().chain(commands::CASES).chain(setup::CASES).copied();
    svcauth_tests::runner::main(&everywhere.chain(THEMES.iter().copied()).collect::<Vec<_>>())
}
