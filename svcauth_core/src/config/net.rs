//! Networks that a session may come from: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An address and the number of its leading bits that count.
///
/// IPv4 addresses that are written as IPv6 (`::ffff:10.0.0.1`) are IPv4 here, in the network and in what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNet {
    addr: IpAddr,
    prefix: u8,
}

/// Why a text is no [`IpNet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpNetError {
    /// The part before the `/` is no IP address.
    Address,
    /// The part after the `/` is no number from 0 to 32 (IPv4) or 128 (IPv6).
    Prefix(u8),
    /// Bits behind the prefix are set; this is the network that was probably meant.
    HostBits(IpNet),
}

impl fmt::Display for IpNetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("expected an IP address or a network such as \"10.0.0.0/8\""),
            Self::Prefix(max) => write!(f, "the number after / must be from 0 to {max}"),
            Self::HostBits(net) => write!(f, "bits after the prefix are set; did you mean \"{net}\"?"),
        }
    }
}

impl core::error::Error for IpNetError {}

impl IpNet {
    /// The network's first address.
    #[must_use]
    pub const fn addr(self) -> IpAddr {
        self.addr
    }
    /// How many leading bits count: 0 to 32 for IPv4, 0 to 128 for IPv6.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }
    /// Whether the address lies in the network.
    #[must_use]
    pub fn contains(self, addr: IpAddr) -> bool {
        masked(addr.to_canonical(), self.prefix) == Some(self.addr)
    }
}

/// The address with every bit behind the prefix cleared; `None` if the prefix is longer than the address.
fn masked(addr: IpAddr, prefix: u8) -> Option<IpAddr> {
    let prefix = u32::from(prefix);
    match addr {
        IpAddr::V4(v4) => {
            let host = 32u32.checked_sub(prefix)?;
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            Some(IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask)))
        }
        IpAddr::V6(v6) => {
            let host = 128u32.checked_sub(prefix)?;
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            Some(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask)))
        }
    }
}

impl FromStr for IpNet {
    type Err = IpNetError;
    fn from_str(text: &str) -> Result<Self, IpNetError> {
        let (addr, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let written: IpAddr = addr.parse().map_err(|_| IpNetError::Address)?;
        let width = if written.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) => crate::id::parse_id(digits.as_bytes())
                .and_then(|n| u8::try_from(n).ok())
                .filter(|n| *n <= width)
                .ok_or(IpNetError::Prefix(width))?,
        };
        let addr = written.to_canonical();
        // ::ffff:a.b.c.d/96+n is a.b.c.d/n.
        let prefix = if addr.is_ipv4() && written.is_ipv6() {
            prefix.checked_sub(96).ok_or(IpNetError::Address)?
        } else {
            prefix
        };
        let network = Self {
            addr: masked(addr, prefix).ok_or(IpNetError::Prefix(width))?,
            prefix,
        };
        if network.addr == addr {
            Ok(network)
        } else {
            Err(IpNetError::HostBits(network))
        }
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::{IpNet, IpNetError};

    fn holds(net: &str, addr: &str) -> bool {
        net.parse::<IpNet>().unwrap().contains(addr.parse().unwrap())
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_other() {
        for (net, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.9.9.9"),
        ] {
            assert!(holds(net, inside), "{net} {inside}");
            assert!(!holds(net, outside), "{net} {outside}");
        }
    }

    #[test]
    fn a_faulty_network_says_what_is_wrong() {
        for (text, error) in [
            ("", IpNetError::Address),
            ("10.0.0", IpNetError::Address),
            ("010.0.0.1", IpNetError::Address),
            ("fe80::1%eth0", IpNetError::Address),
            ("localhost", IpNetError::Address),
            ("::ffff:10.0.0.0/95", IpNetError::Address),
            ("10.0.0.0/33", IpNetError::Prefix(32)),
            ("10.0.0.0/", IpNetError::Prefix(32)),
            ("10.0.0.0/+8", IpNetError::Prefix(32)),
            ("::/129", IpNetError::Prefix(128)),
            ("10.0.0.1/8", IpNetError::HostBits("10.0.0.0/8".parse().unwrap())),
        ] {
            assert_eq!(text.parse::<IpNet>(), Err(error), "{text}");
        }
    }
}
