//! The HTTP upgrade, both sides.

use super::*;

const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
                       Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Origin: http://example.com\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn check(request: &str) -> Result<(), UpgradeError> {
    let (head, len) = parse_request(request.as_bytes()).unwrap().unwrap();
    assert_eq!(len, request.len());
    head.check_upgrade()
}

fn check_with(from: &str, to: &str) -> Result<(), UpgradeError> {
    assert!(REQUEST.contains(from));
    check(&REQUEST.replace(from, to))
}

#[test]
fn accept_key_is_that_of_rfc_6455() {
    assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(websocket_key(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
}

#[test]
fn upgrade_of_a_browser_is_read_and_accepted() {
    let bytes = [REQUEST.as_bytes(), b"\x82"].concat();
    let (head, len) = parse_request(&bytes).unwrap().unwrap();
    assert_eq!(len, REQUEST.len(), "the byte of a frame behind the head is left");
    assert_eq!((head.method, head.path, head.path_only()), ("GET", "/chat?room=1", "/chat"));
    assert_eq!(head.host, Some("server.example.com"));
    assert_eq!(head.origin, Some("http://example.com"));
    assert!(head.is_upgrade && head.is_http_1_1 && !head.has_body);
    assert_eq!(head.check_upgrade(), Ok(()));
}

#[test]
fn every_beginning_of_a_head_wants_more() {
    for len in 0..REQUEST.len() {
        assert_eq!(parse_request(&REQUEST.as_bytes()[..len]), Ok(None), "{len} bytes");
    }
}

#[test]
fn each_missing_condition_of_an_upgrade_has_its_status() {
    let status = |from, to| check_with(from, to).map_err(UpgradeError::status);
    assert_eq!(status("GET", "POST"), Err(405));
    assert_eq!(status("HTTP/1.1", "HTTP/1.0"), Err(505));
    assert_eq!(status("Upgrade: websocket\r\n", ""), Err(426));
    assert_eq!(status("Upgrade: websocket", "Upgrade: h2c"), Err(426));
    assert_eq!(status("keep-alive, Upgrade", "keep-alive"), Err(426));
    assert_eq!(status("Host: server.example.com\r\n", ""), Err(400));
    assert_eq!(status("Version: 13", "Version: 8"), Err(426));
    assert_eq!(status("Sec-WebSocket-Version: 13\r\n", ""), Err(426));
    assert_eq!(status("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), Err(400));
    assert_eq!(status("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), Err(400));
    assert_eq!(status("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZSE="), Err(400));
    assert_eq!(status("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\n"), Err(400));
    assert_eq!(status("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(400));
    assert_eq!(status("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"), Ok(()));
}

#[test]
fn upgrade_and_connection_are_read_in_any_case_and_over_several_lines() {
    assert_eq!(check_with("Upgrade: websocket", "UPGRADE: WebSocket"), Ok(()));
    assert_eq!(check_with("keep-alive, Upgrade", "UPGRADE,x"), Ok(()));
    assert_eq!(check_with("keep-alive, Upgrade", "keep-alive\r\nConnection: upgrade"), Ok(()));
    assert_eq!(check_with("keep-alive, Upgrade", "not-upgrade"), Err(UpgradeError::NotAnUpgrade));
}

#[test]
fn repeated_header_that_decides_is_refused() {
    for name in ["Host", "Origin", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
        let request = REQUEST.replace("\r\n\r\n", &format!("\r\n{name}: x\r\n\r\n"));
        assert_eq!(parse_request(request.as_bytes()), Err(HttpError::HeaderRepeated { name }));
    }
}

#[test]
fn header_that_decides_must_be_text() {
    let request = REQUEST.replace("http://example.com", "@");
    let bytes: Vec<u8> = request.bytes().map(|byte| if byte == b'@' { 0xff } else { byte }).collect();
    assert_eq!(parse_request(&bytes), Err(HttpError::HeaderNotText { name: "Origin" }));
}

#[test]
fn head_over_8_kib_is_refused_whether_it_ends_or_not() {
    let endless = format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(HEAD_LEN_MAX));
    assert_eq!(parse_request(endless.as_bytes()), Err(HttpError::HeadTooLong));
    assert_eq!(parse_request(&endless.as_bytes()[..HEAD_LEN_MAX]), Err(HttpError::HeadTooLong));
    let ended = format!("{endless}\r\n\r\n");
    assert_eq!(parse_request(ended.as_bytes()), Err(HttpError::HeadTooLong));
    assert_eq!(HttpError::HeadTooLong.status(), 431);
    let answer = format!("HTTP/1.1 200 OK\r\nCookie: {}", "x".repeat(HEAD_LEN_MAX));
    assert_eq!(parse_response(answer.as_bytes()), Err(HttpError::HeadTooLong));
}

#[test]
fn more_than_64_headers_are_refused() {
    let request = |count| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert!(parse_request(request(HEADER_COUNT_MAX).as_bytes()).unwrap().is_some());
    let error = parse_request(request(HEADER_COUNT_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(error, HttpError::TooManyHeaders);
    assert_eq!(error.status(), 431);
}

#[test]
fn bytes_that_are_no_http_are_refused_at_once() {
    let error = parse_request(b"\x16\x03\x01\x02\x00").unwrap_err();
    assert!(matches!(error, HttpError::Malformed(_)), "{error}");
    assert_eq!(error.status(), 400);
}

#[test]
fn accepted_upgrade_satisfies_the_client_that_asked() {
    let key = websocket_key([7; 16]);
    let mut request = Vec::new();
    let asked = UpgradeRequest {
        host: "h:1",
        path: "/ws",
        key: &key,
        origin: Some("http://h:1"),
        headers: &[("Authorization", "Bearer x")],
    };
    encode_request(&asked, &mut request).unwrap();
    let (head, len) = parse_request(&request).unwrap().unwrap();
    assert_eq!((head.check_upgrade(), len), (Ok(()), request.len()));
    assert_eq!((head.path, head.host, head.origin), ("/ws", Some("h:1"), Some("http://h:1")));

    let mut response = Vec::new();
    encode_accept(head.websocket_key.unwrap(), &mut response);
    for len in 0..response.len() {
        assert_eq!(parse_response(&response[..len]), Ok(None));
    }
    let (head, len) = parse_response(&response).unwrap().unwrap();
    assert_eq!((head.check_response(&key), len), (Ok(()), response.len()));
    assert_eq!(head.check_response(&websocket_key([8; 16])), Err(ResponseError::AcceptMismatch));
}

#[test]
fn response_that_accepts_no_upgrade_is_refused_by_the_client() {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let mut accept = Vec::new();
    encode_accept(key, &mut accept);
    let accept = String::from_utf8(accept).unwrap();
    let check = |response: &str| parse_response(response.as_bytes()).unwrap().unwrap().0.check_response(key);
    assert_eq!(check(&accept), Ok(()));
    assert_eq!(check(&accept.replace("Upgrade: websocket", "Upgrade: x")), Err(ResponseError::NotAnUpgrade));
    assert_eq!(
        check(&accept.replace("Connection: Upgrade", "Connection: x")),
        Err(ResponseError::NotAnUpgrade)
    );
    let chosen = accept.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    assert_eq!(check(&chosen), Err(ResponseError::UnofferedChoice));
    let mut refusal = Vec::new();
    encode_refusal(403, "not this page", &mut refusal);
    let refused = ResponseError::Refused { status: 403, reason: "Forbidden".to_owned() };
    assert_eq!(check(std::str::from_utf8(&refusal).unwrap()), Err(refused));
}

#[test]
fn refusal_is_a_whole_response_that_says_what_would_be_accepted() {
    let refusal = |status| {
        let mut out = Vec::new();
        encode_refusal(status, "why", &mut out);
        String::from_utf8(out).unwrap()
    };
    for status in [400, 403, 404, 405, 408, 426, 431, 503, 599] {
        let text = refusal(status);
        let (head, len) = parse_response(text.as_bytes()).unwrap().unwrap();
        assert_eq!((head.status, &text[len..]), (status, "why"));
        assert!(text.contains("close\r\n") && text.contains("Content-Length: 3\r\n"));
    }
    assert!(refusal(426).contains("Sec-WebSocket-Version: 13\r\n"));
    assert!(refusal(405).contains("Allow: GET\r\n"));
}

#[test]
fn request_part_that_would_break_out_of_its_line_is_refused() {
    let base = UpgradeRequest { host: "h", path: "/", key: "k", origin: None, headers: &[] };
    let fails = |request: UpgradeRequest<'_>| {
        let mut out = Vec::new();
        let result = encode_request(&request, &mut out);
        assert!(result.is_ok() || out.is_empty(), "a refused request wrote nothing");
        result.is_err()
    };
    assert!(!fails(base));
    for path in ["", "x", "/a b", "/a\r\nX: y", "/é"] {
        assert!(fails(UpgradeRequest { path, ..base }), "{path:?}");
    }
    assert!(fails(UpgradeRequest { host: "h\r\nX: y", ..base }));
    assert!(fails(UpgradeRequest { origin: Some("a\nb"), ..base }));
    for header in [
        ("X", "a\r\nb"),
        ("", "a"),
        ("X Y", "a"),
        ("Host", "a"),
        ("sec-websocket-key", "a"),
        ("Upgrade", "a"),
    ] {
        assert!(fails(UpgradeRequest { headers: &[header], ..base }), "{header:?}");
    }
}
