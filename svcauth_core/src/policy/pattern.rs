//! Name patterns of access rules, and networks.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;
use std::string::String;

/// A pattern for account and host names: `*` stands for any run of characters, `?` for one, everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern from its text; every text is one.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text as the administrator wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether the whole name matches, case-sensitively (accounts).
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes(), |a, b| a == b)
    }
    /// Whether the whole name matches, case-insensitively (host names, RFC 4343).
    #[must_use]
    pub fn matches_host(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes(), |a, b| a.eq_ignore_ascii_case(&b))
    }
}

/// Linear-time matching with one remembered star: no pattern can make it slow.
fn matches(pattern: &[u8], name: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || same(*wanted, *byte) => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star_p, star_n)) = star else {
                    return false;
                };
                star = Some((star_p, star_n + 1));
                p = star_p + 1;
                n = star_n + 1;
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// An address or a network in CIDR notation: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// Not an address, or not `ADDRESS/PREFIX`.
    Syntax,
    /// The prefix is longer than the address.
    Prefix,
    /// Bits are set behind the prefix (`10.1.2.3/8`): a typing error more often than not.
    HostBits,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "expected an address or a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
            Self::Prefix => "the prefix is longer than the address",
            Self::HostBits => "address bits are set behind the prefix",
        })
    }
}

impl core::error::Error for NetworkError {}

impl Network {
    /// A network from its parts.
    ///
    /// # Errors
    /// [`NetworkError::Prefix`], [`NetworkError::HostBits`].
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        if prefix > width(address) {
            return Err(NetworkError::Prefix);
        }
        if bits(address) & !mask(address, prefix) != 0 {
            return Err(NetworkError::HostBits);
        }
        Ok(Self { address, prefix })
    }
    /// The network's first address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }
    /// How many leading bits count.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }
    /// Whether an address lies in the network. An IPv4 address in IPv6 clothes (`::ffff:192.0.2.7`) counts as IPv4.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let address = plain(address);
        width(address) == width(self.address)
            && bits(address) & mask(address, self.prefix) == bits(self.address)
    }
}

fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
    }
}

fn mask(address: IpAddr, prefix: u8) -> u128 {
    let width = u32::from(width(address));
    let all = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    let host = width.saturating_sub(u32::from(prefix));
    all & u128::MAX.checked_shl(host).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address = plain(address.parse().map_err(|_| NetworkError::Syntax)?);
        let prefix = match prefix {
            None => width(address),
            Some(digits) => crate::id::parse_id(digits.as_bytes())
                .ok_or(NetworkError::Syntax)?
                .try_into()
                .map_err(|_| NetworkError::Prefix)?,
        };
        Self::new(address, prefix)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, NetworkError, Pattern};

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, yes, no) in [
            ("deployer", "deployer", "deployer2"),
            ("*", "", "-"),
            ("web*", "web01.example.com", "aweb"),
            ("*-prod", "db-prod", "db-prod1"),
            ("a?c", "abc", "ac"),
            ("*a*b*", "xxaxxbxx", "xxbxxa"),
        ] {
            assert!(Pattern::new(pattern).matches(yes), "{pattern} {yes}");
            assert!(no == "-" || !Pattern::new(pattern).matches(no), "{pattern} {no}");
        }
        assert!(!Pattern::new("Deployer").matches("deployer"));
        assert!(Pattern::new("Web*").matches_host("wEB1"));
    }

    #[test]
    fn a_pattern_of_many_stars_stays_fast() {
        assert!(!Pattern::new("*a".repeat(200)).matches(&"a".repeat(150)));
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let net: Network = "10.0.0.0/8".parse().unwrap();
        assert!(net.contains("10.255.0.1".parse().unwrap()));
        assert!(net.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!net.contains("11.0.0.1".parse().unwrap()) && !net.contains("a00::1".parse().unwrap()));
        let one: Network = "192.0.2.7".parse().unwrap();
        assert!(one.contains("192.0.2.7".parse().unwrap()) && !one.contains("192.0.2.8".parse().unwrap()));
        let all: Network = "::/0".parse().unwrap();
        assert!(all.contains("2001:db8::1".parse().unwrap()) && !all.contains("192.0.2.7".parse().unwrap()));
        assert_eq!("10.1.0.0/8".parse::<Network>(), Err(NetworkError::HostBits));
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NetworkError::Prefix));
        assert_eq!("10.0.0.0/999".parse::<Network>(), Err(NetworkError::Prefix));
        assert_eq!("web1/8".parse::<Network>(), Err(NetworkError::Syntax));
    }
}
