//! A way to a real server that fails on demand.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;
use crate::failure::{Context, Outcome};

/// What happens to the bytes of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// After so many, both sides are closed.
    Cut(u64),
    /// After so many, no more are passed on and nothing is closed.
    Stall(u64),
    /// After so many, one passes for each pause.
    Drip(u64, Duration),
    /// The byte at this place has another bit.
    Flip(u64),
    /// The eight bytes at this place are zeros.
    Erase(u64),
}

/// A running proxy.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    server: SocketAddr,
    fault: Mutex<Fault>,
    /// Bytes of the server that were passed on since the fault was set, over all connections.
    passed: AtomicU64,
    stalled: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Starts one at `address`, which leads to `server`.
    pub fn start(address: &str, server: &str) -> Outcome<Self> {
        let listener = TcpListener::bind(address).doing(format!("listen at {address}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server: server.parse().doing(server)?,
            fault: Mutex::new(Fault::None),
            passed: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let proxy = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is not there ends the connection.
                drop(proxy.join(client));
            }
        });
        Ok(Self { shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens to each connection from now on; those that are open end.
    pub fn set(&self, fault: Fault) {
        for stream in lock(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        *lock(&self.shared.fault) = fault;
        self.shared.passed.store(0, Ordering::SeqCst);
        self.shared.stalled.store(false, Ordering::SeqCst);
    }

    /// Lets connections that stand still go on, without a fault.
    pub fn release(&self) {
        *lock(&self.shared.fault) = Fault::None;
    }

    /// Lets nothing more pass, on connections that are open and on new ones; nothing is closed.
    pub fn stall_all(&self) {
        *lock(&self.shared.fault) = Fault::Stall(0);
    }

    /// Bytes of the server that were passed on since the fault was set.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }

    /// Whether a connection stands still since the fault was set.
    pub fn stalled(&self) -> bool {
        self.shared.stalled.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn join(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect_timeout(&self.server, Duration::from_secs(5))?;
        lock(&self.open).extend([client.try_clone()?, server.try_clone()?]);
        let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || {
            let _ = io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Both);
        });
        let shared = self.clone();
        std::thread::spawn(move || {
            drop(shared.carry(&server, &client));
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        });
        Ok(())
    }

    /// From the server to the client, with the fault.
    fn carry(&self, mut server: &TcpStream, mut client: &TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let (mut chunk, mut done) = ([0; 16 << 10], 0_u64);
        loop {
            let read = server.read(&mut chunk)?;
            if read == 0 {
                return Ok(());
            }
            let mut bytes = chunk.get_mut(..read).unwrap_or_default();
            while !bytes.is_empty() {
                let room = self.before_fault(done, bytes)?;
                let (now, later) = bytes.split_at_mut(room.clamp(1, bytes.len()));
                client.write_all(now)?;
                done += now.len() as u64;
                self.passed.fetch_add(now.len() as u64, Ordering::SeqCst);
                bytes = later;
            }
        }
    }

    /// How many of the bytes may pass before the fault is looked at again. Does the fault when its place has come.
    fn before_fault(&self, done: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let fault = *lock(&self.fault);
        let until = |place: u64| usize::try_from(place.saturating_sub(done)).unwrap_or(usize::MAX);
        match fault {
            Fault::None => Ok(bytes.len()),
            Fault::Cut(place) if done >= place => Err(io::ErrorKind::ConnectionAborted.into()),
            Fault::Stall(place) if done >= place => {
                self.stalled.store(true, Ordering::SeqCst);
                while matches!(*lock(&self.fault), Fault::Stall(_)) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(bytes.len())
            }
            Fault::Drip(place, pause) if done >= place => {
                std::thread::sleep(pause);
                Ok(1)
            }
            Fault::Flip(place) if done == place => {
                if let Some(byte) = bytes.first_mut() {
                    *byte ^= 0x10;
                }
                Ok(1)
            }
            Fault::Erase(place) if done == place => {
                bytes.iter_mut().take(8).for_each(|byte| *byte = 0);
                Ok(8)
            }
            Fault::Flip(place) | Fault::Erase(place) if done > place => Ok(bytes.len()),
            Fault::Cut(place)
            | Fault::Stall(place)
            | Fault::Drip(place, _)
            | Fault::Flip(place)
            | Fault::Erase(place) => Ok(until(place)),
        }
    }
}
