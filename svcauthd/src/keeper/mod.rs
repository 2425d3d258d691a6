//! The keeper: proves this host's identity to LDAP servers with a key that it never gives away.
//!
//! Whoever has the host's key can make tickets in anybody's name for the services of this host, sshd among them. So the
//! worker, which reads what servers and whoever is between send, does not get it, nor a ticket; it gets the tokens of one
//! negotiation, and hands the server's answers over. The keeper talks to the worker that it was started with and to the
//! KDC, as the user svcauth, and dies with its monitor.

#[expect(unsafe_code, reason = "the functions of a C library")]
mod gss_ffi;
mod keytab;
mod talk;

pub use talk::{Keeper, NoToken, Token};

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use self::gss_ffi::{Context, Gss};
use self::talk::{Ask, Say};

/// Where the keytab is: the monitor has made it the standard input. Kerberos opens it by this name.
const KEYTAB: &str = "/proc/self/fd/0";
/// Tickets live as long as this process, in its memory.
const CACHE: &std::ffi::CStr = c"MEMORY:svcauth";
/// The bit of "no security layer" (RFC 4752, 3.1): TLS protects what follows.
const NO_LAYER: u8 = 1;
/// That choice, and a buffer of no bytes, which it demands.
const CHOICE: [u8; 4] = [NO_LAYER, 0, 0, 0];

/// Runs the keeper until its worker is gone. Started as root, with the keytab as standard input and the worker's socket
/// as standard output; becomes `user` before it does anything else. `principal`: whose key; the host's own without it.
///
/// That it becomes the user here and not before its start keeps it out of reach of every other process of that user at
/// every moment: who changes his own ids cannot be traced (`PR_SET_DUMPABLE`).
///
/// # Errors
/// When the privileges cannot be dropped or the socket fails.
pub fn run(user: Uid, group: Gid, principal: Option<&str>) -> io::Result<()> {
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    crate::worker::restrict()?;
    let socket = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
    // What fails here is told to every question: the administrator reads it in `svcauth status`.
    let kerberos = Gss::load().and_then(|gss| Ok((gss, whose(principal)?)));
    let mut negotiation = None;
    talk::serve(socket, |question| {
        let (gss, principal) = match &kerberos {
            Ok((gss, principal)) => (gss, principal.as_str()),
            Err(why) => return Say::Failed(NoToken::Refused(why.clone())),
        };
        let said = match question {
            Ask::Begin { host, binding } => begin(gss, principal, &host, binding).map(|(begun, token)| {
                negotiation = Some(begun);
                token
            }),
            Ask::Answer(token) => match negotiation.as_mut() {
                Some(begun) => begun.answer(&token),
                None => Err("the worker answers what was not asked".to_owned()),
            },
        };
        said.map_or_else(
            |why| {
                negotiation = None;
                Say::Failed(no_token(&why))
            },
            Say::Token,
        )
    })
}

/// The principal to act as.
fn whose(asked: Option<&str>) -> Result<String, String> {
    let bytes = std::fs::read(KEYTAB).map_err(|error| format!("the keytab cannot be read: {error}"))?;
    principal(&bytes, asked).map_err(|why| format!("the keytab cannot be used: {why}"))
}

/// The principal that these bytes of a keytab make: the one asked for, or the host's own.
///
/// # Errors
/// What is wrong with the keytab, or whose keys it has instead.
pub fn principal(bytes: &[u8], asked: Option<&str>) -> Result<String, String> {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let found = keytab::principals(bytes)?;
    keytab::choose(&found, asked, &host.to_string_lossy()).map(str::to_owned)
}

/// A negotiation that has begun.
struct Negotiation<'g> {
    context: Context<'g>,
    /// Whether the server has still to answer before both have proven themselves.
    open: bool,
}

