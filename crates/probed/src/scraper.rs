//! Reads `/metrics` of a running daemon, for the commands that look at one. Knows nothing of what the metrics say.

use anyhow::{Context, ensure};
use exposition::Series;
use probe::clock::monotonic_ns;

use crate::client::Client;

/// A daemon, or anything else that serves metrics.
pub struct Scraper {
    url: String,
    client: Client,
}

impl Scraper {
    /// At `HOST:PORT`, or at a whole URL.
    pub fn new(client: Client, address: &str) -> Self {
        let url = if address.contains("://") {
            address.to_owned()
        } else {
            client.url(address, "/metrics")
        };
        Self { url, client }
    }

    /// When the answer came, in seconds of the monotonic clock, and its text.
    ///
    /// # Errors
    /// When nobody answers there, or not with metrics.
    pub fn text(&self) -> anyhow::Result<(f64, String)> {
        let doing = || format!("cannot read {}; is `probed run` running there?", self.url);
        let mut answer = self.client.get(&self.url).with_context(doing)?;
        let text = answer.body_mut().read_to_string().with_context(doing)?;
        let status = answer.status();
        ensure!(status.is_success(), "{}: {status}: {}", self.url, text.trim());
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
