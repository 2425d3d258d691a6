//! Reports: who may use what, and what nobody uses.
//!
//! Belongs here: what a report says, made of what it is given, and how it is written as a table, JSON, CSV or a page.
//! Never here: files, clocks and the host (`cli::report` asks them), and deciding (`svcauth_core::policy`).
//!
//! Names come from whoever may edit the directory, or writes into a home: every writer here makes them harmless for
//! where they go.

pub mod about;
pub mod access;
pub mod access_rows;
pub mod authorized_keys;
pub mod csv;
pub mod html;
pub mod json;
pub mod keys;
pub mod keys_rows;
pub mod summary;
pub mod usage;

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod sample;
