//! `svcauth doctor`

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::Done;
use super::output::{Failure, json, line};
use crate::doctor::{Finding, Severity, examine};

/// The words of the command line.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Try it out: the host's own sshd, su, sudo, login, cron and at in private namespaces, with probe identities
    ///
    /// Shows that the refused cannot get in and that nobody else is shut out, also when svcauth is broken. Takes 10 to 30
    /// seconds and changes nothing on the host. Exit status: 0 everything is proven; 1 something is not.
    #[arg(long)]
    prove: bool,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DoctorArgs) -> Done {
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::usage(
            "only root can see all that has to be looked at; run: sudo svcauth doctor",
        ));
    }
    if args.prove {
        return super::prove::run(args.json);
    }
    let found = examine();
    if args.json {
        json(&Report::of(&found))?;
    } else {
        show(&found)?;
    }
    Ok(ExitCode::from(u8::from(count(&found, Severity::Fault) > 0)))
}

/// What `--json` prints; the shape is an interface.
#[derive(Serialize)]
struct Report<'a> {
    faults: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    code: &'static str,
    severity: &'static str,
    file: Option<String>,
    line: Option<usize>,
    what: &'a str,
    fix: &'a str,
}

impl<'a> Report<'a> {
    fn of(found: &'a [Finding]) -> Self {
        let row = |finding: &'a Finding| Row {
            code: finding.code,
            severity: finding.severity.word(),
            file: finding.place.as_ref().map(|(file, _)| file.to_string_lossy().into_owned()),
            line: finding.place.as_ref().and_then(|(_, line)| *line),
            what: &finding.what,
            fix: &finding.fix,
        };
        Self {
            faults: count(found, Severity::Fault),
            warnings: count(found, Severity::Warning),
            notes: count(found, Severity::Note),
            findings: found.iter().map(row).collect(),
        }
    }
}

fn count(found: &[Finding], severity: Severity) -> usize {
    found.iter().filter(|finding| finding.severity == severity).count()
}

fn show(found: &[Finding]) -> Result<(), Failure> {
    for finding in found {
        line(&format!("{:<8} {}{}", finding.severity.word(), finding.code, place(finding)))?;
        line(&format!("         {}", finding.what))?;
        line(&format!("         fix: {}", finding.fix))?;
    }
    let number = |severity, one: &str| match count(found, severity) {
        1 => format!("1 {one}"),
        other => format!("{other} {one}s"),
    };
    let counts = [(Severity::Fault, "fault"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    line(&counts.map(|(severity, one)| number(severity, one)).join(", "))?;
    Ok(())
}

fn place(finding: &Finding) -> String {
    match &finding.place {
        None => String::new(),
        Some((file, None)) => format!("  {}", file.display()),
        Some((file, Some(line))) => format!("  {}:{line}", file.display()),
    }
}
