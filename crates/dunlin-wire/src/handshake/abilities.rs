//! What a client can take, read from what it says of itself: the difference between an answer it shows and one that ends it.

use super::ClientSys;

/// The client knows the error flag of responses.
pub const CAP_ERROR: &str = "err/1";

/// The client inflates zlib payloads.
pub const CAP_ZLIB: &str = "zlib/1";

/// The client reads every UTF-8 character.
pub const CAP_UTF8: &str = "utf8/1";

/// The client comes back when it is sent away: to another address if it has one, and not at once.
pub const CAP_AWAY: &str = "away/1";

/// Which family a client belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientKind {
    /// nano's, or one that says nothing by which to know it.
    Nano,
    /// pomelo's: it names versions of dictionary or descriptors.
    Pomelo,
    /// pitaya's: it names the version of its library.
    Pitaya,
    /// Ours: it names capabilities, or calls itself so.
    Dunlin,
}

impl ClientKind {
    /// The family of a client.
    #[must_use]
    pub fn of(sys: &ClientSys) -> Self {
        let is_named_dunlin = |kind: &String| kind.starts_with("dunlin");
        if !sys.caps.is_empty() || sys.kind.as_ref().is_some_and(is_named_dunlin) {
            Self::Dunlin
        } else if sys.lib_version.is_some() {
            Self::Pitaya
        } else if sys.proto_version.is_some() || sys.dict_version.is_some() {
            Self::Pomelo
        } else {
            Self::Nano
        }
    }
}

impl From<&ClientSys> for ClientKind {
    fn from(sys: &ClientSys) -> Self {
        Self::of(sys)
    }
}

const DICTIONARY: u8 = 1;
const COMPRESSED_BODY: u8 = 1 << 1;
const ERROR_FLAG: u8 = 1 << 2;
const ASCII_TEXT: u8 = 1 << 3;
const AWAY: u8 = 1 << 4;

/// What one client can take, in one byte. The default is what a client can take that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAbilities(u8);

impl ClientAbilities {
    /// Those of a client that says nothing of itself.
    pub const PLAIN: Self = Self(DICTIONARY | ASCII_TEXT);

    /// Whether routes may be sent as codes. pitaya's clients must never see one.
    #[must_use]
    pub const fn takes_dictionary(self) -> bool {
        self.0 & DICTIONARY != 0
    }

    /// Whether payloads may be compressed.
    #[must_use]
    pub const fn takes_compressed_body(self) -> bool {
        self.0 & COMPRESSED_BODY != 0
    }

    /// Whether a response may carry the error flag. Others would take the error for a result.
    #[must_use]
    pub const fn takes_error_flag(self) -> bool {
        self.0 & ERROR_FLAG != 0
    }

    /// Whether the client, sent away with a kick that says so, comes back by itself. Others would take it for a kick.
    #[must_use]
    pub const fn takes_away(self) -> bool {
        self.0 & AWAY != 0
    }

    /// Whether JSON must pass [`crate::escape_non_bmp`], because the client reads no 4-byte UTF-8.
    #[must_use]
    pub const fn needs_ascii_text(self) -> bool {
        self.0 & ASCII_TEXT != 0
    }
}

impl Default for ClientAbilities {
    fn default() -> Self {
        Self::PLAIN
    }
}

impl From<&ClientSys> for ClientAbilities {
    fn from(sys: &ClientSys) -> Self {
        let is_pitaya = ClientKind::of(sys) == ClientKind::Pitaya;
        let has = |cap: &str| sys.caps.iter().any(|known| known == cap);
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        Self(
            bit(!is_pitaya, DICTIONARY)
                | bit(is_pitaya || has(CAP_ZLIB), COMPRESSED_BODY)
                | bit(is_pitaya || has(CAP_ERROR), ERROR_FLAG)
                | bit(!is_pitaya && !has(CAP_UTF8), ASCII_TEXT)
                | bit(has(CAP_AWAY), AWAY),
        )
    }
}