fn begin<'g>(
    gss: &'g Gss,
    principal: &str,
    host: &str,
    binding: Option<Vec<u8>>,
) -> Result<(Negotiation<'g>, Token), String> {
    let file = std::ffi::CString::new(format!("FILE:{KEYTAB}")).map_err(|error| error.to_string())?;
    let credential = gss.credential(&gss.name(principal)?, &file, CACHE)?;
    let mut context = Context::new(gss, credential, gss.name(&service(host)?)?, binding);
    let (bytes, open) = context.step(&[])?;
    Ok((Negotiation { context, open }, Token { bytes, last: false }))
}

/// The service of a server, by the name that the configuration has for it. DNS is not asked for another one; which realm
/// it is in, the KDC says (the empty realm asks it to).
fn service(host: &str) -> Result<String, String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if host.is_empty() || host.len() > 255 || !host.bytes().all(plain) {
        return Err("the server has no host name that a ticket could be for".to_owned());
    }
    Ok(format!("ldap/{}@", host.to_ascii_lowercase()))
}

impl Negotiation<'_> {
    fn answer(&mut self, token: &[u8]) -> Result<Token, String> {
        if self.open {
            let (bytes, open) = self.context.step(token)?;
            self.open = open;
            return Ok(Token { bytes, last: false });
        }
        if !self.context.is_mutual() {
            return Err("the server did not prove itself".to_owned());
        }
        // Four bytes: the layers that the server offers, and the size of its buffer.
        match self.context.unwrap(token)?.as_slice() {
            [offered, _, _, _] if offered & NO_LAYER != 0 => {
                Ok(Token { bytes: self.context.wrap(&CHOICE)?, last: true })
            }
            [_, _, _, _] => Err("the server demands signing or sealing in addition to TLS".to_owned()),
            _ => Err("the server offers security layers in a form that is not known".to_owned()),
        }
    }
}

/// Kerberos' own words, with what an administrator does about the usual ones.
fn no_token(why: &str) -> NoToken {
    const SILENT: [(&str, &str); 2] = [
        ("Cannot find KDC", "check [realms] in /etc/krb5.conf, or the SRV records of the realm"),
        ("Cannot contact any KDC", "check that the KDCs of /etc/krb5.conf, or of the SRV records, answer"),
    ];
    const REFUSED: [(&str, &str); 5] = [
        ("Preauthentication failed", "the keytab has an old key of this principal; export it anew"),
        ("Decrypt integrity check failed", "the keytab has an old key of this principal; export it anew"),
        (
            "not found in Kerberos database",
            "check principal and that the host has joined the domain, and that uris name the server as its service \
             ldap/HOST does",
        ),
        ("Clock skew too great", "set this host's clock, or the KDC's"),
        ("demands signing or sealing", "Samba: ldap server require strong auth = allow_sasl_over_tls"),
    ];
    let known = |(said, next): &(&str, &str)| why.contains(said).then(|| format!("{why}; {next}"));
    match SILENT.iter().find_map(known) {
        Some(text) => NoToken::Silent(text),
        None => NoToken::Refused(REFUSED.iter().find_map(known).unwrap_or_else(|| why.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{NoToken, no_token, service};

    #[test]
    fn the_service_is_that_of_the_configured_name_whatever_dns_says() {
        assert_eq!(service("DC1.example.com").unwrap(), "ldap/dc1.example.com@");
        assert_eq!(service("dc1.").unwrap(), "ldap/dc1@");
        for odd in ["", "dc1@OTHER", "dc1/x", "a b", "::1", &"x".repeat(256)] {
            assert!(service(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_kerberos_says_gets_the_next_step() {
        let skew = NoToken::Refused("Clock skew too great; set this host's clock, or the KDC's".to_owned());
        assert_eq!(no_token("Clock skew too great"), skew);
        assert_eq!(no_token("something else"), NoToken::Refused("something else".to_owned()));
        let away = no_token("Cannot contact any KDC for realm 'EXAMPLE.COM'");
        assert!(
            matches!(&away, NoToken::Silent(text) if text.contains("; check that the KDCs of")),
            "{away}"
        );
    }
}
