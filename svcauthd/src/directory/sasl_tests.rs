//! A server and a keeper that say what they are told to: only a negotiation that ran to its end is a bind.

use super::connect::{Protection, Stream};
use super::ldap::Server;
use super::pump::Link;
use super::sasl::request;
use super::shape::{BindAnswer, bind_answer};
use crate::failure::FailureKind;
use crate::keeper::{Keeper, NoToken, Token};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use svcauth_core::config::DirectoryUri;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};

/// A connection that says to be protected so.
struct Fake(DuplexStream, Protection);

impl Stream for Fake {
    fn protection(&self) -> Protection {
        self.1.clone()
    }
}

impl AsyncRead for Fake {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Fake {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, from)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// One answer of the server: message id, result code, text, token.
type Step = (u8, u8, &'static str, Option<&'static [u8]>);

/// What Active Directory and Samba answer.
const GOOD: [Step; 3] = [(1, 14, "", Some(b"server token")), (2, 14, "", Some(b"layers")), (3, 0, "", None)];

fn answer((id, code, text, token): Step) -> Vec<u8> {
    let mut result = vec![0x0a, 1, code, 4, 0, 4, u8::try_from(text.len()).unwrap()];
    result.extend(text.bytes());
    if let Some(token) = token {
        result.extend([0x87, u8::try_from(token.len()).unwrap()]);
        result.extend(token);
    }
    let mut message = vec![2, 1, id, 0x61, u8::try_from(result.len()).unwrap()];
    message.extend(result);
    [vec![0x30, u8::try_from(message.len()).unwrap()], message].concat()
}

/// Answers three questions as a keeper does and gives what it was asked.
fn keeper() -> (Keeper, std::thread::JoinHandle<Vec<String>>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let tokens = [(b"first".to_vec(), false), (Vec::new(), false), (b"choice".to_vec(), true)];
    let thread = std::thread::spawn(move || {
        let mut tokens = tokens.into_iter().map(|(bytes, last)| Token { bytes, last });
        Keeper::play(theirs, move |_| {
            tokens.next().ok_or_else(|| NoToken::Refused("asked too often".to_owned()))
        })
    });
    (Keeper::at(ours), thread)
}

/// Binds to a server that answers these steps; what it was sent, what the keeper was asked, and how it ended.
fn bound(steps: &[Vec<u8>], tls: bool) -> (Vec<Vec<u8>>, Vec<String>, Result<(), String>) {
    let uri = DirectoryUri::Host { host: "dc1.example.com".into(), port: 636, ldaps: true };
    let server = Server { uri: &uri, wait: Duration::from_secs(60), link: Link::default() };
    let (keeper, asked) = keeper();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sent, result) = runtime.block_on(async {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let protection = match tls {
            true => Protection::Tls { end_point: Some(vec![0xaa, 0xbb]) },
            false => Protection::None,
        };
        let mut way: Box<dyn Stream> = Box::new(Fake(ours, protection));
        let serve = async {
            let mut sent = Vec::new();
            for step in steps {
                let mut head = [0; 2];
                if theirs.read_exact(&mut head).await.is_err() {
                    break;
                }
                let mut body = vec![0; usize::from(head[1])];
                theirs.read_exact(&mut body).await.unwrap();
                sent.push([head.to_vec(), body].concat());
                theirs.write_all(step).await.unwrap();
            }
            drop(theirs);
            sent
        };
        let bind = async {
            let result = server.prove_with(keeper, &mut way).await;
            drop(way);
            result
        };
        tokio::join!(serve, bind)
    });
    (sent, asked.join().unwrap(), result.map_err(|error| error.to_string()))
}

fn steps(steps: &[Step]) -> Vec<Vec<u8>> {
    steps.iter().map(|step| answer(*step)).collect()
}

fn error(steps: &[Step]) -> String {
    let steps: Vec<Vec<u8>> = steps.iter().map(|step| answer(*step)).collect();
    bound(&steps, true).2.unwrap_err()
}

#[test]
fn a_negotiation_that_ran_to_its_end_is_a_bind_tied_to_the_certificate() {
    let (sent, asked, result) = bound(&steps(&GOOD), true);
    assert_eq!(result, Ok(()));
    assert_eq!(sent, [request(1, b"first"), request(2, b""), request(3, b"choice")]);
    assert_eq!(sent[1], b"\x30\x16\x02\x01\x02\x60\x11\x02\x01\x03\x04\x00\xa3\x0a\x04\x06GSSAPI\x04\x00");
    let binding: Vec<u8> = b"tls-server-end-point:\xaa\xbb".to_vec();
    assert_eq!(
        asked,
        [
            format!("{:?}", ("dc1.example.com", Some(binding))),
            format!("{:?}", b"server token"),
            format!("{:?}", b"layers"),
        ]
    );
}

