//! How well two ways of sorting the same things into classes agree, whatever the classes are called.

use std::collections::BTreeMap;

/// The adjusted Rand index: 1 when both put the same things together, about 0 when they agree as often as by chance
/// (Hubert and Arabie, "Comparing partitions", Journal of Classification 2, 1985, equation 5).
///
/// Pairs of things that both put together are counted, less those expected by chance, over the most there could be less
/// the same. Where nothing can be expected (all in one class, or each in its own, by both), equal sortings are 1.
pub fn adjusted_rand_index<A: Ord, B: Ord>(pairs: &[(A, B)]) -> f64 {
    let mut cells: BTreeMap<(&A, &B), u64> = BTreeMap::new();
    let mut rows: BTreeMap<&A, u64> = BTreeMap::new();
    let mut columns: BTreeMap<&B, u64> = BTreeMap::new();
    for (one, other) in pairs {
        *cells.entry((one, other)).or_default() += 1;
        *rows.entry(one).or_default() += 1;
        *columns.entry(other).or_default() += 1;
    }
    let together = pairs_within(cells.values());
    let (by_one, by_other) = (pairs_within(rows.values()), pairs_within(columns.values()));
    let all = pairs_within([&(pairs.len() as u64)]);
    let expected = if all == 0.0 { 0.0 } else { by_one * by_other / all };
    let most = (by_one + by_other) / 2.0;
    if most == expected {
        1.0
    } else {
        (together - expected) / (most - expected)
    }
}

/// How many pairs there are within groups of these sizes.
fn pairs_within<'a>(sizes: impl IntoIterator<Item = &'a u64>) -> f64 {
    sizes
        .into_iter()
        .map(|size| size * size.saturating_sub(1) / 2)
        .sum::<u64>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(one: &[u8], other: &[u8]) -> f64 {
        let pairs: Vec<(u8, u8)> = one.iter().copied().zip(other.iter().copied()).collect();
        adjusted_rand_index(&pairs)
    }

    /// Worked out by hand.
    #[test]
    fn by_hand() {
        // Cells 3 | 1, 2: pairs 3 + 0 + 1 = 4; rows 3, 3: 6; columns 4, 2: 7; of 15 pairs.
        // (4 - 6*7/15) / (6.5 - 6*7/15) = (4 - 2.8) / (6.5 - 2.8) = 12/37.
        let value = index(&[0, 0, 0, 1, 1, 1], &[0, 0, 0, 0, 1, 1]);
        assert!((value - 12.0 / 37.0).abs() < 1e-15, "{value}");
        // Every cell 1: no pair is together in both; rows and columns 2, 2: 2 each; of 6 pairs.
        // (0 - 4/6) / (2 - 4/6) = -1/2.
        let value = index(&[0, 0, 1, 1], &[0, 1, 0, 1]);
        assert!((value + 0.5).abs() < 1e-15, "{value}");
        // One class split in two: cells 2, 1, 1: 1; rows 2, 2: 2; columns 2, 1, 1: 1; of 6.
        // (1 - 2/6) / (1.5 - 2/6) = (2/3) / (7/6) = 4/7.
        let value = index(&[0, 0, 1, 1], &[0, 0, 1, 2]);
        assert!((value - 4.0 / 7.0).abs() < 1e-15, "{value}");
    }

    #[test]
    fn names_do_not_matter_and_one_class_says_nothing() {
        assert_eq!(index(&[0, 0, 1, 1], &[7, 7, 3, 3]), 1.0);
        assert_eq!(index(&[0, 0, 1, 1], &[5, 5, 5, 5]), 0.0);
        assert_eq!(index(&[1, 1], &[2, 2]), 1.0);
        assert_eq!(index(&[], &[]), 1.0);
    }
}
