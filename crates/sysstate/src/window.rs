//! Two scrapes, one after the other, make a window: how much of everything there was between them.

use exposition::Series;

use crate::feature::{FEATURES, Feature, PACKETS, Total, total};

const FEATURE_COUNT: usize = FEATURES.len();
const P99: f64 = 0.99;

/// What a scrape says, as far as features are made of it.
#[derive(Debug, Clone)]
pub struct Reading {
    at_seconds: f64,
    totals: [Option<Total>; FEATURE_COUNT],
}

impl Reading {
    /// Reads the series of a scrape that was made at this time. The clock may have any origin, but it must not jump.
    pub fn new(at_seconds: f64, series: &[Series]) -> Self {
        Self {
            at_seconds,
            totals: std::array::from_fn(|at| total(&FEATURES[at], series)),
        }
    }
}

/// The features of the time between two scrapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// When it began, on the scrapes' clock.
    pub from_seconds: f64,
    /// When it ended.
    pub to_seconds: f64,
    /// In the order of [`FEATURES`]; `None` when it was not measured, or is no number.
    pub values: [Option<f64>; FEATURE_COUNT],
}

/// Why two scrapes make no window.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Gap {
    /// No time passed between them, or it went backwards.
    #[error("no time passed between two scrapes")]
    NoTime,
    /// A counter fell, so a probe began again: how much was counted before it did is not known.
    #[error("the counters of {0} were reset")]
    Reset(
        /// The feature.
        &'static str,
    ),
}

impl Window {
    /// The window between two readings.
    ///
    /// # Errors
    /// See [`Gap`]; the next window begins at `later` all the same.
    pub fn between(earlier: &Reading, later: &Reading) -> Result<Self, Gap> {
        let seconds = later.at_seconds - earlier.at_seconds;
        // Also false for times that are no numbers.
        if !(seconds > 0.0 && seconds.is_finite()) {
            return Err(Gap::NoTime);
        }
        let mut values = [None; FEATURE_COUNT];
        for (at, feature) in FEATURES.iter().enumerate() {
            if let (Some(earlier), Some(later)) = (&earlier.totals[at], &later.totals[at]) {
                let value = difference(earlier, later, seconds).ok_or(Gap::Reset(feature.name))?;
                values[at] = value.is_finite().then_some(value);
            }
        }
        Ok(Self {
            from_seconds: earlier.at_seconds,
            to_seconds: later.at_seconds,
            values,
        })
    }

    /// What it says of a feature.
    pub fn value(&self, feature: &Feature) -> Option<f64> {
        let at = FEATURES.iter().position(|known| std::ptr::eq(known, feature))?;
        self.values[at]
    }

    /// Packets per second that reached the network stack.
    pub fn packets_per_second(&self) -> Option<f64> {
        self.value(Feature::named(PACKETS)?)
    }
}

/// `None` when something fell.
fn difference(earlier: &Total, later: &Total, seconds: f64) -> Option<f64> {
    match (earlier, later) {
        (Total::Count(earlier), Total::Count(later)) => {
            increase(*earlier, *later).map(|count| count / seconds)
        }
        (Total::Buckets(earlier), Total::Buckets(later)) => {
            // A histogram that was not there yet had counted nothing.
            let before = |bound: f64| {
                earlier
                    .iter()
                    .find(|(known, _)| *known == bound)
                    .map_or(0.0, |of| of.1)
            };
            let counted: Option<Vec<(f64, f64)>> = later
                .iter()
                .map(|(bound, count)| Some((*bound, increase(before(*bound), *count)?)))
                .collect();
            let is_shorter = later.is_empty() && earlier.iter().any(|(_, count)| *count > 0.0);
            counted
                .filter(|_| !is_shorter)
                .map(|buckets| quantile(&buckets, P99))
        }
        // The probe that measures a feature changed.
        _ => None,
    }
}

/// What is no number passes, and makes the value none.
fn increase(earlier: f64, later: f64) -> Option<f64> {
    let is_fall = later < earlier;
    (!is_fall).then_some(later - earlier)
}

