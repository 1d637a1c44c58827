//! From windows with labels to a model.

use linfa_clustering::KMeansError;

use crate::{
    clusters::{Partition, distance, partition},
    feature::{FEATURES, Feature},
    labels::{Label, Worth},
    model::{Cluster, Model},
    order::{by_numbers, median},
    scaling::Scaling,
    window::Window,
};

/// A cluster reaches this much further than the training window that is farthest from its centre: the farthest of ten or
/// twenty windows is not the farthest there can be.
const MARGIN: f64 = 2.0;
/// No cluster reaches less far, in scaled units. Windows that were all but equal would else make every other one unknown;
/// this is the deviation of a feature over all of the training, or the least change of it that means something.
const LEAST_RADIUS: f64 = 1.0;
/// Of all windows this share must be in a cluster of their own name; else more clusters are tried.
const ENOUGH_NAMED: f64 = 0.99;
/// At most so many clusters for each name.
const MOST_PER_NAME: usize = 4;

/// What can be asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How many clusters; when absent, as few as give each name its own.
    pub clusters: Option<usize>,
}

/// A model, and what it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// The model.
    pub model: Model,
    /// How many windows it was made of.
    pub windows: usize,
    /// How many were left out because a feature was not measured in them.
    pub incomplete: usize,
    /// Features that most windows lack; the model knows nothing of them.
    pub unmeasured: Vec<&'static str>,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// There is no window with a label.
    #[error("no window has a label; the labels' times must be those of the recording")]
    NoWindows,
    /// No feature is measured in most windows.
    #[error("most windows measure no feature at all: no probe was attached while they were recorded")]
    NoFeatures,
    /// No window has all features.
    #[error("no window has all of its features; {0} windows were left out")]
    AllIncomplete(
        /// How many.
        usize,
    ),
    /// The library gave up.
    #[error("k-means failed: {0}")]
    Clustering(#[from] KMeansError),
}

/// Learns a model. The order of the windows does not matter.
///
/// # Errors
/// See [`LearnError`].
pub fn learn(windows: &[(Window, Label)], options: Options) -> Result<Learned, LearnError> {
    if windows.is_empty() {
        return Err(LearnError::NoWindows);
    }
    let (known, unmeasured) = measured(windows);
    if known.is_empty() {
        return Err(LearnError::NoFeatures);
    }
    let mut rows: Vec<(Vec<f64>, &Label)> = windows
        .iter()
        .filter_map(|(window, label)| Some((values(window, &known)?, label)))
        .collect();
    let incomplete = windows.len() - rows.len();
    if rows.is_empty() {
        return Err(LearnError::AllIncomplete(incomplete));
    }
    // Sums below are made in this order, whatever order the windows came in.
    rows.sort_by(|one, other| by_numbers(&one.0, &other.0).then_with(|| one.1.cmp(other.1)));
    let features: Vec<(&'static Feature, Scaling)> = known
        .iter()
        .enumerate()
        .map(|(column, at)| {
            let values: Vec<f64> = rows.iter().map(|(row, _)| row[column]).collect();
            (&FEATURES[*at], Scaling::fit(&values, FEATURES[*at].least))
        })
        .collect();
    let points: Vec<Vec<f64>> = rows.iter().map(|(row, _)| scaled(row, &features)).collect();
    let labels: Vec<&Label> = rows.iter().map(|(_, label)| *label).collect();
    let clusters = search(&points, &labels, options)?;
    let lengths = windows
        .iter()
        .map(|(window, _)| window.to_seconds - window.from_seconds);
    Ok(Learned {
        model: Model {
            window_seconds: median(lengths.collect()),
            features,
            clusters,
        },
        windows: rows.len(),
        incomplete,
        unmeasured,
    })
}

/// Numbers of the features that at least half the windows have, and names of the others.
fn measured(windows: &[(Window, Label)]) -> (Vec<usize>, Vec<&'static str>) {
    let (mut known, mut unmeasured) = (Vec::new(), Vec::new());
    for (at, feature) in FEATURES.iter().enumerate() {
        let count = windows
            .iter()
            .filter(|(window, _)| window.values[at].is_some())
            .count();
        if count * 2 >= windows.len() {
            known.push(at);
        } else {
            unmeasured.push(feature.name);
        }
    }
    (known, unmeasured)
}

fn values(window: &Window, features: &[usize]) -> Option<Vec<f64>> {
    features.iter().map(|at| window.values[*at]).collect()
}

fn scaled(row: &[f64], features: &[(&'static Feature, Scaling)]) -> Vec<f64> {
    row.iter()
        .zip(features)
        .map(|(value, (_, scaling))| scaling.scaled(*value))
        .collect()
}

/// As many clusters as were asked for, or the fewest in which enough windows are among their own; if no number of them
/// does that, the one that comes closest.
fn search(points: &[Vec<f64>], labels: &[&Label], options: Options) -> Result<Vec<Cluster>, LearnError> {
    if let Some(count) = options.clusters {
        return Ok(clusters(points, labels, &partition(points, count)?));
    }
    let mut names = labels.to_vec();
    names.sort_unstable();
    names.dedup();
    let mut best: Option<(usize, Vec<Cluster>)> = None;
    for count in names.len()..=names.len() * MOST_PER_NAME {
        let found = clusters(points, labels, &partition(points, count)?);
        let named = found.iter().map(|cluster| cluster.named).sum();
        let is_enough = named as f64 >= ENOUGH_NAMED * points.len() as f64;
        if best.as_ref().is_none_or(|(most, _)| named > *most) {
            best = Some((named, found));
        }
        if is_enough {
            break;
        }
    }
    Ok(best.map(|(_, clusters)| clusters).unwrap_or_default())
}

fn clusters(points: &[Vec<f64>], labels: &[&Label], partition: &Partition) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = partition
        .centres
        .iter()
        .enumerate()
        .map(|(number, centre)| {
            let members: Vec<usize> = (0..points.len())
                .filter(|at| partition.of_point[*at] == number)
                .collect();
            let (label, named) = most_common(members.iter().map(|at| labels[*at]));
            let farthest = members
                .iter()
                .map(|at| distance(&points[*at], centre))
                .fold(0.0, f64::max);
            Cluster {
                name: label.name,
                worth: label.worth,
                windows: members.len(),
                named,
                radius: (farthest * MARGIN).max(LEAST_RADIUS),
                centre: centre.clone(),
            }
        })
        .collect();
    clusters.sort_by(|one, other| {
        (one.worth, &one.name)
            .cmp(&(other.worth, &other.name))
            .then_with(|| by_numbers(&one.centre, &other.centre))
    });
    clusters
}

/// The label that most have; among equally common ones a bad one, then the first by name.
fn most_common<'a>(labels: impl Iterator<Item = &'a Label>) -> (Label, usize) {
    let mut sorted: Vec<&Label> = labels.collect();
    sorted.sort_unstable();
    sorted
        .chunk_by(|one, other| one == other)
        .map(|equal| (equal[0].clone(), equal.len()))
        .reduce(|best, next| {
            let is_worse = next.1 == best.1 && next.0.worth > best.0.worth;
            if next.1 > best.1 || is_worse { next } else { best }
        })
        .unwrap_or_else(|| (Label::of(Worth::Good), 0))
}
