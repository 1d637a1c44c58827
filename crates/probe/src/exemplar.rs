//! Exemplars: of each bucket of a histogram the value that came last, with what it was of. They lead from a number to a line
//! of a log, so only a probe that tells single events has them.

use std::collections::BTreeMap;

use crate::clock::real_of;
use crate::histogram::bucket_of;
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

/// An event that was counted.
#[derive(Debug)]
pub struct Seen<T> {
    /// The value that the histogram counts.
    pub value_ns: u64,
    /// When it came, since 1970. Taken once: a reader that sees the same exemplar again knows it by its time.
    pub unix_ns: u64,
    /// What it was.
    pub event: T,
}

/// The latest event in each bucket of each series.
#[derive(Debug)]
pub struct Latest<K, T> {
    bounds_seconds: Vec<f64>,
    events: BTreeMap<K, BTreeMap<usize, Seen<T>>>,
}

impl<K: Ord, T> Latest<K, T> {
    /// None yet; bounds are those of the histograms.
    pub fn new(bounds_seconds: &[f64]) -> Self {
        Self {
            bounds_seconds: bounds_seconds.to_vec(),
            events: BTreeMap::new(),
        }
    }

    /// Takes note of an event that came at this time of the monotonic clock, in place of an earlier one in its bucket.
    pub fn note(&mut self, series: K, value_ns: u64, at_ns: u64, event: T) {
        let seen = Seen {
            value_ns,
            unix_ns: real_of(at_ns),
            event,
        };
        let bucket = bucket_of(&self.bounds_seconds, value_ns);
        self.events.entry(series).or_default().insert(bucket, seen);
    }

    /// Forgets series that are not there any more.
    pub fn retain(&mut self, is_there: impl Fn(&K) -> bool) {
        self.events.retain(|series, _| is_there(series));
    }

    /// The events of a series, by bucket.
    pub fn of(&self, series: &K) -> impl Iterator<Item = &Seen<T>> {
        self.events.get(series).into_iter().flat_map(BTreeMap::values)
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
            latest.note("here", value_ns, 1, event);
        }
        latest.note("gone", 5, 1, 'e');
        latest.retain(|series| *series == "here");
        let here: Vec<_> = latest
            .of(&"here")
            .map(|seen| (seen.value_ns, seen.event))
            .collect();
        assert_eq!(
            here,
            [(100_000_000, 'b'), (100_000_001, 'c'), (2_000_000_000, 'd')]
        );
        assert_eq!(latest.of(&"gone").count(), 0);
    }
}
