//! The model: how features are scaled, and which clusters there are. Its file is TOML for people to read; the same
//! training gives the same bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{feature::Feature, labels::Worth, scaling::Scaling};

const VERSION: u32 = 1;
const ABOUT: &str = "\
# What `probed state learn` made of recorded windows. Numbers of clusters are in scaled units:
# (root of the value - centre) / scale. `probed state explain` shows them in units of the features.
";

/// What was learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// How long the training windows were, the median.
    pub window_seconds: f64,
    /// The features, and how each is scaled.
    pub features: Vec<(&'static Feature, Scaling)>,
    /// The clusters: good ones first, then by name.
    pub clusters: Vec<Cluster>,
}

/// Windows that are like each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// What most of them are called.
    pub name: String,
    /// What most of them are.
    pub worth: Worth,
    /// How many there were in training.
    pub windows: usize,
    /// How many of them bore the name.
    pub named: usize,
    /// How far from the centre a window may be, in scaled units.
    pub radius: f64,
    /// Their mean, in scaled units, in the order of the model's features.
    pub centre: Vec<f64>,
}

/// Why a text is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It is not written as a model is; the message has the place.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// It is written as a model is and says something that cannot be.
    #[error("{0}")]
    Value(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    window_seconds: f64,
    #[serde(rename = "feature")]
    features: Vec<FeatureTable>,
    #[serde(rename = "cluster")]
    clusters: Vec<ClusterTable>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureTable {
    name: String,
    centre: f64,
    scale: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterTable {
    name: String,
    state: Worth,
    windows: usize,
    named: usize,
    radius: f64,
    centre: BTreeMap<String, f64>,
}

impl Model {
    /// The text of its file.
    pub fn to_toml(&self) -> String {
        let centre = |cluster: &Cluster| {
            let names = self.features.iter().map(|(feature, _)| feature.name.to_owned());
            names.zip(cluster.centre.iter().copied()).collect()
        };
        let file = File {
            version: VERSION,
            window_seconds: self.window_seconds,
            features: self
                .features
                .iter()
                .map(|(feature, scaling)| FeatureTable {
                    name: feature.name.to_owned(),
                    centre: scaling.centre,
                    scale: scaling.scale,
                })
                .collect(),
            clusters: self
                .clusters
                .iter()
                .map(|cluster| ClusterTable {
                    name: cluster.name.clone(),
                    state: cluster.worth,
                    windows: cluster.windows,
                    named: cluster.named,
                    radius: cluster.radius,
                    centre: centre(cluster),
                })
                .collect(),
        };
        // Tables of numbers and words, keys before tables: TOML can say all of it.
        let text = toml::to_string(&file).unwrap_or_default();
        format!("{ABOUT}{text}")
    }

    /// Reads the text of a model's file.
    ///
    /// # Errors
    /// See [`ModelError`].
    pub fn from_toml(text: &str) -> Result<Self, ModelError> {
        let file: File = toml::from_str(text)?;
        if file.version != VERSION {
            return Err(ModelError::Value(format!(
                "`version` is {}; this program knows version {VERSION}: learn again",
                file.version
            )));
        }
        if file.window_seconds.is_nan()
            || file.window_seconds <= 0.0
            || file.features.is_empty()
            || file.clusters.is_empty()
        {
            return Err(ModelError::Value(
                "a model has a `window_seconds` above 0, a `[[feature]]` and a `[[cluster]]`".to_owned(),
            ));
        }
        let features: Vec<_> = file.features.iter().map(feature).collect::<Result<_, _>>()?;
        for (at, (feature, _)) in features.iter().enumerate() {
            if features[..at].iter().any(|(known, _)| known == feature) {
                return Err(ModelError::Value(format!(
                    "feature `{}` is there twice",
                    feature.name
                )));
            }
        }
        let clusters = file.clusters.into_iter().map(|table| cluster(table, &features));
        Ok(Self {
            window_seconds: file.window_seconds,
            clusters: clusters.collect::<Result<_, _>>()?,
            features,
        })
    }
}

fn feature(table: &FeatureTable) -> Result<(&'static Feature, Scaling), ModelError> {
    let feature = Feature::named(&table.name)
        .ok_or_else(|| ModelError::Value(format!("there is no feature `{}`", table.name)))?;
    let is_usable = table.centre.is_finite() && table.scale.is_finite() && table.scale > 0.0;
    if !is_usable {
        return Err(ModelError::Value(format!(
            "feature `{}`: `centre` is a number and `scale` one above 0",
            table.name
        )));
    }
    let (centre, scale) = (table.centre, table.scale);
    Ok((feature, Scaling { centre, scale }))
}

fn cluster(table: ClusterTable, features: &[(&'static Feature, Scaling)]) -> Result<Cluster, ModelError> {
    let fail = |reason: &str| ModelError::Value(format!("cluster `{}`: {reason}", table.name));
    if !(table.radius > 0.0 && table.radius.is_finite()) {
        return Err(fail("`radius` is a number above 0"));
    }
    let centre: Option<Vec<f64>> = features
        .iter()
        .map(|(feature, _)| table.centre.get(feature.name).copied())
        .collect();
    let centre = centre
        .filter(|centre| centre.len() == table.centre.len() && centre.iter().all(|at| at.is_finite()))
        .ok_or_else(|| fail("`centre` has a number for each feature of the model and for no other"))?;
    Ok(Cluster {
        name: table.name,
        worth: table.state,
        windows: table.windows,
        named: table.named,
        radius: table.radius,
        centre,
    })
}
