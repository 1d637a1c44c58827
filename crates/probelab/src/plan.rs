//! The plan of a matrix: which cells there are, in which order, and which of them are whose part. Pure.
//!
//! Kernel by kernel, so that a part needs few kernels and few checkpoints. The loaders of a scenario on a kernel stay
//! together, because they are compared.

use vm::kernels::Source;
use wire::Loader;

use crate::{cells::loaders_of, cli::Shard, files::Loaded};

/// A scenario on a kernel, with all its loaders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Scenario name.
    pub scenario: String,
    /// Series of the kernel.
    pub series: String,
    /// What it runs with.
    pub loaders: Vec<Option<Loader>>,
    /// How long it may take, beside others: its deadline, once per loader.
    pub weight: u64,
}

/// All units, in the order in which they run.
pub fn plan(scenarios: &[Loaded], sources: &[Source], loaders: &[Loader]) -> Vec<Unit> {
    let of_kernel = |source: &Source| {
        let series = source.name().to_owned();
        scenarios
            .iter()
            .map(|loaded| {
                let loaders = loaders_of(loaded, loaders);
                Unit {
                    scenario: loaded.name.clone(),
                    series: series.clone(),
                    weight: loaded.scenario.deadline_wall_seconds() * loaders.len() as u64,
                    loaders,
                }
            })
            .collect::<Vec<_>>()
    };
    sources.iter().flat_map(of_kernel).collect()
}

/// The units of one part: a run of neighbours whose weight is nearly the same for every part. A unit belongs to the
/// part in which its middle lies, so every unit is in exactly one.
pub fn part(units: Vec<Unit>, shard: Shard) -> Vec<Unit> {
    // A weight of nothing would have no middle of its own.
    let weight = |unit: &Unit| u128::from(unit.weight.max(1));
    let total: u128 = units.iter().map(weight).sum();
    let mut before = 0;
    units
        .into_iter()
        .filter(|unit| {
            let middle = 2 * before + weight(unit);
            before += weight(unit);
            let index = middle * shard.count as u128 / (2 * total);
            index as usize + 1 == shard.index
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(weights: &[u64]) -> Vec<Unit> {
        let unit = |(index, weight): (usize, &u64)| Unit {
            scenario: index.to_string(),
            series: "6.12".into(),
            loaders: vec![None],
            weight: *weight,
        };
        weights.iter().enumerate().map(unit).collect()
    }

    fn parts(all: &[Unit], count: usize) -> Vec<Vec<Unit>> {
        (1..=count)
            .map(|index| part(all.to_vec(), Shard { index, count }))
            .collect()
    }

    proptest! {
        #[test]
        fn every_unit_is_in_exactly_one_part(weights in prop::collection::vec(0u64..1000, 0..60), count in 1usize..12) {
            let all = units(&weights);
            prop_assert_eq!(parts(&all, count).concat(), all);
        }

        #[test]
        fn no_part_is_heavier_than_its_share_and_one_unit(
            weights in prop::collection::vec(1u64..1000, 1..60),
            count in 1usize..12,
        ) {
            let share = weights.iter().sum::<u64>() / count as u64 + 1;
            let largest = weights.iter().max().copied().unwrap_or(0);
            for part in parts(&units(&weights), count) {
                let weight: u64 = part.iter().map(|unit| unit.weight).sum();
                prop_assert!(weight <= share + largest, "{weight} of {share}, largest {largest}");
            }
        }
    }

    #[test]
    fn equal_units_make_equal_parts() {
        let sizes: Vec<usize> = parts(&units(&[60; 360]), 8).iter().map(Vec::len).collect();
        assert_eq!(sizes, [45; 8]);
    }
}
