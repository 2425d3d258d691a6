//! One object of JSON, written as its rows are found: a report may be larger than the memory.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::output::only_visible;

/// Begins the object with the keys of another one.
///
/// # Errors
/// As the writer.
pub fn open<T: Serialize>(out: &mut dyn Write, head: &T) -> io::Result<()> {
    let text = text(head)?;
    out.write_all(text.strip_suffix('}').unwrap_or(&text).as_bytes())
}

fn text<T: Serialize>(value: &T) -> io::Result<String> {
    serde_json::to_string(value).map(|text| only_visible(&text)).map_err(io::Error::other)
}

/// A list in the making.
pub struct List<'w> {
    out: &'w mut dyn Write,
    rows: u64,
}

/// Between two keys.
pub struct Between<'w>(&'w mut dyn Write);

impl<'w> List<'w> {
    /// Begins a list, which is not the first key.
    ///
    /// # Errors
    /// As the writer.
    pub fn begin(out: &'w mut dyn Write, key: &str) -> io::Result<Self> {
        write!(out, ",\"{key}\":[")?;
        Ok(Self { out, rows: 0 })
    }

    /// One element, on a line of its own.
    ///
    /// # Errors
    /// As the writer.
    pub fn row<T: Serialize>(&mut self, row: &T) -> io::Result<()> {
        let comma = if self.rows == 0 { "" } else { "," };
        self.rows += 1;
        write!(self.out, "{comma}\n{}", text(row)?)
    }

    /// Ends the list.
    ///
    /// # Errors
    /// As the writer.
    pub fn end(self) -> io::Result<Between<'w>> {
        self.out.write_all(b"]")?;
        Ok(Between(self.out))
    }
}

impl<'w> Between<'w> {
    /// The next list.
    ///
    /// # Errors
    /// As the writer.
    pub fn then(self, key: &str) -> io::Result<List<'w>> {
        List::begin(self.0, key)
    }

    /// A last key, and the end of the object.
    ///
    /// # Errors
    /// As the writer.
    pub fn close<T: Serialize>(self, key: &str, value: &T) -> io::Result<()> {
        writeln!(self.0, ",\"{key}\":{}}}", text(value)?)
    }
}
