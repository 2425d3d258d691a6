//! What `svcauth-shell` and the daemon say to each other on `/run/svcauth/command.sock`.
//!
//! One connection a command: the shell sends [`Ask`], hears one [`Answer`], and later tells [`Told`] how it went, any number
//! of times. Who asks is told by the kernel (SO_PEERCRED, unix(7)), never by a message. A message is a length (u32,
//! little-endian) and that many bytes in the plain encoding of the snapshots.

use std::string::String;
use std::vec::Vec;

use super::{Access, Files, Program};
use crate::snapshot::Invalid;
use crate::snapshot::wire::{Reader, Writer};

/// Longest message in bytes: a command line of the longest kind that execve(2) takes (MAX_ARG_STRLEN, 128 KiB), and what
/// comes with it.
pub const MESSAGE_MAX: u32 = 512 << 10;

/// What the shell asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The command line; `None`: an interactive shell.
    pub line: Option<Vec<u8>>,
    /// Whether standard input, output and error are a terminal.
    pub terminal: bool,
    /// Whether the kernel lets the shell confine a program to paths (landlock(7)).
    pub can_confine: bool,
    /// The connection before this one was cut: goes on with what was allowed there.
    pub resume: Option<String>,
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Run the whole line, or a login shell, with the account's own shell and the environment as it is.
    Shell {
        /// The account's own shell, an absolute path.
        shell: String,
        /// The daemon's name for the command, to resume with.
        id: String,
        /// Whether what the terminal shows is to be sent.
        record: bool,
    },
    /// Run this program in a clean environment.
    Program {
        /// The program and what it gets.
        program: Program,
        /// The account's name.
        account: String,
        /// Its home directory.
        home: String,
        /// The name of the command, to resume with.
        id: String,
    },
    /// Do not.
    Refused {
        /// The code of the reason.
        reason: String,
        /// One line for the person, without control characters.
        message: String,
    },
    /// This uid is no managed account: nobody limits it here.
    NotManaged,
    /// To [`Ask::resume`]: go on.
    Resumed,
}

/// What the shell tells while a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// What the terminal showed.
    Output(Vec<u8>),
    /// The terminal has this size now.
    Size {
        /// Columns.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// The command exited with this status (0 to 255).
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// It could not be started; the error number of execve(2), or of what came before it.
    NotStarted(i32),
}

impl Ask {
    /// The message, without its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(1);
        out.option(self.line.as_deref(), Writer::bytes);
        out.u8(u8::from(self.terminal));
        out.u8(u8::from(self.can_confine));
        out.option(self.resume.as_deref(), Writer::text);
        out.0
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Invalid::Structure`] for anything that [`Self::encode`] does not write.
    pub fn decode(message: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader(message);
        if from.u8()? != 1 {
            return Err(Invalid::Structure);
        }
        let ask = Self {
            line: from.option(|from| from.bytes().map(<[u8]>::to_vec))?,
            terminal: from.flag()?,
            can_confine: from.flag()?,
            resume: from.option(Reader::text)?,
        };
        from.end()?;
        Ok(ask)
    }
}

impl Answer {
    /// The message, without its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Shell { shell, id, record } => {
                out.u8(1);
                out.text(shell);
                out.text(id);
                out.u8(u8::from(*record));
            }
            Self::Program { program, account, home, id } => {
                out.u8(2);
                out.text(&program.path);
                out.list(&program.arguments, |out, word| out.bytes(word));
                out.list(&program.environment, |out, (name, value)| {
                    out.text(name);
                    out.text(value);
                });
                out.option(program.files.as_ref(), write_files);
                out.text(account);
                out.text(home);
                out.text(id);
            }
            Self::Refused { reason, message } => {
                out.u8(3);
                out.text(reason);
                out.text(message);
            }
            Self::NotManaged => out.u8(4),
            Self::Resumed => out.u8(5),
        }
        out.0
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Invalid::Structure`] for anything that [`Self::encode`] does not write.
    pub fn decode(message: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader(message);
        let answer = match from.u8()? {
            1 => Self::Shell { shell: from.text()?, id: from.text()?, record: from.flag()? },
            2 => Self::Program {
                program: Program {
                    path: from.text()?,
                    arguments: from.list(|from| from.bytes().map(<[u8]>::to_vec))?,
                    environment: from.list(|from| Ok((from.text()?, from.text()?)))?,
                    files: from.option(read_files)?,
                },
                account: from.text()?,
                home: from.text()?,
                id: from.text()?,
            },
            3 => Self::Refused { reason: from.text()?, message: from.text()? },
            4 => Self::NotManaged,
            5 => Self::Resumed,
            _ => return Err(Invalid::Structure),
        };
        from.end()?;
        Ok(answer)
    }
}

