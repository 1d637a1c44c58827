//! The kernels that `vm/kernels.lock` pins, out of Debian's archive.

use super::{
    config::Wanted,
    fetch::fetch,
    lock_file::{LockFile, Pin},
    provider::{Offer, Provider},
    store::{self, Kernel},
};
use crate::{Error, Progress, Result, cache::Cache};

/// Debian's archive, as far as the lock pins it.
#[derive(Debug, Clone)]
pub struct Debian {
    /// Where fetched kernels are kept.
    pub cache: Cache,
    /// Address of the archive; the one of this machine's apt when there is none.
    pub mirror: Option<String>,
    /// `vm/kernels.toml`.
    pub wanted: Wanted,
    /// `vm/kernels.lock`.
    pub lock: LockFile,
    /// Whether the newest build of a series may stand in for a pin that is no longer served.
    pub allow_drift: bool,
}

impl Debian {
    fn pin(&self, offer: &Offer) -> Result<&Pin> {
        let pin = self.lock.kernels.iter().find(|pin| pin.name == offer.name);
        pin.ok_or_else(|| Error::UnknownKernel {
            asked: offer.name.clone(),
            known: self.lock.names(),
        })
    }
}

impl Provider for Debian {
    fn offers(&self) -> Result<Vec<Offer>> {
        let offer = |pin: &Pin| {
            Ok(Offer {
                name: pin.name.clone(),
                flavour: pin.flavour.clone(),
                sets: pin.sets.clone(),
                package: pin.package.clone(),
                version: pin.version.clone(),
                sha256: Some(pin.key()),
                stored: store::folder_of(&self.cache, pin)?.exists(),
            })
        };
        self.lock.kernels.iter().map(offer).collect()
    }

    fn kernel(&self, offer: &Offer, progress: &Progress) -> Result<Kernel> {
        let mirror = self.mirror.as_deref();
        fetch(
            &self.cache,
            mirror,
            &self.wanted,
            self.pin(offer)?,
            self.allow_drift,
            progress,
        )
    }

    fn verify(&self, offer: &Offer) -> Result<Option<usize>> {
        store::verify(&self.cache, self.pin(offer)?)
    }
}
