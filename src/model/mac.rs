//! Ethernet addresses.

use std::fmt;

use pnet::util::MacAddr;

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
        let mac: MacAddr = text.parse().map_err(|_| InvalidValue::new(field, text, expected))?;
        if mac.is_multicast() {
            return Err(InvalidValue::new(
                field,
                text,
                "an address of one interface, not of a group",
            ));
        }
        Ok(Self(mac.octets()))
    }

    /// The six bytes.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        MacAddr::new(a, b, c, d, e, g).fmt(f)
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
        for text in ["", "02:29:23:74:c7", "02:29:23:74:c7:7d:00", "0g:00:00:00:00:00"] {
            assert!(MacAddress::parse("mac_address", text).is_err(), "{text}");
        }
        assert!(MacAddress::parse("mac_address", "ff:ff:ff:ff:ff:ff").is_err());
    }
}
