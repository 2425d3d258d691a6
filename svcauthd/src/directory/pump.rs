//! Carries bytes between the server and the LDAP library, those of the server through the guard.

use super::connect::Stream;
use super::guard::{Guard, GuardError};
use super::shape::Phase;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Notify;

/// Bytes of one read.
const CHUNK: usize = 64 << 10;
/// Entries that may wait in the library, whose own queue has no limit.
const IN_FLIGHT: u64 = 2000;

/// Why the connection ended, for the error message; the library only knows that it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The guard refused a message.
    Guard(GuardError),
    /// Reading or writing failed, or the server closed the connection.
    Closed(String),
}

/// What the pump and the reader of the entries tell each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Link(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    end: Mutex<Option<End>>,
    taken: AtomicU64,
    moved: Notify,
}

impl Link {
    /// The first end that was noticed.
    pub(super) fn end(&self) -> Option<End> {
        self.0.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// The reader has taken one more entry.
    pub(super) fn taken(&self) {
        self.0.taken.fetch_add(1, Ordering::Relaxed);
        self.0.moved.notify_one();
    }
    fn ended(&self, end: End) {
        self.0.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
    }
    /// Waits until at most [`IN_FLIGHT`] of the entries that were handed on have not been taken.
    async fn room(&self, handed_on: u64) {
        while handed_on.saturating_sub(self.0.taken.load(Ordering::Relaxed)) > IN_FLIGHT {
            self.0.moved.notified().await;
        }
    }
}

/// Runs until either side ends the connection, and then ends it on both.
pub(super) async fn run(server: Box<dyn Stream>, library: UnixStream, first: Phase, link: Link) {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_library, mut to_library) = tokio::io::split(library);
    let up = tokio::io::copy(&mut from_library, &mut to_server);
    let down = async {
        let mut guard = Guard::new(first);
        let mut chunk = vec![0; CHUNK];
        loop {
            link.room(guard.entries()).await;
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
        end = down => link.ended(end),
        // The library closes its end when nobody wants anything of this server any more.
        copied = up => {
            if let Err(error) = copied {
                link.ended(End::Closed(error.to_string()));
            }
        }
    }
}