impl Told {
    /// The message, without its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let signed = |out: &mut Writer, value: i32| out.u32(u32::from_ne_bytes(value.to_ne_bytes()));
        match self {
            Self::Output(bytes) => {
                out.u8(1);
                out.bytes(bytes);
            }
            Self::Size { columns, rows } => {
                out.u8(2);
                out.u32(u32::from(*columns));
                out.u32(u32::from(*rows));
            }
            Self::Exited(status) => {
                out.u8(3);
                signed(&mut out, *status);
            }
            Self::Killed(signal) => {
                out.u8(4);
                signed(&mut out, *signal);
            }
            Self::NotStarted(errno) => {
                out.u8(5);
                signed(&mut out, *errno);
            }
        }
        out.0
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Invalid::Structure`] for anything that [`Self::encode`] does not write.
    pub fn decode(message: &[u8]) -> Result<Self, Invalid> {
        let mut from = Reader(message);
        let signed = |value: u32| i32::from_ne_bytes(value.to_ne_bytes());
        let narrow = |value: u32| u16::try_from(value).map_err(|_| Invalid::Structure);
        let told = match from.u8()? {
            1 => Self::Output(from.bytes()?.to_vec()),
            2 => Self::Size { columns: narrow(from.u32()?)?, rows: narrow(from.u32()?)? },
            3 => Self::Exited(signed(from.u32()?)),
            4 => Self::Killed(signed(from.u32()?)),
            5 => Self::NotStarted(signed(from.u32()?)),
            _ => return Err(Invalid::Structure),
        };
        from.end()?;
        Ok(told)
    }
}

pub(crate) fn write_files(out: &mut Writer, files: &Files) {
    out.u8(u8::from(files.access == Access::Write));
    out.list(&files.paths, |out, path| out.text(path));
}

pub(crate) fn read_files(from: &mut Reader<'_>) -> Result<Files, Invalid> {
    let access = if from.flag()? { Access::Write } else { Access::Read };
    Ok(Files { access, paths: from.list(Reader::text)? })
}

#[cfg(test)]
mod tests {
    use super::{Access, Answer, Ask, Files, Program, Told};
    use std::string::ToString as _;
    use std::vec;

    #[test]
    fn every_message_is_read_as_it_was_written_and_no_other_is() {
        let ask = Ask {
            line: Some(b"ls \xff\n".to_vec()),
            terminal: true,
            can_confine: true,
            resume: Some("a-1".to_string()),
        };
        for ask in [Ask { line: None, terminal: false, resume: None, ..ask.clone() }, ask] {
            let message = ask.encode();
            assert_eq!(Ask::decode(&message), Ok(ask));
            assert!((0..message.len()).all(|len| Ask::decode(&message[..len]).is_err()));
        }
        let text = |text: &str| text.to_string();
        let program = Program {
            path: text("/bin/ls"),
            arguments: vec![b"\xff".to_vec(), Vec::new()],
            environment: vec![(text("A"), text("b=c"))],
            files: Some(Files { access: Access::Write, paths: vec![text("/srv")] }),
        };
        for answer in [
            Answer::Shell { shell: text("/bin/bash"), id: text("x"), record: true },
            Answer::Program { program, account: text("deployer"), home: text("/home"), id: text("x") },
            Answer::Refused { reason: text("no_origin"), message: text("no") },
            Answer::NotManaged,
            Answer::Resumed,
        ] {
            let message = answer.encode();
            assert!((0..message.len()).all(|len| Answer::decode(&message[..len]).is_err()));
            assert_eq!(Answer::decode(&message), Ok(answer));
        }
        for told in [
            Told::Output(vec![0, 255]),
            Told::Size { columns: 80, rows: u16::MAX },
            Told::Exited(255),
            Told::Killed(9),
            Told::NotStarted(-2),
        ] {
            let message = told.encode();
            assert!((0..message.len()).all(|len| Told::decode(&message[..len]).is_err()));
            assert_eq!(Told::decode(&message), Ok(told));
        }
    }

    use std::vec::Vec;

    proptest::proptest! {
        #[test]
        fn what_is_read_is_written_again_byte_for_byte(
            message in proptest::collection::vec(0u8..7, 0..24),
            line in proptest::option::of(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..8)),
            flip in 0usize..64,
            value in proptest::prelude::any::<u8>(),
        ) {
            let ask = Ask { line, terminal: true, can_confine: false, resume: Some("4d8f-1-1".to_string()) };
            let mut changed = ask.encode();
            if let Some(byte) = changed.get_mut(flip) {
                *byte = value;
            }
            for bytes in [message, changed] {
                if let Ok(ask) = Ask::decode(&bytes) {
                    proptest::prop_assert_eq!(&ask.encode(), &bytes);
                }
                if let Ok(answer) = Answer::decode(&bytes) {
                    proptest::prop_assert_eq!(&answer.encode(), &bytes);
                }
                if let Ok(told) = Told::decode(&bytes) {
                    proptest::prop_assert_eq!(&told.encode(), &bytes);
                }
            }
        }
    }
}
