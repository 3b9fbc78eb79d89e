//! What a connection is for: requests with equal keys may share connections.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::Uri;
use http::uri::Authority;

/// The two schemes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `http`: plain text.
    Http,
    /// `https`: TLS.
    Https,
}

impl Scheme {
    /// The scheme of a URI; `None` when it has none or another.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme()?;
        if *scheme == http::uri::Scheme::HTTP {
            Some(Self::Http)
        } else if *scheme == http::uri::Scheme::HTTPS {
            Some(Self::Https)
        } else {
            None
        }
    }

    /// The port where a URI names none: 80 or 443.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    const fn default_port_text(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }

    /// As it stands in a URI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What requests must have in common to share connections: scheme, host and port, proxy, and whether HTTP/1 is a must.
///
/// Hosts are compared without regard to case, a default port is the same as none, and user and password of a URI are
/// no part of it. Plain requests through an HTTP proxy share the connections to that proxy, whatever their host.
#[derive(Clone, Eq)]
pub struct ConnKey {
    scheme: Scheme,
    authority: Authority,
    proxy: Option<Arc<str>>,
    is_http1_only: bool,
}

impl ConnKey {
    /// The key of a URI that is reached without a proxy; `None` when it has no host or a scheme that is not HTTP's.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Self> {
        let scheme = Scheme::of(uri)?;
        let authority = canonical(scheme, uri.authority()?)?;
        Some(Self { scheme, authority, proxy: None, is_http1_only: false })
    }

    pub(crate) fn through(mut self, proxy: &Uri, is_shared_by_all_hosts: bool) -> Self {
        self.proxy = Some(Arc::from(proxy.to_string()));
        if let (true, Some(authority)) = (is_shared_by_all_hosts, proxy.authority()) {
            self.authority = authority.clone();
        }
        self
    }

    pub(crate) const fn with_http1_only(mut self) -> Self {
        self.is_http1_only = true;
        self
    }

    /// The scheme of the requests.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and, where it is not the scheme's own, port.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The proxy's URI, without its password.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Whether these connections must speak HTTP/1, since they are to be upgraded.
    #[must_use]
    pub const fn is_http1_only(&self) -> bool {
        self.is_http1_only
    }

    /// The port, also where the URI names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(self.scheme.default_port())
    }
}

impl PartialEq for ConnKey {
    fn eq(&self, other: &Self) -> bool {
        // Hosts are mostly written alike, which is quickly seen; else letter by letter.
        let is_same_host =
            self.authority.as_str() == other.authority.as_str() || self.authority == other.authority;
        is_same_host
            && self.scheme == other.scheme
            && self.is_http1_only == other.is_http1_only
            && self.proxy == other.proxy
    }
}

impl Hash for ConnKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Every request is hashed, so eight bytes at a time, with the bit set by which the cases of a letter differ.
        const LOWER: u64 = 0x2020_2020_2020_2020;
        let (words, rest) = self.authority.as_str().as_bytes().as_chunks::<8>();
        for word in words {
            state.write_u64(u64::from_le_bytes(*word) | LOWER);
        }
        state.write_u64(rest.iter().fold(LOWER, |word, byte| (word << 8) | u64::from(*byte | 0x20)));
        (self.scheme, self.is_http1_only, &self.proxy).hash(state);
    }
}

impl fmt::Display for ConnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, without_user(self.authority.as_str()))?;
        if let Some(proxy) = &self.proxy {
            let (scheme, rest) = proxy.split_once("://").unwrap_or(("http", proxy));
            write!(f, " through {scheme}://{}", without_user(rest))?;
        }
        Ok(())
    }
}

/// Keys end up in logs and traces, and a proxy's URI may have a password.
impl fmt::Debug for ConnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnKey({self})")
    }
}

