//! What is asked of the servers, and how much goes to and fro: counted where a connection is, so that nothing is missed.

use super::connect::{Protection, Stream};
use serde::{Deserialize, Serialize};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// LDAP on all connections so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Messages sent: binds, searches, the pages of searches, unbinds. Not StartTLS, which is said before.
    pub requests: u64,
    /// Bytes received, as they are without TLS.
    pub received: u64,
    /// Bytes sent, as they are without TLS.
    pub sent: u64,
}

impl Traffic {
    /// What came since an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            received: self.received.saturating_sub(earlier.received),
            sent: self.sent.saturating_sub(earlier.sent),
        }
    }
}

/// Counts; every clone is the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Meter {
    /// The counts so far.
    pub(super) fn read(&self) -> Traffic {
        let Counters { requests, received, sent } = &*self.0;
        Traffic {
            requests: requests.load(Ordering::Relaxed),
            received: received.load(Ordering::Relaxed),
            sent: sent.load(Ordering::Relaxed),
        }
    }

    /// The same stream, counted.
    pub(super) fn on(&self, stream: Box<dyn Stream>) -> Box<dyn Stream> {
        Box::new(Metered { stream, meter: self.clone(), messages: Messages::default() })
    }
}

struct Metered {
    stream: Box<dyn Stream>,
    meter: Meter,
    messages: Messages,
}

impl Stream for Metered {
    fn protection(&self) -> Protection {
        self.stream.protection()
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, into);
        let read = into.filled().len().saturating_sub(before);
        this.meter.0.received.fetch_add(read as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            let begun = this.messages.count(bytes.get(..written).unwrap_or_default());
            this.meter.0.requests.fetch_add(begun, Ordering::Relaxed);
            this.meter.0.sent.fetch_add(written as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Finds where messages begin in what our own library sends: a tag, a length (X.690, 8.1.3), so many bytes.
#[derive(Debug, Default)]
struct Messages {
    /// Tag and length of the message that has begun, as far as they were sent.
    head: Vec<u8>,
    /// Bytes of it that are still to come.
    rest: usize,
}

impl Messages {
    /// How many messages end their tag and length in these bytes.
    fn count(&mut self, mut bytes: &[u8]) -> u64 {
        let mut begun = 0;
        loop {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((first, others)) = bytes.split_first() else {
                return begun;
            };
            self.head.push(*first);
            bytes = others;
            if let Some(length) = length(&self.head) {
                self.rest = length;
                self.head.clear();
                begun += 1;
            }
        }
    }
}

/// The length that a complete head tells.
fn length(head: &[u8]) -> Option<usize> {
    let (form, octets) = head.get(1..)?.split_first()?;
    let long = usize::from(form & 0x7f);
    match form & 0x80 {
        0 => Some(long),
        _ if octets.len() < long => None,
        _ => Some(octets.iter().fold(0_usize, |length, octet| (length << 8) | usize::from(*octet))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Messages, Meter, Traffic};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Bodies below and above 127 and 255 bytes: all forms of the length.
    fn wire() -> Vec<u8> {
        let short = [&[0x30, 5][..], &[0; 5]].concat();
        let long = [&[0x30, 0x81, 200][..], &[0x30; 200]].concat();
        let longer = [&[0x30, 0x82, 1, 44][..], &[0x30; 300]].concat();
        let padded = [&[0x30, 0x84, 0, 0, 0, 7][..], &[0; 7]].concat();
        [short, long, longer, padded, vec![0x30, 0]].concat()
    }

    #[test]
    fn messages_are_counted_however_their_bytes_are_cut() {
        for piece in 1..wire().len() {
            let mut messages = Messages::default();
            let count: u64 = wire().chunks(piece).map(|bytes| messages.count(bytes)).sum();
            assert_eq!(count, 5, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_meter_sees_both_directions_of_every_stream_it_is_on() {
        let meter = Meter::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for _ in 0..2 {
                let (ours, mut theirs) = tokio::io::duplex(1 << 16);
                let mut ours = meter.on(Box::new(ours));
                ours.write_all(&wire()).await.unwrap();
                theirs.write_all(b"1234567").await.unwrap();
                ours.read_exact(&mut [0; 7]).await.unwrap();
                let mut sent = vec![0; wire().len()];
                theirs.read_exact(&mut sent).await.unwrap();
                assert_eq!(sent, wire());
            }
        });
        let once = Traffic { requests: 5, received: 7, sent: wire().len() as u64 };
        let twice = Traffic { requests: 10, received: 14, sent: 2 * once.sent };
        assert_eq!(meter.read(), twice);
        assert_eq!(meter.read().since(once), once);
    }
}
