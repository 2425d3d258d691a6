//! What the targets share: walking through whole snapshots, and cutting the fuzzer's bytes into pieces.
//!
//! Here: properties that more than one target asserts. Not here: anything that the product itself could use.

pub mod decisions;
pub mod pieces;
pub mod records;
pub mod sample;
pub mod seal;
pub mod walk;