fn without_user(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Without user, password and default port. The usual authority is taken as it is.
fn canonical(scheme: Scheme, authority: &Authority) -> Option<Authority> {
    if is_canonical(scheme, authority.as_str()) {
        return Some(authority.clone());
    }
    let has_user = authority.as_str().contains('@');
    let has_default_port = authority.port_u16() == Some(scheme.default_port());
    // A colon without a port behind it, `host:`, is a default port too.
    let has_empty_port = authority.as_str().ends_with(':');
    if authority.host().is_empty() {
        return None;
    }
    if !has_user && !has_default_port && !has_empty_port {
        return Some(authority.clone());
    }
    let host = authority.host();
    let text = match authority.port_u16() {
        Some(port) if !has_default_port => format!("{host}:{port}"),
        _ => host.to_owned(),
    };
    text.parse().ok()
}

/// Whether this is surely a host with no user and no default port, by one look at its end. Every request comes by here.
fn is_canonical(scheme: Scheme, text: &str) -> bool {
    let port_len = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (before, port) = text.split_at(text.len() - port_len);
    let has_port = before.ends_with(':');
    let is_other_port = !port.is_empty() && port.trim_start_matches('0') != scheme.default_port_text();
    !text.bytes().any(|byte| byte == b'@')
        && before != ":"
        && !text.is_empty()
        && (!has_port || is_other_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uri: &str) -> ConnKey {
        ConnKey::of(&uri.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_default_port_a_user_and_the_case_of_a_host_make_no_other_key() {
        let plain = key("http://example.com/a");
        for uri in [
            "http://example.com:80/b",
            "http://EXAMPLE.com/",
            "http://ann:secret@example.com/",
            "http://example.com:/",
            "http://example.com:0080/",
        ] {
            assert_eq!(key(uri), plain, "{uri}");
        }
        assert_eq!(plain.port(), 80);
        assert_eq!(key("http://10.0.0.80:8080/"), key("http://10.0.0.80:8080/a"));
        assert_eq!(key("http://[::80]/"), key("http://[::80]:80/"));
        assert_eq!(key("https://[::443]:443/").authority().as_str(), "[::443]");
    }

    #[test]
    fn keys_that_are_equal_have_one_hash() {
        use std::hash::BuildHasher;
        let state = foldhash::fast::RandomState::default();
        let hash = |uri: &str| state.hash_one(key(uri));
        assert_eq!(hash("http://A-long-Host.Example:8080/"), hash("http://a-long-host.example:8080/b"));
        assert_eq!(hash("http://a.b/"), hash("http://A.B:80/"));
        assert_ne!(hash("http://a.b/"), hash("https://a.b/"));
    }

    #[test]
    fn scheme_port_proxy_and_protocol_make_other_keys() {
        let plain = key("http://example.com/");
        let proxy = "http://proxy:3128".parse().unwrap();
        assert_ne!(key("https://example.com/"), plain);
        assert_ne!(key("http://example.com:81/"), plain);
        assert_ne!(plain.clone().through(&proxy, true), plain);
        assert_ne!(plain.clone().with_http1_only(), plain);
    }

    #[test]
    fn plain_requests_to_any_host_share_the_connections_to_their_proxy_and_tunnels_do_not() {
        let proxy = "http://proxy:3128".parse().unwrap();
        assert_eq!(key("http://a/").through(&proxy, true), key("http://b/").through(&proxy, true));
        assert_ne!(key("https://a/").through(&proxy, false), key("https://b/").through(&proxy, false));
    }

    #[test]
    fn the_text_of_a_key_names_scheme_host_and_proxy_and_no_password() {
        let named = key("https://ann:secret@example.com:8443/");
        assert_eq!(named.to_string(), "https://example.com:8443");
        let through = named.through(&"http://proxy:3128".parse().unwrap(), false);
        assert_eq!(through.to_string(), "https://example.com:8443 through http://proxy:3128/");
        let proxy = "http://ann:secret@proxy:3128".parse().unwrap();
        for is_shared in [true, false] {
            let key = key("http://a/").through(&proxy, is_shared);
            let said = format!("{key} {key:?}");
            assert!(!said.contains("secret") && said.contains("through http://proxy:3128"), "{said}");
        }
    }

    #[test]
    fn a_uri_without_host_or_with_a_foreign_scheme_has_no_key() {
        for uri in ["/path", "ftp://example.com/", "*"] {
            assert_eq!(ConnKey::of(&uri.parse().unwrap()), None, "{uri}");
        }
    }
}
