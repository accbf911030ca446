//! CIDR blocks. Host bits are cleared, as EC2 does.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::InvalidValue;

/// A network: an address and a prefix length. All bits after the prefix are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CidrBlock(IpNet);

impl CidrBlock {
    /// The block with a prefix of `prefix_len` bits that contains `address`.
    ///
    /// # Errors
    /// [`InvalidValue`] if the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix_len: u8) -> Result<Self, InvalidValue> {
        IpNet::new(address, prefix_len).map(|net| Self(net.trunc())).map_err(|_| {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let expected = format!("a prefix length from 0 to {longest}");
            InvalidValue::new("cidr_block", format_args!("{address}/{prefix_len}"), expected)
        })
    }

    /// Parses `address/prefix`. The second value is true if host bits were set and have been
    /// cleared, so that the caller can warn the user.
    ///
    /// # Errors
    /// [`InvalidValue`] with `field` if the text is not a CIDR block.
    pub fn parse(field: &'static str, text: &str) -> Result<(Self, bool), InvalidValue> {
        let expected = "a CIDR block such as 10.0.0.0/8 or 2001:db8::/32";
        let net: IpNet = text.parse().map_err(|_| InvalidValue::new(field, text, expected))?;
        let block = net.trunc();
        Ok((Self(block), block != net))
    }

    /// 0.0.0.0/0.
    #[must_use]
    pub fn any_ipv4() -> Self {
        Self(IpNet::V4(ipnet::Ipv4Net::default()))
    }

    /// ::/0.
    #[must_use]
    pub fn any_ipv6() -> Self {
        Self(IpNet::V6(ipnet::Ipv6Net::default()))
    }

    /// The IPv4 block for a block of IPv4-mapped IPv6 addresses (::ffff:0:0/96); any other block is
    /// unchanged.
    #[must_use]
    pub fn to_canonical(&self) -> Self {
        let IpAddr::V4(address) = self.network().to_canonical() else { return *self };
        let len = if self.is_ipv4() {
            Some(self.prefix_len())
        } else {
            self.prefix_len().checked_sub(96)
        };
        let block = len.and_then(|len| Self::new(IpAddr::V4(address), len).ok());
        block.unwrap_or(*self)
    }

    /// Whether the block has IPv4 addresses; otherwise it has IPv6 addresses.
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// The first address of the block.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.0.addr()
    }

    /// The last address of the block.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.0.broadcast()
    }

    /// The prefix length in bits: 0 to 32 for IPv4, 0 to 128 for IPv6.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether the block contains `address`. A block contains no address of the other family.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl fmt::Display for CidrBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CidrBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_cleared_and_reported() {
        let (block, cleared) = CidrBlock::parse("source_cidr_block", "10.1.2.3/8").unwrap();
        assert_eq!((block.to_string().as_str(), cleared), ("10.0.0.0/8", true));
        let (block, cleared) = CidrBlock::parse("source_cidr_block", "2001:db8::/32").unwrap();
        assert_eq!((block.to_string().as_str(), cleared), ("2001:db8::/32", false));
    }

    #[test]
    fn an_invalid_cidr_block_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0/8", "x/8", "10.0.0.0/-1"] {
            assert!(CidrBlock::parse("source_cidr_block", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cidr_block_contains_no_address_of_the_other_family() {
        assert!(!CidrBlock::any_ipv4().contains("::1".parse().unwrap()));
        assert!(!CidrBlock::any_ipv6().contains("10.0.0.1".parse().unwrap()));
        assert!(CidrBlock::any_ipv6().contains("::1".parse().unwrap()));
    }
}
