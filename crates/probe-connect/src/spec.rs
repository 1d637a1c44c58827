//! What a manifest says about this probe, and the probe as the daemon keeps it.

use std::{io, os::fd::OwnedFd, path::PathBuf, time::Duration};

use probe::{
    Failure, Probe,
    exemplar::Latest,
    loader::Loader,
    metrics::Families,
    range::{MIN_RING_BUFFER_BYTES, at_least_1, ring_buffer_bytes},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    events::{self, EventLog},
    kernel::{BOUNDS_SECONDS, Config, ConnectProbe, SeriesKey},
    report,
    types::connect_event,
};

/// How often what is gone is looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// How long an attempt may wait to be reported: nobody is woken for it.
const DRAIN_INTERVAL: Duration = Duration::from_secs(1);

/// What a connect probe observes: all TCP connection attempts of the machine.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// Attempts followed at the same time; those beyond are counted as lost. An entry takes about 100 bytes.
    #[serde(default = "default_max_pending")]
    pub max_pending: u32,
    /// Series kept in the kernel at the same time; attempts of those beyond are counted as lost. An entry takes about
    /// 200 bytes for each processor.
    #[serde(default = "default_max_series")]
    pub max_series: u32,
    /// Tell series apart by the control group of the process that called connect(2).
    #[serde(default = "default_per_cgroup")]
    pub per_cgroup: bool,
    /// Count attempts that take longer in `tcp_connect_slow_total`, too.
    pub slow_milliseconds: Option<f64>,
    /// An attempt without an end after this long is given up and counted as lost.
    #[serde(default = "default_give_up_seconds")]
    pub give_up_seconds: u32,
    /// Report single attempts.
    pub events: Option<Events>,
    /// For the lab only: run a probe that is known to be wrong.
    pub control: Option<Control>,
}

/// Where and how single attempts are reported.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Events {
    /// The file, replaced at the start, or `-` for standard output.
    pub path: PathBuf,
    /// Report only attempts that took at least this long. All of them are counted, whatever this is.
    #[serde(default)]
    pub min_milliseconds: f64,
    /// What a line looks like.
    #[serde(default)]
    pub format: Format,
    /// Size of the ring buffer on the way there: a power of two, at least 4096.
    #[serde(default = "default_ring_buffer_bytes")]
    pub ring_buffer_bytes: u32,
}

/// What a line about one attempt looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `PID COMM IP SADDR DADDR DPORT LAT(ms)` under one line of headings; successes only, as there is no column for
    /// anything else.
    #[default]
    Columns,
    /// A JSON object with everything known, for every outcome.
    Json,
}

/// Known mistakes a lab can turn on to see that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// A refused connection counts as an established one.
    RstIsSuccess,
    /// Durations land in the bucket below theirs.
    BucketOffByOne,
    /// Who connected is read when the attempt ends, in whatever process runs then.
    CurrentAtCompletion,
    /// What an interrupt brings while the program is under way is left out.
    OneProgram,
}

fn default_max_pending() -> u32 {
    4096
}

fn default_max_series() -> u32 {
    512
}

fn default_per_cgroup() -> bool {
    true
}

fn default_give_up_seconds() -> u32 {
    600
}

fn default_ring_buffer_bytes() -> u32 {
    1 << 18
}

fn milliseconds(key: &str, value: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(value / 1000.0).map_err(|_| format!("`{key}` must be a number of at least 0"))
}

impl Spec {
    fn config(&self) -> Result<Config, String> {
        Ok(Config {
            max_pending: self.max_pending,
            max_series: self.max_series,
            per_cgroup: self.per_cgroup,
            slow: self
                .slow_milliseconds
                .map(|value| milliseconds("slowMilliseconds", value))
                .transpose()?,
            events_from: self
                .events
                .as_ref()
                .map(|events| milliseconds("minMilliseconds", events.min_milliseconds))
                .transpose()?,
            ring_buffer_bytes: self
                .events
                .as_ref()
                .map_or(MIN_RING_BUFFER_BYTES, |events| events.ring_buffer_bytes),
            give_up: Duration::from_secs(self.give_up_seconds.into()),
            control: self.control,
        })
    }
}

impl probe::Spec for Spec {
    fn check(&self) -> Result<(), String> {
        let config = self.config()?;
        at_least_1("maxPending", self.max_pending)?;
        at_least_1("maxSeries", self.max_series)?;
        at_least_1("giveUpSeconds", self.give_up_seconds)?;
        ring_buffer_bytes("events.ringBufferBytes", config.ring_buffer_bytes)
    }

