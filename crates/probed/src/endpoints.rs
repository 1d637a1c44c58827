//! The HTTP endpoints: `/metrics`, `/ready`, `/healthz`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::service::{Format, Service};

/// The service, shared by the tasks of one thread.
pub type Shared = Arc<Mutex<Service>>;

/// The routes.
pub fn router(service: Shared) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/ready", get(ready))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(service)
}

/// OpenMetrics when the client names it and does not refuse it by `q=0`, else Prometheus text.
fn negotiate(accept: &str) -> Format {
    let wants_openmetrics = accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts
            .next()
            .is_some_and(|media| media.eq_ignore_ascii_case("application/openmetrics-text"))
            && !parts.any(|parameter| {
                parameter
                    .strip_prefix("q=")
                    .and_then(|quality| quality.parse::<f32>().ok())
                    .is_some_and(|quality| quality == 0.0)
            })
    });
    if wants_openmetrics {
        Format::OpenMetrics
    } else {
        Format::Prometheus
    }
}

async fn metrics(State(service): State<Shared>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let format = negotiate(accept);
    match service
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .scrape(format)
    {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

async fn ready(State(service): State<Shared>) -> Response {
    let service = service.lock().unwrap_or_else(PoisonError::into_inner);
    if service.unready().is_empty() {
        return "ready\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        service.unready().join("\n") + "\n",
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_only_on_request() {
        for (accept, format) in [
            ("", Format::Prometheus),
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", Format::Prometheus),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;q=0.5",
                Format::OpenMetrics,
            ),
            ("text/plain, Application/OpenMetrics-Text", Format::OpenMetrics),
            ("application/openmetrics-text;q=0, text/plain", Format::Prometheus),
        ] {
            assert_eq!(negotiate(accept), format, "{accept}");
        }
    }
}
