//! One token against one key: what makes it good, and every way in which it is not.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use dunlin_jwt::{Algorithm, Builder, JwtAuth, Refused};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::{Signer, app, claims, come, in_secs};

/// A folder with the public key of a signer, which goes with it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn of(signer: &Signer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        signer.publish(folder.path());
        Self(folder)
    }

    fn jwt(&self) -> Builder {
        JwtAuth::builder(self.0.path()).issuer("login").audience("game")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn with(claim: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[claim] = value.into();
    claims
}

fn without(claim: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(claim);
    claims
}

#[tokio::test]
async fn a_good_token_binds_its_user_and_hands_on_its_claims_whatever_the_kind_of_the_key() {
    for signer in [Signer::ec("k1"), Signer::ed("k1"), Signer::rsa("k1")] {
        let folder = Folder::of(&signer);
        let app = app(&folder.jwt().build().unwrap());
        assert_eq!(come(&app, json!({ "token": signer.sign(&claims()) })).await, Ok("ann".to_owned()));
        let token = signer.sign(&with("sub", 17));
        assert_eq!(come(&app, json!({ "token": token })).await, Ok("17".to_owned()));
    }
}

#[tokio::test]
async fn each_way_in_which_a_token_is_not_good_has_its_own_words_and_none_of_its_own() {
    let (signer, other) = (Signer::ec("k1"), Signer::ec("k1"));
    let unknown = Signer { name: "k2", ..Signer::ec("k2") };
    let folder = Folder::of(&signer);
    let app = app(&folder.jwt().build().unwrap());
    let good = signer.sign(&claims());
    let (head, _) = good.rsplit_once('.').unwrap();
    let cases = [
        (signer.sign(&with("exp", in_secs(-60))), "the token has expired"),
        (signer.sign(&without("exp")), "the token lacks the claim `exp`"),
        (signer.sign(&with("nbf", in_secs(60))), "the token is not valid yet"),
        (signer.sign(&with("aud", "shop")), "the token is for another audience"),
        (signer.sign(&without("aud")), "the token lacks the claim `aud`"),
        (signer.sign(&with("iss", "evil")), "the token is of another issuer"),
        (signer.sign(&without("iss")), "the token lacks the claim `iss`"),
        (signer.sign(&without("sub")), "the token lacks the claim `sub`"),
        (signer.sign(&with("sub", "")), "the token lacks the claim `sub`"),
        (signer.sign(&with("sub", json!({ "name": "ann" }))), "the token is invalid"),
        (other.sign(&claims()), "the token is invalid"),
        (unknown.sign(&claims()), "the token is signed with an unknown key"),
        (format!("{head}."), "the token is invalid"),
        (format!("{good}x"), "the token is invalid"),
        ("no token".to_owned(), "the token is invalid"),
        ("x".repeat(40_000), "the token is invalid"),
        (String::new(), "log in first: there is no token"),
    ];
    for (token, words) in cases {
        let refused = come(&app, json!({ "token": token })).await.unwrap_err();
        assert_eq!(refused, (401, words.to_owned()), "{token}");
    }
    for user in [Value::Null, json!({}), json!({ "token": 5 }), json!("token")] {
        let refused = come(&app, user).await.unwrap_err();
        assert_eq!(refused, (401, "log in first: there is no token".to_owned()));
    }
}

#[tokio::test]
async fn a_token_does_not_choose_how_it_is_checked() {
    let rsa = Signer::rsa("k1");
    let folder = Folder::of(&rsa);
    let header = |algorithm| Header { kid: Some("k1".to_owned()), ..Header::new(algorithm) };
    // Signed with the public key as if that were a secret.
    let public = EncodingKey::from_secret(rsa.public_pem.as_bytes());
    let confused = jsonwebtoken::encode(&header(jsonwebtoken::Algorithm::HS256), &claims(), &public).unwrap();
    let (_, rest) =
        rsa.sign(&claims()).split_once('.').map(|(head, rest)| (head.to_owned(), rest.to_owned())).unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    // `{"alg":"none","typ":"JWT","kid":"k1"}` and the same in other letters.
    let none = [
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoiazEifQ",
        "eyJhbGciOiJOb25lIiwidHlwIjoiSldUIiwia2lkIjoiazEifQ",
    ];
    for algorithms in [vec![Algorithm::Rs256], vec![Algorithm::Rs256, Algorithm::Hs256]] {
        let app = app(&folder.jwt().algorithms(algorithms).build().unwrap());
        let refused = come(&app, json!({ "token": confused })).await.unwrap_err();
        assert_eq!(refused, (401, "the token is signed in a way that is not taken".to_owned()));
        for header in none {
            for signature in ["", signature] {
                let token = format!("{header}.{body}.{signature}");
                assert_eq!(come(&app, json!({ "token": token })).await.unwrap_err().0, 401, "{token}");
            }
        }
        assert!(come(&app, json!({ "token": rsa.sign(&claims()) })).await.is_ok());
    }
    // A good signature in a way that was not asked for.
    let app = app(&folder.jwt().algorithms([Algorithm::Ps256]).build().unwrap());
    let refused = come(&app, json!({ "token": rsa.sign(&claims()) })).await.unwrap_err();
    assert_eq!(refused, (401, "the token is signed in a way that is not taken".to_owned()));
}

#[tokio::test]
async fn a_token_for_somebody_is_refused_by_who_does_not_say_who_it_is() {
    let signer = Signer::ec("k1");
    let folder = Folder::of(&signer);
    let jwt = JwtAuth::from_file(folder.file("k1.pem")).unwrap();
    let refused = come(&app(&jwt), json!({ "token": signer.sign(&claims()) })).await.unwrap_err();
    assert_eq!(refused, (401, "the token is for another audience".to_owned()));
    let token = signer.sign(&without("aud"));
    assert_eq!(come(&app(&jwt), json!({ "token": token })).await, Ok("ann".to_owned()));
}

#[tokio::test]
async fn place_and_claim_are_where_they_are_said_to_be() {
    let signer = Signer::ec("k1");
    let folder = Folder::of(&signer);
    let app = app(&folder.jwt().token_at("login.jwt").uid_claim("player").build().unwrap());
    let token = signer.sign(&with("player", "bob"));
    assert_eq!(come(&app, json!({ "login": { "jwt": token } })).await, Ok("bob".to_owned()));
    let refused = come(&app, json!({ "token": token })).await.unwrap_err();
    assert_eq!(refused.1, Refused::Missing.to_string());
}

#[test]
fn a_token_and_a_key_are_in_no_text_and_in_no_log() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || Page(writer.clone()))
        .finish();
    let (good, bad) = tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let signer = Signer::ec("k1");
            let folder = Folder::of(&signer);
            let jwt = folder.jwt().build().unwrap();
            let (app, good) = (app(&jwt), signer.sign(&claims()));
            let bad = signer.sign(&with("exp", in_secs(-60)));
            come(&app, json!({ "token": good })).await.unwrap();
            let refused = come(&app, json!({ "token": bad })).await.unwrap_err();
            tracing::info!(?jwt, ?refused, "said");
            (good, bad)
        })
    });
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(log.contains("said") && log.contains("dunlin"), "{log}");
    for token in [good, bad] {
        for part in token.split('.') {
            assert!(!log.contains(part), "{log}");
        }
    }
    assert!(!log.contains("BEGIN") && !log.contains("\"ann\""), "{log}");
}

struct Page(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
