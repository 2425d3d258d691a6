//! One page that needs nothing else: no network, no file beside it.
//!
//! Foreign text goes through `Text` alone, into elements and quoted attributes; none goes into the script or the style
//! sheet, which are the same in every page. The page's own policy (CSP) lets the browser run and apply exactly those two,
//! by their hashes, and fetch nothing: what slipped through would not run.

pub mod access;
mod graph;
pub mod keys;
mod layout;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use svcauth_core::audit::escape::for_terminal;
use svcauth_core::origin::Fingerprint;

use super::about::About;
use crate::cli::output::duration;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Bytes of a name that a page shows; a longer one says how much is missing.
const TEXT_MAX: usize = 300;

/// The column that a reviewer fills, by which nothing is sorted.
pub(super) const REVIEW: &str = "Review";

/// Foreign text as a page may hold it, in an element or between double quotes: nothing in it is markup, and characters
/// that would reorder, hide or break the line are written as `\u{202e}` or `\x0a`, a backslash as `\\`.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = (0..=TEXT_MAX.min(self.0.len())).rev().find(|end| self.0.is_char_boundary(*end));
        let (head, tail) = self.0.split_at_checked(end.unwrap_or(0)).unwrap_or((self.0, ""));
        for c in for_terminal(head).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '`' => f.write_str("&#96;")?,
                c => f.write_char(c)?,
            }
        }
        if tail.is_empty() { Ok(()) } else { write!(f, "...(+{} bytes)", tail.len()) }
    }
}

/// A number as people read it: `12,345`.
pub(super) struct Number(pub(super) u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place) % 3 == 0 {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// A length as a count.
pub(super) fn number(length: usize) -> Number {
    Number(length as u64)
}

/// A hash as a policy of content names it (CSP level 3, section 2.3.1).
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Fingerprint::of(text.as_bytes()).as_bytes()))
}

/// Everything up to the first section.
pub(super) fn begin(out: &mut dyn Write, title: &str, about: &About) -> io::Result<()> {
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src {style}; script-src {script}; base-uri 'none'; form-action 'none'"
    );
    writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(out, "<meta name=\"referrer\" content=\"no-referrer\">")?;
    writeln!(out, "<meta name=\"color-scheme\" content=\"light dark\">")?;
    writeln!(out, "<title>{title}: {} ({})</title>", Text(&about.host), Text(&about.made))?;
    writeln!(out, "<style>{STYLE}</style>\n</head>\n<body>")?;
    head(out, title, about)
}

fn head(out: &mut dyn Write, title: &str, about: &About) -> io::Result<()> {
    let age = about.age_seconds.map_or_else(|| "unknown".to_owned(), |age| format!("{} ago", duration(age)));
    writeln!(
        out,
        "<header>\n<p class=\"kicker\">svcauth</p>\n<h1>{title} <span class=\"host\">{}</span></h1>",
        Text(&about.host)
    )?;
    writeln!(out, "<dl class=\"facts\">")?;
    fact(out, "Made", &about.made_for_people())?;
    fact(out, "By", &about.made_by)?;
    fact(out, "Generation", &about.generation.to_string())?;
    fact(out, "Confirmed by the directory", &age)?;
    fact(out, "Scope", &scope(about))?;
    writeln!(out, "</dl>\n</header>\n<main>")?;
    if about.stale {
        writeln!(
            out,
            "<p class=\"alarm\" role=\"alert\"><strong>Nobody gets in at this moment.</strong> The directory has not \
             confirmed the data for longer than max_stale allows; what would count otherwise is listed as suspended.</p>"
        )?;
    }
    Ok(())
}

fn fact(out: &mut dyn Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(value))
}

fn scope(about: &About) -> String {
    let one = |word: &str, name: &Option<String>| name.as_ref().map(|name| format!("{word} {name}"));
    let parts =
        [one("account", &about.account), one("person", &about.person), one("service", &about.service)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "every account and everybody".to_owned() } else { parts.join(", ") }
}

/// A number with what it counts.
pub(super) fn card(
    out: &mut dyn Write,
    value: impl fmt::Display,
    of: Option<Number>,
    what: &str,
) -> io::Result<()> {
    let of = of.map(|of| format!(" <small>of {of}</small>")).unwrap_or_default();
    writeln!(out, "<li><b>{value}{of}</b> <span>{what}</span></li>")
}

/// The box that filters the rows of every table below it. The script shows it.
pub(super) fn filter(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<p class=\"filter\" hidden><label for=\"filter\">Show rows with</label> <input id=\"filter\" type=\"search\" \
         autocomplete=\"off\" spellcheck=\"false\"> <output id=\"shown\" for=\"filter\" aria-live=\"polite\"></output> <output id=\"progress\"></output></p>"
    )
}

/// The head of a table with these columns; the script makes them sort.
pub(super) fn table(out: &mut dyn Write, id: &str, caption: &str, columns: &[&str]) -> io::Result<()> {
    writeln!(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">")?;
    write!(out, "<table id=\"{id}\">\n<caption>{caption}</caption>\n<thead><tr>")?;
    for column in columns {
        let class = if *column == REVIEW { " class=\"sign\"" } else { "" };
        write!(out, "<th scope=\"col\"{class}>{column}</th>")?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")
}

/// The end of a table.
pub(super) fn end_table(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "</tbody>\n</table>\n</div>")
}

/// The end of the page.
pub(super) fn end(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>")
}
