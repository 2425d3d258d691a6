//! An LDAP server that lies on demand, and a way to a real one that fails on demand.
//!
//! [`Evil`] answers well until a script departs from the right answer at a chosen request. It runs in threads of the test
//! itself, so a test can look at everything that it was sent. [`Proxy`] stands before a real server.

pub mod ber;
pub mod content_sync;
mod honest;
mod proxy;
mod request;
mod tree;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use honest::{DOMAIN_SCOPE, page_value};
pub use proxy::{Fault, Proxy};
pub use request::{Operation, Request, Search};
pub use tree::{Entry, Flavour, Tree};

use crate::failure::{Context, Outcome};

/// The name of the paging control (RFC 2696).
pub const PAGING: &str = "1.2.840.113556.1.4.319";

/// One step of an answer.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends them one by one, so long apart.
    Drip(Vec<u8>, Duration),
    /// Says nothing for so long.
    Pause(Duration),
    /// Sends them again and again, as long as somebody listens.
    Endless(Vec<u8>),
    /// Begins with TLS.
    Protect,
    /// Ends the connection.
    Close,
    /// Says nothing more until the client goes.
    Silence,
}

/// What is done for one request.
pub type Answer = Vec<Step>;

/// Makes the answer from a request and the right answer.
pub type Script = dyn Fn(&Request, Answer) -> Answer + Send + Sync;

/// Both directions of a connection.
pub trait Channel: Read + Write + Send {}
impl<T: Read + Write + Send> Channel for T {}

/// Puts TLS on a connection, as its server.
pub type Protect = dyn Fn(TcpStream) -> io::Result<Box<dyn Channel>> + Send + Sync;

/// What a connection begins with.
#[derive(Clone)]
pub enum Greeting {
    /// LDAP in clear; TLS where it is asked for and can be had.
    Plain(Option<Arc<Protect>>),
    /// TLS at once.
    Tls(Arc<Protect>),
    /// Nothing: accepts and is silent.
    Silence,
}

/// A running server.
pub struct Evil {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    state: Mutex<State>,
    connections: AtomicUsize,
    /// Everything that came before TLS, of all connections.
    in_clear: Mutex<Vec<u8>>,
    requests: Mutex<Vec<Request>>,
    open: Mutex<Vec<TcpStream>>,
}

struct State {
    tree: Arc<Tree>,
    script: Arc<Script>,
    greeting: Greeting,
}

/// A panic of another thread leaves nothing half-done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Evil {
    /// Starts an honest server at this address.
    pub fn start(address: &str, tree: Tree, greeting: Greeting) -> Outcome<Self> {
        let listener = TcpListener::bind(address).doing(format!("listen at {address}"))?;
        let address = listener.local_addr()?;
        let state = State { tree: Arc::new(tree), script: Arc::new(|_, answer| answer), greeting };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            connections: AtomicUsize::new(0),
            in_clear: Mutex::default(),
            requests: Mutex::default(),
            open: Mutex::default(),
        });
        let server = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                server.welcome(stream);
            }
        });
        Ok(Self { shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it answers from now on; connections that are open end.
    pub fn script(&self, script: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static) {
        lock(&self.shared.state).script = Arc::new(script);
        self.shared.forget();
    }

    /// Right answers from now on.
    pub fn honest(&self) {
        self.script(|_, answer| answer);
    }

    /// What it knows from now on.
    pub fn knows(&self, tree: Tree) {
        lock(&self.shared.state).tree = Arc::new(tree);
    }

    /// How connections begin from now on; those that are open end.
    pub fn greet(&self, greeting: Greeting) {
        lock(&self.shared.state).greeting = greeting;
        self.shared.forget();
    }

    /// What came in clear since the last script or greeting.
    pub fn heard_in_clear(&self) -> Vec<u8> {
        lock(&self.shared.in_clear).clone()
    }

    /// The requests since the last script or greeting.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// The connections since the last script or greeting.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn forget(&self) {
        for stream in lock(&self.open).drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.connections.store(0, Ordering::SeqCst);
        lock(&self.in_clear).clear();
        lock(&self.requests).clear();
    }

    fn welcome(self: &Arc<Self>, stream: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        if let Ok(copy) = stream.try_clone() {
            lock(&self.open).push(copy);
        }
        let (shared, greeting) = (self.clone(), lock(&self.state).greeting.clone());
        // The end of a connection is none of the test's failures: many attacks mean just that.
        std::thread::spawn(move || drop(shared.converse(stream, greeting, number)));
    }

    fn converse(self: &Arc<Self>, stream: TcpStream, greeting: Greeting, number: usize) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let copy = stream.try_clone()?;
        let (mut channel, protect): (Box<dyn Channel>, _) = match greeting {
            Greeting::Plain(protect) => (Box::new(Recorded { stream, shared: self.clone() }), protect),
            Greeting::Tls(protect) => (protect(stream)?, None),
            Greeting::Silence => return listen_for_ever(&mut &stream),
        };
        let mut place = 0;
        while let Some(request) = Request::read(&mut channel, number, place)? {
            place += 1;
            lock(&self.requests).push(request.clone());
            let (tree, script) = {
                let state = lock(&self.state);
                (state.tree.clone(), state.script.clone())
            };
            for step in script(&request, honest::answer(&tree, &request)) {
                match (step, &protect) {
                    (Step::Protect, Some(protect)) => channel = protect(copy.try_clone()?)?,
                    (Step::Protect, None) => {}
                    (step, _) => perform(step, channel.as_mut(), &copy)?,
                }
            }
        }
        Ok(())
    }
}

fn perform(step: Step, channel: &mut dyn Channel, stream: &TcpStream) -> io::Result<()> {
    match step {
        Step::Send(bytes) => channel.write_all(&bytes)?,
        Step::Drip(bytes, pause) => {
            for byte in bytes {
                channel.write_all(&[byte])?;
                channel.flush()?;
                std::thread::sleep(pause);
            }
        }
        Step::Pause(pause) => std::thread::sleep(pause),
        Step::Endless(bytes) => loop {
            channel.write_all(&bytes)?;
        },
        Step::Protect => {}
        Step::Close => {
            stream.shutdown(Shutdown::Both)?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Step::Silence => listen_for_ever(channel)?,
    }
    channel.flush()
}

/// Until the client goes.
fn listen_for_ever(stream: &mut dyn Read) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored)? > 0 {}
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// A connection in clear.
struct Recorded {
    stream: TcpStream,
    shared: Arc<Shared>,
}

impl Read for Recorded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(into)?;
        lock(&self.shared.in_clear).extend_from_slice(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests;
