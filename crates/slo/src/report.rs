//! What a report says: plain data, whose serde form is the JSON and YAML of `probed slo report`.

use serde::Serialize;

use crate::counts::{Counts, Interval};

/// All objectives of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Which form this is; another number means that a key was renamed or changed its meaning.
    pub schema_version: u32,
    /// In the order of the file.
    pub objectives: Vec<Evaluation>,
}

/// One objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub service: String,
    /// How much must be good.
    pub target_percent: f64,
    /// Over how long.
    pub window_seconds: f64,
    /// How much of that the readings cover, from the one nearest to the window's start to the last.
    pub covered_seconds: f64,
    /// When that begins, in seconds since 1970.
    pub from_unix_seconds: f64,
    /// When it ends.
    pub to_unix_seconds: f64,
    /// The answer.
    pub status: Status,
    /// Which bound of the interval is below the target, where one is.
    pub crossed: Option<Bound>,
    /// Events with a known outcome: good and bad.
    pub total: u64,
    /// Events.
    pub events: Counts,
    /// What the budget is made of; the same as `events` unless slices of time are counted.
    pub budgeted: Counts,
    /// The share of what is good, in percent. `null` when there was nothing.
    pub good_percent: Option<Interval>,
    /// The error budget.
    pub budget: Option<Budget>,
    /// How fast the budget goes, by alert condition.
    pub burn: Vec<Burn>,
    /// What a reader has to know to believe the numbers.
    pub notes: Vec<String>,
}

/// Whether an objective is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Whatever the unknown events were.
    Met,
    /// Whatever the unknown events were.
    Missed,
    /// It depends on the unknown events.
    Undecided,
    /// There was no event, and somebody was there to see it.
    NoTraffic,
    /// Nobody looked: too few readings, or no probe behind the metric.
    Unobserved,
}

/// A bound of an interval of ratios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The lower one alone: it crosses if enough of the unknown events were bad.
    Lo,
    /// The upper one, and with it the lower: it crosses even if all unknown events were good.
    Hi,
}

/// What may be bad, and how much of it was used. Negative when more than all of it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Budget {
    /// Which share may be bad, in percent.
    pub allowed_percent: f64,
    /// Which part of that was used, in percent; over 100 when it is overdrawn.
    pub used_percent: Interval,
    /// Which part of that is left, in percent.
    pub left_percent: Interval,
}

/// The burn rate of one alert condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Burn {
    /// How urgent it is.
    pub severity: String,
    /// The burn rate from which on it fires.
    pub threshold: f64,
    /// Over how long.
    pub long_window: String,
    /// The burn rate over that; `null` when there was nothing, or no reading inside.
    pub long: Option<Interval>,
    /// The shorter time that must agree.
    pub short_window: Option<String>,
    /// The burn rate over that.
    pub short: Option<Interval>,
    /// Whether it fires now.
    pub fires: Fires,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fires {
    /// Whatever the unknown events were.
    No,
    /// If enough of the unknown events were bad.
    Possibly,
    /// Whatever the unknown events were.
    Certainly,
    /// There are fewer than two readings in one of its times.
    Unmeasured,
}
