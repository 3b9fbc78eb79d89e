//! Golden scripts as text: what is understood, what is refused, and what a pattern lets pass.

use super::{Action, Pattern, Script, ScriptError, parse_pattern};

fn pattern(text: &str) -> Pattern {
    parse_pattern(text, 1).unwrap()
}

#[test]
fn every_committed_script_can_be_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/golden");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let script = Script::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert!(script.claims.len() > 5, "{} has few claims", path.display());
            count += 1;
        }
    }
    assert_ne!(count, 0);
}

#[test]
fn every_packet_that_a_committed_script_sends_has_its_true_length() {
    let text = include_str!("../../../interop/golden/pitaya.txt");
    for claim in Script::parse(text).unwrap().claims {
        for step in claim.steps {
            let Action::Send(writes) = step.action else { continue };
            let bytes = writes.concat();
            let len = usize::from(bytes[1]) << 16 | usize::from(bytes[2]) << 8 | usize::from(bytes[3]);
            assert_eq!(bytes.len(), 4 + len, "line {}", step.line);
        }
    }
}

#[test]
fn prose_between_steps_is_not_a_step() {
    let script =
        Script::parse("about\n\n== beat on plain\nwords\n> 03 00 | 00 00\n  > not a step\n< end\n").unwrap();
    let [claim] = &script.claims[..] else { panic!("one claim") };
    assert_eq!((claim.name.as_str(), claim.server.as_str(), claim.steps.len()), ("beat", "plain", 2));
    assert!(matches!(&claim.steps[0].action, Action::Send(writes) if *writes == [vec![3, 0], vec![0, 0]]));
    assert_eq!(claim.steps[1].line, 7);
}

#[test]
fn a_slip_of_the_pen_is_an_error_and_not_prose() {
    let hex = |text: &str| ScriptError::Hex { line: 2, text: text.to_owned() };
    assert_eq!(Script::parse("== a on b\n> 0g\n").unwrap_err(), hex("0g"));
    assert_eq!(Script::parse("== a on b\n> 012\n").unwrap_err(), hex("012"));
    assert_eq!(Script::parse("== a on b\n> ??\n").unwrap_err(), hex("??"));
    assert_eq!(Script::parse("== a on b\n< close\n").unwrap_err(), hex("close"));
    assert_eq!(Script::parse("> 01\n").unwrap_err(), ScriptError::NoClaim { line: 1 });
    assert_eq!(Script::parse("== a\n").unwrap_err(), ScriptError::Heading { line: 1 });
    assert!(matches!(Script::parse("== a on b\n< 01 json {\n"), Err(ScriptError::Json { line: 2, .. })));
}

#[test]
fn a_claim_that_expects_nothing_is_refused() {
    assert!(matches!(Script::parse("== a on b\n> 03 000000\n"), Err(ScriptError::Empty { .. })));
}

#[test]
fn literal_bytes_must_match_to_the_end() {
    let kick = pattern("05 000002 7b7d");
    assert_eq!(kick.compare(b"\x05\0\0\x02{}"), Ok(()));
    assert!(kick.compare(b"\x05\0\0\x02{").is_err());
    assert!(kick.compare(b"\x05\0\0\x02{} ").is_err());
    assert!(kick.compare(b"\x04\0\0\x02{}").is_err());
    assert!(kick.asks_for(5) && !kick.asks_for(3));
}

#[test]
fn json_may_have_more_members_but_no_other_values() {
    let welcome = pattern(r#"01 ?????? json {"code":200,"sys":{"heartbeat":1}}"#);
    assert_eq!(welcome.compare(b"\x01\0\0\x09{\"sys\":{\"x\":0,\"heartbeat\":1},\"code\":200}"), Ok(()));
    assert!(welcome.compare(b"\x01\0\0\x09{\"sys\":{\"heartbeat\":1.0},\"code\":200}").is_err());
    assert!(welcome.compare(b"\x01\0\0\x09{\"sys\":{},\"code\":200}").is_err());
    assert!(welcome.compare(b"\x01\0\0\x09[]").is_err());
}

#[test]
fn placeholders_stand_for_any_no_and_empty_members() {
    let any = pattern(r#"01 json {"a":"<any>","b":"<absent>","c":"<absent or empty>"}"#);
    assert_eq!(any.compare(b"\x01{\"a\":null}"), Ok(()));
    assert_eq!(any.compare(b"\x01{\"a\":1,\"c\":{}}"), Ok(()));
    assert!(any.compare(b"\x01{}").is_err());
    assert!(any.compare(b"\x01{\"a\":1,\"b\":null}").is_err());
    assert!(any.compare(b"\x01{\"a\":1,\"c\":{\"x\":1}}").is_err());
}

#[test]
fn a_compressed_rest_is_inflated_before_it_is_compared() {
    let compressed =
        b"\x78\x9c\xab\x56\xaa\x52\xb2\x52\x4a\x1c\x05\xa3\x60\x14\x0c\x7b\xa0\x54\x0b\x00\x28\xa9\x7d\x2c";
    let text = format!(r#"14 zlib {{"z":"{}"}}"#, "a".repeat(1000));
    assert_eq!(pattern(&text).compare(&[&[0x14], &compressed[..]].concat()), Ok(()));
    assert!(pattern(&text).compare(b"\x14{}").is_err());
}
