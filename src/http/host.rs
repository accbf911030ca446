//! Checks the Host header against the names and addresses that a listener accepts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ::http::Version;
use ::http::header::HOST;
use ::http::request::Parts;

use super::error::HttpError;

/// The names that a listener accepts besides loopback names, loopback addresses and the address
/// that the client connected to.
#[derive(Debug, Clone, Default)]
pub struct HostNames {
    allowed: Vec<Host>,
}

/// The host of a Host header, without its port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// A name in lower case, without a dot at its end.
    Name(String),
    /// An address. An IPv4-mapped IPv6 address is stored as IPv4.
    Address(IpAddr),
}

impl HostNames {
    /// Allows a name or an address. Clients may append any port to it.
    ///
    /// # Errors
    /// A sentence, if `text` is neither an IP address nor a name of letters, digits, dots, hyphens
    /// and underscores.
    pub fn allow(&mut self, text: &str) -> Result<(), String> {
        let bare = text.parse().map(|ip: IpAddr| Host::Address(ip.to_canonical())).ok();
        let host = bare.or_else(|| Host::without_port(text));
        self.allowed.push(host.ok_or_else(|| {
            format!("`{text}`: expected a host name such as mirror.example, without a port")
        })?);
        Ok(())
    }

    /// Checks the host that a request is for. `local` is the local address of the connection, which
    /// is the Host of a client that connects by IP address. A page has such a Host only if the user
    /// opened that address. A request of HTTP/1.0 needs no Host header; browsers do not send it.
    ///
    /// # Errors
    /// 400 if there is not exactly one Host header, or the request target names another host; 403
    /// if the host is not allowed.
    pub(super) fn check(&self, head: &Parts, local: IpAddr) -> Result<(), HttpError> {
        let is_old = head.version < Version::HTTP_11 && head.uri.authority().is_none();
        if is_old && !head.headers.contains_key(HOST) {
            return Ok(());
        }
        let mut values = head.headers.get_all(HOST).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(HttpError::invalid("Expected exactly one Host header."));
        };
        let text = String::from_utf8_lossy(value.as_bytes());
        let host = Host::parse(&text);
        // RFC 9112, section 3.2.2: a target in absolute form names the host of the request.
        if let Some(authority) = head.uri.authority()
            && (host.is_none() || Host::parse(authority.as_str()) != host)
        {
            return Err(HttpError::invalid(format!(
                "The target of the request is for `{authority}`, but its Host header is `{text}`: \
                 expected the same host in both."
            )));
        }
        if host.is_some_and(|host| self.serves(&host, local)) {
            return Ok(());
        }
        let own = match local.to_canonical() {
            local if local.is_loopback() => String::new(),
            local => format!("{local}, "),
        };
        Err(HttpError::blocked(format!(
            "The Host header is `{text}`: expected localhost, a loopback address, {own}or a name \
             that was allowed with --allow-host."
        )))
    }

    fn serves(&self, host: &Host, local: IpAddr) -> bool {
        let is_own = match host {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Address(address) => address.is_loopback() || *address == local.to_canonical(),
        };
        is_own || self.allowed.contains(host)
    }
}

