//! Which web pages may open a WebSocket: a browser sends the user's cookies with the upgrade whichever page asks for it, so the
//! server must look at the `Origin` header itself.

/// Which pages may connect. Clients that are no browsers send no Origin and are always allowed: they could send any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OriginPolicy {
    /// Only pages whose host and port are those in the `Host` header.
    #[default]
    SameHost,
    /// Pages of these origins, each written `scheme://host` or `scheme://host:port`.
    List(Vec<String>),
    /// Every page, sandboxed and local ones (origin `null`) too.
    Any,
}

impl OriginPolicy {
    /// Whether an upgrade with these headers is allowed.
    ///
    /// Names are compared without regard to case, and a scheme's own port equals no port. An Origin that is no origin, such as
    /// `null` or an empty one, is allowed by [`OriginPolicy::Any`] alone.
    ///
    /// ```
    /// use dunlin_wire::ws::OriginPolicy;
    ///
    /// let policy = OriginPolicy::SameHost;
    /// assert!(policy.allows(Some("https://game.example"), Some("game.example:443")));
    /// assert!(!policy.allows(Some("https://evil.example"), Some("game.example:443")));
    /// assert!(policy.allows(None, Some("game.example:443")), "not a browser");
    /// ```
    #[must_use]
    pub fn allows(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::SameHost => {
                let (Some(origin), Some(host)) = (Origin::parse(origin), host) else { return false };
                let Some((name, port)) = split_authority(host) else { return false };
                let port = port.or_else(|| default_port(origin.scheme));
                origin.name.eq_ignore_ascii_case(name) && origin.port == port
            }
            Self::List(allowed) => {
                let Some(origin) = Origin::parse(origin) else { return false };
                allowed
                    .iter()
                    .filter_map(|allowed| Origin::parse(allowed))
                    .any(|allowed| allowed.equals(&origin))
            }
        }
    }
}

/// `scheme://name[:port]`, the port filled in where the scheme has one of its own.
#[derive(Debug)]
struct Origin<'a> {
    scheme: &'a str,
    name: &'a str,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    fn parse(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.trim().split_once("://")?;
        let is_scheme = !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return None;
        }
        let (name, port) = split_authority(authority)?;
        Some(Self { scheme, name, port: port.or_else(|| default_port(scheme)) })
    }

    fn equals(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.name.eq_ignore_ascii_case(other.name)
            && self.port == other.port
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if is("http") || is("ws") {
        Some(80)
    } else if is("https") || is("wss") {
        Some(443)
    } else {
        None
    }
}

/// Splits `name[:port]`, where an IPv6 address stands in brackets; `None` for anything else, such as a path or user information.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let authority = authority.trim();
    let name_len = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (name, rest) = authority.split_at_checked(name_len)?;
    let is_name = !name.is_empty() && !name.contains(['/', '@', '?', '#', '\\', ' ', ',']);
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().ok()?)
        }
        _ => return None,
    };
    is_name.then_some((name, port))
}
