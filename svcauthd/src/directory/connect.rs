//! Opens the way to one server: TCP, TLS or StartTLS, or a socket in the file system.
//!
//! This is done here and not by the LDAP library, so that the guard stands before it from the first byte on: an answer to
//! StartTLS comes from whoever is on the network path.

use super::error::FetchError;
use super::guard::{Guard, whole_message};
use super::reach::netlogon;
use super::shape::{self, Phase, Seen};
use native_tls::TlsConnector;
use nix::sys::socket::{SetSockOpt as _, sockopt};
use svcauth_core::config::{DirectoryUri, LdapDirectory, Tls};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// Longest answer to StartTLS in bytes.
const MAX_STARTTLS_ANSWER: usize = 4096;
/// Longest answer to a ping in bytes, with what LDAP puts around it.
const MAX_PING_ANSWER: usize = 2 * netlogon::ANSWER_MAX;
/// Message 1, ExtendedRequest 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14).
const STARTTLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// An open way to a server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// What protects it.
    fn protection(&self) -> Protection {
        Protection::None
    }
    /// The certificate that the server has shown, in DER.
    fn certificate(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Stream for TcpStream {}
impl Stream for UnixStream {}
#[cfg(test)]
impl Stream for tokio::io::DuplexStream {}
impl Stream for tokio_native_tls::TlsStream<TcpStream> {
    fn protection(&self) -> Protection {
        Protection::Tls { end_point: self.get_ref().tls_server_end_point().ok().flatten() }
    }
    fn certificate(&self) -> Option<Vec<u8>> {
        self.get_ref().peer_certificate().ok().flatten()?.to_der().ok()
    }
}

/// What protects the bytes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// Nothing, because they do not leave this host.
    None,
    /// TLS.
    Tls {
        /// The hash of the server's certificate (RFC 5929, 4); none for a certificate for which the RFC defines none.
        end_point: Option<Vec<u8>>,
    },
}

/// Connects and protects the connection as configured; nothing of the bind is said yet.
pub(super) async fn open(
    ldap: &LdapDirectory,
    uri: &DirectoryUri,
    tls: Option<&TlsConnector>,
) -> Result<Box<dyn Stream>, FetchError> {
    let failed =
        |error: std::io::Error| FetchError::Connect { server: uri.to_string(), what: error.to_string() };
    let (host, port) = match uri {
        DirectoryUri::Ldapi { path } => {
            return Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?));
        }
        DirectoryUri::Host { host, port, .. } => (host.as_str(), *port),
    };
    let mut tcp = TcpStream::connect((host, port)).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    notice_loss(&tcp).map_err(|error| failed(error.into()))?;
    match (ldap.tls, tls) {
        (Tls::Off, _) if uri.is_local() => return Ok(Box::new(tcp)),
        (Tls::StartTls, Some(_)) => start_tls(uri, &mut tcp).await?,
        (Tls::Ldaps, Some(_)) => {}
        // The configuration forbids it; should it ever not, nothing leaves this host in clear.
        _ => {
            return Err(FetchError::Internal(format!("{uri} would not be protected by TLS")));
        }
    }
    let connector = tls.cloned().ok_or_else(|| FetchError::Internal("no TLS settings".to_owned()))?;
    match tokio_native_tls::TlsConnector::from(connector).connect(host, tcp).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(FetchError::Tls { server: uri.to_string(), what: in_short(&error.to_string()) }),
    }
}

/// The certificate that a server shows, in DER and whatever it is worth: nothing is said on that connection. For telling an
/// administrator why it is refused.
pub(super) async fn certificate_of(ldap: &LdapDirectory, uri: &DirectoryUri) -> Option<Vec<u8>> {
    let DirectoryUri::Host { host, port, .. } = uri else { return None };
    let mut tcp = TcpStream::connect((host.as_str(), *port)).await.ok()?;
    if ldap.tls == Tls::StartTls {
        start_tls(uri, &mut tcp).await.ok()?;
    }
    let mut anybody = TlsConnector::builder();
    anybody.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
    let connector = tokio_native_tls::TlsConnector::from(anybody.build().ok()?);
    connector.connect(host, tcp).await.ok()?.certificate()
}

/// Lets the kernel end a connection whose other end is gone without a word: after 45 s of silence, or 30 s after bytes that
/// nobody acknowledges. Otherwise it would wait for hours, or a quarter of one.
fn notice_loss(tcp: &TcpStream) -> nix::Result<()> {
    sockopt::KeepAlive.set(tcp, &true)?;
    sockopt::TcpKeepIdle.set(tcp, &30)?;
    sockopt::TcpKeepInterval.set(tcp, &5)?;
    sockopt::TcpKeepCount.set(tcp, &3)?;
    sockopt::TcpUserTimeout.set(tcp, &30_000)
}

/// What OpenSSL said, where it is about the certificate without the names of its own functions and source files.
fn in_short(said: &str) -> String {
    match said.split_once("certificate verify failed") {
        Some((_, rest)) => {
            let why = rest.rsplit_once(" (").map_or("", |(_, why)| why.trim_end_matches(')'));
            format!("the certificate is refused: {why}")
        }
        None => said.to_owned(),
    }
}

