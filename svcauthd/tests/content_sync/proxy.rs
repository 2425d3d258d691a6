//! A way to the server that counts requests, cuts connections, and holds them up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use svcauth_tests::failure::Outcome;

/// A proxy of the server in this world.
#[derive(Debug, Default)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    accepted: AtomicUsize,
    open: AtomicUsize,
    requests: AtomicUsize,
    bytes: AtomicU64,
    /// Bytes of answers after which a connection is cut; 0: never.
    cut: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a port of its own.
    pub(crate) fn start() -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                match TcpStream::connect(("127.0.0.1", 389)) {
                    Ok(server) => carry(&shared, client, server),
                    Err(_) => drop(client.shutdown(Shutdown::Both)),
                }
            }
        });
        Ok(Self { port, state })
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }
    /// Connections now.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }
    /// Bytes of answers so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::SeqCst)
    }
    /// Cuts every connection after so many bytes of answers; 0: never.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.state.cut.store(bytes, Ordering::SeqCst);
    }
    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        for stream in self.state.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(state: &Arc<State>, client: TcpStream, server: TcpStream) {
    let (Ok(mut from_client), Ok(mut from_server)) = (client.try_clone(), server.try_clone()) else { return };
    if let (Ok(client), Ok(server)) = (client.try_clone(), server.try_clone()) {
        state.streams.lock().unwrap_or_else(PoisonError::into_inner).extend([client, server]);
    }
    let (mut to_client, mut to_server) = (client, server);
    state.open.fetch_add(1, Ordering::SeqCst);
    let up = Arc::clone(state);
    thread::spawn(move || {
        let (mut chunk, mut waiting) = ([0; 4096], Vec::new());
        while let Ok(read @ 1..) = from_client.read(&mut chunk) {
            waiting.extend_from_slice(&chunk[..read]);
            up.requests.fetch_add(whole(&mut waiting), Ordering::SeqCst);
            if to_server.write_all(&chunk[..read]).is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let down = Arc::clone(state);
    thread::spawn(move || {
        let (mut chunk, mut total) = ([0; 4096], 0u64);
        while let Ok(read @ 1..) = from_server.read(&mut chunk) {
            let cut = down.cut.load(Ordering::SeqCst);
            let room = if cut == 0 { read } else { read.min(usize::try_from(cut - total).unwrap_or(read)) };
            total += room as u64;
            down.bytes.fetch_add(room as u64, Ordering::SeqCst);
            if to_client.write_all(&chunk[..room]).is_err() || (cut > 0 && total >= cut) {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
        let _ = from_server.shutdown(Shutdown::Both);
        down.open.fetch_sub(1, Ordering::SeqCst);
    });
}

/// Takes the whole messages out of the bytes and counts them.
fn whole(bytes: &mut Vec<u8>) -> usize {
    let mut count = 0;
    while let [_, first, rest @ ..] = bytes.as_slice() {
        let size = usize::from(first & 0x7f);
        let length = match first {
            0..0x80 => 2 + size,
            _ if rest.len() < size => break,
            _ => 2 + size + rest[..size].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
        };
        if bytes.len() < length {
            break;
        }
        bytes.drain(..length);
        count += 1;
    }
    count
}
