//! Carries bytes between the server and the LDAP library, those of the server through the guard.

use super::connect::Stream;
use super::guard::{Guard, GuardError};
use super::shape::Phase;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Notify;

/// Bytes of one read.
const CHUNK: usize = 64 << 10;
/// Entries that may wait in the library, whose own queue has no limit.
const IN_FLIGHT: u64 = 2000;
/// Bytes that may wait there, besides those of the last read.
const IN_FLIGHT_BYTES: usize = 32 << 20;

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
    over: Notify,
    sync: AtomicBool,
    renewed: AtomicBool,
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
    /// A search is about to ask for content synchronisation.
    pub(super) fn expect_sync(&self) {
        self.0.sync.store(true, Ordering::Relaxed);
    }
    /// A new fetch begins on this connection.
    pub(super) fn renew(&self) {
        self.0.renewed.store(true, Ordering::Relaxed);
    }
    fn prepare(&self, guard: &mut Guard) {
        if self.0.sync.load(Ordering::Relaxed) {
            guard.expect_sync();
        }
        if self.0.renewed.swap(false, Ordering::Relaxed) {
            guard.renew();
        }
    }
    /// Waits until the connection has ended.
    pub(super) async fn over(&self) {
        let over = self.0.over.notified();
        if self.end().is_none() {
            over.await;
        }
    }
    fn ended(&self, end: End) {
        self.0.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
        self.0.over.notify_one();
    }
    /// Waits until not too much of what was handed on waits to be taken.
    async fn room(&self, waiting: &mut Waiting) {
        while waiting.is_much(self.0.taken.load(Ordering::Relaxed)) {
            self.0.moved.notified().await;
        }
    }
}

/// What was handed on and has not been taken, read by read.
#[derive(Debug, Default)]
struct Waiting {
    /// How many entries were handed on after each read, and how many bytes it had.
    reads: VecDeque<(u64, usize)>,
    bytes: usize,
    entries: u64,
}

impl Waiting {
    fn add(&mut self, entries: u64, bytes: usize) {
        self.entries = entries;
        self.bytes += bytes;
        self.reads.push_back((entries, bytes));
    }
    fn is_much(&mut self, taken: u64) -> bool {
        while let Some((_, bytes)) = self.reads.front().copied().filter(|(entries, _)| *entries <= taken) {
            self.bytes -= bytes;
            self.reads.pop_front();
        }
        self.entries.saturating_sub(taken) > IN_FLIGHT || self.bytes > IN_FLIGHT_BYTES
    }
}

/// Runs until either side ends the connection, and then ends it on both.
pub(super) async fn run(server: Box<dyn Stream>, library: UnixStream, first: Phase, link: Link) {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_library, mut to_library) = tokio::io::split(library);
    let up = tokio::io::copy(&mut from_library, &mut to_server);
    let down = async {
        let mut guard = Guard::new(first);
        let mut waiting = Waiting::default();
        let mut chunk = vec![0; CHUNK];
        loop {
            link.room(&mut waiting).await;
            let read = match from_server.read(&mut chunk).await {
                Ok(0) => return End::Closed("the server closed the connection".to_owned()),
                Ok(read) => read,
                Err(error) => return End::Closed(error.to_string()),
            };
            link.prepare(&mut guard);
            match guard.pass(chunk.get(..read).unwrap_or_default()) {
                Err(fault) => return End::Guard(fault),
                Ok(messages) => {
                    waiting.add(guard.entries(), messages.len());
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
            let how = copied.map_or_else(|error| error.to_string(), |_| "it was closed on this side".to_owned());
            link.ended(End::Closed(how));
        }
    }
}
