//! Before it is known what the client speaks: the first byte, an HTTP request, the upgrade or a page.

use dunlin_wire::ws::{self, HEAD_LEN_MAX, RequestHead};

use super::{Agent, Fx, Link};

impl Agent {
    /// Tells HTTP from packets by the first byte: packet kinds are small numbers, HTTP methods are capital letters.
    pub(super) fn sniff(&mut self, input: &mut [u8], fx: &mut Fx<'_>) {
        let Some(first) = input.first() else { return };
        self.link = if first.is_ascii_uppercase() { Link::Head } else { Link::Tcp };
        self.handle_bytes(input, fx);
    }

    /// Gathers the head of an HTTP request, at most [`HEAD_LEN_MAX`] bytes of it.
    pub(super) fn handle_head(&mut self, input: &mut [u8], fx: &mut Fx<'_>) {
        let side = self.side.get_or_insert_default();
        side.head.extend_from_slice(input);
        let mut head = std::mem::take(&mut side.head);
        let consumed = match ws::parse_request(&head) {
            Ok(Some((request, consumed))) => {
                self.handle_request(&request, fx);
                consumed
            }
            Ok(None) if head.len() >= HEAD_LEN_MAX => {
                return self.refuse_http(431, "request head too long", fx);
            }
            Ok(None) => {
                if let Some(side) = self.side.as_mut() {
                    side.head = head;
                }
                return;
            }
            Err(error) => return self.refuse_http(error.status(), &error.to_string(), fx),
        };
        self.drop_empty_side();
        let rest = head.get_mut(consumed..).unwrap_or_default();
        if self.link == Link::WebSocket && !rest.is_empty() {
            self.handle_bytes(rest, fx);
        }
    }

    fn handle_request(&mut self, request: &RequestHead<'_>, fx: &mut Fx<'_>) {
        if !request.is_upgrade {
            return self.serve_page(request, fx);
        }
        if let Err(error) = request.check_upgrade() {
            return self.refuse_http(error.status(), &error.to_string(), fx);
        }
        let gate = &fx.app().gate;
        if gate.websocket_path.as_deref().is_some_and(|path| path != request.path_only()) {
            return self.refuse_http(404, "no WebSocket at this path", fx);
        }
        if !gate.origin.allows(request.origin, request.host) {
            fx.app().stats.origins_refused.add(1);
            return self.refuse_http(403, "origin not allowed", fx);
        }
        let Some(key) = request.websocket_key else {
            return self.refuse_http(400, "no WebSocket key", fx);
        };
        ws::encode_accept(key, fx.out);
        self.link = Link::WebSocket;
    }

    /// Answers a plain GET with one of the application's pages, and ends.
    fn serve_page(&mut self, request: &RequestHead<'_>, fx: &mut Fx<'_>) {
        let is_head = request.method == "HEAD";
        if request.method != "GET" && !is_head {
            return self.refuse_http(405, "only GET is served here", fx);
        }
        let shard = fx.shard;
        let Some(page) = shard.app.pages.get(request.path_only()) else {
            return self.refuse_http(404, "no such page", fx);
        };
        page.encode(is_head, fx.out);
        self.end_http(fx);
    }

    pub(super) fn refuse_http(&mut self, status: u16, reason: &str, fx: &mut Fx<'_>) {
        ws::encode_refusal(status, reason, fx.out);
        self.end_http(fx);
    }

    fn end_http(&mut self, fx: &Fx<'_>) {
        self.link = Link::Leaving;
        self.deadline = fx.now.plus(fx.app().gate.linger_ms);
        self.side = None;
    }
}
