//! Tests of handshakes as the three families write and read them.

use serde_json::json;

use super::*;

fn request(body: &str) -> HandshakeRequest {
    HandshakeRequest::parse(body.as_bytes()).expect("a request")
}

fn abilities(sys: &str) -> (ClientKind, [bool; 4]) {
    let sys = request(&format!("{{\"sys\":{sys}}}")).sys;
    let can = ClientAbilities::from(&sys);
    let flags =
        [can.takes_dictionary(), can.takes_compressed_body(), can.takes_error_flag(), can.needs_ascii_text()];
    (ClientKind::of(&sys), flags)
}

fn response(body: &str) -> HandshakeResponse {
    HandshakeResponse::parse(body.as_bytes()).expect("an answer")
}

fn encoded(response: &HandshakeResponse) -> String {
    let mut out = Vec::new();
    response.encode(&mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn nothing_an_empty_object_and_null_are_a_request_that_says_nothing() {
    for body in ["", " \n", "{}", "null", "{\"sys\":null,\"user\":null}", "{\"sys\":{}}"] {
        assert_eq!(request(body), HandshakeRequest::default(), "{body:?}");
    }
}

#[test]
fn every_known_field_is_read_and_written_again() {
    let body = json!({
        "sys": {
            "caps": ["err/1"], "clientBuildNumber": "7", "clientVersion": "1.0",
            "dictVersion": "abc", "extra": [1], "libVersion": "4.6.2", "platform": "ios",
            "protoVersion": 0, "rsa": {"rsa_n": "1"}, "type": "js-websocket", "version": "0.0.1",
        },
        "user": {"token": "😀"},
    });
    let parsed = request(&body.to_string());
    assert_eq!(parsed.sys.lib_version.as_deref(), Some("4.6.2"));
    assert_eq!(parsed.sys.dict_version, Some(json!("abc")));
    assert_eq!(parsed.sys.other.get("extra"), Some(&json!([1])));
    let mut out = Vec::new();
    parsed.encode(&mut out);
    let expected = body.to_string().replace('😀', "\\uD83D\\uDE00");
    assert_eq!(String::from_utf8(out).expect("text"), expected);
}

#[test]
fn fields_of_unexpected_types_are_kept_and_harm_nothing() {
    let parsed = request(r#"{"sys":{"type":{"a":1},"version":3,"caps":[1,"err/1",null],"libVersion":null}}"#);
    assert_eq!(parsed.sys.kind, None);
    assert_eq!(parsed.sys.other.get("type"), Some(&json!({"a": 1})));
    assert_eq!(parsed.sys.version.as_deref(), Some("3"));
    assert_eq!(parsed.sys.caps, ["err/1"]);
    assert_eq!(parsed.sys.lib_version, None);
}

#[test]
fn text_in_cesu8_is_read() {
    let body = b"{\"user\":\"\xED\xA0\xBD\xED\xB8\x80\"}";
    assert_eq!(HandshakeRequest::parse(body).expect("a request").user, json!("😀"));
}

#[test]
fn what_is_no_json_object_is_an_error() {
    let error = |body: &[u8]| HandshakeRequest::parse(body).expect_err("an error");
    assert!(matches!(error(b"{"), HandshakeError::NotJson { .. }));
    assert!(matches!(error(b"\xFF"), HandshakeError::NotText { .. }));
    assert!(matches!(error(b"[]"), HandshakeError::NotAnObject { field: "" }));
    assert!(matches!(error(b"{\"sys\":1}"), HandshakeError::NotAnObject { field: "sys" }));
    let deep = "[".repeat(60_000);
    assert!(matches!(error(deep.as_bytes()), HandshakeError::NotJson { .. }));
}

#[test]
fn each_family_is_told_by_its_marks_and_gets_what_it_can_take() {
    let plain = [true, false, false, true];
    assert_eq!(abilities("{}"), (ClientKind::Nano, plain));
    assert_eq!(abilities(r#"{"type":"js-websocket"}"#), (ClientKind::Nano, plain));
    assert_eq!(abilities(r#"{"protoVersion":0}"#), (ClientKind::Pomelo, plain));
    assert_eq!(abilities(r#"{"dictVersion":"x"}"#), (ClientKind::Pomelo, plain));
    let pitaya = [false, true, true, false];
    assert_eq!(abilities(r#"{"libVersion":"1"}"#), (ClientKind::Pitaya, pitaya));
    assert_eq!(abilities(r#"{"type":"dunlin-js"}"#), (ClientKind::Dunlin, plain));
    let some = abilities(r#"{"caps":["err/1","utf8/1","new/9"]}"#);
    assert_eq!(some, (ClientKind::Dunlin, [true, false, true, false]));
    let zlib = abilities(r#"{"caps":["zlib/1"],"libVersion":"1"}"#);
    assert_eq!(zlib, (ClientKind::Dunlin, [true, true, false, true]));
    let default = ClientAbilities::default();
    assert_eq!(default, ClientAbilities::from(&ClientSys::default()));
}

#[test]
fn answer_has_sorted_keys_and_an_integer_heartbeat() {
    let answer = HandshakeResponse {
        code: 200,
        sys: Some(ServerSys {
            heartbeat: Some(30),
            servertime: Some(1_795_175_989),
            dict: Some([("onPush".to_owned(), 7), ("Room.Echo".to_owned(), 1)].into()),
            ..ServerSys::default()
        }),
        user: Some(json!("😀é")),
        message: None,
    };
    let expected = r#"{"code":200,"sys":{"dict":{"Room.Echo":1,"onPush":7},"heartbeat":30,"servertime":1795175989},"user":"\uD83D\uDE00é"}"#;
    assert_eq!(encoded(&answer), expected);
    let refusal = HandshakeResponse { code: 500, ..HandshakeResponse::default() };
    assert_eq!(encoded(&refusal), r#"{"code":500}"#);
}

#[test]
fn heartbeat_below_one_second_is_never_written() {
    let sys = ServerSys { heartbeat: Some(0), ..ServerSys::default() };
    let answer = HandshakeResponse { code: 200, sys: Some(sys), ..HandshakeResponse::default() };
    assert_eq!(encoded(&answer), r#"{"code":200,"sys":{"heartbeat":1}}"#);
}

#[test]
fn every_field_of_an_answer_is_read_and_written_again() {
    let body = r#"{"code":200,"message":"hi","sys":{"caps":["x/1"],"codeToRoute":{"1":"a"},"dict":{"a":1},"dictVersion":"v","extra":null,"heartbeat":3,"protos":{"client":{}},"routeToCode":{"a":1},"serializer":"json","servertime":5,"useDict":true,"useProto":false},"user":{"b":1}}"#;
    assert_eq!(encoded(&response(body)), body);
}

#[test]
fn heartbeats_of_others_are_read_as_whole_seconds() {
    for (literal, expected) in [
        ("30", Some(30)),
        ("30.0", Some(30)),
        ("0.5", Some(1)),
        ("2.9", Some(2)),
        ("0", None),
        ("-1", None),
        ("null", None),
        ("\"3\"", None),
        ("1e300", Some(u32::MAX)),
    ] {
        let sys = response(&format!("{{\"code\":200,\"sys\":{{\"heartbeat\":{literal}}}}}")).sys;
        assert_eq!(sys.and_then(|sys| sys.heartbeat), expected, "{literal}");
    }
}

#[test]
fn dictionary_pairs_that_cannot_be_codes_are_left_out() {
    let sys = response(r#"{"code":200,"sys":{"dict":{"a":1,"b":65536,"c":"x","d":-1,"e":0}}}"#).sys;
    let expected = [("a".to_owned(), 1), ("e".to_owned(), 0)].into();
    assert_eq!(sys.and_then(|sys| sys.dict), Some(expected));
}

#[test]
fn compressed_answer_is_read() {
    let body = format!("{{\"code\":200,\"message\":\"{}\"}}", "a".repeat(100));
    let compressed = crate::deflate_if_smaller(body.as_bytes()).expect("smaller");
    let answer = HandshakeResponse::parse(&compressed).expect("an answer");
    assert_eq!((answer.code, answer.is_ok()), (200, true));
    let broken = HandshakeResponse::parse(&[0x78, 1, 2]);
    assert!(matches!(broken, Err(HandshakeError::Inflate { .. })));
}

#[test]
fn answer_without_a_valid_code_is_an_error() {
    for body in ["", "{}", "{\"code\":\"x\"}", "{\"code\":70000}", "{\"code\":-1}"] {
        let result = HandshakeResponse::parse(body.as_bytes());
        assert!(matches!(result, Err(HandshakeError::NoCode)), "{body:?}");
    }
}

#[test]
fn what_a_client_adds_is_not_in_the_text_that_logs_would_have() {
    let request = HandshakeRequest::parse(br#"{"sys":{"type":"web"},"user":{"token":"secret"}}"#).unwrap();
    let said = format!("{request:?}");
    assert!(said.contains("web") && !said.contains("secret"), "{said}");
}
