//! The keys that tokens are checked with: read from a file or a folder, with their names.
//!
//! A file is a key set (JWKS), or a public key in PEM; a folder has files of public keys, `NAME.pem`, each for the tokens that
//! name it. Old and new keys are there together for as long as tokens of the old one are about.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm as Known, AlgorithmFamily, DecodingKey};

/// Bytes of a file of keys: hundreds of them.
const FILE_LEN_MAX: u64 = 1 << 20;
/// Bytes of a shared secret at least, as many as the shortest signature has (RFC 7518, 3.2).
const SECRET_LEN_MIN: usize = 32;
/// Keys of one set.
const KEYS_MAX: usize = 1024;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A file or folder cannot be read.
    #[error("the keys in {} cannot be read", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is longer than keys are.
    #[error("{} is too long for a file of keys", path.display())]
    TooLong {
        /// Where.
        path: PathBuf,
    },
    /// A file has no key in it that can be used. What it holds is not said.
    #[error("{} holds no public key in PEM and no key set", path.display())]
    NoKey {
        /// Where.
        path: PathBuf,
    },
    /// No key is of a kind that the algorithms need, or there are too many.
    #[error("the keys in {} are none of those that the algorithms need, or too many", path.display())]
    NoneFits {
        /// Where.
        path: PathBuf,
    },
}

/// One key, and what it may check.
pub(crate) struct Key {
    /// What tokens call it. `None`: the only one there is.
    pub(crate) name: Option<String>,
    pub(crate) algorithms: Vec<Known>,
    pub(crate) key: DecodingKey,
}

/// All keys of a path, and by what it is seen that they changed.
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// Names, times and lengths of the files that keys are in.
pub(crate) type Mark = Vec<(PathBuf, Option<SystemTime>, u64)>;

impl KeySet {
    /// Reads keys. `algorithms` are those that whoever runs the server wants.
    pub(crate) fn read(path: &Path, algorithms: &[Known]) -> Result<Self, KeyError> {
        let file_error = |source| KeyError::File { path: path.to_owned(), source };
        let mut keys = Vec::new();
        if path.is_dir() {
            for file in pem_files(path).map_err(file_error)? {
                let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                keys.push(Key { name, ..pem_key(&file, &text(&file)?, algorithms)? });
            }
        } else {
            let text = text(path)?;
            match serde_json::from_str::<JwkSet>(&text) {
                Ok(set) => keys.extend(set.keys.iter().filter_map(|jwk| jwk_key(jwk, algorithms))),
                Err(_) => keys.push(pem_key(path, &text, algorithms)?),
            }
        }
        keys.retain(|key| !key.algorithms.is_empty());
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(KeyError::NoneFits { path: path.to_owned() });
        }
        Ok(Self { keys })
    }

    /// The key of a name. A token without a name means the only key there is, and so does one with any name where the only
    /// key has none.
    pub(crate) fn find(&self, name: Option<&str>) -> Option<&Key> {
        if let [only] = &*self.keys
            && (name.is_none() || only.name.is_none())
        {
            return Some(only);
        }
        let name = name?;
        self.keys.iter().find(|key| key.name.as_deref() == Some(name))
    }
}

/// By what it is seen that the keys of a path changed. What cannot be read is a mark as well.
pub(crate) fn mark(path: &Path) -> Mark {
    let files = if path.is_dir() { pem_files(path).unwrap_or_default() } else { vec![path.to_owned()] };
    let of = |path: PathBuf| {
        let metadata = path.metadata().ok();
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        (path, modified, metadata.map_or(0, |metadata| metadata.len()))
    };
    files.into_iter().map(of).collect()
}

fn pem_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn text(path: &Path) -> Result<String, KeyError> {
    let file_error = |source| KeyError::File { path: path.to_owned(), source };
    if path.metadata().map_err(file_error)?.len() > FILE_LEN_MAX {
        return Err(KeyError::TooLong { path: path.to_owned() });
    }
    fs::read_to_string(path).map_err(file_error)
}

/// A public key of any kind. The kind is the file's to say, so a public key is never taken for a secret.
fn pem_key(path: &Path, text: &str, algorithms: &[Known]) -> Result<Key, KeyError> {
    let pem = text.as_bytes();
    let readers = [DecodingKey::from_rsa_pem, DecodingKey::from_ec_pem, DecodingKey::from_ed_pem];
    let key = readers.iter().find_map(|read| read(pem).ok());
    let key = key.ok_or_else(|| KeyError::NoKey { path: path.to_owned() })?;
    Ok(Key { name: None, algorithms: fitting(&key, algorithms), key })
}

/// A key of a set, unless it is for something else or of a kind that is not known.
fn jwk_key(jwk: &Jwk, algorithms: &[Known]) -> Option<Key> {
    let common = &jwk.common;
    let is_for_signatures = common.public_key_use.as_ref().is_none_or(|is| *is == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|may| may.contains(&KeyOperations::Verify));
    if !is_for_signatures {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let is_short = key.try_get_as_bytes().is_ok_and(|secret| secret.len() < SECRET_LEN_MIN);
    if key.family() == AlgorithmFamily::Hmac && is_short {
        tracing::warn!("a shared secret of fewer than 32 bytes is passed over: it could be guessed");
        return None;
    }
    let mut algorithms = fitting(&key, algorithms);
    if let Some(only) = &common.key_algorithm {
        algorithms.retain(|algorithm| only.to_string().parse() == Ok(*algorithm));
    }
    Some(Key { name: common.key_id.clone(), algorithms, key })
}

/// The algorithms of these that a key is for.
fn fitting(key: &DecodingKey, algorithms: &[Known]) -> Vec<Known> {
    let family = key.family();
    algorithms.iter().copied().filter(|algorithm| algorithm.family() == family).collect()
}
