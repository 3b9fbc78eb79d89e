//! The routes of the port.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::middleware::{self, Next};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt as _};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::IntervalStream;

use crate::access::{Refused, admit};
use crate::limits::{BODY_LEN_MAX, ECHO_TIMEOUT, LOOK_INTERVAL};
use crate::state::{ClusterState, Here};
use crate::{Shared, actions, page, sessions, state};

/// Everything that is answered. What a probe asks for needs no token and tells nothing but yes or no.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .route("/admin/api/state", get(cluster))
        .route("/admin/api/here", get(here))
        .route("/admin/api/events", get(events))
        .route("/admin/api/sessions", get(sessions::list))
        .route("/admin/api/do/{action}", post(actions::act))
        .layer(middleware::from_fn_with_state(shared.clone(), guard));
    Router::new()
        .merge(guarded)
        .route("/", get(async || (StatusCode::SEE_OTHER, [(LOCATION, "/admin/")])))
        .route("/healthz", get(async || "the process lives\n"))
        .route("/readyz", get(ready))
        .route("/admin", get(async || (StatusCode::SEE_OTHER, [(LOCATION, "/admin/")])))
        .route("/admin/", get(page_index))
        .route("/admin/{name}", get(page_file))
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(middleware::map_response(async |mut response: Response| {
            response.headers_mut().extend(page::HEADERS.map(|(name, value)| (Some(name), value)));
            response
        }))
        .with_state(shared)
}

async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    match admit(shared.token.as_ref(), request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(Refused::Token) => {
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], "the token is missing or wrong\n")
                .into_response()
        }
        Err(Refused::Host) => (StatusCode::FORBIDDEN, "ask for localhost or 127.0.0.1\n").into_response(),
        Err(Refused::Change) => {
            (StatusCode::FORBIDDEN, "a change needs the header x-dunlin-change: 1\n").into_response()
        }
    }
}

async fn page_index() -> Result<Response, StatusCode> {
    page::file("").ok_or(StatusCode::NOT_FOUND)
}

async fn page_file(Path(name): Path<String>) -> Result<Response, StatusCode> {
    page::file(&name).filter(|_| !name.is_empty()).ok_or(StatusCode::NOT_FOUND)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    crate::watcher::measure(&shared);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.meters.text()).into_response()
}

/// Whether all nodes of the process serve: each of their shards answers from the loop that serves clients.
async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let not_ready = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    let nodes = shared.here();
    if nodes.is_empty() {
        return not_ready("no node has started");
    }
    for (_, node) in nodes {
        if let Err(error) = node.echo(ECHO_TIMEOUT).await {
            return not_ready(&error.to_string());
        }
    }
    (StatusCode::OK, "ready\n".to_owned())
}

async fn cluster(State(shared): State<Arc<Shared>>) -> Json<ClusterState> {
    Json(state::cluster(&shared).await)
}

async fn here(State(shared): State<Arc<Shared>>) -> Json<Here> {
    Json(state::here(&shared))
}

/// The state once a second, until the port stops or the page goes.
async fn events(
    State(shared): State<Arc<Shared>>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = shared.stop.clone();
    let states = IntervalStream::new(ticks).then(move |_| {
        let shared = shared.clone();
        async move {
            let state = state::cluster(&shared).await;
            Ok(sse::Event::default().event("state").json_data(state).unwrap_or_default())
        }
    });
    Sse::new(states.take_until(stop.cancelled_owned())).keep_alive(KeepAlive::default())
}
