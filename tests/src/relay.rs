//! A server at a second address: carries every byte to the real one, and dies, hangs and comes back when a test wants it.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::{Context, Outcome};

/// How often the listener looks whether it is to end.
const LOOK: Duration = Duration::from_millis(10);

/// A listener and what it has carried.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ends: AtomicBool,
    hangs: AtomicBool,
    accepted: AtomicUsize,
    /// Whom a connection is from, as long as it may be open.
    clients: Mutex<Vec<TcpStream>>,
    most: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Listens at one address and connects to the other, both `HOST:PORT`.
    pub fn start(from: &str, to: &str) -> Outcome<Self> {
        let socket = TcpListener::bind(from).doing(format!("listen at {from}"))?;
        socket.set_nonblocking(true)?;
        let shared = Arc::new(Shared::default());
        let (state, to) = (Arc::clone(&shared), to.to_owned());
        let listener = std::thread::spawn(move || {
            while !state.ends.load(Ordering::Relaxed) {
                match socket.accept() {
                    Ok((client, _)) => state.serve(client, &to),
                    Err(_) => std::thread::sleep(LOOK),
                }
            }
        });
        Ok(Self { shared, listener: Some(listener) })
    }

    /// From now on connections are taken and never answered; those that are open go silent.
    pub fn hang(&self) {
        self.shared.hangs.store(true, Ordering::Relaxed);
    }

    /// How many connections there were.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many there were at one time.
    pub fn most(&self) -> usize {
        self.shared.most.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    /// Ends every connection; a new one is refused.
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        for stream in self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn is_open(client: &TcpStream) -> bool {
    let mut asked = [PollFd::new(client.as_fd(), PollFlags::from_bits_retain(nix::libc::POLLRDHUP))];
    let told = poll(&mut asked, PollTimeout::ZERO).unwrap_or(0);
    told == 0
}

impl Shared {
    fn serve(self: &Arc<Self>, client: TcpStream, to: &str) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.count(&client);
        let state = Arc::clone(self);
        // Known before it is served: it ends with the relay, however soon that is.
        let copy = client.try_clone();
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).extend(copy);
        let server = TcpStream::connect(to);
        std::thread::spawn(move || {
            if let Ok(server) = server {
                let _ = state.both_ways(client, server);
            }
        });
    }

    /// One that its client has closed is not open, whenever the threads that serve it come to see that.
    fn count(&self, client: &TcpStream) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(is_open);
        clients.extend(client.try_clone());
        self.most.fetch_max(clients.len(), Ordering::Relaxed);
    }

    fn both_ways(self: &Arc<Self>, client: TcpStream, server: TcpStream) -> io::Result<()> {
        client.set_nonblocking(false)?;
        let (state, from, to) = (Arc::clone(self), client.try_clone()?, server.try_clone()?);
        let up = std::thread::spawn(move || state.one_way(from, to));
        self.one_way(server, client);
        let _ = up.join();
        Ok(())
    }

    /// Ends both when one side has ended.
    fn one_way(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut chunk = [0; 16 << 10];
        while let Ok(read @ 1..) = io::Read::read(&mut from, &mut chunk) {
            if self.hangs.load(Ordering::Relaxed) {
                continue;
            }
            if io::Write::write_all(&mut to, chunk.get(..read).unwrap_or_default()).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}
