//! The graph of the access page: people, the groups they are in, the roles, the accounts.

use std::collections::HashSet;
use std::io::{self, Write};

use super::layout::{Kind, Layout, Node, Ways};
use super::{Number, Text, number};
use crate::report::access::{Inventory, Which, Wish};
use crate::report::summary::{Counts, Summary};

/// People and accounts that a graph shows: more could not be read.
const MOST: usize = 40;

const NODE_WIDTH: usize = 172;
const NODE_HEIGHT: usize = 24;
const COLUMN_STEP: usize = NODE_WIDTH + 84;
const ROW_STEP: usize = NODE_HEIGHT + 8;
const TOP: usize = 34;
/// Characters that fit into a node.
const LABEL_MAX: usize = 22;

/// Writes the figure; nothing when nobody may use anything.
pub(super) fn write(
    out: &mut dyn Write,
    inventory: &Inventory<'_>,
    wish: Wish<'_>,
    summary: &Summary,
    counts: &Counts,
) -> io::Result<()> {
    let (ways, shown) = collect(inventory, wish, summary)?;
    if ways.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section aria-labelledby=\"graph-head\">\n<h2 id=\"graph-head\">How access comes about</h2>\n<figure>"
    )?;
    svg(out, &ways.layout())?;
    caption(out, shown, counts)?;
    writeln!(out, "</figure>\n</section>")
}

/// How many accounts and people are in the graph.
#[derive(Clone, Copy)]
struct Shown {
    accounts: usize,
    people: usize,
}

/// The ways to the accounts that most people may use, from those people who may use most of these.
fn collect(inventory: &Inventory<'_>, wish: Wish<'_>, summary: &Summary) -> io::Result<(Ways, Shown)> {
    let accounts: HashSet<&str> = summary.largest_accounts(MOST).into_iter().collect();
    let accounts: Vec<_> =
        inventory.accounts().iter().filter(|account| accounts.contains(account.name.as_str())).collect();
    let mut among = Summary::default();
    for account in &accounts {
        inventory.visit_account(Which::Access, account, wish.person, &mut |grant| {
            among.add(grant);
            Ok(())
        })?;
    }
    let people: HashSet<&str> = among.largest_people(MOST).into_iter().collect();
    let mut ways = Ways::default();
    for account in &accounts {
        inventory.visit_account(Which::Access, account, wish.person, &mut |grant| {
            if people.contains(grant.person.login.as_str()) {
                for role in &grant.roles {
                    ways.add(&grant.person.login, role.path, role.name, &grant.account.name);
                }
            }
            Ok(())
        })?;
    }
    let shown = Shown { accounts: accounts.len(), people: people.len() };
    Ok((ways, shown))
}

fn caption(out: &mut dyn Write, shown: Shown, counts: &Counts) -> io::Result<()> {
    if shown.accounts == counts.accounts_usable && shown.people == counts.people_with_access {
        return writeln!(
            out,
            "<figcaption>Who becomes which account, and by which groups. The table below says the same in words.</figcaption>"
        );
    }
    writeln!(
        out,
        "<figcaption>The {} accounts that most people may use, of {}, and the {} people who may use most of these, of {}. \
         The table below has all.</figcaption>",
        number(shown.accounts),
        number(counts.accounts_usable),
        number(shown.people),
        number(counts.people_with_access)
    )
}

