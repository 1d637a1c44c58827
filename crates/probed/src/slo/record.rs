//! The history that the daemon keeps in memory while it runs, and serves as `/slo/samples`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use slo::{ClientErrors, History, Milliseconds, Names, Scrape};

use super::objectives::{Objectives, Store};
use crate::endpoints::Shared;
use crate::service::Format;

/// Takes readings and keeps them.
#[derive(Debug, Clone)]
pub struct Recorder {
    history: Arc<Mutex<History>>,
    names: Names,
    step: Duration,
    clock: Clock,
}

/// A clock that begins with the wall's time and never jumps: a clock that is set must not move a window's edge.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    began_unix_ms: Milliseconds,
}

impl Clock {
    /// Begins now.
    pub fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            began: Instant::now(),
            began_unix_ms: milliseconds(since_1970),
        }
    }

    /// The time, in milliseconds since 1970.
    pub fn unix_ms(&self) -> Milliseconds {
        self.began_unix_ms + milliseconds(self.began.elapsed())
    }
}

fn milliseconds(duration: Duration) -> Milliseconds {
    Milliseconds::try_from(duration.as_millis()).unwrap_or(Milliseconds::MAX)
}

impl Recorder {
    /// For the objectives of a file; without one, for those that were synced.
    ///
    /// # Errors
    /// When there are none, or they are no good.
    pub fn of(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let path = match file {
            Some(path) => path,
            None => Store::usual().synced()?,
        };
        // Which statuses are good does not change which series they are counted by.
        let objectives = Objectives::read(&path, ClientErrors::default())?;
        Ok(Self {
            history: Arc::new(Mutex::new(objectives.history())),
            step: Duration::from_millis(objectives.step_ms().unsigned_abs()),
            names: objectives.names,
            clock: Clock::now(),
        })
    }

    /// Takes a reading now.
    fn sample(&self, service: &Shared) -> anyhow::Result<()> {
        let text = {
            let mut service = service.lock().unwrap_or_else(PoisonError::into_inner);
            service.scrape(Format::OpenMetrics)?
        };
        let scrape = Scrape::read(&text, self.clock.unix_ms(), &self.names)?;
        self.history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(scrape);
        Ok(())
    }

    /// Takes readings for ever. Without a recorder there is nothing to do, for ever.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub async fn follow(recorder: Option<&Self>, service: &Shared) -> anyhow::Result<()> {
        let Some(recorder) = recorder else {
            return std::future::pending().await;
        };
        let mut ticks = tokio::time::interval(recorder.step);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            recorder.sample(service)?;
        }
    }

    /// Serves the history, brought up to the moment it is asked for.
    pub fn router(&self, service: Shared) -> Router {
        let recorder = self.clone();
        let samples = move || {
            let answer = recorder.answer(&service);
            async { answer }
        };
        Router::new().route("/slo/samples", get(samples))
    }

    fn answer(&self, service: &Shared) -> Response {
        if let Err(error) = self.sample(service) {
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response();
        }
        let text = self
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .to_text();
        ([(header::CONTENT_TYPE, Format::OpenMetrics.content_type())], text).into_response()
    }
}
