//! On the way to TLS, and certificates that are not in order.

use std::sync::Arc;

use svcauth_tests::directory::Schema;
use svcauth_tests::evil::ber::{message, nested, notice, outcome, result, tlv};
use svcauth_tests::evil::{Answer, Channel, Flavour, Greeting, Operation, Protect, Request, Step};
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::program::Program;
use svcauth_tests::site::svcauth;
use svcauth_tests::tls::make_certificates;
use svcauth_tests::world::World;

use super::stage::{PORT, Row, SECRET, Stage, serve_in_clear};
use crate::host::Plan;

/// The name of the server that lies.
pub(super) const NAME: &str = "evil.example.com";
pub(super) const HOME: &str = "/run/world/evil";

/// A server's side of TLS with this certificate.
pub(super) fn protect(certificate: &str, key: &str) -> Outcome<Arc<Protect>> {
    let read = |name: &str| std::fs::read(format!("{HOME}/{name}")).doing(name.to_owned());
    let identity =
        native_tls::Identity::from_pkcs8(&read(certificate)?, &read(key)?).doing(certificate.to_owned())?;
    let acceptor = native_tls::TlsAcceptor::new(identity).doing("set TLS up")?;
    Ok(Arc::new(move |stream| {
        let secured = acceptor.accept(stream).map_err(std::io::Error::other)?;
        Ok(Box::new(secured) as Box<dyn Channel>)
    }))
}

/// Name and authority of the server that lies.
pub(super) fn make_authority(world: &World) -> Outcome {
    let hosts = std::fs::read_to_string("/etc/hosts")?;
    world.write("/etc/hosts", 0o644, format!("{hosts}127.0.0.1 {NAME}\n"))?;
    make_certificates(world, HOME, &[NAME])
}

/// A server of the kind "ldap" by name, with its authority in `ca_file`.
fn start(
    world: &World,
    uri: &str,
    tls: &str,
    greeting: impl FnOnce() -> Outcome<Greeting>,
) -> Outcome<Stage> {
    let mut plan = Plan::new(world)?;
    make_authority(world)?;
    serve_in_clear(&mut plan, world, PORT)?;
    plan.site.configure(
        &format!("uris = [\"ldap://127.0.0.1:{PORT}\"]\ntls = \"off\"\n"),
        &format!("uris = [\"{uri}://{NAME}:{PORT}\"]\ntls = \"{tls}\"\nca_file = \"{HOME}/ca.pem\"\n"),
    )?;
    let ldif = plan.site.directory.text(Schema::Rfc2307bis);
    Stage::with(world, plan, ldif, Flavour::Posix, greeting()?)
}

fn in_place_of_yes(request: &Request, answer: Answer, bytes: Vec<u8>) -> Answer {
    if request.operation == Operation::StartTls { vec![Step::Send(bytes), Step::Silence] } else { answer }
}

