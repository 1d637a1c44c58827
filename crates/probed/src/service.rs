//! The probes of a manifest in place, behind what the endpoints ask of them.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use probe::clock::monotonic_ns;
use probe::loader::Loader;
use probe::metrics::{Families, Value, labels};
use probe::{Failure, Probe};
use sysstate::Reading;

use crate::exports::Export;
use crate::manifest::{Manifest, ManifestError};
use crate::otlp::Span;
use crate::privileges::{Work, is_refusal};
use crate::selector::Selector;
use crate::state::Live;
use crate::targets::identities::Identities;
use crate::targets::{Follower, Machine};

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

/// What to run, and what is known of whom.
#[derive(Debug)]
pub struct Plan {
    manifests: Vec<Manifest>,
    identities: Identities,
}

impl Plan {
    /// These probes, and the containers there are.
    ///
    /// # Errors
    /// When a probe selects by what nothing tells.
    pub fn new(manifests: Vec<Manifest>, identities: Identities) -> Result<Self, ManifestError> {
        let unknown = manifests.iter().find(|manifest| {
            let selector = manifest.selector.as_ref();
            !identities.are_told() && selector.is_some_and(Selector::needs_inventory)
        });
        match unknown {
            Some(manifest) => Err(ManifestError::Usage(format!(
                "probe {:?} is for some containers, pods, namespaces or nodes, and nothing tells which there are: ask \
                 the API server with --cluster, or name a file with --inventory",
                manifest.metadata.name
            ))),
            None => Ok(Self {
                manifests,
                identities,
            }),
        }
    }

    fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.manifests
            .iter()
            .filter_map(|manifest| manifest.selector.as_ref())
    }

    /// What has to be done while it runs, beyond reading.
    pub fn needs(&self) -> Needs {
        let follows = |manifest: &Manifest| manifest.selector.is_some() && manifest.spec.follows_programs();
        Needs {
            attach: self.manifests.iter().any(follows),
            look_into_processes: self.selectors().any(|selector| selector.process.is_some())
                || self.manifests.iter().any(follows),
        }
    }
}

/// What has to be done after everything is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Attach to programs that are started later.
    pub attach: bool,
    /// Find the programs of other users' processes.
    pub look_into_processes: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pushes {
    taken: u64,
    failed: u64,
}

/// Time since 1970; none on a machine whose clock is before that.
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

struct Attached {
    name: String,
    work: Work,
    selector: Option<Selector>,
    exports: Vec<Export>,
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
    machine: Machine,
    loader: Loader,
    /// Why the daemon is not ready; empty when it is.
    unready: Vec<String>,
    /// Says what state the system is in, if that was asked for.
    live: Option<Live>,
    /// When the probes were attached, since 1970.
    since: Duration,
    pushes: Pushes,
    /// Keeps the kernel counting runs.
    _stats: Option<OwnedFd>,
}

