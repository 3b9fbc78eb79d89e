//! Keys in files: sets, folders, and how they change while the server runs.

use std::fs;
use std::time::Duration;

use dunlin::App;
use dunlin_jwt::{Algorithm, JwtAuth, KeyError};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::{Signer, app, claims, come};

/// Comes until the answer is the wanted one: changed files are looked for once a second.
async fn eventually(app: &App, token: &str, is_in: bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while come(app, json!({ "token": token })).await.is_ok() != is_in {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(waited.await.is_ok(), "never {is_in}");
}

#[tokio::test]
async fn keys_rotate_by_files_and_old_and_new_ones_are_good_together() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Signer::ec("2025"), Signer::ed("2026"));
    old.publish(folder.path());
    let jwt = JwtAuth::builder(folder.path()).audience("game").build().unwrap();
    let app = app(&jwt);
    let (by_old, by_new) = (old.sign(&claims()), new.sign(&claims()));
    assert!(come(&app, json!({ "token": by_old })).await.is_ok());
    assert!(come(&app, json!({ "token": by_new })).await.is_err());
    new.publish(folder.path());
    eventually(&app, &by_new, true).await;
    assert!(come(&app, json!({ "token": by_old })).await.is_ok(), "both are good");
    fs::write(folder.path().join("2027.pem"), "no key").unwrap();
    assert!(matches!(jwt.reload(), Err(KeyError::NoKey { .. })));
    assert!(come(&app, json!({ "token": by_new })).await.is_ok(), "a broken file changes nothing");
    fs::remove_file(folder.path().join("2027.pem")).unwrap();
    fs::remove_file(folder.path().join("2025.pem")).unwrap();
    eventually(&app, &by_old, false).await;
    assert!(come(&app, json!({ "token": by_new })).await.is_ok());
}

#[tokio::test]
async fn a_key_set_is_read_by_names_and_uses_and_secrets_only_when_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    // The secret is 32 bytes in base64url.
    let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let oct = |name: &str| json!({ "kty": "oct", "kid": name, "k": secret });
    let mut encryption = oct("enc");
    encryption["use"] = "enc".into();
    let mut pinned = oct("pinned");
    pinned["alg"] = "HS512".into();
    let set =
        json!({ "keys": [oct("sig"), encryption, pinned, { "kty": "oct", "kid": "short", "k": "AAEC" }] });
    fs::write(&file, set.to_string()).unwrap();
    let error = JwtAuth::from_file(&file).unwrap_err();
    assert!(matches!(error, KeyError::NoneFits { .. }), "{error}");
    let jwt = JwtAuth::builder(&file).algorithms([Algorithm::Hs256]).audience("game").build().unwrap();
    let app = app(&jwt);
    let sign = |name: &str, secret: &[u8]| {
        let header = Header { kid: Some(name.to_owned()), ..Header::new(jsonwebtoken::Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap()
    };
    let secret: Vec<u8> = (0..32).collect();
    assert!(come(&app, json!({ "token": sign("sig", &secret) })).await.is_ok());
    for name in ["enc", "pinned"] {
        let refused = come(&app, json!({ "token": sign(name, &secret) })).await.unwrap_err();
        assert_eq!(refused.1, "the token is signed with an unknown key", "{name}");
    }
    assert!(
        come(&app, json!({ "token": sign("short", &[0, 1, 2]) })).await.is_err(),
        "a secret anybody guesses"
    );
}

#[test]
fn files_without_keys_are_refused_with_their_path_and_without_what_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.pem");
    let is_said = |error: KeyError| {
        let said = format!("{error} {error:?}");
        assert!(said.contains(&*folder.path().to_string_lossy()) && !said.contains("hunter2"), "{said}");
    };
    is_said(JwtAuth::from_file(&path).unwrap_err());
    is_said(JwtAuth::from_file(folder.path()).unwrap_err());
    for text in
        ["hunter2", "-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----\n", "{\"keys\":[]}"]
    {
        fs::write(&path, text).unwrap();
        is_said(JwtAuth::from_file(&path).unwrap_err());
    }
    fs::write(&path, Value::from("x".repeat(2 << 20)).to_string()).unwrap();
    let error = JwtAuth::from_file(&path).unwrap_err();
    assert!(matches!(error, KeyError::TooLong { .. }), "{error}");
}
