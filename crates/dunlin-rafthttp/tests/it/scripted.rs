//! A peer that writes down what it is asked and answers as it is told.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What a request is answered with; `None`: nothing, ever.
pub(crate) type Answer = Option<Response<Full<Bytes>>>;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<(Parts, Bytes)>>>,
}

impl Scripted {
    pub(crate) async fn start(answer: impl Fn(&Parts) -> Answer + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let scripted = Self { url, asked: Arc::default() };
        let asked = scripted.asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, answer) = (asked.clone(), answer.clone());
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let (asked, answer) = (asked.clone(), answer.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                        let answered = answer(&head);
                        asked.lock().unwrap().push((head, body));
                        match answered {
                            Some(answered) => Ok::<_, Infallible>(answered),
                            None => std::future::pending().await,
                        }
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async { connection.await.ok() });
            }
        });
        scripted
    }

    /// One that answers everything with this status and with no version.
    pub(crate) async fn answering(status: StatusCode) -> Self {
        Self::start(move |_| Some(with_status(status))).await
    }

    /// What was posted to it.
    pub(crate) fn posts(&self) -> Vec<(Parts, Bytes)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(head, _)| head.method == http::Method::POST).cloned().collect()
    }

    /// What it was asked on this path.
    pub(crate) fn asked(&self, path: &str) -> Vec<(Parts, Bytes)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(head, _)| head.uri.path().starts_with(path)).cloned().collect()
    }
}

pub(crate) fn with_status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// With a version, so that a dialer looks at the status.
pub(crate) fn with_version(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = with_status(status);
    response.headers_mut().insert("x-server-version", "3.5.0".parse().unwrap());
    response
}
