//! The key report as a page.

use std::io::{self, Write};

use super::{Number, Text, begin, card, end, end_table, filter, number, table};
use crate::report::about::{About, for_people};
use crate::report::keys::{Counts, Keys, UnusedKey};
use crate::report::keys_rows::NEVER;

/// Writes the page.
///
/// # Errors
/// As the writer.
pub fn write(out: &mut dyn Write, about: &About, keys: &Keys<'_>) -> io::Result<()> {
    let unused = keys.unused_keys();
    let mut access = 0;
    keys.unused_access(&mut |_| {
        access += 1;
        Ok(())
    })?;
    begin(out, "Keys and unused access", about)?;
    cards(out, &keys.counts(unused.len(), access))?;
    trail(out, keys)?;
    local_keys(out, keys)?;
    unread_files(out, keys)?;
    unused_keys(out, keys, &unused)?;
    unused_access(out, keys, access)?;
    notes(out)?;
    end(out)
}

fn cards(out: &mut dyn Write, counts: &Counts) -> io::Result<()> {
    writeln!(
        out,
        "<section aria-labelledby=\"summary\">\n<h2 id=\"summary\">Summary</h2>\n<ul class=\"cards\">"
    )?;
    let of = Some(number(counts.local_keys));
    card(out, number(counts.local_keys_of_nobody), of, "keys in local files belong to nobody")?;
    card(out, number(counts.local_authorities), None, "authorities in local files")?;
    card(out, number(counts.unused_keys), None, "keys of the directory are not used")?;
    card(out, Number(counts.unused_access), None, "pairs with access never used it")?;
    writeln!(out, "</ul>")
}

fn trail(out: &mut dyn Write, keys: &Keys<'_>) -> io::Result<()> {
    let covered = keys.covered();
    match &covered.since {
        None => writeln!(
            out,
            "<p class=\"alarm\">There is no audit trail on this host: nothing is said about use.</p>"
        )?,
        Some(since) => writeln!(
            out,
            "<p>What is said about use rests on {} records of this host, since {}. Use of a key on another host, and \
             before that, is not seen.</p>",
            Number(covered.records),
            for_people(since)
        )?,
    }
    if covered.missing_records > 0 || covered.unreadable_lines > 0 {
        writeln!(
            out,
            "<p class=\"alarm\"><strong>The trail is not whole:</strong> {} records are missing in it, and {} lines are \
             no records. <code>svcauth log verify</code> says where.</p>",
            Number(covered.missing_records),
            Number(covered.unreadable_lines)
        )?;
    }
    writeln!(out, "</section>")
}

fn section(out: &mut dyn Write, id: &str, title: &str) -> io::Result<()> {
    writeln!(out, "<section aria-labelledby=\"{id}-head\">\n<h2 id=\"{id}-head\">{title}</h2>")
}

fn local_keys(out: &mut dyn Write, keys: &Keys<'_>) -> io::Result<()> {
    section(out, "local", "Keys in local files")?;
    filter(out)?;
    if keys.local.is_empty() {
        return writeln!(out, "<p class=\"empty\">None.</p>\n</section>");
    }
    let columns = ["Account", "Key", "Type", "File", "Line", "Belongs to", "Which means"];
    table(out, "local", "Keys in the files that sshd reads for managed accounts", &columns)?;
    for key in &keys.local {
        write!(out, "<tr><th scope=\"row\">{}</th>", Text(&key.account))?;
        write!(out, "<td class=\"key\">{}</td>", Text(&key.fingerprint))?;
        write!(out, "<td>{}</td><td>{}</td>", Text(&key.key_type), Text(&key.file))?;
        let owner = key.owner.as_deref().unwrap_or("nobody");
        writeln!(out, "<td>{}</td><td>{}</td><td>{}</td></tr>", key.line, Text(owner), key.state.sentence())?;
    }
    end_table(out)?;
    writeln!(out, "</section>")
}

fn unread_files(out: &mut dyn Write, keys: &Keys<'_>) -> io::Result<()> {
    if keys.unread.is_empty() {
        return Ok(());
    }
    section(out, "unread", "Files with more in them than is listed")?;
    table(out, "unread", "What was not read, or is no key", &["Account", "File", "Why"])?;
    for file in &keys.unread {
        write!(out, "<tr><th scope=\"row\">{}</th>", Text(&file.account))?;
        writeln!(out, "<td>{}</td><td>{}</td></tr>", Text(&file.file), Text(&file.why))?;
    }
    end_table(out)?;
    writeln!(out, "</section>")
}

fn unused_keys(out: &mut dyn Write, keys: &Keys<'_>, unused: &[UnusedKey]) -> io::Result<()> {
    section(out, "keys", "Keys of the directory that are not used")?;
    if unused.is_empty() {
        return writeln!(out, "<p class=\"empty\">None.</p>\n</section>");
    }
    let caption = format!("Not used on this host for {} days, or never within the trail", keys.days);
    table(out, "keys", &caption, &["Person", "Key", "Last used"])?;
    for key in unused {
        let last = key.last_used.as_deref().map_or_else(|| NEVER.to_owned(), for_people);
        write!(out, "<tr><th scope=\"row\">{}</th>", Text(&key.person))?;
        writeln!(out, "<td class=\"key\">{}</td><td>{last}</td></tr>", Text(&key.fingerprint))?;
    }
    end_table(out)?;
    writeln!(out, "</section>")
}

fn unused_access(out: &mut dyn Write, keys: &Keys<'_>, count: u64) -> io::Result<()> {
    section(out, "access", "Access that nobody used")?;
    if count == 0 {
        return writeln!(out, "<p class=\"empty\">None.</p>\n</section>");
    }
    table(out, "access", "May use the account here, and never did within the trail", &["Account", "Person"])?;
    keys.unused_access(&mut |access| {
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
            Text(access.account),
            Text(access.person)
        )
    })?;
    end_table(out)?;
    writeln!(out, "</section>")
}

fn notes(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<section aria-labelledby=\"notes\" class=\"notes\">\n<h2 id=\"notes\">What this page says</h2>\n<ul>\n\
         <li>sshd takes every key in a local file; svcauth refuses the session of a key that belongs to nobody, or whose \
         owner may not use the account. A key that is of two people in the directory is nobody's.</li>\n\
         <li>An authority in a local file lets its certificates in as far as sshd is concerned. svcauth takes them only \
         if the configuration lists the authority.</li>\n</ul>\n</section>"
    )
}