/// The value that this share of a histogram's values is below, as if the values of a bucket were spread evenly over it,
/// as Prometheus' `histogram_quantile` does. Values above the last bound are taken for it; no values are 0.
fn quantile(buckets: &[(f64, f64)], share: f64) -> f64 {
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    let wanted = total * share;
    let (mut lower, mut below) = (0.0, 0.0);
    for (upper, count) in buckets {
        if total > 0.0 && *count >= wanted && *count > below {
            return if upper.is_finite() {
                lower + (upper - lower) * (wanted - below) / (count - below)
            } else {
                lower
            };
        }
        (lower, below) = (*upper, *count);
    }
    if total.is_nan() { f64::NAN } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached(probe: &str) -> Series {
        Series::new(
            "probelab_attached",
            [("probe", probe.to_owned()), ("hook", "x".to_owned())],
            1.0,
        )
    }

    fn execs(at_seconds: f64, count: f64) -> Reading {
        let exec = Series::new("exec_total", [("cgroup", "/".to_owned())], count);
        Reading::new(at_seconds, &[attached("activity"), exec])
    }

    #[test]
    fn a_rate_is_per_second_and_what_nobody_measures_is_no_number() {
        let window = Window::between(&execs(10.0, 5.0), &execs(12.0, 9.0)).unwrap();
        assert_eq!(window.values[0], Some(2.0));
        // The probe is there and saw no open; no probe for packets is there.
        assert_eq!(window.values[1], Some(0.0));
        assert_eq!(window.values[2], None);
        assert_eq!(window.packets_per_second(), None);
    }

    #[test]
    fn a_counter_that_fell_is_a_gap() {
        let gap = Window::between(&execs(1.0, 5.0), &execs(2.0, 4.0));
        assert_eq!(gap, Err(Gap::Reset("execs_per_second")));
        assert_eq!(
            Window::between(&execs(2.0, 1.0), &execs(2.0, 1.0)),
            Err(Gap::NoTime)
        );
        assert_eq!(
            Window::between(&execs(2.0, 1.0), &execs(f64::NAN, 1.0)),
            Err(Gap::NoTime)
        );
    }

    #[test]
    fn what_is_no_number_is_not_measured() {
        for wrong in [f64::NAN, f64::INFINITY] {
            let window = Window::between(&execs(1.0, 5.0), &execs(2.0, wrong)).unwrap();
            assert_eq!(window.values[0], None);
        }
    }

    #[test]
    fn series_that_move_into_another_one_are_no_reset() {
        let series = |cgroup: &str, count| Series::new("exec_total", [("cgroup", cgroup.to_owned())], count);
        let before = [attached("activity"), series("/a", 5.0), series("/b", 7.0)];
        let after = [attached("activity"), series("(gone)", 5.0), series("/b", 8.0)];
        let window = Window::between(&Reading::new(0.0, &before), &Reading::new(1.0, &after)).unwrap();
        assert_eq!(window.values[0], Some(1.0));
    }

    fn waits(at_seconds: f64, counts: &[(&str, f64)]) -> Reading {
        let mut series = vec![attached("runq")];
        series.extend(counts.iter().map(|(le, count)| {
            Series::new("runq_latency_seconds_bucket", [("le", (*le).to_owned())], *count)
        }));
        Reading::new(at_seconds, &series)
    }

    #[test]
    fn a_percentile_is_of_the_window_alone() {
        let before = waits(0.0, &[("0.001", 900.0), ("0.01", 900.0), ("+Inf", 900.0)]);
        let after = waits(1.0, &[("0.001", 900.0), ("0.01", 1000.0), ("+Inf", 1000.0)]);
        let p99 = Window::between(&before, &after).unwrap().values[4].unwrap();
        assert!((p99 - (0.001 + 0.009 * 0.99)).abs() < 1e-12, "{p99}");
        // Nothing before: all of it is new. Nothing since: nobody waited.
        let first = Window::between(&waits(-1.0, &[]), &before).unwrap().values[4].unwrap();
        assert!((first - 0.000_99).abs() < 1e-12, "{first}");
        let again = waits(2.0, &[("0.001", 900.0), ("0.01", 1000.0), ("+Inf", 1000.0)]);
        assert_eq!(Window::between(&after, &again).unwrap().values[4], Some(0.0));
        let gone = Window::between(&after, &waits(2.0, &[]));
        assert_eq!(gone, Err(Gap::Reset("runq_p99_seconds")));
    }

    #[test]
    fn values_above_the_last_bound_are_taken_for_it() {
        assert_eq!(
            quantile(&[(1.0, 0.0), (2.0, 0.0), (f64::INFINITY, 9.0)], 0.99),
            2.0
        );
        assert_eq!(
            quantile(&[(1.0, 50.0), (2.0, 100.0), (f64::INFINITY, 100.0)], 0.5),
            1.0
        );
    }
}
