//! What a manifest says about this probe, and the probe as the daemon keeps it.

use std::{io, os::fd::OwnedFd, path::PathBuf, time::Duration};

use probe::{
    Failure, Probe,
    loader::Loader,
    metrics::Families,
    range::{MIN_RING_BUFFER_BYTES, at_least_1, ring_buffer_bytes},
    select::Targets,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    event_log::EventLog,
    kernel::{Config, RunqProbe},
    report::Reporter,
};

/// How often control groups that are gone make room in the maps.
const SWEEP: Duration = Duration::from_secs(30);

/// What a run-queue probe watches: all tasks of the machine, or those it is told to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// Tasks known at the same time; waits of those beyond are counted as lost. About 100 bytes each.
    #[serde(default = "default_max_tasks")]
    pub max_tasks: u32,
    /// Control groups with waits, and pairs of who lost the CPU to whom, together; waits of control groups beyond are
    /// counted as lost. About 200 bytes each and CPU.
    #[serde(default = "default_max_series")]
    pub max_series: u32,
    /// Report long waits one by one.
    pub events: Option<Events>,
    /// For the lab only: run a probe that is known to be wrong.
    pub control: Option<Control>,
}

/// Which waits are reported one by one, and where.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Events {
    /// Where to write one line per wait.
    pub path: PathBuf,
    /// Only waits of at least this length.
    pub min_microseconds: u64,
    /// Size of the ring buffer: a power of two, at least 4096.
    #[serde(default = "default_ring_buffer_bytes")]
    pub ring_buffer_bytes: u32,
}

/// Known mistakes a lab can turn on to see that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// A wait is counted one bucket too low: the bucket's lower bound is taken for its upper one.
    Bucket,
    /// The idle task is somebody: it preempts, and is preempted.
    CountIdle,
    /// The hook's arguments are taken for the task.
    RawCast,
    /// Only who is woken waits: a task that loses the CPU does not.
    WakeupOnly,
}

impl Control {
    fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::CountIdle => "count-idle",
            Self::RawCast => "raw-cast",
            Self::WakeupOnly => "wakeup-only",
        }
    }
}

fn default_max_tasks() -> u32 {
    16384
}

fn default_max_series() -> u32 {
    1024
}

fn default_ring_buffer_bytes() -> u32 {
    1 << 18
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            max_tasks: default_max_tasks(),
            max_series: default_max_series(),
            events: None,
            control: None,
        }
    }
}

impl probe::Spec for Spec {
    fn check(&self) -> Result<(), String> {
        at_least_1("maxTasks", self.max_tasks)?;
        at_least_1("maxSeries", self.max_series)?;
        let Some(events) = &self.events else {
            return Ok(());
        };
        at_least_1("events.minMicroseconds", events.min_microseconds)?;
        ring_buffer_bytes("events.ringBufferBytes", events.ring_buffer_bytes)
    }

    fn control(&self) -> Option<&str> {
        self.control.map(Control::name)
    }

    fn start(&self, loader: Loader) -> Result<Box<dyn Probe>, Failure> {
        self.begin(loader, None)
    }

    fn can_select(&self) -> bool {
        true
    }

    fn start_for(&self, loader: Loader, targets: &Targets) -> Result<Box<dyn Probe>, Failure> {
        self.begin(loader, Some(targets))
    }
}

impl Spec {
    fn begin(&self, loader: Loader, targets: Option<&Targets>) -> Result<Box<dyn Probe>, Failure> {
        let log = match &self.events {
            Some(Events { path, .. }) => Some(
                EventLog::create(path)
                    .map_err(|error| format!("cannot create event log {}: {error}", path.display()))?,
            ),
            None => None,
        };
        let config = Config {
            max_tasks: self.max_tasks,
            max_series: self.max_series,
            event_min_ns: self
                .events
                .as_ref()
                .map(|events| events.min_microseconds.saturating_mul(1000)),
            ring_buffer_bytes: self
                .events
                .as_ref()
                .map_or(MIN_RING_BUFFER_BYTES, |events| events.ring_buffer_bytes),
            control: self.control,
        };
        Ok(Box::new(Started {
            reporter: Reporter::new(config.clone()),
            probe: RunqProbe::attach(loader, config, targets)?,
            log,
        }))
    }
}

struct Started {
    probe: RunqProbe,
    reporter: Reporter,
    log: Option<EventLog>,
}

impl Started {
    /// Ends the series of these control groups; what was counted stays in that of all that ended.
    fn end(&mut self, cgroups: &[u64]) -> Result<(), Failure> {
        let waits = self.probe.forget(cgroups)?;
        self.reporter.keep(cgroups, waits);
        Ok(())
    }
}

impl Probe for Started {
    fn prove(&mut self) -> Result<(), String> {
        self.probe.prove()?;
        self.reporter.proven = true;
        Ok(())
    }

    fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        match &self.log {
            Some(_) => Ok(vec![self.probe.descriptor()?]),
            None => Ok(Vec::new()),
        }
    }

    fn drain(&mut self) -> Result<(), Failure> {
        if let Some(log) = &mut self.log {
            log.append(&self.probe.take_events())
                .map_err(|error| format!("cannot write the event log: {error}"))?;
        }
        Ok(())
    }

    fn sweep_interval(&self) -> Option<Duration> {
        Some(SWEEP)
    }

    fn sweep(&mut self, _now_ns: u64) -> Result<(), Failure> {
        let gone = self.reporter.gone_since_last_time(&self.probe.cgroups()?);
        self.end(&gone)
    }

    /// Series of control groups that are watched no more end at once.
    fn select(&mut self, targets: &Targets) -> Result<(), Failure> {
        let left = self.probe.select(targets)?;
        self.end(&left)
    }

    fn collect(&mut self, families: &mut Families) -> Result<(), Failure> {
        let reading = self.probe.read()?;
        self.reporter.add(families, &reading);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use probe::Spec as _;

    use super::*;

    fn spec() -> Spec {
        Spec {
            max_tasks: 1,
            max_series: 1,
            events: Some(Events {
                path: PathBuf::new(),
                min_microseconds: 1,
                ring_buffer_bytes: 4096,
            }),
            control: None,
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert_eq!(spec().check(), Ok(()));
        let with = |change: fn(&mut Spec)| {
            let mut spec = spec();
            change(&mut spec);
            spec.check().unwrap_err()
        };
        assert!(with(|spec| spec.max_tasks = 0).contains("maxTasks"));
        assert!(with(|spec| spec.max_series = 0).contains("maxSeries"));
        assert!(with(|spec| spec.events.as_mut().unwrap().min_microseconds = 0).contains("minMicroseconds"));
        assert!(with(|spec| spec.events.as_mut().unwrap().ring_buffer_bytes = 5000).contains("power of two"));
    }
}
