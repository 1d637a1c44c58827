//! Reads `/metrics` of a running daemon, for the commands that look at one. Knows nothing of what the metrics say.

use std::time::Duration;

use anyhow::Context;
use exposition::Series;
use probe::clock::monotonic_ns;

const PATIENCE: Duration = Duration::from_secs(10);

/// A daemon, or anything else that serves metrics.
pub struct Scraper {
    url: String,
    agent: ureq::Agent,
}

impl Scraper {
    /// At `HOST:PORT`, or at a whole URL.
    pub fn new(address: &str) -> Self {
        let url = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}/metrics")
        };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            // What is asked is this machine or its neighbour.
            .proxy(None)
            .build();
        let agent = config.new_agent();
        Self { url, agent }
    }

    /// When the answer came, in seconds of the monotonic clock, and its text.
    ///
    /// # Errors
    /// When nobody answers there, or not with metrics.
    pub fn text(&self) -> anyhow::Result<(f64, String)> {
        let answer = self
            .agent
            .get(&self.url)
            .header("Accept", "application/openmetrics-text; version=1.0.0")
            .call()
            .and_then(|mut response| response.body_mut().read_to_string());
        let text =
            answer.with_context(|| format!("cannot read {}; is `probed run` running there?", self.url))?;
        Ok((monotonic_ns() as f64 / 1e9, text))
    }

    /// The same, read.
    ///
    /// # Errors
    /// As for [`Self::text`].
    pub fn series(&self) -> anyhow::Result<(f64, Vec<Series>)> {
        let (at_seconds, text) = self.text()?;
        let series = exposition::series(&text).with_context(|| self.url.clone())?;
        Ok((at_seconds, series))
    }
}
