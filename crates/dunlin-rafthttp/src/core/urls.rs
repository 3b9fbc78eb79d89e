//! Where a peer is reached: one or more URLs, of which one is used until it fails.

use std::fmt;

use http::Uri;
use http::uri::Scheme;

use crate::limits::{PEER_URL_LEN_MAX, PEER_URLS_MAX};

/// A peer's URLs, checked and in order. One of them is picked at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUrls {
    urls: Vec<Uri>,
    picked: usize,
}

/// Why a list of URLs is none that a peer can be reached by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// There is none.
    #[error("a peer needs at least one URL")]
    None,
    /// There are more than [`PEER_URLS_MAX`].
    #[error("{urls} URLs of a peer are over the limit of {PEER_URLS_MAX}")]
    TooMany {
        /// How many.
        urls: usize,
    },
    /// One is longer than [`PEER_URL_LEN_MAX`].
    #[error("a peer's URL of {url_len} bytes is over the limit of {PEER_URL_LEN_MAX}")]
    TooLong {
        /// Its length.
        url_len: usize,
    },
    /// One is no URL.
    #[error("a peer's URL does not parse: {url}")]
    Syntax {
        /// The text.
        url: String,
    },
    /// One is neither `http` nor `https`.
    #[error("a peer's URL must begin with http:// or https://: {url}")]
    Scheme {
        /// The text.
        url: String,
    },
    /// One names no host or no port.
    #[error("a peer's URL must name host and port: {url}")]
    Authority {
        /// The text.
        url: String,
    },
    /// One does not have the scheme that this node speaks with its peers.
    #[error("peers are spoken to by {scheme} only: {url}")]
    Security {
        /// The scheme.
        scheme: &'static str,
        /// The text.
        url: String,
    },
    /// One has a path or a query.
    #[error("a peer's URL must have no path: {url}")]
    Path {
        /// The text.
        url: String,
    },
}

impl PeerUrls {
    /// Checks the URLs and puts them in order; the first one is picked.
    ///
    /// # Errors
    ///
    /// [`UrlError`] for the first one that will not do.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, UrlError> {
        let mut urls = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            if index >= PEER_URLS_MAX {
                return Err(UrlError::TooMany { urls: index + 1 });
            }
            urls.push(parse(text)?);
        }
        if urls.is_empty() {
            return Err(UrlError::None);
        }
        urls.sort_by_key(ToString::to_string);
        urls.dedup();
        Ok(Self { urls, picked: 0 })
    }

    /// Reads a list as it stands in a header: with commas between them.
    ///
    /// # Errors
    ///
    /// As [`PeerUrls::new`].
    pub fn from_header(text: &str) -> Result<Self, UrlError> {
        Self::new(text.split(',').map(str::trim))
    }

    /// The one in use.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "a list without a URL is never made")]
    pub fn picked(&self) -> &Uri {
        // There is at least one, and `picked` is always within the list.
        self.urls.get(self.picked).unwrap_or_else(|| self.urls.first().expect("a list has at least one URL"))
    }

    /// One did not answer. If it is still the one in use, the next one is.
    pub fn handle_unreachable(&mut self, url: &Uri) {
        if self.picked() == url {
            self.picked = (self.picked + 1) % self.urls.len();
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Uri> {
        self.urls.iter()
    }
}

/// As it stands in a header.
impl fmt::Display for PeerUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, url) in self.urls.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            // A URI without a path is written with a slash, which etcd does not do.
            f.write_str(url.to_string().trim_end_matches('/'))?;
        }
        Ok(())
    }
}

fn parse(text: &str) -> Result<Uri, UrlError> {
    if text.len() > PEER_URL_LEN_MAX {
        return Err(UrlError::TooLong { url_len: text.len() });
    }
    let url = || text.to_owned();
    let uri: Uri = text.parse().map_err(|_| UrlError::Syntax { url: url() })?;
    let scheme = uri.scheme().ok_or_else(|| UrlError::Scheme { url: url() })?;
    if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
        return Err(UrlError::Scheme { url: url() });
    }
    if uri.host().is_none_or(str::is_empty) || uri.port_u16().is_none_or(|port| port == 0) {
        return Err(UrlError::Authority { url: url() });
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(UrlError::Authority { url: url() });
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(UrlError::Path { url: url() });
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(texts: &[&str]) -> PeerUrls {
        PeerUrls::new(texts.iter().copied()).unwrap()
    }

    #[test]
    fn one_url_is_used_until_it_fails_and_then_the_next() {
        let mut urls = urls(&["http://127.0.0.1:7001", "http://127.0.0.1:2380"]);
        let first = urls.picked().clone();
        assert_eq!((urls.picked(), first.to_string().as_str()), (&first, "http://127.0.0.1:2380/"));
        urls.handle_unreachable(&first);
        let second = urls.picked().clone();
        assert_ne!(second, first);
        urls.handle_unreachable(&first);
        assert_eq!(urls.picked(), &second, "the one that failed is no longer in use");
        urls.handle_unreachable(&second);
        assert_eq!(urls.picked(), &first);
    }

    #[test]
    fn a_list_is_written_as_it_is_read_from_a_header() {
        let urls = urls(&["https://b.test:2", "http://a.test:1"]);
        assert_eq!(urls.to_string(), "http://a.test:1,https://b.test:2");
        assert_eq!(PeerUrls::from_header(&urls.to_string()), Ok(urls));
    }

    #[test]
    fn a_url_by_which_no_peer_is_reached_is_refused() {
        let long = format!("http://{}:1", "a".repeat(PEER_URL_LEN_MAX));
        for bad in [
            "",
            "127.0.0.1:1",
            "ftp://a:1",
            "http://a",
            "http://:1",
            "http://a:0",
            "http://a:1/raft",
            "http://a:1/?q",
            "http://user@a:1",
            "unix://a:1",
            "http://a:99999",
            "http://a b:1",
            &long,
        ] {
            assert!(PeerUrls::new([bad]).is_err(), "{bad}");
        }
        assert_eq!(PeerUrls::new([]), Err(UrlError::None));
        assert!(PeerUrls::new(std::iter::repeat_n("http://a:1", PEER_URLS_MAX + 1)).is_err());
    }
}
