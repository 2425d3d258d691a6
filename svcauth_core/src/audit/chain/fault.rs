//! What is wrong with a row of audit files, in words.

use core::fmt;

use super::{Broken, Walk};

/// The first fault of a row of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A line was changed after it was written.
    Edited,
    /// Lines are missing.
    Removed {
        /// The number of the first of them.
        from: u64,
        /// The number of the last of them.
        to: u64,
    },
    /// A line stands where another belongs, which comes later.
    Reordered {
        /// The number of the line that belongs there.
        expected: u64,
        /// The number of the line that stands there.
        found: u64,
    },
    /// A line stands there a second time.
    Doubled {
        /// Its number.
        seq: u64,
    },
    /// Something that was never a line of an audit file.
    Garbage,
    /// The last line has no end.
    Unfinished,
    /// The file continues another history than the file before tells.
    Fork,
    /// The end is missing.
    Cut {
        /// The number of the first line that is missing.
        from: u64,
        /// The number of the last that was written.
        to: u64,
    },
    /// Files that should still be there are missing, before the first.
    FilesMissing {
        /// The number of the first line that is missing.
        from: u64,
        /// The number of the last.
        to: u64,
    },
    /// The line is sound in itself, and not the one that was written down elsewhere under its number.
    Rewritten {
        /// Its number.
        seq: u64,
    },
    /// The line that was written down elsewhere is no longer kept, so nothing can be said about it.
    NotKept {
        /// Its number.
        seq: u64,
    },
}

impl Fault {
    /// What a line that does not fit means. `comes_later`: whether a line of that number comes behind this one.
    #[must_use]
    pub fn of(broken: Broken, walk: &Walk, mut comes_later: impl FnMut(u64) -> bool) -> Self {
        match broken {
            Broken::NotSealed => Self::Garbage,
            Broken::Seal | Broken::Number { renumbered: true, .. } => Self::Edited,
            Broken::Fork => Self::Fork,
            Broken::NoBeginning { expected } if comes_later(expected) => {
                Self::Reordered { expected, found: expected.saturating_add(1) }
            }
            Broken::NoBeginning { expected } => Self::Removed { from: expected, to: expected },
            Broken::Number { expected, found, .. } if found < expected => {
                // What was never among these lines cannot be here again.
                if walk.first().is_some_and(|first| found >= first) {
                    Self::Doubled { seq: found }
                } else {
                    Self::Garbage
                }
            }
            Broken::Number { expected, found, .. } if comes_later(expected) => {
                Self::Reordered { expected, found }
            }
            Broken::Number { expected, found, .. } => {
                Self::Removed { from: expected, to: found.saturating_sub(1) }
            }
        }
    }

    /// The stable word for scripts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Removed { .. } => "removed",
            Self::Reordered { .. } => "reordered",
            Self::Doubled { .. } => "doubled",
            Self::Garbage => "garbage",
            Self::Unfinished => "unfinished",
            Self::Fork => "fork",
            Self::Cut { .. } => "cut",
            Self::FilesMissing { .. } => "files_missing",
            Self::Rewritten { .. } => "rewritten",
            Self::NotKept { .. } => "not_kept",
        }
    }
}

/// `record 7`, or `records 7 to 9`.
struct Records(u64, u64);

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= self.1 {
            write!(f, "record {}", self.0)
        } else {
            write!(f, "records {} to {}", self.0, self.1)
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Edited => f.write_str("the line was edited: its hash is not that of what it holds"),
            Self::Removed { from, to } => {
                let verb = if from >= to { "is" } else { "are" };
                write!(f, "{} {verb} missing here: removed", Records(from, to))
            }
            Self::Reordered { expected, found } => {
                write!(f, "record {found} stands here and record {expected} comes later: reordered")
            }
            Self::Doubled { seq } => write!(f, "record {seq} stands here once more: doubled"),
            Self::Garbage => f.write_str("this was never a line of an audit file: edited or inserted"),
            Self::Unfinished => f.write_str("the last line has no end: cut, or its writer was stopped"),
            Self::Fork => f.write_str(
                "this file continues another history than the file before it tells: one of them was replaced",
            ),
            Self::Cut { from, to } => {
                write!(f, "{} stood here: the end was cut, or a file removed", Records(from, to))
            }
            Self::FilesMissing { from, to } => {
                write!(f, "what stood before this file is missing: {}", Records(from, to))
            }
            Self::Rewritten { seq } => write!(
                f,
                "record {seq} is not the one that was written down: it and what follows were written anew"
            ),
            Self::NotKept { seq } => {
                write!(f, "record {seq} is no longer kept, so it cannot be held against these files")
            }
        }
    }
}
