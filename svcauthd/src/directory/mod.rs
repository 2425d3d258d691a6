//! Where entries come from. All sources give the same [`entry::Entry`] to the same mapping.

pub mod dn;
pub mod entry;
pub mod guard;
pub mod ldif;
pub mod shape;
