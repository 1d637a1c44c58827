//! Histograms with fixed bounds. A bound is inclusive, as Prometheus' `le` is: a value equal to it is below it.

use std::collections::BTreeMap;

use crate::exemplar::Exemplar;

/// Bounds in seconds that OpenTelemetry advises for HTTP server durations.
pub const HTTP_BOUNDS_SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// A bound as whole nanoseconds, which is what kernel clocks count.
pub fn bound_ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// Which bucket a value is in; the last one has no bound.
pub fn bucket_of(bounds_seconds: &[f64], value_ns: u64) -> usize {
    bounds_seconds.partition_point(|bound| bound_ns(*bound) < value_ns)
}

/// Counts per bucket (not cumulative) with their sum. The last bucket has no upper bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bounds_seconds: Vec<f64>,
    buckets: Vec<u64>,
    sum_ns: u128,
    /// By bucket.
    exemplars: BTreeMap<usize, Exemplar>,
}

impl Histogram {
    /// An empty histogram. `bounds_seconds` must increase.
    pub fn new(bounds_seconds: &[f64]) -> Self {
        Self {
            bounds_seconds: bounds_seconds.to_vec(),
            buckets: vec![0; bounds_seconds.len() + 1],
            sum_ns: 0,
            exemplars: BTreeMap::new(),
        }
    }

    /// Adds one value.
    pub fn record_ns(&mut self, value_ns: u64) {
        let at = bucket_of(&self.bounds_seconds, value_ns);
        self.buckets[at] += 1;
        self.sum_ns += u128::from(value_ns);
    }

    /// Says what one of the values was of. A later one takes the place of an earlier one in its bucket, and one in an empty
    /// bucket is left out: it has not been counted yet.
    pub fn mark(&mut self, exemplar: Exemplar) {
        let at = bucket_of(&self.bounds_seconds, exemplar.value_ns);
        if self.buckets[at] > 0 {
            self.exemplars.insert(at, exemplar);
        }
    }

    /// The exemplar of a bucket.
    pub fn exemplar(&self, bucket: usize) -> Option<&Exemplar> {
        self.exemplars.get(&bucket)
    }

    /// Adds counts that were made elsewhere with the same bounds. Counts beyond the known buckets are left out.
    pub fn add(&mut self, buckets: &[u64], sum_ns: u128) {
        for (mine, theirs) in self.buckets.iter_mut().zip(buckets) {
            *mine += theirs;
        }
        self.sum_ns += sum_ns;
    }

    /// Adds another histogram. Of bounds that only one of them has nothing can be said about both, so they are dropped.
    pub fn merge(&mut self, other: &Self) {
        if self.bounds_seconds == other.bounds_seconds {
            self.add(&other.buckets, other.sum_ns);
            self.exemplars.extend(other.exemplars.clone());
            return;
        }
        let has = |bounds: &[f64], bound: f64| bounds.iter().any(|own| bound_ns(*own) == bound_ns(bound));
        let common: Vec<f64> = self
            .bounds_seconds
            .iter()
            .copied()
            .filter(|bound| has(&other.bounds_seconds, *bound))
            .collect();
        let mut merged = Self::new(&common);
        for part in [&*self, other] {
            for (upper, count) in part.buckets() {
                let at = common.partition_point(|bound| *bound < upper);
                merged.buckets[at] += count;
            }
            merged.sum_ns += part.sum_ns;
            for exemplar in part.exemplars.values() {
                merged.mark(exemplar.clone());
            }
        }
        *self = merged;
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// The value in seconds below which this share of all values lies, guessed as if the values of a bucket were spread
    /// evenly over it; values in the last bucket are taken for its lower bound. `None` when there are none.
    pub fn estimate_seconds(&self, share: f64) -> Option<f64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let wanted = share.clamp(0.0, 1.0) * total as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (upper, count) in self.buckets() {
            let count = count as f64;
            if count > 0.0 && below + count >= wanted {
                let inside = (wanted - below) / count;
                return Some(if upper.is_finite() {
                    lower + (upper - lower) * inside
                } else {
                    lower
                });
            }
            below += count;
            lower = upper;
        }
        Some(lower)
    }

    /// Upper bound in seconds and own count of each bucket; the last bound is infinite.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        self.bounds_seconds
            .iter()
            .copied()
            .chain([f64::INFINITY])
            .zip(self.buckets.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::new(&HTTP_BOUNDS_SECONDS);
        for value_ns in [0, 5_000_000, 5_000_001, 10_000_000_000, 10_000_000_001] {
            histogram.record_ns(value_ns);
        }
        let counts: Vec<u64> = histogram.buckets().iter().map(|bucket| bucket.1).collect();
        assert_eq!(counts[0], 2);
        assert_eq!(counts[1], 1);
        assert_eq!(counts[13], 1);
        assert_eq!(counts[14], 1);
        assert_eq!(histogram.count(), 5);
    }

    #[test]
    fn of_different_bounds_the_common_ones_stay() {
        let mut mine = Histogram::new(&[0.1, 0.15, 0.25]);
        let mut theirs = Histogram::new(&[0.1, 0.25, 0.5]);
        for value_ns in [90_000_000, 120_000_000, 200_000_000, 400_000_000] {
            mine.record_ns(value_ns);
            theirs.record_ns(value_ns);
        }
        mine.merge(&theirs);
        assert_eq!(mine.buckets(), [(0.1, 2), (0.25, 4), (f64::INFINITY, 2)]);
        assert_eq!(mine.sum_seconds(), 1.62);
    }

    #[test]
    fn an_exemplar_stays_with_its_value() {
        let exemplar = |value_ns| Exemplar {
            labels: crate::metrics::Labels::new(),
            value_ns,
            unix_ns: 1,
        };
        let mut histogram = Histogram::new(&[0.1, 0.15, 0.25]);
        histogram.record_ns(120_000_000);
        histogram.mark(exemplar(120_000_000));
        histogram.mark(exemplar(200_000_000));
        assert_eq!(histogram.exemplar(1).unwrap().value_ns, 120_000_000);
        assert_eq!(histogram.exemplar(2), None);
        histogram.merge(&Histogram::new(&[0.1, 0.25]));
        assert_eq!(histogram.exemplar(1).unwrap().value_ns, 120_000_000);
        let mut other = Histogram::new(&[0.1, 0.25]);
        other.record_ns(300_000_000);
        other.mark(exemplar(300_000_000));
        histogram.merge(&other);
        assert_eq!(histogram.exemplar(1).unwrap().value_ns, 120_000_000);
        assert_eq!(histogram.exemplar(2).unwrap().value_ns, 300_000_000);
    }

    #[test]
    fn estimates_stay_in_the_bucket_of_the_value() {
        let mut histogram = Histogram::new(&[1.0, 2.0, 4.0]);
        assert_eq!(histogram.estimate_seconds(0.5), None);
        for value_ns in [500_000_000, 1_500_000_000, 1_600_000_000, 9_000_000_000] {
            histogram.record_ns(value_ns);
        }
        assert_eq!(histogram.estimate_seconds(0.25), Some(1.0));
        assert_eq!(histogram.estimate_seconds(0.5), Some(1.5));
        assert_eq!(histogram.estimate_seconds(1.0), Some(4.0));
    }

    #[test]
    fn every_bound_is_exact_in_nanoseconds() {
        for bound in HTTP_BOUNDS_SECONDS {
            assert_eq!(bound_ns(bound) as f64 / 1e9, bound);
        }
    }
}