#[test]
fn without_tls_no_token_is_asked_for_and_nothing_is_sent() {
    let (sent, asked, result) = bound(&steps(&GOOD), false);
    assert_eq!((sent, asked), (Vec::new(), Vec::new()));
    assert_eq!(result.unwrap_err(), "internal error: Kerberos without TLS");
}

#[test]
fn a_server_that_says_yes_too_early_never_ends_or_mixes_answers_up_is_not_bound() {
    let early =
        "ldaps://dc1.example.com:636: bind broke off: the server ended it before it had proven itself";
    assert_eq!(error(&[(1, 0, "", None)]), early);
    assert_eq!(error(&[GOOD[0], (2, 0, "", None)]), early);
    let endless = "ldaps://dc1.example.com:636: bind broke off: the server does not come to an end";
    assert_eq!(error(&[GOOD[0], GOOD[1], (3, 14, "", None)]), endless);
    let other = "ldaps://dc1.example.com:636: bind broke off: the server answers something else";
    assert_eq!(error(&[(2, 14, "", Some(b"t"))]), other);
    let twice = [answer(GOOD[0]), answer(GOOD[1])].concat();
    assert!(bound(&[twice], true).2.unwrap_err().contains("more bytes came after the server's answer"));
    let search_done = b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00".to_vec();
    assert!(bound(&[search_done], true).2.unwrap_err().contains("it answers nothing that was asked"));
}

#[test]
fn a_refusal_says_what_the_server_said_and_the_next_step() {
    let said = "ldaps://dc1.example.com:636: Kerberos failed: the server refuses the bind with LDAP result ";
    let samba = error(&[(1, 8, "SASL:[GSSAPI]: Sign or Seal are required.", None)]);
    assert_eq!(
        samba,
        format!(
            "{said}8: SASL:[GSSAPI]: Sign or Seal are required.; \
             Samba: ldap server require strong auth = allow_sasl_over_tls"
        )
    );
    assert!(
        error(&[GOOD[0], (2, 49, "80090346: LdapErr", None)]).contains("the channel binding does not fit")
    );
    assert_eq!(error(&[(1, 7, "", None)]), format!("{said}7: it does not offer SASL GSSAPI"));
    assert_eq!(error(&[(1, 53, "", None)]), format!("{said}53"));
}

#[test]
fn a_keeper_that_has_no_token_ends_the_bind_with_its_reason() {
    let uri = DirectoryUri::Host { host: "dc1".into(), port: 636, ldaps: true };
    let server = Server { uri: &uri, wait: Duration::from_millis(300), link: Link::default() };
    let (ours, theirs) = UnixStream::pair().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let prove = |keeper| {
        let tls = Protection::Tls { end_point: None };
        let mut way: Box<dyn Stream> = Box::new(Fake(tokio::io::duplex(64).0, tls));
        let error = runtime.block_on(server.prove_with(keeper, &mut way)).unwrap_err();
        (error.to_string(), error.kind())
    };
    // One that says nothing: a KDC that is silent keeps it waiting, and the fetch goes on after its timeout.
    let start = Instant::now();
    let (silent, kind) = prove(Keeper::at(ours));
    assert_eq!(kind, FailureKind::Connect);
    assert!(
        silent.starts_with("ldaps://dc1:636: Kerberos failed: no ticket within 0 s; check that the KDC"),
        "{silent}"
    );
    assert!(start.elapsed() < Duration::from_secs(60));
    drop(theirs);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let thread =
        std::thread::spawn(move || Keeper::play(theirs, |_| Err(NoToken::Refused("Clock skew".to_owned()))));
    let refused = "ldaps://dc1:636: Kerberos failed: Clock skew".to_owned();
    assert_eq!(prove(Keeper::at(ours)), (refused, FailureKind::Bind));
    thread.join().unwrap();
}

#[test]
fn an_answer_to_a_bind_is_read_to_its_last_element() {
    let read = bind_answer(&answer((9, 14, "text", Some(b"token")))).unwrap();
    let expected = BindAnswer { id: 9, code: 14, text: "text".to_owned(), token: Some(b"token".to_vec()) };
    assert_eq!(read, expected);
    assert_eq!(bind_answer(&answer((9, 0, "", None))).unwrap().token, None);
    let referral = b"\x30\x10\x02\x01\x01\x61\x0b\x0a\x01\x0a\x04\x00\x04\x00\xa3\x02\x04\x00";
    assert_eq!(bind_answer(referral).map(|answer| answer.code), Ok(10));
    let whole = answer(GOOD[0]);
    for end in 0..whole.len() {
        assert!(bind_answer(&whole[..end]).is_err(), "{end}");
    }
}