const BEFORE_TLS: &[Row] = &[
    Row {
        attack: "nesting 8,000 deep in place of yes",
        script: |r, a| in_place_of_yes(r, a, nested(8_000)),
        says: "StartTLS broke off",
    },
    Row {
        attack: "nesting 600 deep in place of yes",
        script: |r, a| in_place_of_yes(r, a, nested(600)),
        says: "it has no message id",
    },
    Row {
        attack: "nesting 100,000 deep in place of yes",
        script: |r, a| in_place_of_yes(r, a, nested(100_000)),
        says: "StartTLS",
    },
    Row {
        attack: "400 MB announced",
        script: |r, a| in_place_of_yes(r, a, vec![0x30, 0x84, 0x17, 0xd7, 0x84, 0x00]),
        says: "a message of 400000006 bytes",
    },
    Row {
        attack: "indefinite length",
        script: |r, a| in_place_of_yes(r, a, vec![0x30, 0x80, 0, 0]),
        says: "an encoding that LDAP does not allow",
    },
    Row {
        attack: "an empty sequence",
        script: |r, a| in_place_of_yes(r, a, vec![0x30, 0]),
        says: "an element is missing",
    },
    Row {
        attack: "no",
        script: |r, a| in_place_of_yes(r, a, result(1, 0x78, 2, "")),
        says: "StartTLS failed with LDAP result 2",
    },
    Row {
        attack: "later",
        script: |r, a| in_place_of_yes(r, a, result(1, 0x78, 52, "")),
        says: "StartTLS failed with LDAP result 52",
    },
    Row {
        attack: "yes to another request",
        script: |r, a| in_place_of_yes(r, a, result(2, 0x78, 0, "")),
        says: "extended response that was not asked for",
    },
    Row {
        attack: "success of a bind that was never sent",
        script: |r, a| in_place_of_yes(r, a, result(1, 0x61, 0, "")),
        says: "answers nothing that was asked",
    },
    Row {
        attack: "a notice of disconnection",
        script: |r, a| in_place_of_yes(r, a, notice(52)),
        says: "is closing the connection",
    },
    Row {
        attack: "yes, and an answer to a bind in clear behind it",
        script: |r, a| in_place_of_yes(r, a, [result(1, 0x78, 0, ""), result(2, 0x61, 0, "")].concat()),
        says: "bytes came after the server's answer",
    },
    Row {
        attack: "yes, and LDAP in clear in place of TLS",
        script: |r, mut a| {
            if r.operation == Operation::StartTls {
                a.pop();
                a.push(Step::Drip(result(2, 0x61, 0, ""), std::time::Duration::from_millis(20)));
            }
            a
        },
        // Told apart by whether the first bytes come with the answer or after it.
        says: "TLS",
    },
    Row {
        attack: "yes in a message that is far too long",
        script: |r, a| {
            in_place_of_yes(r, a, message(1, 0x78, &[outcome(0, b""), tlv(0x8b, &[0; 8000])].concat(), &[]))
        },
        says: "StartTLS",
    },
    Row {
        attack: "no answer to StartTLS",
        script: |r, a| if r.operation == Operation::StartTls { vec![Step::Silence] } else { a },
        says: "no answer to connecting within 1 s",
    },
    Row {
        attack: "yes, and no TLS",
        script: |r, mut a| {
            if r.operation == Operation::StartTls {
                a.pop();
                a.push(Step::Silence);
            }
            a
        },
        says: "no answer to connecting within 1 s",
    },
    Row {
        attack: "closed in place of yes",
        script: |r, a| if r.operation == Operation::StartTls { vec![Step::Close] } else { a },
        says: "the server closed the connection",
    },
];

pub(super) fn attacks_before_tls_reach_nothing(world: &mut World) -> Outcome {
    let secure = || Ok(Greeting::Plain(Some(protect("server.pem", "server.key")?)));
    start(world, "ldap", "starttls", secure)?.withstands(BEFORE_TLS)
}

/// What a server hears in clear while nothing of a bind may leave this host.
fn hears_no_password(stage: &mut Stage, what: &str) -> Outcome {
    let newcomer = stage.newcomer();
    svcauth(&["sync"])?.expect_code(1)?;
    require(stage.evil.connections() > 0, || format!("{what}: the server was not asked"))?;
    let heard = String::from_utf8_lossy(&stage.evil.heard_in_clear()).into_owned();
    require_lacks(what, &heard, SECRET)?;
    let binds = stage.evil.requests().iter().filter(|r| r.operation == Operation::Bind).count();
    require_eq(what, &binds, &0)?;
    stage.evil.greet(Greeting::Plain(Some(protect("server.pem", "server.key")?)));
    stage.evil.honest();
    drop(newcomer);
    Ok(())
}

