//! The waits of one control group, from the counters of all CPUs.

use probe::histogram::Histogram;

use crate::types::{RUNQ_BOUNDS, runq_waits};

/// Upper bounds of the buckets in seconds, inclusive: three a decade, from a microsecond to a second.
pub const BOUNDS_SECONDS: [f64; RUNQ_BOUNDS as usize] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0,
];

/// The waits of one control group's tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Waits {
    /// Their lengths.
    pub histogram: Histogram,
    /// Length of the longest in nanoseconds.
    pub longest_ns: u64,
    /// Length of the shortest in nanoseconds; `u64::MAX` while there is none.
    pub shortest_ns: u64,
    /// Waits that ended and whose length is not known.
    pub unmeasured: u64,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            histogram: Histogram::new(&BOUNDS_SECONDS),
            longest_ns: 0,
            shortest_ns: u64::MAX,
            unmeasured: 0,
        }
    }
}

impl Waits {
    /// Adds what one CPU counted.
    pub fn add(&mut self, cpu: &runq_waits) {
        self.histogram.add(&cpu.buckets, u128::from(cpu.sum_ns));
        self.longest_ns = self.longest_ns.max(cpu.longest_ns);
        self.shortest_ns = self.shortest_ns.min(!cpu.shortest_flipped_ns);
        self.unmeasured += cpu.unmeasured;
    }

    /// Adds the waits of another control group.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.merge(&other.histogram);
        self.longest_ns = self.longest_ns.max(other.longest_ns);
        self.shortest_ns = self.shortest_ns.min(other.shortest_ns);
        self.unmeasured += other.unmeasured;
    }

    /// Length in seconds at these shares of all waits, in order. Those at 0 and 1 are exact, others are guessed from
    /// the buckets and kept between the two. Nothing while there is no wait.
    pub fn quantiles(&self, shares: &[f64]) -> Vec<(f64, f64)> {
        let (shortest, longest) = (self.shortest_ns as f64 / 1e9, self.longest_ns as f64 / 1e9);
        let seconds = |share: f64| {
            let guess = self.histogram.estimate_seconds(share)?;
            Some(match share {
                0.0 => shortest,
                1.0 => longest,
                _ => guess.clamp(shortest, longest),
            })
        };
        shares
            .iter()
            .filter_map(|share| Some((*share, seconds(*share)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use probe::histogram::bound_ns;
    use proptest::prelude::*;

    use super::*;

    fn cpu(waits_ns: &[u64]) -> runq_waits {
        let mut cpu = runq_waits::default();
        for wait_ns in waits_ns {
            let at = BOUNDS_SECONDS.partition_point(|bound| bound_ns(*bound) < *wait_ns);
            cpu.buckets[at] += 1;
            cpu.sum_ns += wait_ns;
            cpu.longest_ns = cpu.longest_ns.max(*wait_ns);
            cpu.shortest_flipped_ns = cpu.shortest_flipped_ns.max(!wait_ns);
        }
        cpu
    }

    #[test]
    fn an_idle_cpu_changes_nothing() {
        let mut waits = Waits::default();
        assert_eq!(waits.quantiles(&[0.0, 0.5, 1.0]), []);
        waits.add(&runq_waits::default());
        assert_eq!(waits, Waits::default());
        waits.add(&cpu(&[7_000, 3_000]));
        waits.add(&runq_waits::default());
        assert_eq!(waits.quantiles(&[0.0, 1.0]), [(0.0, 3e-6), (1.0, 7e-6)]);
    }

    #[test]
    fn every_bound_is_exact_in_nanoseconds() {
        for bound in BOUNDS_SECONDS {
            assert_eq!(bound_ns(bound) as f64 / 1e9, bound);
        }
    }

    proptest! {
        #[test]
        fn the_order_of_cpus_does_not_matter(lists in prop::collection::vec(prop::collection::vec(0..2_000_000_000_u64, 0..9), 0..5)) {
            let (mut forward, mut backward) = (Waits::default(), Waits::default());
            for list in &lists {
                forward.add(&cpu(list));
            }
            for list in lists.iter().rev() {
                let mut one = Waits::default();
                one.add(&cpu(list));
                backward.merge(&one);
            }
            prop_assert_eq!(&forward, &backward);
            let quantiles = forward.quantiles(&[0.0, 0.25, 0.5, 1.0]);
            prop_assert!(quantiles.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{:?}", quantiles);
        }
    }
}
