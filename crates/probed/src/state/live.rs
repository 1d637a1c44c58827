//! Windows as they pass: their states, the course of traffic, and both as metrics.

use std::path::{Path, PathBuf};
use std::time::Duration;

use probe::metrics::{Families, Labels, Value, labels};
use sysstate::{Course, Drift, Gap, Limit, Model, Reading, State, Trend, Verdict, Window};

use crate::manifest::ManifestError;

/// Length of a window when there is no model that says it.
const WINDOW: Duration = Duration::from_secs(10);

/// What to look for.
#[derive(Debug, clap::Args)]
pub struct LiveArguments {
    /// Say by this model whether the system is good, bad or in a state unknown; `probed state learn` makes one.
    #[arg(long, value_name = "FILE")]
    pub state_model: Option<PathBuf>,
    /// Warn when traffic builds up so that it will reach so many packets per second within twelve windows.
    #[arg(long, value_name = "PACKETS")]
    pub traffic_limit: Option<f64>,
    /// Length of a window [default: that of the model's training, or 10]
    #[arg(long, value_name = "SECONDS")]
    pub window: Option<f64>,
}

/// One window, and what there is to say about it.
#[derive(Debug)]
pub struct Seen {
    /// The window, or why there is none.
    pub window: Result<Window, Gap>,
    /// Its state, if there is a model.
    pub verdict: Option<Verdict>,
    /// The course of traffic, if there is a limit.
    pub course: Option<Course>,
}

/// What is looked for, and the last window.
pub struct Live {
    model: Option<Model>,
    trend: Option<Trend>,
    every: Duration,
    drift: Drift,
    before: Option<Reading>,
    last: Option<Seen>,
    windows: [u64; State::ALL.len()],
    warnings: u64,
}

/// Reads a file that the user named.
pub fn read(path: &Path) -> Result<String, ManifestError> {
    std::fs::read_to_string(path).map_err(|error| wrong(path, &error))
}

/// What is wrong with a file that the user named.
pub fn wrong(path: &Path, error: &dyn std::fmt::Display) -> ManifestError {
    ManifestError::Usage(format!("{}: {error}", path.display()))
}

/// Reads a model.
pub fn model(path: &Path) -> Result<Model, ManifestError> {
    Model::from_toml(&read(path)?).map_err(|error| wrong(path, &error))
}

/// A number of seconds above 0.
pub fn seconds(option: &str, value: f64) -> Result<Duration, ManifestError> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            ManifestError::Usage(format!("{option} {value}: a number of seconds above 0 is needed"))
        })
}

impl Live {
    /// `None` when there is nothing to look for.
    ///
    /// # Errors
    /// When the model cannot be read, or a number is out of its range.
    pub fn new(arguments: &LiveArguments) -> Result<Option<Self>, ManifestError> {
        let model = arguments.state_model.as_deref().map(model).transpose()?;
        let trend = arguments.traffic_limit.map(limit).transpose()?.map(Trend::new);
        if model.is_none() && trend.is_none() {
            return Ok(None);
        }
        let trained = model.as_ref().map(|model| model.window_seconds);
        let every = arguments
            .window
            .or(trained)
            .map_or(Ok(WINDOW), |value| seconds("--window", value))?;
        Ok(Some(Self {
            model,
            trend,
            every,
            drift: Drift::default(),
            before: None,
            last: None,
            windows: [0; State::ALL.len()],
            warnings: 0,
        }))
    }

    /// How long a window is.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Ends a window. The first reading ends none.
    pub fn observe(&mut self, reading: Reading) -> Option<&Seen> {
        let before = self.before.replace(reading.clone())?;
        let window = Window::between(&before, &reading);
        let measured = window.as_ref().ok();
        let verdict = self
            .model
            .as_ref()
            .zip(measured)
            .map(|(model, window)| model.classify(window));
        if let Some(verdict) = &verdict {
            self.drift.observe(verdict);
        }
        let course = self
            .trend
            .as_mut()
            .map(|trend| trend.observe(measured.and_then(Window::packets_per_second)));
        let was_calm = self.course() == Some(Course::Calm) || self.last.is_none();
        if was_calm && matches!(course, Some(Course::Warning { .. })) {
            self.warnings += 1;
        }
        self.last = Some(Seen {
            window,
            verdict,
            course,
        });
        self.windows[position(self.state())] += 1;
        self.last.as_ref()
    }

    fn course(&self) -> Option<Course> {
        self.last.as_ref()?.course
    }

    fn state(&self) -> State {
        let verdict = self.last.as_ref().and_then(|seen| seen.verdict.as_ref());
        verdict.map_or(State::Unknown, Verdict::state)
    }

    /// Whether the model still describes the system.
    pub fn has_drifted(&self) -> bool {
        self.drift.has_drifted()
    }