    fn control(&self) -> Option<&str> {
        self.control.map(|control| match control {
            Control::RstIsSuccess => "rst-is-success",
            Control::BucketOffByOne => "bucket-off-by-one",
            Control::CurrentAtCompletion => "current-at-completion",
            Control::OneProgram => "one-program",
        })
    }

    fn start(&self, loader: Loader) -> Result<Box<dyn Probe>, Failure> {
        let log = match &self.events {
            Some(events) => Some(
                EventLog::create(&events.path, events.format)
                    .map_err(|error| format!("cannot create {}: {error}", events.path.display()))?,
            ),
            None => None,
        };
        Ok(Box::new(Started {
            probe: ConnectProbe::attach(loader, self.config()?)?,
            log,
            latest: Latest::new(&BOUNDS_SECONDS),
            proven: false,
        }))
    }
}

struct Started {
    probe: ConnectProbe,
    log: Option<EventLog>,
    /// For exemplars of what the log has.
    latest: Latest<SeriesKey, connect_event>,
    proven: bool,
}

impl Probe for Started {
    fn prove(&mut self) -> Result<(), String> {
        self.probe.prove()?;
        self.proven = true;
        Ok(())
    }

    fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        match self.log {
            Some(_) => Ok(vec![self.probe.descriptor()?]),
            None => Ok(Vec::new()),
        }
    }

    fn drain_interval(&self) -> Option<Duration> {
        self.log.as_ref().map(|_| DRAIN_INTERVAL)
    }

    fn drain(&mut self) -> Result<(), Failure> {
        let events = self.probe.take_events();
        if let Some(log) = &mut self.log {
            for event in &events {
                let cgroup = self.probe.cgroup(event);
                log.append(event, cgroup.as_deref())
                    .map_err(|error| format!("cannot write the attempts: {error}"))?;
                let end_ns = event.start_ns.saturating_add(event.duration_ns);
                let series = SeriesKey::of(event, cgroup);
                self.latest.note(series, event.duration_ns, end_ns, *event);
            }
            log.flush()
                .map_err(|error| format!("cannot write the attempts: {error}"))?;
        }
        Ok(())
    }

    fn sweep_interval(&self) -> Option<Duration> {
        Some(SWEEP_INTERVAL)
    }

    fn sweep(&mut self, now_ns: u64) -> Result<(), Failure> {
        Ok(self.probe.sweep(now_ns)?)
    }

    fn collect(&mut self, families: &mut Families) -> Result<(), Failure> {
        let mut reading = self.probe.read()?;
        // What was counted has been written by then, so that each exemplar is of this reading.
        self.drain()?;
        self.latest.retain(|series| reading.series.contains_key(series));
        for (key, series) in &mut reading.series {
            let latest = self.latest.of(key);
            latest.for_each(|seen| series.duration.mark(events::exemplar(seen)));
        }
        report::add(families, self.probe.config(), self.proven, &reading);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use probe::Spec as _;

    use super::*;

    fn spec(json: &str) -> Spec {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn nothing_need_be_said() {
        let spec = spec("{}");
        assert_eq!(spec.check(), Ok(()));
        assert_eq!(spec.control(), None);
        let config = spec.config().unwrap();
        assert!(config.per_cgroup && config.slow.is_none() && config.events_from.is_none());
    }

    #[test]
    fn values_out_of_range_say_what_would_be_right() {
        for (json, words) in [
            (r#"{"maxPending":0}"#, "`maxPending` must be at least 1"),
            (r#"{"maxSeries":0}"#, "`maxSeries` must be at least 1"),
            (r#"{"giveUpSeconds":0}"#, "`giveUpSeconds` must be at least 1"),
            (
                r#"{"slowMilliseconds":-1}"#,
                "`slowMilliseconds` must be a number",
            ),
            (
                r#"{"events":{"path":"-","minMilliseconds":-1}}"#,
                "`minMilliseconds` must be",
            ),
            (
                r#"{"events":{"path":"-","ringBufferBytes":5000}}"#,
                "power of two",
            ),
        ] {
            let error = spec(json).check().unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
    }

    #[test]
    fn controls_are_named_as_they_are_written() {
        for name in ["rst-is-success", "bucket-off-by-one", "current-at-completion"] {
            assert_eq!(spec(&format!(r#"{{"control":"{name}"}}"#)).control(), Some(name));
        }
    }
}
