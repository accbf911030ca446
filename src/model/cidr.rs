//! CIDR blocks, with host bits cleared as EC2 clears them.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::InvalidValue;

/// A network: an address and a prefix length, the bits behind the prefix all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CidrBlock(IpNet);

impl CidrBlock {
    /// The block of `prefix_len` bits that `address` lies in.
    ///
    /// # Errors
    /// [`InvalidValue`] where the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix_len: u8) -> Result<Self, InvalidValue> {
        IpNet::new(address, prefix_len).map(|net| Self(net.trunc())).map_err(|_| {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let expected = format!("a prefix length from 0 to {longest}");
            InvalidValue::new("cidr_block", format_args!("{address}/{prefix_len}"), expected)
        })
    }

    /// Reads `address/prefix`. The second value is true where host bits were set and have been
    /// cleared, of which the user should hear.
    ///
    /// # Errors
    /// [`InvalidValue`] with `field` where the text is no CIDR block.
    pub fn parse(field: &'static str, text: &str) -> Result<(Self, bool), InvalidValue> {
        let expected = "a CIDR block such as 10.0.0.0/8 or 2001:db8::/32";
        let net: IpNet = text.parse().map_err(|_| InvalidValue::new(field, text, expected))?;
        let block = net.trunc();
        Ok((Self(block), block != net))
    }

    /// All of IPv4.
    #[must_use]
    pub fn any_ipv4() -> Self {
        Self(IpNet::V4(ipnet::Ipv4Net::default()))
    }

    /// All of IPv6.
    #[must_use]
    pub fn any_ipv6() -> Self {
        Self(IpNet::V6(ipnet::Ipv6Net::default()))
    }

    /// The block of IPv4 that a block of IPv4-mapped IPv6 addresses (::ffff:0:0/96) means; any other
    /// one is as it was.
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

    /// Whether the block is of IPv4; else it is of IPv6.
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

    /// How many leading bits the block fixes: 0 to 32, or 0 to 128.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether `address` lies in the block. No IPv4 address lies in an IPv6 block, nor the other
    /// way round.
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
