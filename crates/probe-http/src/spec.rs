//! What a manifest says about this probe, and the probe as the daemon keeps it.

use std::{io, os::fd::OwnedFd, path::PathBuf, time::Duration};

use probe::{
    Failure, Probe,
    clock::nanoseconds,
    interface::Interface,
    loader::Loader,
    metrics::Families,
    range::{at_least_1, ring_buffer_bytes},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    bounds::Bounds,
    exchange_log::ExchangeLog,
    exemplars::Exemplars,
    kernel::{Config, HttpProbe},
    report,
    types::HTTP_MAX_PORTS,
};

/// What an HTTP probe watches.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// The network interface, in the daemon's network namespace.
    pub interface: String,
    /// Server ports, one to eight.
    pub ports: Vec<u16>,
    /// Connections followed at the same time; those beyond are counted as lost.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
    /// Where to write one JSON line per finished request.
    pub exchange_log: Option<PathBuf>,
    /// Attach an empty program beside the probe, to show what a hook costs by itself.
    #[serde(default)]
    pub calibrate: bool,
    /// Bounds of the duration histograms beside the advised ones, up to four: what an objective asks about.
    #[serde(default)]
    pub bucket_bounds_seconds: Vec<f64>,
    /// Size of each ring buffer: a power of two, at least 4096.
    #[serde(default = "default_ring_buffer_bytes")]
    pub ring_buffer_bytes: u32,
    /// For the lab only: run a probe that is known to be wrong.
    pub control: Option<Control>,
    /// A connection that is silent for longer is given up.
    #[serde(default = "default_idle_seconds")]
    pub idle_seconds: u32,
}

/// Known mistakes a lab can turn on to see that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// A request's time starts with the first packet after the previous response.
    WrongPairing,
}

fn default_max_connections() -> u32 {
    4096
}

fn default_ring_buffer_bytes() -> u32 {
    1 << 20
}

fn default_idle_seconds() -> u32 {
    300
}

impl probe::Spec for Spec {
    fn check(&self) -> Result<(), String> {
        if self.ports.is_empty() || self.ports.len() > HTTP_MAX_PORTS as usize || self.ports.contains(&0) {
            return Err("`ports` must hold one to eight ports between 1 and 65535".to_owned());
        }
        at_least_1("maxConnections", self.max_connections)?;
        ring_buffer_bytes("ringBufferBytes", self.ring_buffer_bytes)?;
        Bounds::with(&self.bucket_bounds_seconds)?;
        at_least_1("idleSeconds", self.idle_seconds)
    }

    fn control(&self) -> Option<&str> {
        self.control.map(|Control::WrongPairing| "wrong-pairing")
    }

    fn start(&self, loader: Loader) -> Result<Box<dyn Probe>, Failure> {
        let bounds = Bounds::with(&self.bucket_bounds_seconds)?;
        let exemplars = Exemplars::new(&bounds);
        let log = match &self.exchange_log {
            Some(path) => Some(
                ExchangeLog::create(path)
                    .map_err(|error| format!("cannot create exchange log {}: {error}", path.display()))?,
            ),
            None => None,
        };
        let probe = HttpProbe::attach(
            loader,
            Config {
                interface: Interface::by_name(&self.interface)?,
                ports: self.ports.clone(),
                max_connections: self.max_connections,
                ring_buffer_bytes: self.ring_buffer_bytes,
                exchange_log: log.is_some(),
                calibrate: self.calibrate,
                bounds,
                wrong_pairing: self.control == Some(Control::WrongPairing),
            },
        )?;
        Ok(Box::new(Started {
            probe,
            log,
            exemplars,
            idle: Duration::from_secs(self.idle_seconds.into()),
            proven: false,
        }))
    }
}

struct Started {
    probe: HttpProbe,
    log: Option<ExchangeLog>,
    /// Of what the log has.
    exemplars: Exemplars,
    idle: Duration,
    proven: bool,
}

impl Probe for Started {
    fn prove(&mut self) -> Result<(), String> {
        self.probe.prove()?;
        self.proven = true;
        Ok(())
    }

    fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        self.probe.descriptors().map(Vec::from)
    }

    fn drain(&mut self) -> Result<(), Failure> {
        let exchanges = self.probe.take_exchanges();
        if let Some(log) = &mut self.log {
            log.append(&exchanges)
                .map_err(|error| format!("cannot write the exchange log: {error}"))?;
            self.exemplars.note(&exchanges);
        }
        Ok(())
    }

    fn sweep_interval(&self) -> Option<Duration> {
        Some(self.idle / 2)
    }

    fn sweep(&mut self, now_ns: u64) -> Result<(), Failure> {
        Ok(self.probe.expire(now_ns.saturating_sub(nanoseconds(self.idle)))?)
    }

    fn collect(&mut self, families: &mut Families) -> Result<(), Failure> {
        let mut reading = self.probe.read()?;
        // What was counted has been written by then, so that each exemplar is of this reading.
        self.drain()?;
        self.exemplars.add_to(&mut reading.tally);
        report::add(families, self.probe.config(), self.proven, &reading);
        Ok(())
    }
}
