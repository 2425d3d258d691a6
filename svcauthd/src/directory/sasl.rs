//! The bind with Kerberos (SASL GSSAPI: RFC 4513, 5.2 and RFC 4752), spoken before the LDAP library gets the connection.
//!
//! That library has such a bind. But it is handed a socket pair and does not see the TLS behind it, so it would negotiate
//! a security layer of its own, and with that one it loses entries without an error.

use super::connect::{Protection, Stream, one_message};
use super::error::FetchError;
use super::ldap::Server;
use super::shape::{self, BindAnswer};
use crate::keeper::{Keeper, NoToken, Token};
use svcauth_core::config::DirectoryUri;
use tokio::io::AsyncWriteExt as _;

/// Longest answer in bytes; the server's token has some hundreds.
const MAX_ANSWER: usize = 64 << 10;
/// Most messages; Kerberos needs three.
const MAX_STEPS: u32 = 6;
/// `saslBindInProgress`.
const IN_PROGRESS: u32 = 14;
/// Longest text of a server that is shown, in characters.
const SHOWN: usize = 200;

impl Server<'_> {
    /// Binds as the principal of the keytab.
    pub(super) async fn prove(&self, stream: &mut Box<dyn Stream>) -> Result<(), FetchError> {
        let keeper = Keeper::inherited()
            .map_err(|error| FetchError::Internal(format!("nobody holds the keytab: {error}")))?;
        self.prove_with(keeper, stream).await
    }

    pub(super) async fn prove_with(
        &self,
        keeper: Keeper,
        stream: &mut Box<dyn Stream>,
    ) -> Result<(), FetchError> {
        let DirectoryUri::Host { host, .. } = self.uri else {
            return Err(FetchError::Internal("Kerberos without a host".to_owned()));
        };
        // The configuration forbids it; should it ever not, no ticket leaves this host over a bare connection.
        let Protection::Tls { end_point } = stream.protection() else {
            return Err(FetchError::Internal("Kerberos without TLS".to_owned()));
        };
        let binding = end_point.map(|hash| [&b"tls-server-end-point:"[..], &hash].concat());
        let mut question = Question::Begin(host.clone(), binding);
        for id in 1..=MAX_STEPS {
            let token = self.token(&keeper, question).await?;
            let answer = self.within("bind", self.say(stream, id, &token.bytes)).await??;
            match (answer.code, token.last) {
                (0, true) => return Ok(()),
                (0, false) => {
                    return Err(self.incomplete("bind", "the server ended it before it had proven itself"));
                }
                (IN_PROGRESS, false) => question = Question::Answer(answer.token.unwrap_or_default()),
                (IN_PROGRESS, true) => break,
                _ => return Err(self.refused(&answer)),
            }
        }
        Err(self.incomplete("bind", "the server does not come to an end"))
    }

    /// Asks the keeper, which may ask the KDC; in another thread, because that blocks.
    async fn token(&self, keeper: &Keeper, question: Question) -> Result<Token, FetchError> {
        let internal = |what: String| FetchError::Internal(what);
        let (mut asked, wait) = (keeper.share().map_err(|error| internal(error.to_string()))?, self.wait);
        let ask = move || match question {
            Question::Begin(host, binding) => asked.begin(&host, binding, wait),
            Question::Answer(token) => asked.answer(token, wait),
        };
        let mut unanswered = Unanswered(Some(keeper));
        let said = tokio::task::spawn_blocking(ask).await;
        unanswered.0 = None;
        let said = said.map_err(|error| internal(error.to_string()))?;
        said.map_err(|why| FetchError::Kerberos {
            server: self.uri.to_string(),
            what: why.to_string(),
            silent: matches!(why, NoToken::Silent(_)),
        })
    }

    /// Sends one step and takes the server's answer to it.
    async fn say(
        &self,
        stream: &mut Box<dyn Stream>,
        id: u32,
        token: &[u8],
    ) -> Result<BindAnswer, FetchError> {
        let server = self.uri.to_string();
        let broken = |error: std::io::Error| self.incomplete("bind", &error.to_string());
        stream.write_all(&request(id, token)).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let message = one_message(&server, "bind", MAX_ANSWER, stream).await?;
        let answer = shape::bind_answer(&message).map_err(|fault| FetchError::Guard { server, fault })?;
        if answer.id == id {
            Ok(answer)
        } else {
            Err(self.incomplete("bind", "the server answers something else"))
        }
    }

    fn refused(&self, answer: &BindAnswer) -> FetchError {
        let next = match answer.code {
            7 => "it does not offer SASL GSSAPI",
            8 => "Samba: ldap server require strong auth = allow_sasl_over_tls",
            49 if answer.text.contains("80090346") => {
                "the channel binding does not fit: something between this host and the server ends TLS"
            }
            49 => "check that the server's own keytab or account is in order",
            _ => "",
        };
        let said: String = answer.text.chars().take(SHOWN).collect();
        let parts = [said, next.to_owned()];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let what =
            format!("the server refuses the bind with LDAP result {}: {}", answer.code, parts.join("; "));
        FetchError::Kerberos {
            server: self.uri.to_string(),
            what: what.trim_end_matches(": ").to_owned(),
            silent: false,
        }
    }
}

/// What the keeper is asked.
enum Question {
    Begin(String, Option<Vec<u8>>),
    Answer(Vec<u8>),
}

/// A question whose answer nobody waits for any longer, because the whole fetch took too long: the next question must not
/// get that answer.
struct Unanswered<'k>(Option<&'k Keeper>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(keeper) = self.0 {
            keeper.give_up();
        }
    }
}

/// `BindRequest` with SASL credentials (RFC 4511, 4.2). An empty response is sent as an empty string: left out, it would
/// be none.
pub(super) fn request(id: u32, token: &[u8]) -> Vec<u8> {
    let sasl = [element(0x04, b"GSSAPI"), element(0x04, token)].concat();
    let bind = [element(0x02, &[3]), element(0x04, b""), element(0xa3, &sasl)].concat();
    // One byte: there are fewer steps than 128.
    let id = [u8::try_from(id).unwrap_or_default()];
    element(0x30, &[element(0x02, &id), element(0x60, &bind)].concat())
}

/// Tag, length in as few bytes as DER wants, content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let start = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let length = length.get(start..).unwrap_or_default();
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
    }
    out.extend_from_slice(length);
    out.extend_from_slice(content);
    out
}
