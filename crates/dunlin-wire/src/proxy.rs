//! The header that a proxy puts before a connection's bytes to say whose they are: the PROXY protocol, version 2.
//!
//! Bytes come in as they come; [`ProxyDecoder::wanted_len`] says how many may be read without reading into what comes after the
//! header. Version 1, a line of text, is refused: a client that speaks HTTP could write one.
//!
//! Invariants: nothing is kept for a length before it was checked against [`PROXY_HEADER_LEN_MAX`]; a byte that cannot be of a
//! header is refused when it comes, whatever is to follow; a decoder takes no byte beyond the header.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header: what fits the smallest packet of an IPv4 network, as the protocol recommends. Addresses take 52 bytes; the
/// rest is for notes of proxies, which are passed over.
pub const PROXY_HEADER_LEN_MAX: usize = 536;

/// Signature, command, family and length.
const HEAD_LEN: usize = 16;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Whose bytes follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// The proxy's own, which looks whether somebody is here; or its client's address is not known to it.
    Own,
    /// Those of a client at this address.
    Client(SocketAddr),
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// They do not begin like one.
    #[error("the connection does not begin with a header of the PROXY protocol, version 2")]
    NoHeader,
    /// It is of another version, or its command or family is none of TCP.
    #[error("the header of the PROXY protocol is not one of TCP, version 2: {head:02x}{family:02x}")]
    Unknown {
        /// Its version and command.
        head: u8,
        /// Its family.
        family: u8,
    },
    /// It is longer than one may be, or too short for its addresses.
    #[error("a header of the PROXY protocol with {len} bytes after its head cannot be")]
    Length {
        /// The length it says.
        len: u16,
    },
}

/// Takes one header.
#[derive(Debug, Clone, Default)]
pub struct ProxyDecoder {
    bytes: Vec<u8>,
}

impl ProxyDecoder {
    /// A decoder of which nothing has come.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Bytes that are certainly of the header still, one at least until it is whole.
    #[must_use]
    pub fn wanted_len(&self) -> usize {
        self.whole_len().unwrap_or(HEAD_LEN) - self.bytes.len()
    }

    /// Takes bytes off the front of `input`; the header, once it is whole. What comes after it is left.
    ///
    /// # Errors
    ///
    /// [`ProxyError`] when no header begins so. The decoder is then spent.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
        loop {
            let (taken, rest) = input.split_at(self.wanted_len().min(input.len()));
            self.bytes.extend_from_slice(taken);
            *input = rest;
            self.check()?;
            match self.whole_len() {
                Some(len) if self.bytes.len() == len => return self.header().map(Some),
                // The head is there, and now it is known how much follows.
                Some(_) if !input.is_empty() => {}
                _ => return Ok(None),
            }
        }
    }

    /// The length of the whole header, once its head is there.
    fn whole_len(&self) -> Option<usize> {
        Some(HEAD_LEN + usize::from(self.said_len()?))
    }

    fn said_len(&self) -> Option<u16> {
        let len = self.bytes.get(HEAD_LEN - 2..HEAD_LEN)?;
        Some(u16::from_be_bytes(len.try_into().ok()?))
    }

    /// Refuses what cannot become a header.
    fn check(&self) -> Result<(), ProxyError> {
        let begun = self.bytes.len().min(SIGNATURE.len());
        if self.bytes.get(..begun) != SIGNATURE.get(..begun) {
            return Err(ProxyError::NoHeader);
        }
        let Some(len) = self.said_len() else { return Ok(()) };
        let too_long = HEAD_LEN + usize::from(len) > PROXY_HEADER_LEN_MAX;
        let (head, family) = self.kind();
        let addresses_len = match (head, family) {
            // The proxy's own, whatever family it says; and a client whose address it does not know, or has none.
            (0x20, _) | (0x21, 0x00) => 0,
            (0x21, 0x11) => 12,
            (0x21, 0x21) => 36,
            (0x21, 0x31) => 216,
            _ => return Err(ProxyError::Unknown { head, family }),
        };
        if too_long || len < addresses_len { Err(ProxyError::Length { len }) } else { Ok(()) }
    }

    fn kind(&self) -> (u8, u8) {
        let byte = |at: usize| self.bytes.get(at).copied().unwrap_or_default();
        (byte(SIGNATURE.len()), byte(SIGNATURE.len() + 1))
    }

    fn header(&self) -> Result<ProxyHeader, ProxyError> {
        let addresses = self.bytes.get(HEAD_LEN..).unwrap_or_default();
        let client = match self.kind() {
            (0x21, 0x11) => client(addresses, 4, |ip: [u8; 4]| Ipv4Addr::from(ip).into()),
            (0x21, 0x21) => client(addresses, 16, |ip: [u8; 16]| Ipv6Addr::from(ip).into()),
            _ => return Ok(ProxyHeader::Own),
        };
        client.map(ProxyHeader::Client).ok_or(ProxyError::Length { len: self.said_len().unwrap_or_default() })
    }
}

