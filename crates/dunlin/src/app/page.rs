//! Pages served on the client port: a handful of fixed bodies, so that a demo or a small tool needs no second server.

use std::collections::HashMap;

use bytes::Bytes;

/// What may be loaded by a page, where the page itself does not say: only its own host's things.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
                                       style-src 'self' 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// One page, its whole answer made when the application is built.
#[derive(Debug)]
pub(crate) struct Page {
    head: String,
    body: Bytes,
}

impl Page {
    pub(crate) fn new(content_type: &str, body: Bytes) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len}\r\nCache-Control: no-cache\r\n\
             Content-Security-Policy: {CONTENT_SECURITY_POLICY}\r\nX-Content-Type-Options: nosniff\r\n\
             Connection: close\r\n\r\n",
            len = body.len()
        );
        Self { head, body }
    }

    /// Appends the answer to a GET, or to a HEAD.
    pub(crate) fn encode(&self, is_head: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_bytes());
        if !is_head {
            out.extend_from_slice(&self.body);
        }
    }
}

/// The pages of an application by path.
pub(crate) type Pages = HashMap<String, Page>;
