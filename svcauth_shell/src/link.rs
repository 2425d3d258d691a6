//! The connection for as long as a command runs: when it is cut, because the daemon was started anew, it is made again.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use svcauth_core::command::protocol::{Answer, Ask, Told};

use crate::daemon::{self, AWAY, Connection, Trouble};

/// Between two tries to go on.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one of them may take: meanwhile nothing else is done for the command.
const THINKING: Duration = Duration::from_secs(2);

/// Who hears how the command goes.
#[derive(Debug)]
pub(crate) struct Link {
    connection: Option<Connection>,
    /// What is asked to go on with what was allowed; `None` when that was refused.
    again: Option<Ask>,
    /// Until when that is tried.
    until: Instant,
}

impl Link {
    /// `id`: the daemon's name for the command.
    pub(crate) fn new(connection: Connection, asked: Ask, id: String) -> Self {
        Self {
            connection: Some(connection),
            again: Some(Ask { resume: Some(id), ..asked }),
            until: Instant::now(),
        }
    }

    /// What to wait for: the daemon says nothing more, so that anything is its end.
    pub(crate) fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.connection.as_ref().map(Connection::as_fd)
    }

    /// How long to wait before [`Self::resume`] is worth a try; `None` when it is not.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let is_worth = self.connection.is_none() && self.again.is_some() && Instant::now() < self.until;
        is_worth.then_some(PAUSE)
    }

    /// The daemon has hung up.
    pub(crate) fn cut(&mut self) {
        if self.connection.take().is_some() {
            self.until = Instant::now() + AWAY;
        }
    }

    /// One try to go on, if that is needed.
    pub(crate) fn resume(&mut self) -> Result<(), Refused> {
        if self.connection.is_some() {
            return Ok(());
        }
        let gone = || Refused("svcauthd is gone".to_owned());
        let Some(again) = &self.again else { return Err(gone()) };
        let refused = match daemon::try_to_ask(again, THINKING) {
            Ok((connection, Answer::Resumed)) => {
                self.connection = Some(connection);
                return Ok(());
            }
            Err(Trouble::Away(_)) => return if Instant::now() < self.until { Ok(()) } else { Err(gone()) },
            Ok((_, Answer::Refused { message, .. })) => Refused(message),
            Err(Trouble::Final(failure)) => Refused(failure.message),
            Ok(_) => gone(),
        };
        self.again = None;
        Err(refused)
    }

    /// Tells, now or never.
    pub(crate) fn tell(&mut self, told: &Told) {
        let _ = self.resume();
        if let Some(connection) = &mut self.connection {
            let _ = connection.tell(told);
        }
    }

    /// Tells, and comes back when it is told: after a cut to the daemon that takes over.
    ///
    /// # Errors
    /// Nobody has taken over, or it may not go on.
    pub(crate) fn tell_surely(&mut self, told: &Told) -> Result<(), Refused> {
        loop {
            match &mut self.connection {
                Some(connection) => match connection.tell(told) {
                    Ok(()) => return Ok(()),
                    Err(_) => self.cut(),
                },
                None => {
                    self.resume()?;
                    if self.connection.is_none() {
                        std::thread::sleep(PAUSE);
                    }
                }
            }
        }
    }
}

/// What was allowed may not go on: why, for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);
