//! The probes of a manifest in place, behind what the endpoints ask of them.

use std::os::fd::OwnedFd;

use anyhow::Context;
use probe::interface::Interface;
use probe::metrics::{Families, Value, labels};
use probe_http::{Config, HttpProbe, report};

use crate::exchange_log::ExchangeLog;
use crate::manifest::{Control, Manifest};

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The media type to send it as.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[derive(Debug)]
struct Attached {
    name: String,
    probe: HttpProbe,
    log: Option<ExchangeLog>,
    idle_ns: u64,
}

/// All attached probes. Dropping it detaches them.
#[derive(Debug)]
pub struct Service {
    attached: Vec<Attached>,
    /// Why the daemon is not ready; empty when it is.
    unready: Vec<String>,
    /// Keeps the kernel counting runs.
    _stats: Option<OwnedFd>,
}

fn monotonic_ns() -> u64 {
    // The clock of bpf_ktime_get_ns. It exists on every Linux; 0 would only keep idle connections.
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map_or(0, |now| {
        (now.tv_sec() as u64) * 1_000_000_000 + now.tv_nsec() as u64
    })
}

impl Service {
    /// Attaches every probe, proves that each runs, and gives up the privileges that took.
    ///
    /// # Errors
    /// When a probe cannot be attached; nothing stays attached then. A probe that is silent makes the service unready
    /// instead.
    pub fn start(manifests: &[Manifest]) -> anyhow::Result<Self> {
        // Only before Linux 5.11 does the limit matter, and there a load that fails for it says so.
        if let Err(limit_bytes) = probe::memlock::raise() {
            tracing::debug!("RLIMIT_MEMLOCK stays at {limit_bytes} bytes: raising it needs CAP_SYS_RESOURCE");
        }
        let stats = probe::loader::enable_stats()
            .inspect_err(|error| {
                tracing::warn!("no program statistics ({error}): they need CAP_SYS_ADMIN and Linux 5.8");
            })
            .ok();
        let mut service = Self {
            attached: Vec::new(),
            unready: Vec::new(),
            _stats: stats,
        };
        for manifest in manifests {
            service
                .attach(manifest)
                .with_context(|| format!("probe {:?}", manifest.metadata.name))?;
        }
        for attached in &service.attached {
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
        let spec = &manifest.spec;
        let log = match &spec.exchange_log {
            Some(path) => Some(
                ExchangeLog::create(path)
                    .with_context(|| format!("cannot create exchange log {}", path.display()))?,
            ),
            None => None,
        };
        let probe = HttpProbe::attach(Config {
            interface: Interface::by_name(&spec.interface)?,
            ports: spec.ports.clone(),
            max_connections: spec.max_connections,
            ring_buffer_bytes: spec.ring_buffer_bytes,
            exchange_log: log.is_some(),
            calibrate: spec.calibrate,
            wrong_pairing: spec.control == Some(Control::WrongPairing),
        })?;
        if spec.control.is_some() {
            tracing::warn!(
                "probe {:?} runs a negative control: its numbers are wrong on purpose",
                manifest.metadata.name
            );
        }
        let idle_ns = u64::from(spec.idle_seconds) * 1_000_000_000;
        self.attached.push(Attached {
            name: manifest.metadata.name.clone(),
            probe,
            log,
            idle_ns,
        });
        Ok(())
    }

    /// Whether maps and statistics can be read.
    pub fn can_read(&mut self) -> bool {
        self.attached
            .iter_mut()
            .all(|attached| attached.probe.read().is_ok())
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

    /// Takes what waits in ring buffers and writes the exchange logs.
    ///
    /// # Errors
    /// When a log cannot be written.
    pub fn drain(&mut self) -> anyhow::Result<()> {
        for attached in &mut self.attached {
            let exchanges = attached.probe.take_exchanges();
            if let Some(log) = &mut attached.log {
                log.append(&exchanges)
                    .with_context(|| format!("exchange log of probe {:?}", attached.name))?;
            }
        }
        Ok(())
    }

    /// How often [`Self::expire`] is worth calling.
    pub fn sweep_interval(&self) -> std::time::Duration {
        let shortest_ns = self
            .attached
            .iter()
            .map(|attached| attached.idle_ns)
            .min()
            .unwrap_or(u64::MAX);
        std::time::Duration::from_nanos(shortest_ns / 2)
    }

    /// Gives up idle connections.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn expire(&mut self) -> anyhow::Result<()> {
        let now_ns = monotonic_ns();
        for attached in &mut self.attached {
            attached.probe.expire(now_ns.saturating_sub(attached.idle_ns))?;
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
            labels([("version", env!("CARGO_PKG_VERSION"))]),
            Value::Gauge(1),
        );
        for attached in &mut self.attached {
            let reading = attached
                .probe
                .read()
                .with_context(|| format!("probe {:?}", attached.name))?;
            report::add(&mut families, attached.probe.config(), &reading);
        }
        self.drain()?;
        Ok(match format {
            Format::Prometheus => families.to_prometheus(),
            Format::OpenMetrics => families.to_openmetrics(),
        })
    }
}
