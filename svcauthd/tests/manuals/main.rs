//! The manual pages say what the programs do: every command, option, key, word and path, and nothing that is not there.

#![cfg(test)]

mod audit;
mod command;
mod completions;
mod config;
mod guide;
mod host;
mod lint;
mod page;
