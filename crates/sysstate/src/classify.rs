//! What a window is like, by a model, and which features make it so.

use crate::{
    clusters::distance,
    feature::Feature,
    labels::Worth,
    model::{Cluster, Model},
    window::Window,
};

/// The state of a system in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Like good windows of the training.
    Good,
    /// Like bad ones.
    Bad,
    /// Like none, or not measured.
    Unknown,
}

impl State {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Good, Self::Bad, Self::Unknown];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// One feature's part in a verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mover {
    /// Which feature.
    pub feature: &'static Feature,
    /// What it was in the window.
    pub value: f64,
    /// What it usually is in the good cluster that is nearest.
    pub usual: f64,
    /// Its share of the squared distance to that cluster; all shares add up to 1, or are 0 at its very centre.
    pub share: f64,
}

/// What a window is like.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// All of the model's features were measured.
    Measured(Classified),
    /// A feature was not measured, so the window's place is not known.
    Missing(&'static Feature),
}

/// The place of a window among the clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// Good, bad or unknown.
    pub state: State,
    /// Name of the cluster that it is in, or nearest to when it is in none.
    pub cluster: String,
    /// Distance to that cluster's centre over its radius: above 1 it is outside every cluster.
    pub distance_ratio: f64,
    /// Every feature, the one that matters most first.
    pub movers: Vec<Mover>,
}

impl Verdict {
    /// The state in a word.
    pub fn state(&self) -> State {
        match self {
            Self::Measured(classified) => classified.state,
            Self::Missing(_) => State::Unknown,
        }
    }
}

impl Model {
    /// Compares a window with the clusters. The one whose radius it uses up least has it: the nearest centre alone would
    /// let a small cluster take windows from within a wide one.
    pub fn classify(&self, window: &Window) -> Verdict {
        let mut values = Vec::with_capacity(self.features.len());
        for (feature, _) in &self.features {
            match window.value(feature) {
                Some(value) => values.push(value),
                None => return Verdict::Missing(feature),
            }
        }
        let point: Vec<f64> = self
            .features
            .iter()
            .zip(&values)
            .map(|((_, scaling), value)| scaling.scaled(*value))
            .collect();
        let Some((cluster, distance_ratio)) = closest(&self.clusters, &point) else {
            // `from_toml` and `learn` make no model without a cluster; one made by hand knows nothing.
            return Verdict::Missing(self.features[0].0);
        };
        let state = match cluster.worth {
            _ if distance_ratio > 1.0 => State::Unknown,
            Worth::Good => State::Good,
            Worth::Bad => State::Bad,
        };
        let good = self
            .clusters
            .iter()
            .filter(|cluster| cluster.worth == Worth::Good);
        let reference = closest(good, &point).map_or(cluster, |(cluster, _)| cluster);
        Verdict::Measured(Classified {
            state,
            cluster: cluster.name.clone(),
            distance_ratio,
            movers: self.movers(&values, &point, reference),
        })
    }

    fn movers(&self, values: &[f64], point: &[f64], reference: &Cluster) -> Vec<Mover> {
        let off = |at: usize| (point[at] - reference.centre[at]) * (point[at] - reference.centre[at]);
        let all: f64 = (0..point.len()).map(off).sum();
        let mut movers: Vec<Mover> = self
            .features
            .iter()
            .enumerate()
            .map(|(at, (feature, scaling))| Mover {
                feature,
                value: values[at],
                usual: scaling.unscaled(reference.centre[at]),
                share: if all > 0.0 { off(at) / all } else { 0.0 },
            })
            .collect();
        movers.sort_by(|one, other| other.share.total_cmp(&one.share));
        movers
    }
}

fn closest<'a>(clusters: impl IntoIterator<Item = &'a Cluster>, point: &[f64]) -> Option<(&'a Cluster, f64)> {
    clusters
        .into_iter()
        .map(|cluster| (cluster, distance(point, &cluster.centre) / cluster.radius))
        .min_by(|one, other| one.1.total_cmp(&other.1))
}
