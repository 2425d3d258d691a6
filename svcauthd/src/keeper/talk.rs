//! What worker and keeper say to each other: frames on a socketpair, one answer to each question.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::frame;

/// Longest frame between worker and keeper, in bytes: tokens of 64 KiB as lists of numbers fit three times.
const MAX: u32 = 1 << 20;

/// What a worker asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Begin to prove this host's identity to the LDAP service of a host.
    Begin {
        /// The name of the server.
        host: String,
        /// The application data of the channel binding (RFC 5929), where TLS gives one.
        binding: Option<Vec<u8>>,
    },
    /// What the server has answered to the last token.
    Answer(Vec<u8>),
}

/// What the keeper says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Say {
    /// The next token for the server.
    Token(Token),
    /// Why there is none. The next question can only be a new beginning.
    Failed(NoToken),
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoToken {
    /// The keytab, the KDC or the server will not have it; asking again at once changes nothing.
    Refused(String),
    /// Nobody answered.
    Silent(String),
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Silent(why) => f.write_str(why),
        }
    }
}

/// The client's part of one step of SASL GSSAPI (RFC 4752).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The credentials of the bind request; may be empty.
    pub bytes: Vec<u8>,
    /// Whether this is the last one: the server's answer is then its verdict.
    pub last: bool,
}

/// The worker's way to the keeper, which the monitor has made its standard output.
#[derive(Debug)]
pub struct Keeper(UnixStream);

impl Keeper {
    /// The keeper of this worker; every call gives the same one.
    ///
    /// # Errors
    /// When standard output is no socket, because the monitor has started no keeper.
    pub fn inherited() -> io::Result<Self> {
        let socket = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
        // Asks whether it is a socket at all.
        socket.peer_addr()?;
        Ok(Self(socket))
    }

    /// A keeper at the other end of this socket.
    #[must_use]
    pub const fn at(socket: UnixStream) -> Self {
        Self(socket)
    }

    /// Another handle of the same keeper.
    ///
    /// # Errors
    /// As dup(2).
    pub fn share(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Asks nothing any more, through whichever handle.
    pub fn give_up(&self) {
        // A socket that is closed already is as good.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }

    /// The first token for the LDAP service of this host. Blocks for up to `wait`; if that is over, or the keeper talks
    /// nonsense, nothing more can be asked of it.
    ///
    /// # Errors
    /// Why there is none: a file, a name, or what the KDC said.
    pub fn begin(&mut self, host: &str, binding: Option<Vec<u8>>, wait: Duration) -> Result<Token, NoToken> {
        self.ask(&Ask::Begin { host: host.to_owned(), binding }, wait)
    }

    /// The token that follows the server's answer to the last one. As [`Self::begin`].
    ///
    /// # Errors
    /// Why there is none: mostly that the server did not prove itself.
    pub fn answer(&mut self, token: Vec<u8>, wait: Duration) -> Result<Token, NoToken> {
        self.ask(&Ask::Answer(token), wait)
    }

    fn ask(&mut self, question: &Ask, wait: Duration) -> Result<Token, NoToken> {
        let said = self.exchange(question, wait);
        if said.is_err() {
            // A late answer must not be taken for that to the next question.
            self.give_up();
        }
        match said {
            Ok(Say::Token(token)) => Ok(token),
            Ok(Say::Failed(why)) => Err(why),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                let within = wait.as_secs();
                let why = format!("no ticket within {within} s; check that the KDC of the realm answers");
                Err(NoToken::Silent(why))
            }
            Err(error) => {
                Err(NoToken::Silent(format!("the process that holds the keytab is lost ({error})")))
            }
        }
    }

    fn exchange(&mut self, question: &Ask, wait: Duration) -> io::Result<Say> {
        self.0.set_write_timeout(Some(wait))?;
        self.0.set_read_timeout(Some(wait))?;
        frame::write(&mut self.0, question, MAX)?;
        frame::read(&mut self.0, MAX)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
impl Keeper {
    /// Plays a keeper at this end, and gives what it was asked.
    pub(crate) fn play(
        socket: UnixStream,
        mut answer: impl FnMut(&str) -> Result<Token, NoToken>,
    ) -> Vec<String> {
        let mut asked = Vec::new();
        let served = serve(socket, |question| {
            asked.push(match question {
                Ask::Begin { host, binding } => format!("{:?}", (host, binding)),
                Ask::Answer(token) => format!("{token:?}"),
            });
            answer(asked.last().map_or("", String::as_str)).map_or_else(Say::Failed, Say::Token)
        });
        assert!(served.is_ok());
        asked
    }
}

/// Answers questions until the worker is gone.
pub(super) fn serve(socket: UnixStream, mut answer: impl FnMut(Ask) -> Say) -> io::Result<()> {
    let mut socket = socket;
    while let Some(question) = frame::read(&mut socket, MAX)? {
        frame::write(&mut socket, &answer(question), MAX)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Ask, Keeper, NoToken, Say, Token, serve};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    const SOON: Duration = Duration::from_secs(60);

    fn token(bytes: &[u8], last: bool) -> Token {
        Token { bytes: bytes.to_vec(), last }
    }

    #[test]
    fn every_question_gets_its_answer() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let keeper = std::thread::spawn(move || {
            serve(theirs, |question| match question {
                Ask::Begin { host, binding: Some(binding) } => {
                    Say::Token(token(&[host.as_bytes(), &binding].concat(), false))
                }
                Ask::Begin { .. } => Say::Failed(NoToken::Refused("no".to_owned())),
                Ask::Answer(bytes) => Say::Token(token(&bytes, true)),
            })
        });
        let mut asker = Keeper::at(ours);
        assert_eq!(asker.begin("dc1", Some(vec![7]), SOON), Ok(token(b"dc1\x07", false)));
        assert_eq!(asker.begin("dc1", None, SOON), Err(NoToken::Refused("no".to_owned())));
        let long = vec![255; 65536];
        assert_eq!(asker.answer(long.clone(), SOON), Ok(token(&long, true)));
        drop(asker);
        keeper.join().unwrap().unwrap();
    }

    #[test]
    fn a_keeper_that_is_late_is_given_up_for_good_so_that_no_late_answer_is_mistaken() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut asker = Keeper::at(ours);
        let start = Instant::now();
        let error = asker.begin("dc1", None, Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, NoToken::Silent(_)));
        let error = error.to_string();
        assert!(error.starts_with("no ticket within 0 s; "), "{error}");
        assert!(start.elapsed() < Duration::from_secs(60));
        // It answers after all, and would answer the next question too.
        let late = std::thread::spawn(move || serve(theirs, |_| Say::Token(token(b"late", false))));
        let error = asker.begin("dc2", None, SOON).unwrap_err().to_string();
        assert!(error.starts_with("the process that holds the keytab is lost"), "{error}");
        let _ = late.join().unwrap();
    }
}
