//! The harness of the end-to-end tests and of the two commands `cargo demo` and `cargo verify`.
//!
//! Here: what drives real programs in private worlds. Not here: anything that decides, and unit tests of other crates.
//! Nothing here is linked with svcauth: the tests drive what would be installed.

pub mod ansible;
pub mod artifacts;
pub mod backend;
pub mod browser;
pub mod clock;
pub mod controllers;
pub mod daemon;
pub mod demo;
pub mod directory;
pub mod evil;
pub mod failure;
pub mod kdc;
pub mod kerberos;
pub mod keys;
pub mod ldif;
pub mod log;
pub mod machine;
pub mod packages;
pub mod program;
pub mod relay;
pub mod runner;
pub mod samba;
pub mod seeded;
pub mod site;
pub mod slapd;
pub mod sshd;
pub mod sssd;
pub mod terminal;
pub mod tls;
pub mod trail;
pub mod verify;
pub mod walkthrough;
pub mod world;
