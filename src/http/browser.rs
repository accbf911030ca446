//! Rejects requests that a browser sends for a web page. The headers that browsers add reveal them.

use ::http::HeaderMap;

use super::error::HttpError;

/// Rejects a request with an Origin header, which browsers add to requests of pages that change
/// state or read across origins, and a request that another site caused according to
/// `Sec-Fetch-Site`. An address that a user typed into the browser (`none`) is accepted.
pub(super) fn check(headers: &HeaderMap) -> Result<(), HttpError> {
    if let Some(origin) = headers.get("origin") {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        let message = format!("Requests of web pages are not accepted: Origin is {origin}.");
        return Err(HttpError::blocked(message));
    }
    let sites = headers.get_all("sec-fetch-site").iter();
    let mut foreign = sites.filter(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    match foreign.next() {
        None => Ok(()),
        Some(site) => {
            let site = String::from_utf8_lossy(site.as_bytes());
            Err(HttpError::blocked(format!(
                "Requests of web pages are not accepted: Sec-Fetch-Site is {site}, not same-origin."
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = ::http::Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check(&parts.headers).err().map(|error| error.status.as_u16())
    }

    #[test]
    fn requests_from_web_pages_are_refused() {
        assert_eq!(status(&[("origin", "http://evil.example")]), Some(403));
        assert_eq!(status(&[("origin", "null")]), Some(403));
        assert_eq!(status(&[("origin", "")]), Some(403));
        assert_eq!(status(&[("sec-fetch-site", "cross-site")]), Some(403));
        assert_eq!(status(&[("sec-fetch-site", "same-site")]), Some(403));
        assert_eq!(status(&[("sec-fetch-site", "none"), ("sec-fetch-site", "x")]), Some(403));
    }

    #[test]
    fn requests_from_programs_and_direct_navigation_are_accepted() {
        assert_eq!(status(&[]), None);
        assert_eq!(status(&[("sec-fetch-site", "none")]), None);
        assert_eq!(status(&[("sec-fetch-site", "same-origin")]), None);
    }
}
