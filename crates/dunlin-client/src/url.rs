//! Addresses: `ws://`, `wss://`, `tcp://` and `tls://`.

/// Where a server is and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) is_tls: bool,
    pub(crate) is_websocket: bool,
    /// A name or an IP address, an IPv6 one without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query of a WebSocket; `/` else.
    pub(crate) path: String,
}

/// A text that is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not `ws`, `wss`, `tcp` or `tls`, or none at all.
    #[error("address {url:?} begins with none of ws://, wss://, tcp:// and tls://")]
    Scheme {
        /// The text.
        url: String,
    },
    /// No host, or one with user information, spaces or unbalanced brackets.
    #[error("address {url:?} has no valid host")]
    Host {
        /// The text.
        url: String,
    },
    /// Not a number from 1 to 65535; or none at all, which only `ws` and `wss` allow.
    #[error("address {url:?} has no valid port")]
    Port {
        /// The text.
        url: String,
    },
    /// A path where there is no HTTP to ask for it.
    #[error("address {url:?} has a path, which only ws:// and wss:// can have")]
    Path {
        /// The text.
        url: String,
    },
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let owned = || url.to_owned();
        let (scheme, rest) = url.split_once("://").ok_or_else(|| UrlError::Scheme { url: owned() })?;
        let (is_websocket, is_tls) = match scheme.to_ascii_lowercase().as_str() {
            "ws" => (true, false),
            "wss" => (true, true),
            "tcp" => (false, false),
            "tls" => (false, true),
            _ => return Err(UrlError::Scheme { url: owned() }),
        };
        // A fragment is never sent.
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let authority_len = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_len);
        if !is_websocket && !matches!(path, "" | "/") {
            return Err(UrlError::Path { url: owned() });
        }
        let (host, port) = split_authority(authority).ok_or_else(|| UrlError::Host { url: owned() })?;
        let port = match (port, is_websocket) {
            ("", true) => default_port(is_tls),
            (port, _) => parse_port(port).ok_or_else(|| UrlError::Port { url: owned() })?,
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_tls, is_websocket, host: host.to_owned(), port, path })
    }

    /// The value of the `Host` header: a scheme's own port is left out, as browsers do.
    pub(crate) fn host_header(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.is_tls) { host } else { format!("{host}:{}", self.port) }
    }
}

const fn default_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

fn parse_port(port: &str) -> Option<u16> {
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|&port| is_number && port != 0)
}

/// Splits `host:port` or `[host]:port`; the port may be missing.
fn split_authority(authority: &str) -> Option<(&str, &str)> {
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        let is_rest = rest.is_empty() || rest.starts_with(':');
        (host.parse::<std::net::Ipv6Addr>().is_ok() && is_rest)
            .then_some((host, rest.trim_start_matches(':')))?
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    let is_host = !host.is_empty()
        && host.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"@[]\\\"<>^`{|}".contains(c));
    is_host.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> (bool, bool, String, u16, String) {
        let address = Address::parse(url).unwrap();
        (address.is_websocket, address.is_tls, address.host, address.port, address.path)
    }

    #[test]
    fn each_scheme_is_read() {
        assert_eq!(parse("ws://a:1/p?q=1#f"), (true, false, "a".into(), 1, "/p?q=1".into()));
        assert_eq!(parse("WSS://a.example"), (true, true, "a.example".into(), 443, "/".into()));
        assert_eq!(parse("ws://[::1]?q"), (true, false, "::1".into(), 80, "/?q".into()));
        assert_eq!(parse("tcp://127.0.0.1:3250"), (false, false, "127.0.0.1".into(), 3250, "/".into()));
        assert_eq!(parse("tls://[::1]:3250/"), (false, true, "::1".into(), 3250, "/".into()));
    }

    #[test]
    fn host_header_has_brackets_and_no_own_port() {
        let header = |url| Address::parse(url).unwrap().host_header();
        assert_eq!(header("ws://a"), "a");
        assert_eq!(header("ws://a:443"), "a:443");
        assert_eq!(header("wss://a:443"), "a");
        assert_eq!(header("ws://[::1]:8080/"), "[::1]:8080");
    }

    #[test]
    fn what_is_no_address_is_refused_by_its_part() {
        let error = |url: &str| Address::parse(url).unwrap_err();
        for url in ["", "a:1", "http://a", "ws:/a"] {
            assert_eq!(error(url), UrlError::Scheme { url: url.to_owned() });
        }
        for url in ["ws://", "ws://:80", "ws://u@a", "ws://[::1", "ws://[a]", "ws://[::1]x", "ws://a b"] {
            assert_eq!(error(url), UrlError::Host { url: url.to_owned() });
        }
        for url in ["tcp://a", "ws://a:0", "ws://a:65536", "ws://a:+1", "ws://a:x"] {
            assert_eq!(error(url), UrlError::Port { url: url.to_owned() });
        }
        assert_eq!(error("tcp://a:1/p"), UrlError::Path { url: "tcp://a:1/p".to_owned() });
    }
}
