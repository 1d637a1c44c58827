//! Where kernels come from. A package archive and a folder that a flake or a person filled are the same thing to the
//! lab: each offers kernels by name, and hands one over.

use std::{fmt::Debug, sync::Arc};

use super::{config::Set, store::Kernel};
use crate::{Error, Progress, Result};

/// A kernel on offer: what is known of it before it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its name in commands and tables: a series such as `6.12`, or what its folder is called.
    pub name: String,
    /// How it was built, such as `cloud`.
    pub flavour: String,
    /// The sets it is in.
    pub sets: Vec<Set>,
    /// Package name, or `-`.
    pub package: String,
    /// Version, or `-`.
    pub version: String,
    /// sha256 of its identity, hex, where it is known without reading the kernel.
    pub sha256: Option<String>,
    /// Whether it is on this machine already.
    pub stored: bool,
}

/// Something that has kernels.
pub trait Provider: Debug + Send + Sync {
    /// What it has. Nothing is fetched for this, and no kernel is read.
    fn offers(&self) -> Result<Vec<Offer>>;

    /// One of its kernels, fetched when it is not there.
    fn kernel(&self, offer: &Offer, progress: &Progress) -> Result<Kernel>;

    /// Verifies every file of a kernel that is here, and returns how many there are. Nothing when it is not here.
    fn verify(&self, offer: &Offer) -> Result<Option<usize>>;
}

/// An offer and who makes it.
#[derive(Debug, Clone)]
pub struct Source {
    /// What is offered.
    pub offer: Offer,
    provider: Arc<dyn Provider>,
}

impl Source {
    /// Its name in commands and tables.
    pub fn name(&self) -> &str {
        &self.offer.name
    }

    /// The kernel, fetched when it is not there.
    pub fn kernel(&self, progress: &Progress) -> Result<Kernel> {
        self.provider.kernel(&self.offer, progress)
    }

    /// Verifies every file of the kernel. Nothing when it is not here.
    pub fn verify(&self) -> Result<Option<usize>> {
        self.provider.verify(&self.offer)
    }
}

/// The kernels of all providers, in their order. A name means one kernel: a record names it, and is replayed by it.
pub fn available(providers: &[Arc<dyn Provider>]) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = Vec::new();
    for provider in providers {
        for offer in provider.offers()? {
            if let Some(other) = sources.iter().find(|source| source.offer.name == offer.name) {
                return Err(Error::KernelTwice {
                    name: offer.name,
                    first: other.offer.package.clone(),
                    second: offer.package,
                });
            }
            sources.push(Source {
                offer,
                provider: Arc::clone(provider),
            });
        }
    }
    Ok(sources)
}
