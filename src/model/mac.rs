//! Ethernet addresses.

use std::fmt;

use super::InvalidValue;

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// An address from its six bytes, in the order of a frame.
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// Parses `02:29:23:74:c7:7d`.
    ///
    /// # Errors
    /// [`InvalidValue`] for any other text, and for a group address, which no interface can have.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidValue> {
        let expected = "six bytes in hexadecimal such as 02:29:23:74:c7:7d";
        let octets = octets(text).ok_or_else(|| InvalidValue::new(field, text, expected))?;
        // IEEE 802: the lowest bit of the first byte marks a group address.
        if octets[0] & 1 == 1 {
            return Err(InvalidValue::new(
                field,
                text,
                "an address of one interface, not of a group",
            ));
        }
        Ok(Self(octets))
    }

    /// The six bytes.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

/// Six bytes of one or two hexadecimal digits each, with colons between them.
fn octets(text: &str) -> Option<[u8; 6]> {
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut octets {
        let part = parts.next()?;
        let is_hex = part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        *octet = u8::from_str_radix(part, 16).ok().filter(|_| is_hex)?;
    }
    parts.next().is_none().then_some(octets)
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_parsed_and_printed() {
        let mac = MacAddress::parse("mac_address", "02:29:23:74:C7:7d").unwrap();
        assert_eq!(mac.to_string(), "02:29:23:74:c7:7d");
    }

    #[test]
    fn multicast_and_malformed_mac_addresses_are_refused() {
        for text in [
            "",
            "02:29:23:74:c7",
            "02:29:23:74:c7:7d:00",
            "0g:00:00:00:00:00",
            "+2:29:23:74:c7:7d",
            "0002:29:23:74:c7:7d",
            "02:29:23:74:c7:07d",
            "02:29::74:c7:7d",
        ] {
            assert!(MacAddress::parse("mac_address", text).is_err(), "{text}");
        }
        assert!(MacAddress::parse("mac_address", "ff:ff:ff:ff:ff:ff").is_err());
    }
}
