//! Parses the address and port on which a command listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Parses `ADDR:PORT`, where ADDR may be `localhost`, which means 127.0.0.1. Other host names are
/// not resolved, because their addresses may change.
pub(super) fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let localhost_port = text.rsplit_once(':').and_then(|(name, port)| {
        let is_local = name.eq_ignore_ascii_case("localhost");
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        port.parse().ok().filter(|_| is_local && is_port)
    });
    match localhost_port {
        Some(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        None => Err("expected an address and a port, such as 127.0.0.1:4566, [::1]:4566 or \
                     localhost:4566"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_accepted_and_other_host_names_are_refused() {
        for (text, address) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:4566", "[::1]:4566"),
            ("localhost:4566", "127.0.0.1:4566"),
            ("LOCALHOST:0", "127.0.0.1:0"),
        ] {
            assert_eq!(parse(text).map(|read| read.to_string()), Ok(address.to_owned()), "{text}");
        }
        for wrong in [
            "",
            "localhost",
            "localhost:",
            "localhost:x",
            "localhost:+80",
            "example:80",
            ":80",
            "127.0.0.1",
            "localhost:65536",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
