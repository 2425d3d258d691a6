//! `libnss_svcauth.so.2`: glibc asks for a passwd or group entry, the snapshot answers.
//!
//! Belongs here: turning a question of glibc into a lookup in `accounts.snap`, and the record into a C struct.
//! Never here: policy, logging, threads, locks, thread-local data, an allocator, `std`, the network.
//!
//! The module is a guest in every process of the host. It opens the snapshot, reads three parts of it and closes it
//! again; between two calls it keeps nothing but the position of a listing, in two atomics per map. So there is nothing
//! that could go stale, that a fork could leave half-done, or that another thread could hold.
//!
//! | file | what is in it |
//! |---|---|
//! | `abi.rs` | the exported functions and glibc's contract; unsafe |
//! | `gid_list_abi.rs` | the array of gids that initgroups fills; unsafe |
//! | `sys.rs` | system calls, errno, cancellation; unsafe |
//! | `question.rs` | which questions can be answered without opening the file, and the lookup |
//! | `entry.rs` | one record laid out in the caller's buffer |
//! | `listing.rs` | where a listing stands |
//! | `membership.rs` | which gids an account gets |
//! | `refusal.rs` | why there is no answer: status and errno |
//! | `proof.rs` | the panic handler and the proof that nothing reaches it |
//!
//! Built with `cargo build --profile nss -p nss_svcauth`. Every other profile unwinds, and then the crate is an ordinary
//! `std` one: for the tests and for clippy.
#![cfg_attr(all(panic = "abort", not(test)), no_std)]

mod abi;
mod entry;
mod gid_list_abi;
mod listing;
mod membership;
mod proof;
mod question;
mod refusal;
mod sys;
