//! The admin listener: metrics for Prometheus, liveness and readiness for whoever runs the process. Never on a public
//! address; nothing in it names a caller, a session or a token.

use std::{net::TcpListener as StdListener, sync::Arc};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use pingora::{
    server::{ListenFds, ShutdownWatch},
    services::Service,
};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::gateway::Gateway;

/// The admin listener as a Pingora service, with a thread of its own: it answers when the gateway is busy.
pub(crate) struct Admin {
    socket: Option<StdListener>,
    gateway: Arc<Gateway>,
}

impl Admin {
    /// Serves on a bound socket.
    pub(crate) fn new(socket: StdListener, gateway: Arc<Gateway>) -> Self {
        Self {
            socket: Some(socket),
            gateway,
        }
    }
}

#[async_trait]
impl Service for Admin {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let Some(socket) = self.socket.take() else {
            return;
        };
        let served = match TcpListener::from_std(socket) {
            Ok(socket) => {
                // A successor's pages are asked for at the same socket.
                axum::serve(socket, router(self.gateway.clone()))
                    .with_graceful_shutdown(self.gateway.clone().is_handed_over())
                    .await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::error!("the admin listener failed: {error}");
        }
    }

    fn name(&self) -> &str {
        "admin"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(gateway)
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    for keys in gateway.snapshot().keys.values() {
        keys.observe_age();
    }
    let text = gateway.metrics().render();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}

/// The readiness page: ready when the listeners are bound and every issuer has been asked once. An issuer without keys
/// takes down its own resources only, so it shows here without making the process unready.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    draining: bool,
    issuers: Vec<IssuerState>,
}

#[derive(Serialize)]
struct IssuerState {
    name: String,
    keys: usize,
    state: &'static str,
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let snapshot = gateway.snapshot();
    let issuers = snapshot.keys.values();
    let tried = issuers.clone().all(|keys| keys.was_tried());
    let ready = gateway.is_ready() && tried;
    let page = Readiness {
        ready,
        draining: gateway.is_draining(),
        issuers: issuers.map(|keys| state(keys)).collect(),
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(page))
}

fn state(keys: &crate::outbound::jwks::IssuerKeys) -> IssuerState {
    let usable = keys.usable();
    IssuerState {
        name: keys.name().to_owned(),
        keys: usable.as_ref().map_or(0, |state| state.keys().len()),
        state: match (keys.was_tried(), usable) {
            (_, Some(_)) => "ok",
            (true, None) => "no usable keys",
            (false, None) => "not asked yet",
        },
    }
}
