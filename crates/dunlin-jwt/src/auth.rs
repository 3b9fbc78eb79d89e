//! The validator: finds the token of a handshake, checks it, and binds the session to the user it names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use dunlin::{Admission, Admitted, HandshakeRequest, Refusal, Session};
use futures_util::future::BoxFuture;
use jsonwebtoken::Validation;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::keys::{KeyError, KeySet, Mark, mark};
use crate::refused::Refused;

/// The longest token that is looked at. Theirs have some hundred bytes, with many claims some thousand.
const TOKEN_LEN_MAX: usize = 16 * 1024;
/// How often it is looked whether the keys have changed, when clients come.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The claims of a token that let its client in, kept with the session: handlers read them with `Session::get`.
#[derive(Clone, PartialEq)]
pub struct Claims(Arc<Map<String, Value>>);

impl Claims {
    /// One claim.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// Claims may be private, so only their names are said.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Lets clients in by tokens that somebody else has signed.
///
/// ```no_run
/// use dunlin::App;
/// use dunlin_jwt::{Algorithm, JwtAuth};
///
/// # fn main() -> Result<(), dunlin_jwt::KeyError> {
/// let jwt = JwtAuth::builder("/etc/dunlin/keys.json")
///     .algorithms([Algorithm::Es256])
///     .issuer("https://login.example")
///     .audience("game")
///     .build()?;
/// let app = App::new().validate(jwt.validator());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct JwtAuth(Arc<Inner>);

struct Inner {
    path: PathBuf,
    rules: Rules,
    keys: RwLock<KeySet>,
    seen: Mutex<Seen>,
}

/// What was seen of the files, and when it was looked last.
struct Seen {
    mark: Mark,
    looked_at: Instant,
}

/// What a token must be.
struct Rules {
    algorithms: Vec<Algorithm>,
    validation: Validation,
    /// Where it is, from the handshake's `user` on.
    token_at: Vec<String>,
    uid_claim: String,
}

/// Says what tokens must be; ends with [`build`](Self::build).
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    path: PathBuf,
    algorithms: Vec<Algorithm>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    leeway: Duration,
    token_at: Vec<String>,
    uid_claim: String,
}

impl Builder {
    /// The algorithms that are taken. Default: RS256, ES256 and EdDSA. A token that names another one is refused, and so is one
    /// whose algorithm is not for the kind of the key.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Who must have issued a token (`iss`); said again, one of them. Default: anybody who has the key.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Whom a token must be for (`aud`); said again, one of them. Without it tokens that are for somebody are refused.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// How far clocks may differ. Default 10 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Where the token is in what the client program adds to its handshake (`user`), with dots between names. Default `token`.
    pub fn token_at(mut self, place: &str) -> Self {
        self.token_at = place.split('.').map(str::to_owned).collect();
        self
    }

    /// The claim that names the user, a text or a whole number. Default `sub`.
    pub fn uid_claim(mut self, claim: impl Into<String>) -> Self {
        self.uid_claim = claim.into();
        self
    }

    /// Reads the keys.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when there are none that fit.
    pub fn build(self) -> Result<JwtAuth, KeyError> {
        let mark = mark(&self.path);
        let keys = read(&self.path, &self.algorithms)?;
        let mut required = vec!["exp"];
        let leeway = self.leeway.as_secs();
        let mut validation = Validation { validate_nbf: true, leeway, ..Validation::default() };
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            required.push("iss");
        }
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        let Self { path, algorithms, token_at, uid_claim, .. } = self;
        let rules = Rules { algorithms, validation, token_at, uid_claim };
        let seen = Mutex::new(Seen { mark, looked_at: Instant::now() });
        Ok(JwtAuth(Arc::new(Inner { path, rules, keys: RwLock::new(keys), seen })))
    }
}

impl JwtAuth {
    /// Tokens with the keys of a file or folder, all else by default: RS256, ES256 and EdDSA, `exp` and `sub` required.
    ///
    /// # Errors
    ///
    /// As of [`Builder::build`].
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, KeyError> {
        Self::builder(path).build()
    }

