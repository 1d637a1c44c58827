//! A file that tells which containers there are, where nothing else does. It is read again when it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::manifest::{ManifestError, parse_error};
use crate::selector::{Labels, Selector, all_in};
use crate::targets::ids::is_container_id;

/// The containers of this node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InventoryFile {
    #[serde(rename = "apiVersion")]
    version: Version,
    kind: Kind,
    /// Labels of this node.
    #[serde(default)]
    pub node_labels: Labels,
    /// Its containers.
    #[serde(default)]
    pub containers: Vec<Container>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
enum Version {
    #[default]
    #[serde(rename = "probelab.dev/v1alpha1")]
    V1Alpha1,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
enum Kind {
    #[default]
    Inventory,
}

impl InventoryFile {
    /// A node with these labels and containers.
    pub fn new(node_labels: Labels, containers: Vec<Container>) -> Self {
        Self {
            node_labels,
            containers,
            ..Self::default()
        }
    }
}

/// A container, and what is known of its pod. It is told by its control group or by its number, one of both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Container {
    /// Its name, as its pod calls it.
    pub name: String,
    /// Its control group: a path below the mount of the unified hierarchy, or a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Its number, as the container runtime gave it: 64 hexadecimal digits that the name of its control group ends in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of its pod.
    #[serde(default)]
    pub pod: String,
    /// Labels of its pod.
    #[serde(default)]
    pub pod_labels: Labels,
    /// Name of its pod's namespace.
    #[serde(default)]
    pub namespace: String,
    /// Labels of its pod's namespace.
    #[serde(default)]
    pub namespace_labels: Labels,
}

impl Container {
    /// Whether all that a selector says of containers, pods and namespaces is true of it. It must say something.
    pub fn is_meant_by(&self, selector: &Selector) -> bool {
        selector.needs_containers()
            && selector.container.as_ref().is_none_or(|name| *name == self.name)
            && all_in(&selector.pod_labels, &self.pod_labels)
            && all_in(&selector.namespace_labels, &self.namespace_labels)
    }

    /// Whether its control group can be looked for.
    fn check(&self) -> Result<(), String> {
        match (&self.cgroup, &self.id) {
            (Some(pattern), None) => match glob::Pattern::new(pattern) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("`cgroup`: {pattern:?} is no pattern: {error}")),
            },
            (None, Some(id)) if is_container_id(id) => Ok(()),
            (None, Some(id)) => Err(format!("`id`: {id:?} is not 64 hexadecimal digits")),
            _ => Err("it takes either `cgroup` or `id`, to find its control group".to_owned()),
        }
    }
}

/// The file, and what it said when it was last whole.
#[derive(Debug)]
pub struct Inventory {
    path: PathBuf,
    stamp: Option<Stamp>,
    known: InventoryFile,
}

/// Changes when the file does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length_bytes: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok()?,
            length_bytes: metadata.len(),
        })
    }
}

impl Inventory {
    /// Reads it.
    ///
    /// # Errors
    /// When it cannot be read or is no inventory.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let stamp = Stamp::of(path);
        Ok(Self {
            path: path.to_owned(),
            stamp,
            known: read(path)?,
        })
    }

    /// Reads it again if it changed. One that makes no sense changes nothing and is logged.
    pub fn refresh(&mut self) {
        let stamp = Stamp::of(&self.path);
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        match read(&self.path) {
            Ok(known) => self.known = known,
            Err(error) => tracing::error!("the inventory stays as it was: {error}"),
        }
    }

    /// What it said when it was last whole.
    pub fn known(&self) -> &InventoryFile {
        &self.known
    }
}

/// What a file says.
///
/// # Errors
/// When it cannot be read or is no inventory.
pub fn read(path: &Path) -> Result<InventoryFile, ManifestError> {
    let text = fs::read_to_string(path).map_err(|source| ManifestError::Read {
        path: path.to_owned(),
        source,
    })?;
    let file: InventoryFile = serde_saphyr::from_str(&text).map_err(|error| parse_error(path, &error))?;
    for container in &file.containers {
        container.check().map_err(|message| ManifestError::Value {
            path: path.to_owned(),
            name: container.name.clone(),
            message,
        })?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "apiVersion: probelab.dev/v1alpha1\nkind: Inventory\ncontainers:\n- name: area\n  cgroup: /a\n";

    #[test]
    fn an_unknown_key_has_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.yaml");
        fs::write(&path, format!("{ONE}  pud: x\n")).unwrap();
        let error = Inventory::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("inventory.yaml:6:3") && error.contains("pud"),
            "{error}"
        );
    }

    #[test]
    fn a_container_is_told_in_one_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.yaml");
        let id = "0".repeat(64);
        for (line, words) in [
            ("", Some("either `cgroup` or `id`")),
            (
                &format!("  cgroup: /a\n  id: '{id}'\n"),
                Some("either `cgroup` or `id`"),
            ),
            ("  id: abc\n", Some("64 hexadecimal digits")),
            ("  cgroup: '[a'\n", Some("no pattern")),
            (&format!("  id: '{id}'\n"), None),
        ] {
            fs::write(&path, ONE.replace("  cgroup: /a\n", line)).unwrap();
            let error = Inventory::read(&path)
                .map(|_| ())
                .map_err(|error| error.to_string());
            match words {
                None => assert_eq!(error, Ok(())),
                Some(words) => assert!(error.as_ref().unwrap_err().contains(words), "{error:?}"),
            }
        }
    }

    #[test]
    fn a_change_is_seen_and_nonsense_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.yaml");
        fs::write(&path, ONE).unwrap();
        let mut inventory = Inventory::read(&path).unwrap();
        assert_eq!(inventory.known().containers.len(), 1);
        fs::write(&path, format!("{ONE}- name: side\n  cgroup: /b\n")).unwrap();
        inventory.refresh();
        assert_eq!(inventory.known().containers.len(), 2);
        fs::write(&path, "nonsense").unwrap();
        inventory.refresh();
        assert_eq!(inventory.known().containers.len(), 2);
    }
}