impl Service {
    /// Attaches every probe, proves that each runs, and gives up the privileges that took.
    ///
    /// # Errors
    /// When a probe cannot be attached; nothing stays attached then. A probe that is silent makes the service unready
    /// instead.
    pub fn start(plan: Plan, loader: Loader) -> anyhow::Result<Self> {
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
            machine: Machine::new(plan.identities),
            loader,
            unready: Vec::new(),
            live: None,
            since: unix_time(),
            pushes: Pushes::default(),
            _stats: stats,
        };
        for manifest in plan.manifests {
            let name = manifest.metadata.name.clone();
            service
                .attach(manifest)
                .with_context(|| format!("probe {name:?}"))?;
        }
        for attached in &mut service.attached {
            if let Err(reason) = attached.probe.prove() {
                if is_refusal(&reason) {
                    return Err(attached
                        .work
                        .explain(loader, reason.into())
                        .context(format!("probe {:?}", attached.name)));
                }
                tracing::error!("probe {:?}: {reason}", attached.name);
                service
                    .unready
                    .push(format!("probe {:?}: {reason}", attached.name));
            }
        }
        Ok(service)
    }

    fn attach(&mut self, manifest: Manifest) -> anyhow::Result<()> {
        let work = Work::of(&manifest);
        let name = manifest.metadata.name;
        if let Some(control) = manifest.spec.control() {
            tracing::warn!(
                "probe {name:?} runs the negative control {control}: its numbers are wrong on purpose"
            );
        }
        let probe = match &manifest.selector {
            None => manifest.spec.start(self.loader),
            Some(selector) => manifest
                .spec
                .start_for(self.loader, &self.machine.targets(selector)),
        };
        self.attached.push(Attached {
            name,
            work,
            selector: manifest.selector,
            exports: manifest.exports,
            probe: probe.map_err(|error| work.explain(self.loader, error))?,
        });
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
    pub fn unready(&self) -> Vec<String> {
        self.unready
            .iter()
            .cloned()
            .chain(self.machine.missing())
            .collect()
    }

    /// What has to run in the event loop so that the cluster's word arrives. Once only.
    pub fn follower(&mut self) -> Option<Follower> {
        self.machine.follower()
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

    /// How often [`Self::drain`] is to be called although no descriptor says so; nothing when no probe needs it.
    pub fn drain_interval(&self) -> Option<Duration> {
        let intervals = self
            .attached
            .iter()
            .map(|attached| attached.probe.drain_interval());
        intervals.flatten().min()
    }

    /// Whether [`Self::select`] has anything to do.
    pub fn selects(&self) -> bool {
        self.attached.iter().any(|attached| attached.selector.is_some())
    }

    /// Has the probes watch whom their selectors mean now.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub fn select(&mut self) -> anyhow::Result<()> {
        self.machine.refresh();
        for attached in &mut self.attached {
            if let Some(selector) = &attached.selector {
                let targets = self.machine.targets(selector);
                attached.ask(|probe| probe.select(&targets))?;
            }
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
        let families = self.read()?;
        let at_seconds = monotonic_ns() as f64 / 1e9;
        // The state is made of what a scrape would say, and so are recordings that a model is learnt from.
        let series = exposition::series(&families.to_openmetrics())?;
        if let Some(live) = &mut self.live {
            live.observe(Reading::new(at_seconds, &series));
        }
        Ok(())
    }

    /// All metrics as they are now, as text; the exchange logs are brought up to the same moment.
    ///
    /// # Errors
    /// When a map cannot be read or a log cannot be written.
    pub fn scrape(&mut self, format: Format) -> anyhow::Result<String> {
        Ok(format.text(&self.read()?))
    }

    /// All metrics as they are now; the exchange logs are brought up to the same moment.
    ///
    /// # Errors
    /// When a map cannot be read or a log cannot be written.
    pub fn read(&mut self) -> anyhow::Result<Families> {
        let began = Instant::now();
        let mut families = Families::since(self.since.as_secs_f64());
        self.add_self(&mut families);
        for attached in &mut self.attached {
            let mut own = Families::default();
            attached.ask(|probe| probe.collect(&mut own))?;
            for export in &attached.exports {
                export.add(&mut own);
            }
            families.merge(own);
        }
        let selectors: Vec<&Selector> = self
            .attached
            .iter()
            .filter_map(|attached| attached.selector.as_ref())
            .collect();
        self.machine.add(&mut families, &selectors);
        if let Some(live) = &self.live {
            live.add(&mut families);
        }
        self.drain()?;
        families.add(
            "probelab_scrape_duration_seconds",
            "How long it took to read all numbers for this scrape.",
            labels([]),
            Value::GaugeSeconds(began.elapsed().as_secs_f64()),
        );
        Ok(families)
    }

    /// What the daemon says of itself.
    fn add_self(&self, families: &mut Families) {
        families.add(
            "probelab_build_info",
            "Which build this is.",
            labels([
                ("version", env!("CARGO_PKG_VERSION")),
                ("loader", &self.loader.to_string()),
            ]),
            Value::Gauge(1),
        );
        let host = nix::unistd::gethostname().unwrap_or_default();
        families.add(
            "target",
            "What these metrics are of.",
            labels([
                ("service_name", "probed"),
                ("service_version", env!("CARGO_PKG_VERSION")),
                ("host_name", &host.to_string_lossy()),
            ]),
            Value::Info,
        );
        for (result, count) in [("failed", self.pushes.failed), ("taken", self.pushes.taken)] {
            if self.pushes != Pushes::default() {
                families.add(
                    "probelab_otlp_pushes",
                    "Pushes of all metrics to an OTLP receiver, by what became of them.",
                    labels([("result", result)]),
                    Value::Counter(count),
                );
            }
        }
    }

    /// Since when it counts, and now.
    pub fn span(&self) -> Span {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Span {
            start_ns: ns(self.since),
            now_ns: ns(unix_time()),
        }
    }

    /// Counts a push.
    pub fn pushed(&mut self, is_taken: bool) {
        if is_taken {
            self.pushes.taken += 1;
        } else {
            self.pushes.failed += 1;
        }
    }
}
