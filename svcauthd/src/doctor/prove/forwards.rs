//! What forwarded connections lead to, and whether somebody gets there.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use super::fault::{Doing as _, Done};
use super::private::HERE;
use super::program::{PATIENCE, PAUSE, Running, number};
use super::ssh_ways::{Tried, Way};

/// What the target says to whoever reaches it.
const TOKEN: &[u8] = b"reached the target of the forward\n";
/// How long a connection may take that leads somewhere.
const PROMPT: Duration = Duration::from_millis(500);
/// How long to go on trying after the refusal is on record.
const AFTERWARDS: Duration = Duration::from_millis(400);
/// Below the ports that the kernel gives out by itself.
const FIRST_PORT: usize = 20_000;

/// A port, a Unix socket, an agent and a file, for those who come through.
pub(super) struct Target {
    port: u16,
}

/// One forward, and how to see that it works.
pub(super) struct Forward {
    /// The option of ssh.
    pub(super) option: &'static str,
    /// Its value.
    pub(super) word: String,
    entrance: Entrance,
}

/// Where the forward begins.
enum Entrance {
    Port(u16),
    /// A SOCKS 5 proxy, to this port behind it.
    Proxy(u16, u16),
    Socket(String),
}

impl Target {
    pub(super) fn open() -> Done<Self> {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).doing("listen on the loopback")?;
        let port = tcp.local_addr().doing("listen on the loopback")?.port();
        let unix = UnixListener::bind(socket()).doing("listen on a socket")?;
        fs::set_permissions(socket(), Permissions::from_mode(0o777)).doing("open the socket")?;
        let agent = UnixListener::bind(format!("{HERE}/agent")).doing("listen as an agent")?;
        std::thread::spawn(move || tcp.incoming().flatten().for_each(|mut peer| drop(peer.write_all(TOKEN))));
        std::thread::spawn(move || {
            unix.incoming().flatten().for_each(|mut peer| drop(peer.write_all(TOKEN)))
        });
        std::thread::spawn(move || agent.incoming().flatten().for_each(keep_no_keys));
        let target = Self { port };
        fs::write(target.file(), TOKEN).doing("write the file to send")?;
        Ok(target)
    }

    /// A file to send.
    pub(super) fn file(&self) -> String {
        format!("{HERE}/to-send")
    }

    /// The socket of an agent without keys.
    pub(super) fn agent(&self) -> &'static str {
        "/run/svcauth-prove/agent"
    }

    /// A file of commands for sftp that puts the file to a path.
    pub(super) fn batch(&self, to: &str) -> Done<String> {
        let path = format!("{HERE}/batch{}", number());
        fs::write(&path, format!("put {} {to}\n", self.file())).doing("write commands for sftp")?;
        Ok(path)
    }

    /// What to ask ssh for.
    pub(super) fn forward(&self, way: Way) -> Forward {
        let entrance = u16::try_from(FIRST_PORT + number() % 10_000).unwrap_or(u16::MAX);
        let (port, path) = (self.port, format!("/tmp/svcauth-prove-{entrance}"));
        let by_port = |option, word| Forward { option, word, entrance: Entrance::Port(entrance) };
        match way {
            Way::RemoteForward => by_port("-R", format!("127.0.0.1:{entrance}:127.0.0.1:{port}")),
            Way::DynamicForward => Forward {
                option: "-D",
                word: format!("127.0.0.1:{entrance}"),
                entrance: Entrance::Proxy(entrance, port),
            },
            Way::LocalSocket => by_port("-L", format!("127.0.0.1:{entrance}:{}", socket())),
            Way::RemoteSocket => {
                let word = format!("{path}:127.0.0.1:{port}");
                Forward { option: "-R", word, entrance: Entrance::Socket(path) }
            }
            _ => by_port("-L", format!("127.0.0.1:{entrance}:127.0.0.1:{port}")),
        }
    }
}

fn socket() -> String {
    format!("{HERE}/target")
}

/// Answers every question of an agent's client with SSH_AGENT_FAILURE (draft-ietf-sshm-ssh-agent).
fn keep_no_keys(mut peer: UnixStream) {
    std::thread::spawn(move || {
        let mut question = [0; 1024];
        while peer.read(&mut question).is_ok_and(|length| length > 0) {
            if peer.write_all(&[0, 0, 0, 1, 5]).is_err() {
                return;
            }
        }
    });
}

/// Tries the forward until it works, ssh ends, or the refusal is settled for a while.
pub(super) fn watch(mut ssh: Running, forward: &Forward, settled: &dyn Fn() -> bool) -> Tried {
    let end = Instant::now() + PATIENCE;
    let mut since_settled: Option<Instant> = None;
    loop {
        let ended = ssh.ended().is_some();
        if forward.leads_through() {
            return Tried { worked: true, said: ssh.said() };
        }
        if since_settled.is_none() && settled() {
            since_settled = Some(Instant::now());
        }
        if ended || Instant::now() > end || since_settled.is_some_and(|since| since.elapsed() > AFTERWARDS) {
            return Tried { worked: false, said: ssh.said() };
        }
        std::thread::sleep(PAUSE);
    }
}

impl Forward {
    /// Whether the target answers behind it.
    fn leads_through(&self) -> bool {
        match &self.entrance {
            Entrance::Port(port) => tcp(*port).is_some_and(|peer| says_token(&peer)),
            Entrance::Proxy(port, target) => {
                tcp(*port).filter(|peer| asks_socks(peer, *target)).is_some_and(|peer| says_token(&peer))
            }
            Entrance::Socket(path) => UnixStream::connect(path).is_ok_and(|peer| {
                let _ = peer.set_read_timeout(Some(PROMPT));
                says_token(&peer)
            }),
        }
    }
}

fn tcp(port: u16) -> Option<TcpStream> {
    let peer = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PROMPT).ok()?;
    peer.set_read_timeout(Some(PROMPT)).ok()?;
    Some(peer)
}

/// SOCKS 5 without a password (RFC 1928): whether the proxy says that it is connected to 127.0.0.1:`target`.
fn asks_socks(mut peer: &TcpStream, target: u16) -> bool {
    let [high, low] = target.to_be_bytes();
    let mut answer = [0; 12];
    let asked =
        peer.write_all(&[5, 1, 0]).and_then(|()| peer.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low]));
    asked.and_then(|()| peer.read_exact(&mut answer)).is_ok() && answer.get(..4) == Some(&[5, 0, 5, 0])
}

fn says_token<R>(mut peer: R) -> bool
where
    R: std::io::Read,
{
    let mut heard = vec![0; TOKEN.len()];
    peer.read_exact(&mut heard).is_ok() && heard == TOKEN
}
