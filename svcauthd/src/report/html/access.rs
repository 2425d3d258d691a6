//! The access report as a page, for a review.

use std::io::{self, Write};

use super::{Number, REVIEW, Text, begin, card, end, end_table, filter, graph, number, table};
use crate::report::about::About;
use crate::report::access::{Grant, Inventory, Which, Wish};
use crate::report::access_rows::from;
use crate::report::summary::{Counts, Summary};

/// Rows up to which each has boxes to tick; a browser is slow with many more.
const TICKS_MAX: u64 = 2000;
/// Accounts that nobody may use, of which the names are shown.
const NAMES_MAX: usize = 500;

/// Writes the page, and says how many rows it has. It goes through all access three times, and keeps none of it.
///
/// # Errors
/// As the writer.
pub fn write(
    out: &mut dyn Write,
    about: &About,
    inventory: &Inventory<'_>,
    wish: Wish<'_>,
) -> io::Result<u64> {
    let mut summary = Summary::default();
    let mut rows = 0;
    for which in [Which::Access, Which::Suspended] {
        inventory.visit(which, wish, &mut |grant| {
            rows += u64::from(which == Which::Access);
            summary.add(grant);
            Ok(())
        })?;
    }
    let counts = summary.counts(inventory, wish);
    begin(out, "Access review", about)?;
    cards(out, &counts)?;
    graph::write(out, inventory, wish, &summary, &counts)?;
    let review = if rows <= TICKS_MAX { Review::Ticks } else { Review::Blanks };
    access_table(out, inventory, wish, review)?;
    suspended_table(out, inventory, wish, &counts)?;
    jobs(out, inventory, wish)?;
    unusable(out, inventory, wish, &summary)?;
    notes(out, about)?;
    sign_off(out)?;
    end(out)?;
    Ok(rows)
}

/// How a reviewer marks a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Review {
    /// Boxes to tick, on the screen and on paper.
    Ticks,
    /// On paper.
    Blanks,
}

fn cards(out: &mut dyn Write, counts: &Counts) -> io::Result<()> {
    writeln!(
        out,
        "<section aria-labelledby=\"summary\">\n<h2 id=\"summary\">Summary</h2>\n<ul class=\"cards\">"
    )?;
    card(
        out,
        number(counts.accounts_usable),
        Some(number(counts.accounts)),
        "accounts can be used on this host",
    )?;
    card(out, number(counts.people_with_access), Some(number(counts.people)), "people have access")?;
    card(out, Number(counts.pairs), None, "pairs of a person and an account")?;
    card(out, Number(counts.pairs_suspended), None, "pairs are suspended")?;
    writeln!(out, "</ul>\n</section>")
}

fn access_table(
    out: &mut dyn Write,
    inventory: &Inventory<'_>,
    wish: Wish<'_>,
    review: Review,
) -> io::Result<()> {
    writeln!(out, "<section aria-labelledby=\"who\">\n<h2 id=\"who\">Who may use what</h2>")?;
    filter(out)?;
    let columns = ["Account", "Person", "Role, and the way to it", "Rule", "Services", "From", REVIEW];
    table(out, "access", "One row for each person, account and access rule that gives access", &columns)?;
    inventory.visit(Which::Access, wish, &mut |grant| {
        write!(out, "<tr>")?;
        access_cells(out, grant)?;
        sign_cell(out, grant, review)?;
        writeln!(out, "</tr>")
    })?;
    end_table(out)?;
    writeln!(out, "</section>")
}

fn access_cells(out: &mut dyn Write, grant: &Grant<'_>) -> io::Result<()> {
    let uid = grant.account.uid.map_or_else(|| "local".to_owned(), |uid| uid.to_string());
    write!(out, "<th scope=\"row\">{} <small>{uid}</small></th>", Text(&grant.account.name))?;
    write!(out, "<td>{}</td><td>", Text(&grant.person.login))?;
    for role in &grant.roles {
        write!(out, "<div class=\"way\">")?;
        for group in role.path.split_last().map_or(&[] as &[String], |(_, groups)| groups) {
            write!(out, "{} <i aria-label=\"in\">&#8250;</i> ", Text(group))?;
        }
        write!(out, "<b>{}</b></div>", Text(role.name))?;
    }
    write!(out, "</td><td>line {}</td>", grant.rule.line)?;
    write!(out, "<td>{}</td><td>{}</td>", Text(&grant.services.join(" ")), Text(&from(grant)))
}

fn sign_cell(out: &mut dyn Write, grant: &Grant<'_>, review: Review) -> io::Result<()> {
    if review == Review::Blanks {
        return write!(out, "<td class=\"sign\">&#9744; keep &#9744; remove</td>");
    }
    write!(out, "<td class=\"sign\">")?;
    for word in ["keep", "remove"] {
        let (person, account) = (Text(&grant.person.login), Text(&grant.account.name));
        write!(
            out,
            "<label class=\"{word}\"><input type=\"checkbox\" aria-label=\"{word} {person} on {account}\">{word}</label> "
        )?;
    }
    write!(out, "</td>")
}

