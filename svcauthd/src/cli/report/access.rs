//! `svcauth report access`.

use std::io::{self, Write};
use std::process::ExitCode;

use svcauth_core::policy::{Account, Family, Policy};
use svcauth_core::snapshot::access::{AccessSnapshot, KnownPerson};
use svcauth_host::snapshot_file::SnapshotFile;

use super::output::{Columns, Out};
use super::{AccessArgs, Format, Moment, note};
use crate::cli::Done;
use crate::cli::output::Failure;
use crate::cli::snapshot::{self, damaged};
use crate::report::access::{Here, Inventory, Service, Which, Wish};
use crate::report::{access_rows, csv, html};
use crate::state::is_tombstone;

/// Rows beyond which a browser takes many seconds to open a page.
const ROWS_OF_A_BROWSER: u64 = 50_000;

pub(super) fn run(args: &AccessArgs) -> Done {
    let snapshot = snapshot::open()?;
    let policy = snapshot.policy().map_err(damaged)?;
    let accounts = accounts(&snapshot, args.account.as_deref())?;
    let people = people(&snapshot, args.person.as_deref())?;
    let services = services(&policy, args.service.as_deref())?;
    let moment = Moment::of(&snapshot);
    let hosts: Vec<&str> = moment.hosts.iter().map(String::as_str).collect();
    let here = Here { hosts: &hosts, now: moment.now, age: moment.age };
    let mut about = moment.about("access", &policy);
    about.account.clone_from(&args.account);
    about.person.clone_from(&args.person);
    about.service.clone_from(&args.service);
    about.services_without_proof = Service::without_proof(&policy);
    let people = people.iter().map(|known| &known.person);
    let inventory = Inventory::new(&policy, &accounts, people, &services, here);
    let (account, person, service) =
        (args.account.as_deref(), args.person.as_deref(), args.service.as_deref());
    let wish = Wish { account, person, service };
    let mut out = Out::open(args.to.output.as_deref())?;
    let written = match args.to.format {
        Format::Table => table(&mut out, &inventory, wish, args),
        Format::Csv => as_csv(&mut out, &inventory, wish, args),
        Format::Json => access_rows::json(&mut out, &about, &inventory, wish),
        Format::Html => html::access::write(&mut out, &about, &inventory, wish).map(|rows| {
            if rows > ROWS_OF_A_BROWSER {
                note(&format!(
                    "{rows} rows are more than most browsers show; use --account, or --format csv"
                ));
            }
        }),
    };
    out.finish(written)?;
    Ok(ExitCode::SUCCESS)
}

/// The accounts of the snapshot, or the one that was asked for.
fn accounts(snapshot: &AccessSnapshot<SnapshotFile>, wanted: Option<&str>) -> Result<Vec<Account>, Failure> {
    let Some(name) = wanted else {
        let mut all = snapshot.accounts().map_err(damaged)?;
        all.retain(|account| !is_tombstone(account));
        return Ok(all);
    };
    let found = snapshot.account(name).map_err(damaged)?.filter(|account| !is_tombstone(account));
    let missing = || Failure::usage(format!("{name} is not a managed account (see: svcauth accounts)"));
    found.map(|account| vec![account]).ok_or_else(missing)
}

fn people(
    snapshot: &AccessSnapshot<SnapshotFile>,
    wanted: Option<&str>,
) -> Result<Vec<KnownPerson>, Failure> {
    let Some(login) = wanted else {
        return snapshot.people().map_err(damaged);
    };
    let found = snapshot.person(login).map_err(damaged)?;
    let missing = || Failure::usage(format!("{login} is nobody that the directory knows"));
    found.map(|person| vec![person]).ok_or_else(missing)
}

fn services(policy: &Policy, wanted: Option<&str>) -> Result<Vec<Service>, Failure> {
    let Some(word) = wanted else {
        return Ok(Service::all_of(policy));
    };
    if Family::of(word).has_nobody_behind() {
        return Ok(Vec::new());
    }
    let unproven = || Failure::usage(format!("{word} proves nobody, so nobody gets in through it"));
    Ok(vec![Service::of(word).ok_or_else(unproven)?])
}

/// Rows in the order of a flat report.
fn rows(
    inventory: &Inventory<'_>,
    wish: Wish<'_>,
    args: &AccessArgs,
    each: &mut dyn FnMut(&[String]) -> io::Result<()>,
) -> io::Result<()> {
    inventory.visit(Which::Access, wish, &mut |grant| each(&access_rows::cells(grant)))?;
    if !args.all {
        return Ok(());
    }
    inventory.visit(Which::Suspended, wish, &mut |grant| each(&access_rows::cells(grant)))?;
    inventory.visit_jobs(wish, &mut |job| each(&access_rows::job_cells(job)))
}

fn table(out: &mut Out, inventory: &Inventory<'_>, wish: Wish<'_>, args: &AccessArgs) -> io::Result<()> {
    let mut columns = Columns::new(&access_rows::HEAD);
    if out.is_terminal() {
        rows(inventory, wish, args, &mut |cells| {
            columns.measure(cells);
            Ok(())
        })?;
        columns.head(out)?;
    }
    rows(inventory, wish, args, &mut |cells| columns.row(out, cells))
}

fn as_csv(
    out: &mut dyn Write,
    inventory: &Inventory<'_>,
    wish: Wish<'_>,
    args: &AccessArgs,
) -> io::Result<()> {
    let head = access_rows::HEAD.map(str::to_ascii_lowercase);
    csv::line(out, head.iter().map(String::as_str))?;
    rows(inventory, wish, args, &mut |cells| csv::line(out, cells.iter().map(String::as_str)))
}
