//! Carries bytes between the server and the LDAP library, those of the server through the guard.

use super::connect::Stream;
use super::guard::{Guard, GuardError};
use super::shape::Phase;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Bytes of one read.
const CHUNK: usize = 64 << 10;

/// Why the connection ended, for the error message; the library only knows that it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The guard refused a message.
    Guard(GuardError),
    /// Reading or writing failed, or the server closed the connection.
    Closed(String),
}

/// A place for the [`End`] that both tasks can reach.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended(Arc<Mutex<Option<End>>>);

impl Ended {
    /// The first end that was noticed.
    pub(super) fn get(&self) -> Option<End> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn set(&self, end: End) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(end);
    }
}

/// Runs until either side ends the connection, and then ends it on both.
pub(super) async fn run(server: Box<dyn Stream>, library: UnixStream, first: Phase, ended: Ended) {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_library, mut to_library) = tokio::io::split(library);
    let up = tokio::io::copy(&mut from_library, &mut to_server);
    let down = async {
        let mut guard = Guard::new(first);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match from_server.read(&mut chunk).await {
                Ok(0) => return End::Closed("the server closed the connection".to_owned()),
                Ok(read) => read,
                Err(error) => return End::Closed(error.to_string()),
            };
            match guard.pass(chunk.get(..read).unwrap_or_default()) {
                Err(fault) => return End::Guard(fault),
                Ok(messages) => {
                    if let Err(error) = to_library.write_all(&messages).await {
                        return End::Closed(error.to_string());
                    }
                }
            }
        }
    };
    // Whichever branch ends first drops the other, and with it both halves of both connections.
    tokio::select! {
        end = down => ended.set(end),
        Err(error) = up => ended.set(End::Closed(error.to_string())),
    }
}
