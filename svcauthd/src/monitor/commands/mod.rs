//! Commands: `svcauth-shell` asks on a socket of its own before it runs anything, and tells how it went.
//!
//! Belongs here: who asks, whether they may, the records of it, and what a recorded shell has shown. Each connection has a
//! thread, for as long as its command runs; the socket of `svcauth status` and the monitor's own thread wait for none of them.
//! Never here: running anything.

mod case;
mod cast;
#[cfg(test)]
mod fixture;
mod judge;
mod peer;
mod places;
mod record;
mod recording;
mod resume;
mod running;
mod tape;
mod target;

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use svcauth_core::command::protocol::{Answer, Ask, MESSAGE_MAX};

use self::case::{Case, Opened};
use self::peer::Peer;
use self::places::{Place, Places};
use self::tape::Trouble;
use super::intake::Intake;
use super::metrics::Metrics;
use crate::frame;

/// How long a peer may take to send what it asks, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the thread of a connection needs of a stack, and more.
const STACK: usize = 512 << 10;

/// The room: what every connection shares.
pub(super) struct Commands {
    places: Places,
    metrics: Metrics,
    trouble: Trouble,
}

impl Commands {
    /// Starts the thread that accepts; it ends with the daemon.
    pub(super) fn start(listener: UnixListener, metrics: Metrics) {
        let room = Arc::new(Self { places: Places::default(), metrics, trouble: Trouble::default() });
        std::thread::spawn(move || room.serve(&listener));
    }

    fn serve(self: &Arc<Self>, listener: &UnixListener) {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of descriptors: give those that are open time to go.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            // Who is gone, or has too many: the shell asks again for a while.
            let Some(peer) = Peer::of(&stream) else { continue };
            let Some(place) = self.places.take(peer.uid) else { continue };
            let room = Arc::clone(self);
            let converse = move || {
                // A peer that goes away is its own loss.
                let _ = room.converse(&stream, &peer, place);
            };
            let _ = std::thread::Builder::new().stack_size(STACK).spawn(converse);
        }
    }

    /// One connection, from what is asked to how it went.
    fn converse(&self, stream: &UnixStream, peer: &Peer, mut place: Place) -> io::Result<()> {
        stream.set_write_timeout(Some(PATIENCE))?;
        let Some(ask) = asked(stream)? else { return Ok(()) };
        // Whoever asked must be who connected: nobody else may have its pid by now.
        if !peer.is_there() {
            return Ok(());
        }
        match Case::of(self, peer, ask).open() {
            Opened::Over(answer) => send(stream, &answer),
            Opened::Running(answer, running) => {
                place.runs();
                let sent = send(stream, &answer);
                running.watch(stream, sent);
                Ok(())
            }
        }
    }
}

/// What the peer asks; `None` when it has closed without asking.
fn asked(stream: &UnixStream) -> io::Result<Option<Ask>> {
    let most = u64::from(MESSAGE_MAX) + 4;
    let mut intake = Intake::new(stream, Instant::now() + PATIENCE, most);
    let Some(message) = frame::read_bytes(&mut intake, MESSAGE_MAX)? else { return Ok(None) };
    let garbage = |_| io::Error::new(io::ErrorKind::InvalidData, "this is not what svcauth-shell asks");
    Ask::decode(&message).map(Some).map_err(garbage)
}

/// The wall clock as records have it, in microseconds since 1970.
fn now_micros() -> Option<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_micros()).ok()
}

fn send(mut stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    frame::write_bytes(&mut stream, &answer.encode(), MESSAGE_MAX)
}