fn svg(out: &mut dyn Write, layout: &Layout) -> io::Result<()> {
    let width = layout.columns.saturating_sub(1) * COLUMN_STEP + NODE_WIDTH + 2;
    let height = TOP + layout.rows * ROW_STEP;
    let count = |kind| Number(layout.nodes.iter().filter(|node| node.key.kind == kind).count() as u64);
    writeln!(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Graph\">")?;
    writeln!(
        out,
        "<svg id=\"graph\" width=\"{width}\" height=\"{height}\" viewBox=\"-1 0 {width} {height}\" role=\"img\" \
         aria-labelledby=\"graph-title graph-desc\">"
    )?;
    writeln!(out, "<title id=\"graph-title\">People, groups, roles and accounts</title>")?;
    writeln!(
        out,
        "<desc id=\"graph-desc\">{} people on the left reach {} accounts on the right through {} groups and {} roles. \
         Each line is one step; the table below lists every way.</desc>",
        count(Kind::Person),
        count(Kind::Account),
        count(Kind::Group),
        count(Kind::Role)
    )?;
    heads(out, layout)?;
    for (from, to) in &layout.edges {
        if let (Some(one), Some(other)) = (layout.nodes.get(*from), layout.nodes.get(*to)) {
            edge(out, layout, (*from, one), (*to, other))?;
        }
    }
    for (place, one) in layout.nodes.iter().enumerate() {
        node(out, layout, place, one)?;
    }
    writeln!(out, "</svg>\n</div>")
}

fn heads(out: &mut dyn Write, layout: &Layout) -> io::Result<()> {
    for column in 0..layout.columns {
        let word = match layout.columns - column {
            1 => "Accounts",
            2 => "Roles",
            _ if column == 0 => "People",
            _ => "Groups",
        };
        writeln!(out, "<text class=\"head\" x=\"{}\" y=\"14\">{word}</text>", column * COLUMN_STEP)?;
    }
    Ok(())
}

/// The upper left corner. Short columns stand in the middle of the height.
fn corner(layout: &Layout, node: &Node) -> (usize, usize) {
    let rows = layout.nodes.iter().filter(|other| other.column == node.column).count();
    let above = layout.rows.saturating_sub(rows) * ROW_STEP / 2;
    (node.column * COLUMN_STEP, TOP + above + node.row * ROW_STEP)
}

fn edge(out: &mut dyn Write, layout: &Layout, from: (usize, &Node), to: (usize, &Node)) -> io::Result<()> {
    let ((x1, y1), (x2, y2)) = (corner(layout, from.1), corner(layout, to.1));
    let (end, y1, y2) = (x1 + NODE_WIDTH, y1 + NODE_HEIGHT / 2, y2 + NODE_HEIGHT / 2);
    // Where there is no box, the line goes on as far as it would be wide.
    let start = if from.1.key.kind == Kind::Pass { x1 } else { end };
    let bend = COLUMN_STEP.saturating_sub(NODE_WIDTH) / 2;
    writeln!(
        out,
        "<path class=\"edge\" data-from=\"{}\" data-to=\"{}\" d=\"M{start} {y1}H{end}C{} {y1} {} {y2} {x2} {y2}\"/>",
        from.0,
        to.0,
        end + bend,
        x2.saturating_sub(bend)
    )
}

fn node(out: &mut dyn Write, layout: &Layout, place: usize, node: &Node) -> io::Result<()> {
    let (x, y) = corner(layout, node);
    let (class, word) = match node.key.kind {
        Kind::Person => ("person", "person"),
        Kind::Group => ("group", "group"),
        Kind::Role => ("role", "role"),
        Kind::Account => ("account", "account"),
        Kind::Pass => return Ok(()),
    };
    let name = &node.key.name;
    writeln!(
        out,
        "<g class=\"node {class}\" data-node=\"{place}\"><title>{word} {}</title>\
         <rect x=\"{x}\" y=\"{y}\" width=\"{NODE_WIDTH}\" height=\"{NODE_HEIGHT}\" rx=\"5\"/>\
         <text x=\"{}\" y=\"{}\">{}</text></g>",
        Text(name),
        x + 9,
        y + 16,
        Text(&label(name))
    )
}

/// As much of a name as fits into a node.
fn label(name: &str) -> String {
    if name.chars().count() <= LABEL_MAX {
        return name.to_owned();
    }
    name.chars().take(LABEL_MAX - 1).chain(['\u{2026}']).collect()
}
