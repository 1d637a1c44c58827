//! Manifests of the retrofit source, `apiVersion: bpfd.io/v1alpha1`, as they are written there.
//!
//! They name a program that somebody else compiled and the map it counts in. Here one of our probes counts the same:
//!
//! | kind | `spec.name` | `metric_type` | becomes |
//! |---|---|---|---|
//! | `UprobeProgram` | `F_counter` | `counter` | calls of the function `F_` (as Fortran has it), else `F`, of the program `process` |
//! | `KprobeProgram` | `F_counter` | `counter` | calls of the kernel's function `F` by processes that run `process` |
//! | `KprobeProgram` | `runqslower` | `summary` | waits for a CPU of processes that run `process` |
//!
//! Selectors mean what they say. `map_type` and `map_name` are read and not needed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use probe::Spec;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::exports::Export;
use crate::manifest::Body;
use crate::selector::{Labels, Selector};

/// What both kinds say.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The program's name, which says what it does.
    pub name: String,
    /// What it counts: one entry.
    pub metrics: BTreeMap<String, Metric>,
    /// Nodes.
    #[serde(default)]
    pub nodeselector: LabelSelector,
    /// Namespaces of pods.
    #[serde(default)]
    pub namespaceselector: LabelSelector,
    /// Pods.
    #[serde(default)]
    pub podselector: LabelSelector,
    /// Containers, by `name` alone.
    #[serde(default)]
    pub containerselector: ContainerSelector,
    /// Path of the program that processes run, in their own root directory.
    pub process: PathBuf,
}

/// One map of the program, as a metric.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Type of the map.
    #[serde(rename = "map_type")]
    pub _map_type: MapType,
    /// Name of the map.
    #[serde(rename = "map_name")]
    pub _map_name: String,
    /// Type of the metric.
    pub metric_type: MetricType,
    /// Name of the metric.
    pub name: String,
    /// Its help text.
    pub description: String,
}

/// Types of maps.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum MapType {
    /// One value.
    Array,
    /// Values by key.
    HashMap,
    /// One value per CPU.
    PerCpuArray,
    /// Values by key, one per CPU.
    PerCpuHashMap,
}

/// Types of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricType {
    /// Only rises.
    Counter,
    /// A distribution by quantiles.
    Summary,
}

/// Labels that an object must have; without any, every object does.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LabelSelector {
    /// Names and values.
    #[serde(default)]
    pub match_labels: Labels,
}

/// Which container of a pod; without a name, every one.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ContainerSelector {
    /// Its name.
    #[serde(default)]
    pub match_labels: ContainerName,
}

/// A container has a name and no labels.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerName {
    /// The name, as the pod calls it.
    pub name: Option<String>,
}

/// The end of the name of a program that counts calls.
const COUNTER: &str = "_counter";

impl Program {
    fn selector(&self, process: Option<PathBuf>) -> Selector {
        Selector {
            process,
            cgroups: Vec::new(),
            container: self.containerselector.match_labels.name.clone(),
            pod_labels: self.podselector.match_labels.clone(),
            namespace_labels: self.namespaceselector.match_labels.clone(),
            node_labels: self.nodeselector.match_labels.clone(),
        }
    }

    fn metric(&self, wanted: MetricType) -> Result<&Metric, String> {
        let mut metrics = self.metrics.values();
        match (metrics.next(), metrics.next()) {
            (Some(metric), None) if metric.metric_type == wanted => Ok(metric),
            (Some(_), None) => Err(format!(
                "the metric of `{}` has the type {wanted:?}, in small letters",
                self.name
            )),
            _ => Err(format!("`{}` has one metric", self.name)),
        }
    }

    /// As a counter of calls of a function of the program `process`.
    ///
    /// # Errors
    /// What cannot be done.
    pub fn uprobe(self) -> Result<Body, String> {
        let Some(function) = self.name.strip_suffix(COUNTER) else {
            return Err(format!(
                "a UprobeProgram is called after the function whose calls it counts, as area_counter is; `{}` is not",
                self.name
            ));
        };
        let spec = probe_calls::Spec {
            program: Some(self.process.clone()),
            symbol: Some(format!("{function}_")),
            or_symbol: Some(function.to_owned()),
            ..probe_calls::Spec::default()
        };
        // Whoever calls a function of that file runs it.
        self.counter(Box::new(spec), None)
    }

    /// As a counter of calls of a kernel function, or as the run-queue probe.
    ///
    /// # Errors
    /// What cannot be done.
    pub fn kprobe(self) -> Result<Body, String> {
        if self.name == "runqslower" {
            let metric = self.metric(MetricType::Summary)?;
            let of = ["runq_latency_seconds", "runq_wait_seconds"];
            return Ok(Body {
                exports: Export::summary(&metric.name, &metric.description, of[0], of[1])?,
                selector: Some(self.selector(Some(self.process.clone()))),
                spec: Box::new(probe_runq::Spec::default()),
            });
        }
        let Some(function) = self.name.strip_suffix(COUNTER) else {
            return Err(format!(
                "there is no KprobeProgram `{}`: there are runqslower, and FUNCTION_counter for calls of a kernel \
                 function",
                self.name
            ));
        };
        let spec = probe_calls::Spec {
            kprobe: Some(function.to_owned()),
            ..probe_calls::Spec::default()
        };
        let process = Some(self.process.clone());
        self.counter(Box::new(spec), process)
    }

    fn counter(&self, spec: Box<dyn Spec>, process: Option<PathBuf>) -> Result<Body, String> {
        let metric = self.metric(MetricType::Counter)?;
        Ok(Body {
            exports: Export::counter(&metric.name, &metric.description, "function_calls")?,
            selector: Some(self.selector(process)),
            spec,
        })
    }
}
