//! Tests of compressed bodies: limits, and broken streams.

use std::io::Write;

use super::*;

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn zlib_and_gzip_are_told_apart_and_inflated_up_to_the_limit() {
    for len in [0, 1, 100, 5000] {
        let body = vec![b'a'; len];
        assert_eq!(inflate(&zlib(&body), len), Ok(body.clone()));
        assert_eq!(inflate(&gzip(&body), len), Ok(body));
    }
}

#[test]
fn zlib_bomb_is_capped_at_the_limit_in_length_and_in_memory() {
    let body = vec![0; 4 * 1024 * 1024];
    for bomb in [zlib(&body), gzip(&body)] {
        assert!(bomb.len() < 8192);
        let len_max = 10_000;
        assert_eq!(inflate(&bomb, len_max), Err(InflateError::TooLong { len_max }));
        assert_eq!(inflate(&bomb, 0), Err(InflateError::TooLong { len_max: 0 }));
    }
    let mut out = Output::new(1000, 5000);
    while out.filled < 5000 {
        let room_len = out.room().len();
        assert!(room_len > 0 && out.bytes.capacity() <= 5001);
        out.advance(room_len.min(5000 - out.filled)).expect("within the limit");
    }
}

#[test]
fn every_truncation_is_an_error() {
    for stream in [zlib(b"hello hello hello"), gzip(b"hello hello hello")] {
        for len in 0..stream.len() {
            let result = inflate(&stream[..len], 1000);
            let is_refused = matches!(result, Err(InflateError::Truncated | InflateError::Corrupt));
            assert!(is_refused, "{len} bytes give {result:?}");
        }
    }
}

#[test]
fn wrong_checksum_is_an_error() {
    for mut stream in [zlib(b"hello"), gzip(b"hello")] {
        let in_checksum = stream.len() - 5 - usize::from(stream[0] == 0x1F);
        let at = if stream[0] == 0x1F { in_checksum } else { stream.len() - 1 };
        stream[at] ^= 1;
        assert_eq!(inflate(&stream, 1000), Err(InflateError::Corrupt));
    }
}

#[test]
fn bytes_after_the_stream_are_an_error() {
    for mut stream in [zlib(b"hello"), gzip(b"hello")] {
        stream.extend(b"{}");
        let expected = InflateError::TrailingBytes { trailing_len: 2 };
        assert_eq!(inflate(&stream, 1000), Err(expected));
    }
}

#[test]
fn what_is_no_stream_is_an_error() {
    for body in [&b""[..], b"{}", b"{\"a\":1}", &[0x1F, 0x8B, 9, 9, 9]] {
        assert!(inflate(body, 1000).is_err(), "{body:x?}");
    }
}

#[test]
fn only_what_gets_smaller_is_compressed() {
    assert_eq!(deflate_if_smaller(&[b'a'; DEFLATE_LEN_MIN - 1]), None);
    let shorter = deflate_if_smaller(&[b'a'; 300]).expect("it gets smaller");
    assert!(shorter.len() < 30 && shorter.first() == Some(&0x78));
    let noise: Vec<u8> = (0..200_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    assert_eq!(deflate_if_smaller(&noise), None);
}
