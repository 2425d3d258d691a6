//! Whose certificate a server shows, in words, and what to do about one that is refused.

use openssl::asn1::Asn1TimeRef;
use openssl::nid::Nid;
use openssl::x509::{X509, X509NameRef};

/// Longest list of names that is shown.
const NAMES_MAX: usize = 5;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Whom it is for.
    pub(super) subject: String,
    /// Who signed it.
    pub(super) issuer: String,
    /// The hosts it names, DNS names and addresses.
    pub(super) names: Vec<String>,
    /// Until when it holds, as OpenSSL prints it.
    pub(super) until: String,
}

impl Certificate {
    /// Reads a certificate in DER; none when it is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let certificate = X509::from_der(der).ok()?;
        let names = certificate.subject_alt_names().into_iter().flatten();
        let name = |name: openssl::x509::GeneralName| {
            let address = name.ipaddress().and_then(|bytes| match bytes.len() {
                4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| std::net::IpAddr::from(bytes).to_string()),
                _ => <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::IpAddr::from(bytes).to_string()),
            });
            name.dnsname().map(str::to_owned).or(address)
        };
        Some(Self {
            subject: text(certificate.subject_name()),
            issuer: text(certificate.issuer_name()),
            names: names.filter_map(name).take(NAMES_MAX).collect(),
            until: time(certificate.not_after()),
        })
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        let names = if self.names.is_empty() { "no host".to_owned() } else { self.names.join(", ") };
        format!(
            "certificate of {} for {names}, signed by {}, valid until {}",
            self.subject, self.issuer, self.until
        )
    }
}

/// The next step after a refusal, by what OpenSSL said about it.
pub(super) fn remedy(why: &str, shown: Option<&Certificate>, ca_file: Option<&str>) -> String {
    let why = why.to_ascii_lowercase();
    if why.contains("expired") {
        return "renew the server's certificate (and check this host's clock: date)".to_owned();
    }
    if why.contains("mismatch") {
        let names = shown.map(|shown| shown.names.join(", ")).filter(|names| !names.is_empty());
        return names.map_or_else(
            || "the certificate names no host; have it issued for the name of the server".to_owned(),
            |names| {
                format!(
                    "use a name that the certificate has ({names}) in the URI, or have it issued for this one"
                )
            },
        );
    }
    if !why.contains("certificate is refused") {
        return "does this port speak TLS? ldaps:// has 636; StartTLS on 389 is ldap:// with --tls starttls"
            .to_owned();
    }
    let issuer = shown.map_or("the authority that signed it", |shown| shown.issuer.as_str());
    match ca_file {
        Some(file) => format!(
            "{file} does not hold the certificate of \"{issuer}\"; name the PEM file that does with --ca-file"
        ),
        None => format!(
            "this host does not trust \"{issuer}\"; name the PEM file with that authority's certificate: --ca-file FILE"
        ),
    }
}

/// A name as `CN=..., O=...`.
fn text(name: &X509NameRef) -> String {
    let parts = name.entries().map(|entry| {
        let key = entry.object().nid();
        let key = if key == Nid::UNDEF { "?" } else { key.short_name().unwrap_or("?") };
        let value = String::from_utf8_lossy(entry.data().as_slice()).into_owned();
        format!("{key}={value}")
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "nobody".to_owned() } else { parts.join(", ") }
}

fn time(time: &Asn1TimeRef) -> String {
    time.to_string()
}