fn suspended_table(
    out: &mut dyn Write,
    inventory: &Inventory<'_>,
    wish: Wish<'_>,
    counts: &Counts,
) -> io::Result<()> {
    if counts.pairs_suspended == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "<section aria-labelledby=\"suspended-head\">\n<h2 id=\"suspended-head\">Would have access, but</h2>"
    )?;
    let columns = ["Account", "Person", "Role, and the way to it", "Rule", "Services", "From", "Why not now"];
    table(out, "suspended", "Refused at this moment; the access is back when the reason is gone", &columns)?;
    inventory.visit(Which::Suspended, wish, &mut |grant| {
        write!(out, "<tr>")?;
        access_cells(out, grant)?;
        let why = grant.suspended.map(svcauth_core::policy::Reason::sentence).unwrap_or_default();
        writeln!(out, "<td>{}</td></tr>", Text(why))
    })?;
    end_table(out)?;
    writeln!(out, "</section>")
}

/// Written when the first row is there.
fn jobs(out: &mut dyn Write, inventory: &Inventory<'_>, wish: Wish<'_>) -> io::Result<()> {
    let mut is_open = false;
    inventory.visit_jobs(wish, &mut |job| {
        if !is_open {
            writeln!(
                out,
                "<section aria-labelledby=\"jobs-head\">\n<h2 id=\"jobs-head\">Jobs of the account itself</h2>"
            )?;
            let caption = "Started by cron or at for the account; nobody is proven, and no role is asked";
            table(out, "jobs", caption, &["Account", "Rule", "Services"])?;
            is_open = true;
        }
        write!(out, "<tr><th scope=\"row\">{}</th>", Text(&job.account.name))?;
        writeln!(out, "<td>line {}</td><td>{}</td></tr>", job.rule.line, Text(&job.services.join(" ")))
    })?;
    if is_open {
        end_table(out)?;
        writeln!(out, "</section>")?;
    }
    Ok(())
}

fn unusable(
    out: &mut dyn Write,
    inventory: &Inventory<'_>,
    wish: Wish<'_>,
    summary: &Summary,
) -> io::Result<()> {
    if wish.account.is_some() || wish.person.is_some() {
        return Ok(());
    }
    let idle = || inventory.accounts().iter().filter(|account| !summary.is_usable(&account.name));
    let count = idle().count();
    if count == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "<section aria-labelledby=\"nobody\">\n<h2 id=\"nobody\">Accounts that nobody may use here</h2>\n<details><summary>{} \
         accounts</summary>\n<ul class=\"names\">",
        number(count)
    )?;
    for account in idle().take(NAMES_MAX) {
        writeln!(out, "<li>{}</li>", Text(&account.name))?;
    }
    writeln!(out, "</ul>")?;
    if count > NAMES_MAX {
        writeln!(out, "<p>and {} more</p>", number(count - NAMES_MAX))?;
    }
    writeln!(out, "</details>\n</section>")
}

fn notes(out: &mut dyn Write, about: &About) -> io::Result<()> {
    writeln!(
        out,
        "<section aria-labelledby=\"notes\" class=\"notes\">\n<h2 id=\"notes\">What this page says</h2>\n<ul>\n\
         <li>Every row was decided by the code that decides logins, with the data of the generation above, for this host. \
         root is not listed: it can become any account, and each time is recorded.</li>\n\
         <li>The way to a role is the shortest one. Somebody who is taken out of its first group may hold the role by \
         another: <code>svcauth explain PERSON ACCOUNT</code> says what is left.</li>\n\
         <li>Rule: the line of /etc/svcauth/svcauth.toml where the access rule begins. su stands for su -, and sudo for \
         sudo -i, too.</li>"
    )?;
    if !about.services_without_proof.is_empty() {
        writeln!(
            out,
            "<li>Rules name services that prove nobody, so that nobody gets in through them: {}.</li>",
            Text(&about.services_without_proof.join(" "))
        )?;
    }
    writeln!(out, "</ul>\n</section>")
}

fn sign_off(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<section aria-labelledby=\"sign-off\" class=\"sign-off\">\n<h2 id=\"sign-off\">Sign-off</h2>\n<table>"
    )?;
    writeln!(out, "<caption>Reviewed by</caption>\n<thead><tr>")?;
    for column in ["Name", "Role", "Date", "Signature"] {
        write!(out, "<th scope=\"col\">{column}</th>")?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for _ in 0..2 {
        writeln!(out, "<tr><td></td><td></td><td></td><td></td></tr>")?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}
