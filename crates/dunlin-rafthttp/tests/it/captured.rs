//! Captured connections taken apart: just enough HTTP to get at the bodies.

/// A head of HTTP and what was captured behind it.
pub(crate) struct Captured<'a> {
    pub(crate) head: &'a str,
    rest: &'a [u8],
}

impl<'a> Captured<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head has an end");
        let head = str::from_utf8(&bytes[..end]).expect("a head is text");
        Self { head, rest: &bytes[end + 4..] }
    }

    /// Without regard to case, because Go's names and hyper's differ.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut lines = self.head.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The chunks of a chunked body, the last of them perhaps cut short by the end of the capture.
    pub(crate) fn chunks(&self) -> Vec<&'a [u8]> {
        assert_eq!(self.header("transfer-encoding"), Some("chunked"));
        let mut chunks = Vec::new();
        let mut rest = self.rest;
        while let Some(line_len) = rest.windows(2).position(|window| window == b"\r\n") {
            let line = str::from_utf8(&rest[..line_len]).expect("a length is text");
            let chunk_len = usize::from_str_radix(line, 16).expect("a length is a number");
            rest = &rest[line_len + 2..];
            if chunk_len == 0 {
                break;
            }
            let (chunk, behind) = rest.split_at(chunk_len.min(rest.len()));
            chunks.push(chunk);
            rest = behind.get(2..).unwrap_or_default();
        }
        chunks
    }
}

/// The bodies of all whole requests of one connection that have one.
pub(crate) fn bodies(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut bodies = Vec::new();
    while !bytes.is_empty() {
        let request = Captured::parse(bytes);
        bytes = request.rest;
        if let Some(body_len) = request.header("content-length") {
            let body_len = body_len.parse().expect("a length is a number");
            let Some((body, rest)) = bytes.split_at_checked(body_len) else { break };
            bodies.push(body);
            bytes = rest;
        }
    }
    bodies
}

/// Bytes of hex digits; blanks between them are for the reader.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| str::from_utf8(pair).expect("hex is ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}
