//! k-means, the same for the same points whatever their order, the number of threads or the machine.
//!
//! `linfa-clustering` finds the partition: k-means++ with its own seeded generator (xoshiro256+, the same on every
//! machine), ten starts, the best one. Its threads only share out points whose distances do not depend on each other;
//! every sum is made by one of them, in order. Nothing multiplies and adds in one step. What is left for this module: points
//! in one order, no more clusters than there are different points, clusters without points left out, centres that are
//! the means of their points (linfa counts the old centre as one more point), and clusters in one order, so that the
//! numbers of clusters do not change places from fit to fit.

use linfa::{DatasetBase, traits::Fit};
use linfa_clustering::{KMeans, KMeansError};
use ndarray::Array2;

use crate::order::by_numbers;

const STARTS: usize = 10;
const MOST_STEPS: u64 = 1_000;
/// In scaled units: centres that move less than this have arrived.
const TOLERANCE: f64 = 1e-9;

/// Points in clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// Mean of each cluster's points, in increasing order.
    pub centres: Vec<Vec<f64>>,
    /// The cluster of each point.
    pub of_point: Vec<usize>,
}

/// Distance between two points.
pub(crate) fn distance(one: &[f64], other: &[f64]) -> f64 {
    let squares = one
        .iter()
        .zip(other)
        .map(|(one, other)| (one - other) * (one - other));
    squares.sum::<f64>().sqrt()
}

/// Shares points out to at most `count` clusters. Points must be finite and of one length; no points are in no cluster.
///
/// # Errors
/// When the library gives up, which it does for numbers that are none.
pub fn partition(points: &[Vec<f64>], count: usize) -> Result<Partition, KMeansError> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|one, other| by_numbers(&points[*one], &points[*other]));
    let sorted: Vec<&[f64]> = order.iter().map(|at| points[*at].as_slice()).collect();
    let mut distinct = sorted.clone();
    distinct.dedup();
    let count = count.clamp(1, distinct.len().max(1));
    let Some(width) = sorted.first().map(|point| point.len()) else {
        return Ok(Partition {
            centres: Vec::new(),
            of_point: Vec::new(),
        });
    };
    let found = if count == distinct.len() {
        // Every different point is a cluster of its own; there is nothing to search for.
        distinct.iter().map(|point| point.to_vec()).collect()
    } else {
        search(&sorted, width, count)?
    };
    let of_sorted: Vec<usize> = sorted.iter().map(|point| nearest(point, &found)).collect();
    Ok(ordered(&sorted, &of_sorted, &order))
}

fn search(sorted: &[&[f64]], width: usize, count: usize) -> Result<Vec<Vec<f64>>, KMeansError> {
    let points = Array2::from_shape_fn((sorted.len(), width), |(row, column)| sorted[row][column]);
    let model = KMeans::params(count)
        .n_runs(STARTS)
        .max_n_iterations(MOST_STEPS)
        .tolerance(TOLERANCE)
        .fit(&DatasetBase::from(points))?;
    Ok(model
        .centroids()
        .rows()
        .into_iter()
        .map(|row| row.to_vec())
        .collect())
}

/// The first of the nearest.
fn nearest(point: &[f64], centres: &[Vec<f64>]) -> usize {
    let mut best = (0, f64::INFINITY);
    for (at, centre) in centres.iter().enumerate() {
        let distance = distance(point, centre);
        if distance < best.1 {
            best = (at, distance);
        }
    }
    best.0
}

/// Clusters that have points, by their means.
fn ordered(sorted: &[&[f64]], of_sorted: &[usize], order: &[usize]) -> Partition {
    let last = of_sorted.iter().copied().max().unwrap_or_default();
    let mut clusters: Vec<(Vec<f64>, usize)> = (0..=last)
        .filter_map(|cluster| Some((mean(sorted, of_sorted, cluster)?, cluster)))
        .collect();
    clusters.sort_by(|one, other| by_numbers(&one.0, &other.0));
    let mut new_number = vec![0; last + 1];
    for (number, (_, old)) in clusters.iter().enumerate() {
        new_number[*old] = number;
    }
    let mut of_point = vec![0; order.len()];
    for (at, old) in order.iter().zip(of_sorted) {
        of_point[*at] = new_number[*old];
    }
    Partition {
        centres: clusters.into_iter().map(|(centre, _)| centre).collect(),
        of_point,
    }
}

fn mean(sorted: &[&[f64]], of_sorted: &[usize], cluster: usize) -> Option<Vec<f64>> {
    let mut members = sorted
        .iter()
        .zip(of_sorted)
        .filter(|(_, of)| **of == cluster)
        .map(|(point, _)| *point);
    let mut sum = members.next()?.to_vec();
    let mut count = 1.0;
    for point in members {
        for (sum, value) in sum.iter_mut().zip(point) {
            *sum += value;
        }
        count += 1.0;
    }
    for sum in &mut sum {
        *sum /= count;
    }
    Some(sum)
}
