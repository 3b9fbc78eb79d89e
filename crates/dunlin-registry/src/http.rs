//! The registry over HTTP: the four routes of etcd's example program, with honest answers.
//!
//! | request | what it does | answers |
//! |---|---|---|
//! | `PUT /key`, the value as body | puts the key | 204 when it is committed |
//! | `GET /key` | reads it, linearizable; with `?stale` what this member has | 200 and the value, 404 |
//! | `POST /id`, a URL as body | adds the member, which votes as soon as it has learnt | 204 when it is committed |
//! | `DELETE /id` | removes the member for ever | 204 when it is committed |
//!
//! A key is the path without its first slash, percent-decoded; an id is a decimal number, or a hexadecimal one after `0x`. What fails says why
//! in one line: 400 for what is no key, id or URL, 409 for a change of members that is refused, 413 for what is too long, 503 for what may
//! succeed later, 504 for what took too long and may have been done, 507 for a full store.
//!
//! There is no authentication here: serve it on the loopback, or behind something that has.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::driver::ChangeError;
use crate::error::{RegistryError, chain};
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_TIMEOUT, VALUE_LEN_MAX};
use crate::local::LocalRegistry;
use crate::registry::{Consistency, RegistryExt as _};
use crate::store::{Member, StoreError};

type Answer = Response<Full<Bytes>>;

/// Without descriptors, trying again at once would only burn a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the routes until `shutdown` is ready; what is being answered then is cut off.
///
/// # Cancel safety
///
/// Dropping the future closes the listener; connections that are open go on until they are idle for too long.
pub async fn serve(registry: LocalRegistry, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let (places, stop) = (Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX)), CancellationToken::new());
    let connections = TaskTracker::new();
    let accepting = async {
        // A closed semaphore would end it, and nobody closes it.
        while let Ok(place) = places.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (serving, stop) = (serve_connection(registry.clone(), stream), stop.clone());
                    connections.spawn(async move {
                        stop.run_until_cancelled(serving).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    stop.cancel();
    connections.close();
    connections.wait().await;
}

async fn serve_connection(registry: LocalRegistry, stream: TcpStream) {
    // A socket that cannot be set up works all the same, if slower.
    stream.set_nodelay(true).ok();
    let service = hyper::service::service_fn(move |request| {
        let registry = registry.clone();
        async move { Ok::<_, Infallible>(answer(&registry, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn answer(registry: &LocalRegistry, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let name = head.uri.path().strip_prefix('/').unwrap_or_default().to_owned();
    match head.method {
        Method::PUT => put(registry, &name, body).await,
        Method::GET => get(registry, &name, head.uri.query()).await,
        Method::POST => add(registry, &name, body).await,
        Method::DELETE => remove(registry, &name).await,
        _ => {
            let mut answer = say(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
            for method in ["PUT", "GET", "POST", "DELETE"] {
                answer.headers_mut().append(ALLOW, HeaderValue::from_static(method));
            }
            answer
        }
    }
}

async fn put(registry: &LocalRegistry, name: &str, body: Incoming) -> Answer {
    let value = match read(body).await {
        Ok(value) => value,
        Err(refusal) => return refusal,
    };
    done(registry.put(key(name), value, 0).await)
}

async fn get(registry: &LocalRegistry, name: &str, query: Option<&str>) -> Answer {
    let is_stale = query.is_some_and(|query| query.split('&').any(|part| part == "stale"));
    let consistency = if is_stale { Consistency::Stale } else { Consistency::Linearizable };
    match registry.get(key(name), consistency).await {
        Ok(Some(entry)) => Response::new(Full::new(entry.value)),
        Ok(None) => say(StatusCode::NOT_FOUND, "there is no such key"),
        Err(error) => refuse(&error),
    }
}

async fn add(registry: &LocalRegistry, name: &str, body: Incoming) -> Answer {
    let Some(id) = id(name) else { return say(StatusCode::BAD_REQUEST, "the path is no id of a member") };
    let url = match read(body).await {
        Ok(url) => url,
        Err(refusal) => return refusal,
    };
    let url = std::str::from_utf8(&url).map(str::trim).unwrap_or_default();
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return say(StatusCode::BAD_REQUEST, "the body is no URL of a member");
    }
    let member = Member { id, urls: vec![url.to_owned()], ..Member::default() };
    done(registry.add_member(&member).await)
}

async fn remove(registry: &LocalRegistry, name: &str) -> Answer {
    match id(name) {
        Some(id) => done(registry.remove_member(id).await),
        None => say(StatusCode::BAD_REQUEST, "the path is no id of a member"),
    }
}

fn key(name: &str) -> Bytes {
    percent_decode_str(name).collect::<Vec<u8>>().into()
}

fn id(name: &str) -> Option<u64> {
    let id = match name.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => name.parse(),
    };
    id.ok().filter(|id| *id != 0)
}

async fn read(body: Incoming) -> Result<Bytes, Answer> {
    let reading = Limited::new(body, VALUE_LEN_MAX).collect();
    match tokio::time::timeout(HTTP_TIMEOUT, reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(say(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is over {VALUE_LEN_MAX} bytes")))
        }
        Ok(Err(_)) => Err(say(StatusCode::BAD_REQUEST, "the body could not be read")),
        Err(_) => Err(say(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

fn done<T>(result: Result<T, RegistryError>) -> Answer {
    match result {
        Ok(_) => {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        }
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &RegistryError) -> Answer {
    let status = match error {
        RegistryError::NoLeader | RegistryError::Overloaded | RegistryError::Stopped => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        RegistryError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        RegistryError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        RegistryError::Store(StoreError::Full { .. }) => StatusCode::INSUFFICIENT_STORAGE,
        RegistryError::Store(StoreError::KeyTooLong { .. } | StoreError::ValueTooLong { .. }) => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        RegistryError::Store(_) | RegistryError::Compacted(_) => StatusCode::BAD_REQUEST,
        // A moment later a leader knows more, and what is on its way is over.
        RegistryError::Change(
            ChangeError::Overloaded | ChangeError::OneAtATime | ChangeError::Quorum { .. },
        ) => StatusCode::SERVICE_UNAVAILABLE,
        RegistryError::Change(_) | RegistryError::Member(_) | RegistryError::Refused { .. } => {
            StatusCode::CONFLICT
        }
        RegistryError::NoAnswer => StatusCode::BAD_GATEWAY,
    };
    say(status, &chain(error))
}

fn say(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::from(format!("{text}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
