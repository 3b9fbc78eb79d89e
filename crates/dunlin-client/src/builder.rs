//! How a client is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dunlin_wire::{ClientConfig, ClientSys};
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::client::{Client, Settings};
use crate::connect::Connector;
use crate::connection::Connection;
use crate::driver::Driver;
use crate::error::ConnectError;
use crate::limits::{
    COMMAND_QUEUE_DEFAULT, CONNECT_TIMEOUT_DEFAULT, PUSH_QUEUE_DEFAULT, READ_LEN_DEFAULT,
    REQUEST_TIMEOUT_DEFAULT,
};
use crate::push::Pushes;
use crate::reconnect::Reconnect;
use crate::shared::Shared;
use crate::tls::TlsSettings;
use crate::url::Address;

/// Makes a [`Client`]. Everything but the address has a default.
#[must_use = "a builder does nothing before `connect`"]
pub struct ClientBuilder {
    url: String,
    protocol: ClientConfig,
    connect_timeout: Duration,
    request_timeout: Duration,
    reconnect: Option<Reconnect>,
    tls: TlsSettings,
    headers: Vec<(String, String)>,
    origin: Option<String>,
    command_queue: usize,
    push_queue: usize,
    read_len: usize,
    shared: Arc<Shared>,
}

impl fmt::Debug for ClientBuilder {
    // The handshake data and the headers may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            protocol: ClientConfig::default(),
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            request_timeout: REQUEST_TIMEOUT_DEFAULT,
            reconnect: None,
            tls: TlsSettings::default(),
            headers: Vec::new(),
            origin: None,
            command_queue: COMMAND_QUEUE_DEFAULT,
            push_queue: PUSH_QUEUE_DEFAULT,
            read_len: READ_LEN_DEFAULT,
            shared: Arc::new(Shared::new()),
        }
    }

    /// What the application says in the handshake, for example a login token. Nothing by default.
    pub fn user(mut self, user: Value) -> Self {
        self.protocol.user = user;
        self
    }

    /// What the client says of itself in the handshake. By default it is a dunlin client that takes error flags, UTF-8 and
    /// compressed bodies; say no capability it does not have.
    pub fn sys(mut self, sys: ClientSys) -> Self {
        self.protocol.sys = sys;
        self
    }

    /// How long connecting may take in all, from the name look-up to the server's handshake. 10 seconds by default.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take that does not say it itself. 10 seconds by default.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Comes back after a drop. By default a client does not.
    pub const fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// The longest packet body taken from the server, before and after inflating. 16 MiB - 1 by default.
    pub const fn body_len_max(mut self, len: usize) -> Self {
        self.protocol.body_len_max = len;
        self.protocol.inflated_len_max = len;
        self
    }

    /// The longest packet body sent. 16 MiB - 1 by default; servers usually take far less (nano 64 KiB).
    pub const fn send_body_len_max(mut self, len: usize) -> Self {
        self.protocol.body_len_out_max = len;
        self
    }

    /// How many requests may wait for their answers. 1024 by default.
    pub const fn in_flight_max(mut self, count: usize) -> Self {
        self.protocol.in_flight_max = count;
        self
    }

    /// How many calls may wait for the connection to take them; callers beyond that wait. 256 by default, at least 1.
    pub const fn command_queue(mut self, len: usize) -> Self {
        self.command_queue = len;
        self
    }

    /// How many pushes may wait in each subscription made from here on. 1024 by default, at least 1.
    pub const fn push_queue(mut self, len: usize) -> Self {
        self.push_queue = len;
        self
    }

    /// How many bytes are read at once; each connection keeps as many. 16 KiB by default, at least 1: fewer are for programs with
    /// thousands of clients.
    pub const fn read_buffer(mut self, len: usize) -> Self {
        self.read_len = len;
        self
    }

    /// A header of the WebSocket upgrade, for example `Authorization`.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The `Origin` of the WebSocket upgrade. By default there is none, as befits a program that is no browser.
    pub fn origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self
    }

    /// Trusts one more root certificate beside the public ones. No effect after [`ClientBuilder::tls_config`].
    pub fn root_certificate(mut self, root: CertificateDer<'static>) -> Self {
        self.tls.add_root(root);
        self
    }

    /// TLS settings of the caller's own, instead of the public roots.
    pub fn tls_config(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = TlsSettings::Custom(config);
        self
    }

    /// Listens to one route before connecting, so that not even a push right after the handshake is missed.
    pub fn subscribe(&mut self, route: &str) -> Pushes {
        self.shared.subscriptions.subscribe(Some(route), self.push_queue)
    }

    /// As [`ClientBuilder::subscribe`], to every route.
    pub fn subscribe_all(&mut self) -> Pushes {
        self.shared.subscriptions.subscribe(None, self.push_queue)
    }

    /// Connects and shakes hands, in a tokio runtime with IO and time. A first connection that fails is not tried again: only a
    /// connection that once stood is come back to.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says which step failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future closes what was opened.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let connector = self.connector()?;
        let connection = connector.connect().await?;
        Ok(self.start(connector, connection))
    }

    /// Connects over a stream that is already open: a Unix socket, a tunnel, one end of a pipe in a test. The address only says
    /// how to speak on it; TLS is left to the stream. A reconnect goes by the address.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says which step failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future closes the stream.
    pub async fn connect_over<S>(self, stream: S) -> Result<Client, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connector = self.connector()?;
        let connection = connector.connect_over(Box::new(stream)).await?;
        Ok(self.start(connector, connection))
    }

    fn connector(&self) -> Result<Connector, ConnectError> {
        let address = Address::parse(&self.url)?;
        let tls =
            if address.is_tls { Some(self.tls.build().map_err(ConnectError::TlsConfig)?) } else { None };
        let mut protocol = self.protocol.clone();
        // The deadline of connecting as a whole is kept outside; the protocol's own must not come before it.
        protocol.handshake_timeout_ms = u64::MAX;
        Ok(Connector {
            address,
            tls,
            headers: self.headers.clone(),
            origin: self.origin.clone(),
            protocol,
            timeout: self.connect_timeout,
            read_len: self.read_len,
        })
    }

    fn start(self, connector: Connector, connection: Connection) -> Client {
        let (sender, commands) = mpsc::channel(self.command_queue.max(1));
        let settings = Settings {
            request_timeout: self.request_timeout,
            push_queue: self.push_queue,
            body_len_out_max: self.protocol.body_len_out_max,
        };
        let shared = self.shared;
        Driver::announce(&shared, &connection, 1);
        let driver = Driver { connector, reconnect: self.reconnect, commands, shared: Arc::clone(&shared) };
        tokio::spawn(driver.run(connection));
        Client::new(sender, shared, settings)
    }
}
