//! What tells which containers there are: nothing, a file, or the cluster's API server.

use std::path::PathBuf;

use clap::Args;
use probe::metrics::Families;

use crate::manifest::ManifestError;
use crate::targets::cluster::{Cluster, ClusterArguments, Follower};
use crate::targets::inventory::{Inventory, InventoryFile};

/// The options.
#[derive(Debug, Args)]
pub struct IdentityArguments {
    /// A file that tells which containers there are, for selectors; with --cluster, until the API server does.
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

impl IdentityArguments {
    /// Reads the file, and how the API server is reached.
    ///
    /// # Errors
    /// When the file is no inventory, or nothing tells where the API server is.
    pub fn read(&self) -> Result<Identities, ManifestError> {
        let inventory = self.inventory.as_deref().map(Inventory::read).transpose()?;
        Ok(Identities {
            nobody: InventoryFile::default(),
            inventory,
            cluster: self.cluster.read()?,
        })
    }
}

/// The containers of this node, as far as something tells of them.
#[derive(Debug, Default)]
pub struct Identities {
    nobody: InventoryFile,
    inventory: Option<Inventory>,
    cluster: Option<Cluster>,
}

impl Identities {
    /// Whether anything tells.
    pub fn are_told(&self) -> bool {
        self.inventory.is_some() || self.cluster.is_some()
    }

    /// Looks whether anything has changed.
    pub fn refresh(&mut self) {
        if let Some(inventory) = &mut self.inventory {
            inventory.refresh();
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.refresh();
        }
    }

    /// The API server's word, if it ever gave it; else the file's.
    pub fn known(&self) -> &InventoryFile {
        let by_cluster = self.cluster.as_ref().and_then(Cluster::known);
        by_cluster
            .or_else(|| self.inventory.as_ref().map(Inventory::known))
            .unwrap_or(&self.nobody)
    }

    /// What has to run in the event loop so that the API server's word arrives. Once only.
    pub fn follower(&mut self) -> Option<Follower> {
        self.cluster.as_mut().and_then(Cluster::follower)
    }

    /// Why it is not known who is to be watched, if it is not.
    pub fn missing(&self) -> Option<String> {
        let cluster = self.cluster.as_ref()?;
        match (cluster.known(), &self.inventory) {
            (None, Some(_)) => None,
            _ => cluster.missing(),
        }
    }

    /// Adds how the API server is heard.
    pub fn add(&self, families: &mut Families) {
        if let Some(cluster) = &self.cluster {
            cluster.add(families);
        }
    }
}

#[cfg(test)]
impl From<Inventory> for Identities {
    fn from(inventory: Inventory) -> Self {
        Self {
            inventory: Some(inventory),
            ..Self::default()
        }
    }
}
