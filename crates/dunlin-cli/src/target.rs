//! The server that `client` and `bench` connect to, and who one is to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use dunlin_client::{Client, ClientBuilder};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::client::Failure;
use crate::values::some_time;

/// How long connecting and answers may take when nothing else is said.
pub(crate) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// A server that speaks the protocol of nano.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// Where the server is: ws://, wss://, tcp:// or tls://, with a port
    pub(crate) url: String,

    /// A login token: the handshake says {"token": TOKEN} to the application
    #[arg(long, global = true, value_name = "TOKEN", env = "DUNLIN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,

    /// What else the handshake says to the application
    #[arg(long, global = true, value_name = "JSON", value_parser = json)]
    pub(crate) user: Option<Value>,

    /// One more authority to trust, a PEM file, for wss and tls
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_authority: Option<PathBuf>,

    /// How long connecting and an answer may take [default: 10s]
    #[arg(long, global = true, value_name = "TIME", value_parser = some_time)]
    pub(crate) timeout: Option<Duration>,

    /// Output as JSON, one value a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Target {
    /// All that clients of this server need, read and checked once.
    pub(crate) fn prepared(&self) -> Result<Prepared, Failure> {
        self.prepare().map_err(|error| Failure::input(format!("{error:#}")))
    }

    fn prepare(&self) -> Result<Prepared> {
        let is_tls = ["wss://", "tls://"].iter().any(|scheme| self.url.starts_with(scheme));
        Ok(Prepared {
            url: self.url.clone(),
            user: self.user()?,
            timeout: self.timeout(),
            tls: is_tls.then(|| self.tls()).transpose()?,
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT_DEFAULT)
    }

    /// Trusts the public authorities, and the one that is named.
    fn tls(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = &self.tls_authority {
            let unread = || format!("the authority's certificate cannot be read from {}", path.display());
            let certificate = CertificateDer::from_pem_file(path).with_context(unread)?;
            roots.add(certificate).with_context(unread)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS cannot be set up")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// What the handshake says to the application.
    fn user(&self) -> Result<Value> {
        let user = self.user.clone().unwrap_or(Value::Null);
        let Some(token) = &self.token else { return Ok(user) };
        match user {
            Value::Null => Ok(json!({ "token": token })),
            Value::Object(mut fields) => {
                fields.insert("token".to_owned(), token.as_str().into());
                Ok(fields.into())
            }
            _ => bail!(
                "--token is put into what --user says, which must be an object such as {{\"name\":\"ann\"}}"
            ),
        }
    }
}

/// A server that any number of clients can connect to.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    url: String,
    user: Value,
    timeout: Duration,
    tls: Option<Arc<ClientConfig>>,
}

impl Prepared {
    /// A client that is not connected yet.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let builder = Client::builder(&self.url)
            .user(self.user.clone())
            .connect_timeout(self.timeout)
            .request_timeout(self.timeout);
        match &self.tls {
            Some(tls) => builder.tls_config(Arc::clone(tls)),
            None => builder,
        }
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(token: Option<&str>, user: Option<Value>) -> Result<Value> {
        let token = token.map(str::to_owned);
        let url = "ws://127.0.0.1:1/".to_owned();
        Target { url, token, user, tls_authority: None, timeout: None, json: false }.user()
    }

    #[test]
    fn a_token_is_a_field_of_what_the_user_says() {
        assert_eq!(user(None, None).unwrap(), Value::Null);
        assert_eq!(user(None, Some(json!([1]))).unwrap(), json!([1]));
        assert_eq!(user(Some("t"), None).unwrap(), json!({ "token": "t" }));
        assert_eq!(user(Some("t"), Some(json!({ "a": 1 }))).unwrap(), json!({ "a": 1, "token": "t" }));
        assert!(user(Some("t"), Some(json!([1]))).is_err());
    }
}