    /// Tokens with the keys of a file or folder: a key set (JWKS), a public key in PEM, or a folder with a file `NAME.pem` for
    /// each key, NAME being what tokens call it (`kid`). Keys are read again when they changed: add the new one, sign with it
    /// once all servers have it, and take the old one away when its last token has expired.
    pub fn builder(path: impl Into<PathBuf>) -> Builder {
        Builder {
            path: path.into(),
            algorithms: Algorithm::DEFAULT.to_vec(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(10),
            token_at: vec!["token".to_owned()],
            uid_claim: "sub".to_owned(),
        }
    }

    /// What `App::validate` takes. A client without a good token is refused with code 401 and told why; the session of another
    /// is bound to its user and has the [`Claims`].
    pub fn validator(
        &self,
    ) -> impl Fn(Session, HandshakeRequest) -> BoxFuture<'static, Admission> + Send + Sync + use<> {
        let auth = self.clone();
        move |session, handshake| {
            let auth = auth.clone();
            Box::pin(async move { auth.admit(&session, &handshake).await })
        }
    }

    /// The same, to be called from a validator that has more to say.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that the client is to be told.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the session may be bound already.
    pub async fn admit(&self, session: &Session, handshake: &HandshakeRequest) -> Admission {
        self.refresh().await;
        let claims = self.verify(handshake)?;
        let uid = self.uid(&claims)?;
        session.bind(uid).await.map_err(|error| Refusal::new(500, error.to_string()))?;
        // A session that has ended meanwhile has no use for them.
        session.set(claims);
        Ok(Admitted::new())
    }

    /// Checks the token of a handshake, with the keys that were read last.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn verify(&self, handshake: &HandshakeRequest) -> Result<Claims, Refused> {
        let names = &self.0.rules.token_at;
        let token = names.iter().try_fold(&handshake.user, |value, name| value.get(name));
        let token =
            token.and_then(Value::as_str).filter(|token| !token.is_empty()).ok_or(Refused::Missing)?;
        if token.len() > TOKEN_LEN_MAX {
            return Err(Refused::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| Refused::of(&error))?;
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.find(header.kid.as_deref()).ok_or(Refused::UnknownKey)?;
        let mut validation = self.0.rules.validation.clone();
        validation.algorithms.clone_from(&key.algorithms);
        let token = jsonwebtoken::decode::<Map<String, Value>>(token, &key.key, &validation);
        Ok(Claims(Arc::new(token.map_err(|error| Refused::of(&error))?.claims)))
    }

    /// Reads the keys now, as is done when clients come and files have changed.
    ///
    /// # Errors
    ///
    /// [`KeyError`]; then the keys stay as they were.
    pub fn reload(&self) -> Result<(), KeyError> {
        let mark = mark(&self.0.path);
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).mark = mark;
        self.0.reload()
    }

    fn uid(&self, claims: &Claims) -> Result<String, Refused> {
        let claim = &self.0.rules.uid_claim;
        match claims.get(claim) {
            Some(Value::String(uid)) if !uid.is_empty() => Ok(uid.clone()),
            Some(Value::Number(uid)) if uid.is_i64() || uid.is_u64() => Ok(uid.to_string()),
            _ => Err(Refused::Claim { claim: claim.clone() }),
        }
    }

    /// Reads the keys again if they have changed and it was not looked a moment ago. Files are read on a thread for such things.
    async fn refresh(&self) {
        {
            let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.looked_at.elapsed() < LOOK_INTERVAL {
                return;
            }
            seen.looked_at = Instant::now();
        }
        let inner = self.0.clone();
        // Should reading panic, the keys stay as they are.
        tokio::task::spawn_blocking(move || inner.reload_if_changed()).await.ok();
    }
}

impl Inner {
    fn reload_if_changed(&self) {
        let now = mark(&self.path);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.mark == now {
                return;
            }
            // Also when they cannot be read: that is said once and not with every client.
            seen.mark = now;
        }
        match self.reload() {
            Ok(()) => {
                tracing::info!(path = %self.path.display(), "keys of tokens have changed and were read again");
            }
            Err(error) => {
                tracing::error!(%error, "changed keys of tokens cannot be used; the old ones stay");
            }
        }
    }

    fn reload(&self) -> Result<(), KeyError> {
        let keys = read(&self.path, &self.rules.algorithms)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

fn read(path: &Path, algorithms: &[Algorithm]) -> Result<KeySet, KeyError> {
    let known: Vec<_> = algorithms.iter().map(|algorithm| algorithm.known()).collect();
    KeySet::read(path, &known)
}

/// Without keys.
impl fmt::Debug for JwtAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuth")
            .field("path", &self.0.path)
            .field("algorithms", &self.0.rules.algorithms)
            .finish_non_exhaustive()
    }
}