/// Asks a controller of the domain in which site this host is; none when its answer says nothing of use.
pub(super) async fn ping(
    uri: &DirectoryUri,
    stream: &mut Box<dyn Stream>,
    domain: &str,
) -> Result<Option<netlogon::Pong>, FetchError> {
    let server = uri.to_string();
    let broken =
        |what: String| FetchError::Broken { server: server.clone(), step: "the ping".to_owned(), what };
    stream.write_all(&netlogon::request(domain)).await.map_err(|error| broken(error.to_string()))?;
    let (mut guard, mut value, mut total) = (Guard::new(Phase::Search), None, 0);
    loop {
        let mut chunk = [0; 2048];
        let read = stream.read(&mut chunk).await.map_err(|error| broken(error.to_string()))?;
        total += read;
        if read == 0 || total > MAX_PING_ANSWER {
            return Err(broken("the server closed the connection or talked too much".to_owned()));
        }
        let passed = guard.pass(chunk.get(..read).unwrap_or_default());
        let passed = passed.map_err(|fault| FetchError::Guard { server: server.clone(), fault })?;
        let mut rest = passed.as_slice();
        while let Some(message) = whole_message(rest).ok().flatten() {
            rest = rest.get(message.len()..).unwrap_or_default();
            match netlogon::step(message) {
                Some(netlogon::Step::Value(found)) => value = value.or(found),
                Some(netlogon::Step::Done) if rest.is_empty() => {
                    let pong = value.as_deref().and_then(netlogon::parse);
                    return Ok(pong.filter(|pong| pong.domain == domain));
                }
                _ => return Err(broken("the server answered something else".to_owned())),
            }
        }
    }
}

/// Asks for TLS and takes no other answer than yes.
async fn start_tls<S: AsyncRead + AsyncWrite + Unpin>(
    uri: &DirectoryUri,
    stream: &mut S,
) -> Result<(), FetchError> {
    let server = uri.to_string();
    let broken =
        |what: String| FetchError::Broken { server: server.clone(), step: "StartTLS".to_owned(), what };
    stream.write_all(STARTTLS).await.map_err(|error| broken(error.to_string()))?;
    let answer = one_message(&server, "StartTLS", MAX_STARTTLS_ANSWER, stream).await?;
    let guard = |fault| FetchError::Guard { server: server.clone(), fault };
    match shape::check(&answer, Phase::StartTls).map_err(guard)? {
        Seen::StartTls(0) => Ok(()),
        Seen::StartTls(code) => Err(FetchError::Refused {
            server: server.clone(),
            step: "StartTLS".to_owned(),
            code,
            text: String::new(),
        }),
        _ => Err(broken("the server answered something else".to_owned())),
    }
}

/// Reads exactly one message of at most `max` bytes; a byte behind it was not sent by a server that waits for our turn.
pub(super) async fn one_message<S: AsyncRead + Unpin>(
    server: &str,
    step: &str,
    max: usize,
    stream: &mut S,
) -> Result<Vec<u8>, FetchError> {
    let broken = |what: &str| FetchError::Broken {
        server: server.to_owned(),
        step: step.to_owned(),
        what: what.to_owned(),
    };
    let mut answer = Vec::new();
    loop {
        let whole =
            whole_message(&answer).map_err(|fault| FetchError::Guard { server: server.to_owned(), fault })?;
        if let Some(message) = whole {
            return if message.len() == answer.len() {
                Ok(answer)
            } else {
                Err(broken("more bytes came after the server's answer"))
            };
        }
        let mut chunk = [0; 512];
        let read = stream.read(&mut chunk).await.map_err(|error| broken(&error.to_string()))?;
        answer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if read == 0 || answer.len() > max {
            return Err(broken("the server closed the connection or talked too much"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{STARTTLS, in_short, start_tls};
    use svcauth_core::config::DirectoryUri;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn a_refused_certificate_is_told_without_the_source_lines_of_openssl() {
        let said = "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:\
                    ../ssl/statem/statem_clnt.c:1889: (self-signed certificate)";
        assert_eq!(in_short(said), "the certificate is refused: self-signed certificate");
        assert_eq!(in_short("unexpected EOF (during handshake)"), "unexpected EOF (during handshake)");
    }

    fn answer(bytes: &[u8]) -> Result<(), String> {
        let uri = DirectoryUri::Host { host: "h".into(), port: 389, ldaps: false };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut ours, mut theirs) = tokio::io::duplex(1 << 16);
            theirs.write_all(bytes).await.unwrap();
            let mut asked = vec![0; STARTTLS.len()];
            let server = async {
                theirs.read_exact(&mut asked).await.unwrap();
                theirs.shutdown().await.unwrap();
                asked
            };
            let (result, asked) = tokio::join!(start_tls(&uri, &mut ours), server);
            assert_eq!(asked, STARTTLS);
            result.map_err(|error| error.to_string())
        })
    }

    #[test]
    fn only_a_plain_yes_starts_tls() {
        let yes = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(answer(yes), Ok(()));
        let no = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00";
        assert_eq!(answer(no).unwrap_err(), "ldap://h:389: StartTLS failed with LDAP result 2");
        let injected = [&yes[..], b"\x30"].concat();
        assert_eq!(
            answer(&injected).unwrap_err(),
            "ldap://h:389: StartTLS broke off: more bytes came after the server's answer"
        );
        let nested = [0x30, 0x84, 0, 0, 0x40, 0].repeat(700);
        assert!(answer(&nested).is_err());
        for other in [
            &b""[..],
            b"\x30\x0c\x02\x01\x01",
            b"\x30\x00",
            b"HTTP/1.1",
            b"\x30\x80\0\0",
            b"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
        ] {
            assert!(answer(other).is_err(), "{other:x?}");
        }
    }
}
