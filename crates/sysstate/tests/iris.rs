//! The partition on a data set that everybody knows: three kinds of iris, of which one is apart and two touch.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use sysstate::{adjusted_rand_index, partition};

/// Measurements in centimetres, and the kind of each flower.
fn iris() -> (Vec<Vec<f64>>, Vec<usize>) {
    let iris = linfa_datasets::iris();
    let points = iris
        .records()
        .rows()
        .into_iter()
        .map(|row| row.to_vec())
        .collect();
    (points, iris.targets().to_vec())
}

/// What k-means makes of iris with three clusters is known (scikit-learn's documentation and many textbooks): an
/// adjusted Rand index of 0.730, with 50 of one kind alone, and 62 and 38 in the others.
#[test]
fn three_kinds_of_iris() {
    let (points, kinds) = iris();
    let found = partition(&points, 3).unwrap();
    let mut sizes: Vec<usize> = (0..3)
        .map(|cluster| found.of_point.iter().filter(|of| **of == cluster).count())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [38, 50, 62]);
    let pairs: Vec<_> = found.of_point.iter().zip(&kinds).collect();
    let index = adjusted_rand_index(&pairs);
    assert!((index - 0.730_238).abs() < 1e-5, "{index}");
}

/// Two clusters find the kind that is apart, but for three flowers; the index says that it is less than the truth.
#[test]
fn two_clusters_are_too_few_for_three_kinds() {
    let (points, kinds) = iris();
    let found = partition(&points, 2).unwrap();
    let pairs: Vec<_> = found.of_point.iter().zip(&kinds).collect();
    let index = adjusted_rand_index(&pairs);
    assert!((0.5..0.6).contains(&index), "{index}");
    let apart: std::collections::BTreeSet<usize> = (0..50).map(|at| found.of_point[at]).collect();
    assert_eq!(apart.len(), 1, "the first fifty are of the kind that is apart");
}

#[test]
fn kinds_in_random_clusters_agree_by_chance_only() {
    let (_, kinds) = iris();
    let pairs: Vec<_> = kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| (at % 3, kind))
        .collect();
    assert!(adjusted_rand_index(&pairs).abs() < 0.02);
}