impl Host {
    /// Parses `NAME`, `NAME:PORT`, `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]` and `[ADDRESS]:PORT`, and
    /// returns `None` for all else. Only the dotted decimal form of IPv4 is an address.
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let end = rest.find(']')? + 2;
                (text.get(..end)?, text.get(end..)?)
            }
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let digits = port.strip_prefix(':').unwrap_or(port);
        let is_port = digits.is_empty() || digits.parse::<u16>().is_ok() && digits.len() < 6;
        let has_no_sign = digits.bytes().all(|byte| byte.is_ascii_digit());
        Self::without_port(host).filter(|_| is_port && has_no_sign)
    }

    fn without_port(text: &str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            // A zone names the device of a link-local address (RFC 6874).
            let address = inside.strip_suffix(']')?.split('%').next()?;
            let address: Ipv6Addr = address.parse().ok()?;
            return Some(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (!name.is_empty() && name.bytes().all(is_name)).then_some(Self::Name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));

    fn status(target: &str, hosts: &[&str], local: IpAddr) -> u16 {
        let mut names = HostNames::default();
        names.allow("Mirror.Example").unwrap();
        names.allow("192.0.2.7").unwrap();
        let mut request = ::http::Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        names.check(&parts, local).err().map_or(200, |error| error.status.as_u16())
    }

    #[test]
    fn loopback_own_address_and_allowed_host_names_are_accepted() {
        for host in [
            "localhost",
            "LocalHost:4566",
            "localhost.",
            "a.b.localhost:1",
            "127.0.0.1",
            "127.9.9.9:4566",
            "127.0.0.1.",
            "[::1]",
            "[::1]:4566",
            "[::ffff:127.0.0.1]:80",
            "10.0.0.5",
            "10.0.0.5:4566",
            "[::ffff:10.0.0.5]",
            "mirror.example",
            "192.0.2.7:4",
            "MIRROR.example.:4566",
            "localhost:",
        ] {
            assert_eq!(status("/", &[host], LOCAL), 200, "{host}");
        }
        let link_local = "fe80::1".parse().unwrap();
        assert_eq!(status("/", &["[fe80::1%25eth0]:4566"], link_local), 200);
        let mapped = "::ffff:10.0.0.5".parse().unwrap();
        assert_eq!(status("/", &["10.0.0.5"], mapped), 200, "over a socket of both families");
    }

    #[test]
    fn other_host_names_are_refused() {
        for host in [
            "evil.example",
            "evil.example:4566",
            "localhost.evil.example",
            "xlocalhost",
            "10.0.0.6",
            "[2001:db8::1]",
            "127.0.0.1.evil.example",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "0177.0.0.1",
            "localhost:4566:1",
            "::1",
            "user@localhost",
            "localhost/x",
            "localhost:99999",
            "localhost:+80",
            "[::1",
            "[::1]x",
            "[localhost]",
            "",
            ".",
            ":80",
            "localhost..",
            "0.0.0.0",
            "sub.mirror.example",
            "localhost,evil.example",
        ] {
            assert_eq!(status("/", &[host], LOCAL), 403, "{host}");
        }
    }

    #[test]
    fn the_error_lists_each_accepted_host_once() {
        for (local, own) in [("127.0.0.1", false), ("::ffff:127.0.0.1", false), ("10.0.0.5", true)]
        {
            let request = ::http::Request::builder().uri("/").header(HOST, "evil.example");
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let refused = HostNames::default().check(&parts, local.parse().unwrap()).unwrap_err();
            assert_eq!(refused.message.contains(local), own, "{}", refused.message);
        }
    }

    #[test]
    fn exactly_one_host_header_is_required() {
        assert_eq!(status("/", &[], LOCAL), 400);
        assert_eq!(status("/", &["localhost", "localhost"], LOCAL), 400);
        assert_eq!(status("/", &["localhost", "evil.example"], LOCAL), 400);
        assert_eq!(status("http://localhost:4566/", &["localhost"], LOCAL), 200);
        assert_eq!(status("http://evil.example/", &["localhost"], LOCAL), 400);
        assert_eq!(status("http://localhost/", &["evil.example"], LOCAL), 400);
        assert_eq!(status("http://evil.example/", &["evil.example"], LOCAL), 403);
    }

    #[test]
    fn http_1_0_needs_no_host_header() {
        let status = |target: &str, host: Option<&str>| {
            let request = ::http::Request::builder().version(Version::HTTP_10).uri(target);
            let request =
                host.into_iter().fold(request, |request, host| request.header(HOST, host));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let checked = HostNames::default().check(&parts, LOCAL);
            checked.err().map_or(200, |error| error.status.as_u16())
        };
        assert_eq!(status("/metrics", None), 200);
        assert_eq!(status("/metrics", Some("evil.example")), 403);
        assert_eq!(status("http://evil.example/metrics", None), 400);
    }

    #[test]
    fn allowed_host_names_have_no_port() {
        for wrong in ["", "a:80", "http://a", "a/b", "*.example", "a b"] {
            assert!(HostNames::default().allow(wrong).is_err(), "{wrong}");
        }
        HostNames::default().allow("2001:db8::1").unwrap();
        HostNames::default().allow("[2001:db8::1]").unwrap();
    }
}