    /// Adds what the last window was like to the families of a scrape.
    pub fn add(&self, families: &mut Families) {
        if self.model.is_some() {
            self.add_state(families);
        }
        if self.trend.is_some() {
            let is_warning = !matches!(self.course(), None | Some(Course::Calm));
            families.add(
                "traffic_trend_warning",
                "Whether traffic builds up to its limit, or is there.",
                Labels::new(),
                Value::Gauge(is_warning.into()),
            );
            families.add(
                "traffic_trend_warnings",
                "How often a build-up of traffic was warned of before it reached the limit.",
                Labels::new(),
                Value::Counter(self.warnings),
            );
        }
    }

    fn add_state(&self, families: &mut Families) {
        for state in State::ALL {
            let by_state = labels([("state", state.name())]);
            families.add(
                "system_state",
                "State of the system in the last window: 1 for the one it was in.",
                by_state.clone(),
                Value::Gauge((state == self.state()).into()),
            );
            families.add(
                "system_state_windows",
                "Windows by the state of the system.",
                by_state,
                Value::Counter(self.windows[position(state)]),
            );
        }
        families.add(
            "system_state_drifted",
            "Whether most of the last windows are like none of the training, so that it is time to learn again.",
            Labels::new(),
            Value::Gauge(self.has_drifted().into()),
        );
        let Some(Verdict::Measured(classified)) = self.last.as_ref().and_then(|seen| seen.verdict.as_ref())
        else {
            return;
        };
        families.add(
            "system_state_distance_ratio",
            "Distance of the last window from the nearest cluster over that cluster's radius; above 1 it is outside all.",
            Labels::new(),
            Value::GaugeSeconds(classified.distance_ratio),
        );
        for mover in &classified.movers {
            families.add(
                "system_state_distance_share",
                "How much of the last window's squared distance from the nearest good cluster is due to each feature.",
                labels([("feature", mover.feature.name)]),
                Value::GaugeSeconds(mover.share),
            );
        }
    }
}

fn position(state: State) -> usize {
    match state {
        State::Good => 0,
        State::Bad => 1,
        State::Unknown => 2,
    }
}

fn limit(per_second: f64) -> Result<Limit, ManifestError> {
    if !(per_second > 0.0 && per_second.is_finite()) {
        let text = format!("--traffic-limit {per_second}: a number of packets per second above 0 is needed");
        return Err(ManifestError::Usage(text));
    }
    Ok(Limit {
        per_second,
        horizon_windows: Limit::HORIZON_WINDOWS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use exposition::Series;

    fn reading(at_seconds: f64, packets: f64) -> Reading {
        let attached = Series::new("probelab_attached", [("probe", "drop".to_owned())], 1.0);
        let packets = Series::new("drop_packets_total", [("interface", "lo".to_owned())], packets);
        Reading::new(at_seconds, &[attached, packets])
    }

    fn text(live: &Live) -> String {
        let mut families = Families::default();
        live.add(&mut families);
        families.to_openmetrics()
    }

    #[test]
    fn a_build_up_is_one_warning_and_shows_in_the_metrics() {
        let arguments = LiveArguments {
            state_model: None,
            traffic_limit: Some(10_000.0),
            window: Some(1.0),
        };
        let mut live = Live::new(&arguments).unwrap().unwrap();
        assert!(live.observe(reading(0.0, 0.0)).is_none());
        assert!(text(&live).contains("traffic_trend_warning 0\n"));
        let (mut packets, mut rate) = (0.0, 100.0);
        for at in 1..40 {
            packets += rate;
            rate *= 1.12;
            live.observe(reading(f64::from(at), packets));
        }
        let rising = text(&live);
        assert!(rising.contains("traffic_trend_warning 1\n"), "{rising}");
        assert!(rising.contains("traffic_trend_warnings_total 1\n"), "{rising}");
        assert!(!rising.contains("system_state"), "no model: {rising}");
        // The counters begin anew: that is no window, and no warning.
        let gap = live.observe(reading(41.0, 5.0)).unwrap();
        assert!(gap.window.is_err());
        assert!(text(&live).contains("traffic_trend_warning 0\n"));
    }

    #[test]
    fn numbers_out_of_range_are_usage_errors() {
        let arguments = |traffic_limit, window| LiveArguments {
            state_model: None,
            traffic_limit: Some(traffic_limit),
            window: Some(window),
        };
        assert!(Live::new(&arguments(0.0, 1.0)).is_err());
        assert!(Live::new(&arguments(f64::NAN, 1.0)).is_err());
        assert!(Live::new(&arguments(1.0, 0.0)).is_err());
        assert!(Live::new(&arguments(1.0, -1.0)).is_err());
    }
}
