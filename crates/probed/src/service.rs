//! The probes of a manifest in place, behind what the endpoints ask of them.

use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, anyhow};
use probe::clock::monotonic_ns;
use probe::loader::Loader;
use probe::metrics::{Families, Value, labels};
use probe::{Failure, Probe};
use sysstate::Reading;

use crate::manifest::Manifest;
use crate::state::Live;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The families in this format.
    pub fn text(self, families: &Families) -> String {
        match self {
            Self::Prometheus => families.to_prometheus(),
            Self::OpenMetrics => families.to_openmetrics(),
        }
    }

    /// The media type to send it as.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

struct Attached {
    name: String,
    probe: Box<dyn Probe>,
}

impl Attached {
    /// Asks the probe something; an error says which probe it was.
    fn ask<T>(&mut self, what: impl FnOnce(&mut dyn Probe) -> Result<T, Failure>) -> anyhow::Result<T> {
        what(self.probe.as_mut()).map_err(|error| anyhow!(error).context(format!("probe {:?}", self.name)))
    }
}

/// All attached probes. Dropping it detaches them.
pub struct Service {
    attached: Vec<Attached>,
    loader: Loader,
    /// Why the daemon is not ready; empty when it is.
    unready: Vec<String>,
    /// Says what state the system is in, if that was asked for.
    live: Option<Live>,
    /// Keeps the kernel counting runs.
    _stats: Option<OwnedFd>,
}

impl Service {
    /// Attaches every probe, proves that each runs, and gives up the privileges that took.
    ///
    /// # Errors
    /// When a probe cannot be attached; nothing stays attached then. A probe that is silent makes the service unready
    /// instead.
    pub fn start(manifests: &[Manifest], loader: Loader) -> anyhow::Result<Self> {
        // Only before Linux 5.11 does the limit matter, and there a load that fails for it says so.
        if let Err(limit_bytes) = probe::memlock::raise() {
            tracing::debug!("RLIMIT_MEMLOCK stays at {limit_bytes} bytes: raising it needs CAP_SYS_RESOURCE");
        }
        let stats = probe::stats::enable()
            .inspect_err(|error| {
                tracing::warn!("no program statistics ({error}): they need CAP_SYS_ADMIN and Linux 5.8");
            })
            .ok();
        let mut service = Self {
            attached: Vec::new(),
            loader,
            unready: Vec::new(),
            live: None,
            _stats: stats,
        };
        for manifest in manifests {
            service
                .attach(manifest)
                .with_context(|| format!("probe {:?}", manifest.metadata.name))?;
        }
        for attached in &mut service.attached {
            if let Err(reason) = attached.probe.prove() {
                tracing::error!("probe {:?}: {reason}", attached.name);
                service
                    .unready
                    .push(format!("probe {:?}: {reason}", attached.name));
            }
        }
        Ok(service)
    }

    fn attach(&mut self, manifest: &Manifest) -> anyhow::Result<()> {
        let name = manifest.metadata.name.clone();
        if let Some(control) = manifest.spec.control() {
            tracing::warn!(
                "probe {name:?} runs the negative control {control}: its numbers are wrong on purpose"
            );
        }
        let probe = manifest.spec.start(self.loader).map_err(|error| anyhow!(error))?;
        self.attached.push(Attached { name, probe });
        Ok(())
    }

    /// Whether maps and statistics can be read.
    pub fn can_read(&mut self) -> bool {
        let mut families = Families::default();
        self.attached
            .iter_mut()
            .all(|attached| attached.probe.collect(&mut families).is_ok())
    }

    /// Why the daemon is not ready; empty when it is.
    pub fn unready(&self) -> &[String] {
        &self.unready
    }

    /// Descriptors that become readable when [`Self::drain`] has something to do.
    ///
    /// # Errors
    /// When this process has too many descriptors open.
    pub fn descriptors(&self) -> std::io::Result<Vec<OwnedFd>> {
        let mut descriptors = Vec::new();
        for attached in &self.attached {
            descriptors.extend(attached.probe.descriptors()?);
        }
        Ok(descriptors)
    }

    /// Takes what waits in ring buffers and writes the probes' logs.
    ///
    /// # Errors
    /// When a log cannot be written.
    pub fn drain(&mut self) -> anyhow::Result<()> {
        for attached in &mut self.attached {
            attached.ask(|probe| probe.drain())?;
        }
        Ok(())
    }

    /// How often [`Self::sweep`] is worth calling; nothing when no probe needs it.
    pub fn sweep_interval(&self) -> Option<Duration> {
        let intervals = self
            .attached
            .iter()
            .map(|attached| attached.probe.sweep_interval());
        intervals.flatten().min()
    }

    /// Has the probes forget what is gone.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn sweep(&mut self) -> anyhow::Result<()> {
        let now_ns = monotonic_ns();
        for attached in &mut self.attached {
            attached.ask(|probe| probe.sweep(now_ns))?;
        }
        Ok(())
    }

    /// From now on says what state the system is in.
    pub fn watch_state(&mut self, live: Option<Live>) {
        self.live = live;
    }

    /// How often [`Self::look`] is to be called; nothing when nobody asks for the state.
    pub fn window_interval(&self) -> Option<Duration> {
        self.live.as_ref().map(Live::every)
    }

    /// Ends a window of the system's state.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn look(&mut self) -> anyhow::Result<()> {
        let mut families = Families::default();
        for attached in &mut self.attached {
            attached.ask(|probe| probe.collect(&mut families))?;
        }
        let at_seconds = monotonic_ns() as f64 / 1e9;
        // The state is made of what a scrape would say, and so are recordings that a model is learnt from.
        let series = exposition::series(&families.to_openmetrics())?;
        if let Some(live) = &mut self.live {
            live.observe(Reading::new(at_seconds, &series));
        }
        Ok(())
    }

    /// All metrics as they are now; the exchange logs are brought up to the same moment.
    ///
    /// # Errors
    /// When a map cannot be read or a log cannot be written.
    pub fn scrape(&mut self, format: Format) -> anyhow::Result<String> {
        let mut families = Families::default();
        families.add(
            "probelab_build_info",
            "Which build this is.",
            labels([
                ("version", env!("CARGO_PKG_VERSION")),
                ("loader", &self.loader.to_string()),
            ]),
            Value::Gauge(1),
        );
        for attached in &mut self.attached {
            attached.ask(|probe| probe.collect(&mut families))?;
        }
        if let Some(live) = &self.live {
            live.add(&mut families);
        }
        self.drain()?;
        Ok(format.text(&families))
    }
}
