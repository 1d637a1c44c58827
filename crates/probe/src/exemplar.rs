//! Exemplars: of each bucket of a histogram the value that came last, with what it was of. They lead from a number to a line
//! of a log, so only a probe that tells single events has them.

use std::collections::BTreeMap;

use crate::clock::{monotonic_ns, real_ns};
use crate::histogram::bound_ns;
use crate::metrics::Labels;

/// One of a histogram's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// What it was of: at most 128 letters in all (OpenMetrics 1.0, Exemplars).
    pub labels: Labels,
    /// The value.
    pub value_ns: u64,
    /// When it came, since 1970.
    pub unix_ns: u64,
}

impl Exemplar {
    /// A value that came at this time of the monotonic clock.
    pub fn new(labels: Labels, value_ns: u64, at_ns: u64) -> Self {
        let ago_ns = monotonic_ns().saturating_sub(at_ns);
        Self {
            labels,
            value_ns,
            unix_ns: real_ns().saturating_sub(ago_ns),
        }
    }
}

/// The latest event in each bucket of each series, by the value that the histogram counts.
#[derive(Debug)]
pub struct Latest<K, T> {
    bounds_ns: Vec<u64>,
    events: BTreeMap<K, BTreeMap<usize, (u64, T)>>,
}

impl<K: Ord, T> Latest<K, T> {
    /// None yet; bounds are those of the histograms.
    pub fn new(bounds_seconds: &[f64]) -> Self {
        Self {
            bounds_ns: bounds_seconds.iter().map(|bound| bound_ns(*bound)).collect(),
            events: BTreeMap::new(),
        }
    }

    /// Takes the place of an earlier one in its bucket.
    pub fn note(&mut self, series: K, value_ns: u64, event: T) {
        let bucket = self.bounds_ns.partition_point(|bound| *bound < value_ns);
        self.events
            .entry(series)
            .or_default()
            .insert(bucket, (value_ns, event));
    }

    /// Forgets series that are not there any more.
    pub fn retain(&mut self, is_there: impl Fn(&K) -> bool) {
        self.events.retain(|series, _| is_there(series));
    }

    /// Values and events of a series.
    pub fn of(&self, series: &K) -> impl Iterator<Item = (u64, &T)> {
        let buckets = self.events.get(series).into_iter().flatten();
        buckets.map(|(_, (value_ns, event))| (*value_ns, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_each_bucket_stays() {
        let mut latest = Latest::new(&[0.1, 1.0]);
        for (value_ns, event) in [
            (5, 'a'),
            (100_000_000, 'b'),
            (100_000_001, 'c'),
            (2_000_000_000, 'd'),
        ] {
            latest.note("here", value_ns, event);
        }
        latest.note("gone", 5, 'e');
        latest.retain(|series| *series == "here");
        let here: Vec<_> = latest.of(&"here").collect();
        assert_eq!(
            here,
            [(100_000_000, &'b'), (100_000_001, &'c'), (2_000_000_000, &'d')]
        );
        assert_eq!(latest.of(&"gone").count(), 0);
    }
}