/// The client's address: its IP, that of who it wanted, then the ports of both.
fn client<const LEN: usize>(
    addresses: &[u8],
    ip_len: usize,
    ip: impl Fn([u8; LEN]) -> std::net::IpAddr,
) -> Option<SocketAddr> {
    let port = addresses.get(2 * ip_len..2 * ip_len + 2)?.try_into().ok()?;
    Some(SocketAddr::new(ip(addresses.get(..ip_len)?.try_into().ok()?), u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these addresses, as a proxy writes it.
    fn header(head: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([head, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0xab, 0xcd, 0x0c, 0xb2];

    fn decode(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
        ProxyDecoder::new().decode(&mut &*bytes)
    }

    #[test]
    fn the_client_is_who_the_proxy_says() {
        let v4 = ProxyHeader::Client("203.0.113.7:43981".parse().unwrap());
        assert_eq!(decode(&header(0x21, 0x11, &V4)), Ok(Some(v4)));
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        v6[15] = 1;
        v6[32..34].copy_from_slice(&443_u16.to_be_bytes());
        let client = ProxyHeader::Client("[2001:db8::1]:443".parse().unwrap());
        assert_eq!(decode(&header(0x21, 0x21, &v6)), Ok(Some(client)));
    }

    #[test]
    fn notes_behind_the_addresses_are_passed_over_and_what_follows_is_left() {
        let mut body = V4.to_vec();
        body.extend([0x05, 0, 3, 1, 2, 3]);
        let mut bytes = header(0x21, 0x11, &body);
        bytes.extend(b"GET / HTTP/1.1");
        let mut input = &*bytes;
        assert!(ProxyDecoder::new().decode(&mut input).unwrap().is_some());
        assert_eq!(input, b"GET / HTTP/1.1");
    }

    #[test]
    fn the_proxys_own_connections_and_clients_without_an_address_have_none() {
        for bytes in [
            header(0x20, 0, &[]),
            header(0x20, 0x11, &V4),
            header(0x21, 0, &[]),
            header(0x21, 0x31, &[0; 216]),
        ] {
            assert_eq!(decode(&bytes), Ok(Some(ProxyHeader::Own)));
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
        for wrong in [
            &b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"[..],
            b"G",
            b"\x16\x03\x01",
            b"\x01\x00\x00\x02{}",
            b"\r\n\r\n\0\rX",
        ] {
            assert_eq!(decode(wrong), Err(ProxyError::NoHeader), "{wrong:?}");
        }
        for (head, family) in [(0x11, 0x11), (0x22, 0x11), (0x21, 0x12), (0x21, 0x41), (0x31, 0x11)] {
            assert_eq!(decode(&header(head, family, &V4)), Err(ProxyError::Unknown { head, family }));
        }
        assert_eq!(decode(&header(0x21, 0x11, &V4[..11])), Err(ProxyError::Length { len: 11 }));
        assert_eq!(decode(&header(0x21, 0x21, &V4)), Err(ProxyError::Length { len: 12 }));
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_anything_is_kept_for_it() {
        let longest = header(0x21, 0x11, &[0; PROXY_HEADER_LEN_MAX - HEAD_LEN]);
        assert!(decode(&longest).unwrap().is_some());
        let longer = header(0x21, 0x11, &[0; PROXY_HEADER_LEN_MAX - HEAD_LEN + 1]);
        let mut decoder = ProxyDecoder::new();
        assert_eq!(decoder.decode(&mut &longer[..HEAD_LEN]), Err(ProxyError::Length { len: 521 }));
        assert!(decoder.bytes.capacity() <= 64);
    }
}