pub(super) fn a_password_is_never_sent_in_clear(world: &mut World) -> Outcome {
    let secure = || Ok(Greeting::Plain(Some(protect("server.pem", "server.key")?)));
    let mut stage = start(world, "ldap", "starttls", secure)?;
    let bound = |stage: &Stage| stage.evil.requests().iter().any(|r| r.operation == Operation::Bind);
    stage.evil.honest();
    svcauth(&["sync"])?.expect_ok()?;
    require(bound(&stage), || "the server with TLS heard no bind".to_owned())?;
    let in_clear = String::from_utf8_lossy(&stage.evil.heard_in_clear()).into_owned();
    require_contains("before TLS", &in_clear, "1.3.6.1.4.1.1466.20037")?;
    require_lacks("before TLS", &in_clear, SECRET)?;
    stage.evil.script(|r, a| match r.operation {
        Operation::StartTls => vec![Step::Send(result(r.id, 0x78, 2, "no TLS here"))],
        _ => a,
    });
    hears_no_password(&mut stage, "a server that refuses StartTLS")?;
    stage.evil.greet(Greeting::Plain(None));
    hears_no_password(&mut stage, "a server that says yes and has no TLS")?;
    let config =
        stage.host.site.config.replace("ldap://evil", "ldaps://evil").replace("\"starttls\"", "\"ldaps\"");
    stage.host.site.config = config;
    stage.host.site.write(world)?;
    let mark = world.log().mark();
    stage.host.daemon.signal(nix::sys::signal::Signal::SIGHUP)?;
    world.log().wait_for_line(mark, &["svcauthd", "configuration"])?;
    stage.evil.greet(Greeting::Plain(None));
    hears_no_password(&mut stage, "a server without TLS at the port of LDAPS")?;
    stage.evil.greet(Greeting::Tls(protect("server.pem", "server.key")?));
    svcauth(&["sync"])?.expect_ok().doing("LDAPS at the end").map(drop)
}

/// A certificate `NAME.pem` of our authority for `host`, for so many days; 0 is over in the next second. (OpenSSL 3.5 makes
/// none that ends before it begins.)
fn issue(name: &str, host: &str, days: &str) -> Outcome {
    let run = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        Program::new("openssl").args(&words).dir(HOME).run()?.expect_ok().map(drop)
    };
    std::fs::write(format!("{HOME}/{name}.ext"), format!("subjectAltName=DNS:{host}\n"))?;
    run(&format!("req -new -key server.key -subj /CN={host} -out {name}.csr"))?;
    run(&format!(
        "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile {name}.ext -out {name}.pem"
    ))
}

pub(super) fn a_certificate_that_is_not_in_order_is_refused(world: &mut World) -> Outcome {
    let mut stage =
        start(world, "ldaps", "ldaps", || Ok(Greeting::Tls(protect("server.pem", "server.key")?)))?;
    issue("othername", "other.example.com", "30")?;
    issue("expired", NAME, "0")?;
    make_certificates(world, &format!("{HOME}/other"), &[NAME])?;
    let alone = "req -x509 -key server.key -days 30 -subj /CN=evil.example.com -addext subjectAltName=DNS:evil.example.com -out alone.pem";
    let words: Vec<&str> = alone.split(' ').collect();
    Program::new("openssl").args(&words).dir(HOME).run()?.expect_ok()?;
    let wrong = [
        ("another host's", "othername.pem", "server.key", "ostname mismatch"),
        ("expired", "expired.pem", "server.key", "certificate has expired"),
        ("of another authority", "other/server.pem", "other/server.key", "the certificate is refused"),
        ("signed by itself", "alone.pem", "server.key", "the certificate is refused: self"),
    ];
    for (what, certificate, key, says) in wrong {
        let newcomer = stage.newcomer();
        stage.evil.greet(Greeting::Tls(protect(certificate, key)?));
        stage.refuses(&newcomer, says).doing(what)?;
        require(stage.evil.requests().is_empty(), || format!("{what}: the server was asked something"))?;
        stage.evil.greet(Greeting::Tls(protect("server.pem", "server.key")?));
        stage.recovers(&newcomer).doing(what)?;
    }
    let newcomer = stage.newcomer();
    stage.evil.greet(Greeting::Silence);
    stage.refuses(&newcomer, "no answer to connecting within 1 s").doing("accepted, and silence")?;
    stage.evil.greet(Greeting::Tls(protect("server.pem", "server.key")?));
    stage.recovers(&newcomer)
}
