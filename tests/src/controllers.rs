//! Controllers by DNS: the records of the domain that a [`crate::samba::Samba`] serves, its sites, and more names for it.

use std::fs;

use crate::failure::{Context, Outcome};
use crate::program::Program;
use crate::relay::Relay;
use crate::samba::{self, Samba};
use crate::world::World;

/// Lets the world ask Samba's own DNS, and nobody else.
pub fn resolve(world: &World) -> Outcome {
    world.write("/etc/resolv.conf", 0o644, format!("nameserver {}\n", samba::ADDRESS))
}

/// Another address of the world, with a name of the domain: what is there is the test's affair.
pub fn name_address(world: &World, host: &str, address: &str) -> Outcome {
    let ip = Program::new("ip").args(&["addr", "add", &format!("{address}/32"), "dev", "lo"]);
    ip.run()?.expect_ok()?;
    let hosts = fs::read_to_string("/etc/hosts")?;
    world.write("/etc/hosts", 0o644, format!("{hosts}{address} {host}.example.com\n"))
}

/// A second way to the same controller, over TLS, at another address and name.
pub fn second(world: &World, host: &str, address: &str) -> Outcome<Relay> {
    name_address(world, host, address)?;
    second_again(address)
}

/// As [`second`], after the first one was dropped.
pub fn second_again(address: &str) -> Outcome<Relay> {
    Relay::start(&format!("{address}:636"), &format!("{}:636", samba::ADDRESS))
}

/// Makes a site, and puts the world's own addresses into it.
pub fn make_site(site: &str) -> Outcome {
    let sam = ["-H", samba::SAM];
    let tool = || Program::new("samba-tool").args(&["sites"]);
    tool().args(&["create", site]).args(&sam).run()?.expect_ok().doing("make a site")?;
    tool().args(&["subnet", "create", "10.77.0.0/24", site]).args(&sam).run()?.expect_ok().map(drop)
}

/// What DNS says of one controller.
#[derive(Debug, Clone, Copy)]
pub struct Srv<'a> {
    /// Those of the lowest number are asked first.
    pub priority: u16,
    /// The host, below example.com.
    pub host: &'a str,
}

/// Replaces the SRV records of a site by these; none at all takes the name away.
pub fn set_site(samba: &Samba, site: &str, records: &[Srv<'_>]) -> Outcome {
    set(samba, &format!("_ldap._tcp.{site}._sites.dc"), records)
}

/// Replaces those of all controllers.
pub fn set_all(samba: &Samba, records: &[Srv<'_>]) -> Outcome {
    set(samba, "_ldap._tcp.dc", records)
}

fn set(samba: &Samba, name: &str, records: &[Srv<'_>]) -> Outcome {
    let dn = format!("DC={name},DC=_msdcs.example.com,CN=MicrosoftDNS,DC=ForestDnsZones,{}", samba::DOMAIN);
    if samba.knows(&dn)? {
        samba.modify(&format!("dn: {dn}\nchangetype: delete\n"))?;
    }
    if records.is_empty() {
        return Ok(());
    }
    let lines: String =
        records.iter().map(|srv| format!("dnsRecord:: {}\n", base64(&record(*srv)))).collect();
    samba.modify(&format!("dn: {dn}\nchangetype: add\nobjectClass: dnsNode\n{lines}"))
}

/// `DNS_RPC_RECORD` with an SRV record, as the directory keeps it ([MS-DNSP] 2.3.2.2, 2.2.2.2.4.18 and 2.2.2.2.2).
fn record(srv: Srv<'_>) -> Vec<u8> {
    const SRV: u16 = 33;
    let full = format!("{}.example.com", srv.host);
    let labels: Vec<u8> = full.split('.').flat_map(|label| counted(label.as_bytes())).chain([0]).collect();
    let count = u8::try_from(full.split('.').count()).unwrap_or(0);
    let name = [&[u8::try_from(labels.len()).unwrap_or(0), count], &labels[..]].concat();
    let data = [srv.priority, 100, 389].map(u16::to_be_bytes).concat();
    let length = u16::try_from(data.len() + name.len()).unwrap_or(0);
    // Version 5, the rank of a zone's own data; the time to live is the only number in network order.
    let head = [&length.to_le_bytes()[..], &SRV.to_le_bytes(), &[5, 0xf0, 0, 0], &1u32.to_le_bytes()];
    [&head.concat()[..], &60u32.to_be_bytes(), &[0; 8], &data, &name].concat()
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap_or(0)], bytes].concat()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS.get(bits as usize & 63).copied().unwrap_or(b'='));
    let four = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        let used = chunk.len() + 1;
        (0..4usize).map(move |at| if at < used { digit(bits >> (18 - 6 * at)) } else { '=' })
    };
    bytes.chunks(3).flat_map(four).collect()
}

#[cfg(test)]
mod tests {
    use super::{Srv, base64, record};

    #[test]
    fn bytes_are_written_as_rfc_4648_shows() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_record_says_how_long_its_data_are() {
        let bytes = record(Srv { priority: 7, host: "dc1" });
        assert_eq!(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])), bytes.len() - 24);
        assert_eq!(bytes[24..32], [0, 7, 0, 100, 1, 0x85, 17, 3]);
    }
}
