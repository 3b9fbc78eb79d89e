//! Who is let in by a token and who is not, through the whole of an application.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets what it rules out fails")]
mod keys;
mod tokens;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use dunlin::{App, ClientConfig, ConnectError, Session, Uid};
use dunlin_jwt::{Claims, JwtAuth};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::{Value, json};

/// Somebody who signs tokens.
pub(crate) struct Signer {
    name: &'static str,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
    pub(crate) public_pem: String,
}

impl Signer {
    pub(crate) fn ec(name: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { name, algorithm: Algorithm::ES256, key, public_pem: pair.public_key_pem() }
    }

    pub(crate) fn ed(name: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { name, algorithm: Algorithm::EdDSA, key, public_pem: pair.public_key_pem() }
    }

    pub(crate) fn rsa(name: &'static str) -> Self {
        let key = EncodingKey::from_rsa_pem(include_bytes!("../../testdata/rsa-test-only.pem")).unwrap();
        let public_pem = include_str!("../../testdata/rsa-public.pem").to_owned();
        Self { name, algorithm: Algorithm::RS256, key, public_pem }
    }

    /// Writes the public key into a folder of keys.
    pub(crate) fn publish(&self, folder: &Path) {
        std::fs::write(folder.join(format!("{}.pem", self.name)), &self.public_pem).unwrap();
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.name.to_owned()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// Seconds since 1970, so many from now.
pub(crate) fn in_secs(secs: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + secs
}

/// Claims that are good for a minute.
pub(crate) fn claims() -> Value {
    json!({ "sub": "ann", "exp": in_secs(60), "iss": "login", "aud": "game", "level": 7 })
}

pub(crate) fn app(jwt: &JwtAuth) -> App {
    App::new().validate(jwt.validator()).route("Who.am_i", |Uid(uid): Uid, session: Session| async move {
        let claims = session.get::<Claims>();
        let level = claims.as_ref().and_then(|claims| claims.get("level")).and_then(Value::as_u64);
        Ok((uid.to_string(), level))
    })
}

/// The user as whom a client comes in, or code and words of why not.
pub(crate) async fn come(app: &App, user: Value) -> Result<String, (u16, String)> {
    match app.connect_with(ClientConfig { user, ..ClientConfig::default() }).await {
        Ok(client) => {
            let (uid, level) = client.request::<(String, u64)>("Who.am_i", ()).await.unwrap();
            assert_eq!(level, 7, "the claims are there");
            Ok(uid)
        }
        Err(ConnectError::Refused { code, message }) => Err((code, message.unwrap())),
        Err(error) => panic!("{error:?}"),
    }
}
