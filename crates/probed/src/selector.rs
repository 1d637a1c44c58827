//! Whom a probe watches, as a manifest says it. Everything that is said must be true of a task.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Names and values that must all be among those of an object.
pub type Labels = BTreeMap<String, String>;

/// Whom to watch; without any key, everybody.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Selector {
    /// Path of the program that a process runs, in the process's own root directory.
    pub process: Option<PathBuf>,
    /// Control groups, with those below: paths below the mount of the unified hierarchy, `*`, `?` and `[…]` allowed.
    #[serde(default)]
    pub cgroups: Vec<String>,
    /// Name of the container, as its pod calls it.
    pub container: Option<String>,
    /// Labels that its pod has.
    #[serde(default)]
    pub pod_labels: Labels,
    /// Labels that its pod's namespace has.
    #[serde(default)]
    pub namespace_labels: Labels,
    /// Labels that this node has; on others nobody is watched.
    #[serde(default)]
    pub node_labels: Labels,
}

impl Selector {
    /// Whether it takes to know containers.
    pub fn needs_containers(&self) -> bool {
        self.container.is_some() || !self.pod_labels.is_empty() || !self.namespace_labels.is_empty()
    }

    /// Whether it takes to know more than this machine tells.
    pub fn needs_inventory(&self) -> bool {
        self.needs_containers() || !self.node_labels.is_empty()
    }

    /// Whether only some control groups are meant.
    pub fn selects_cgroups(&self) -> bool {
        self.needs_inventory() || !self.cgroups.is_empty()
    }

    /// Whether its values make sense.
    ///
    /// # Errors
    /// Which key does not, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        if self
            .process
            .as_ref()
            .is_some_and(|process| !process.is_absolute())
        {
            return Err("`selector.process` must be an absolute path".to_owned());
        }
        for pattern in &self.cgroups {
            glob::Pattern::new(pattern)
                .map_err(|error| format!("`selector.cgroups`: {pattern:?} is no pattern: {error}"))?;
        }
        Ok(())
    }
}

/// Whether all of these are among the labels that something has.
pub fn all_in(wanted: &Labels, labels: &Labels) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}
