//! Kernels that are not pinned: the user's own image, or a folder of kernels that something else (a flake)
//! provides.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wire::KernelIdentity;

use super::store::Kernel;
use crate::{IoContext, Result, digest::sha256_file};

/// The environment variable that names a folder of kernels: `NAME/{vmlinuz,bzImage,Image}` and
/// `NAME/lib/modules/RELEASE/…` (or `NAME/modules`).
pub const VARIABLE: &str = "PROBELAB_KERNELS";

/// A kernel given by path.
pub fn own_kernel(name: &str, image: &Path, modules: Option<&Path>) -> Result<Kernel> {
    let sha256 = sha256_file(image)?;
    let modules = modules.map_or_else(|| PathBuf::from("/nonexistent"), Path::to_owned);
    Ok(Kernel {
        identity: KernelIdentity {
            series: name.to_owned(),
            package: "-".into(),
            version: "-".into(),
            sha256,
            stands_in_for: None,
        },
        image: image.canonicalize().at("finding", image)?,
        modules,
    })
}

/// The kernels of a folder, by name.
pub fn from_folder(folder: &Path) -> Result<Vec<Kernel>> {
    let mut kernels = Vec::new();
    for entry in fs::read_dir(folder).at("listing", folder)? {
        let path = entry.at("listing", folder)?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let image = ["vmlinuz", "bzImage", "Image"]
            .iter()
            .map(|file| path.join(file))
            .find(|file| file.exists());
        if let Some(image) = image {
            let modules = ["lib/modules", "modules"]
                .iter()
                .map(|below| path.join(below))
                .find(|path| path.is_dir());
            kernels.push(own_kernel(&name, &image, modules.as_deref())?);
        }
    }
    kernels.sort_by(|a, b| a.identity.series.cmp(&b.identity.series));
    Ok(kernels)
}
