//! Kernels that something else provides: a folder of them, such as a flake makes, or one image given by path.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wire::{KernelIdentity, digest_hex};

use super::{
    config::Set,
    provider::{Offer, Provider},
    store::Kernel,
};
use crate::{Error, IoContext, Progress, Result, digest::sha256_file, modules::Modules};

/// The environment variable that names a folder of kernels: `NAME/{vmlinuz,bzImage,Image}` and
/// `NAME/lib/modules/RELEASE/…` (or `NAME/modules`). Any of them may be links.
pub const VARIABLE: &str = "PROBELAB_KERNELS";

/// The flavour of kernels whose making is not known here.
pub const GIVEN: &str = "given";

/// Kernels that are on this machine and that nobody pins.
#[derive(Debug, Clone)]
pub struct Folder {
    kernels: Vec<Given>,
}

/// Where one of them is.
#[derive(Debug, Clone)]
struct Given {
    name: String,
    package: String,
    image: PathBuf,
    modules: Option<PathBuf>,
}

impl Folder {
    /// All kernels of a folder, by name.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut kernels = Vec::new();
        for entry in fs::read_dir(folder).at("listing", folder)? {
            let path = entry.at("listing", folder)?.path();
            let there = |names: &[&str]| {
                names
                    .iter()
                    .map(|name| path.join(name))
                    .find(|path| path.exists())
            };
            if let Some(image) = there(&["vmlinuz", "bzImage", "Image"]) {
                kernels.push(Given {
                    name: name_of(&path),
                    package: target_folder(&image),
                    image,
                    modules: there(&["lib/modules", "modules"]).map(|modules| release_folder(&modules)),
                });
            }
        }
        kernels.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { kernels })
    }

    /// One kernel, given by the path of its image.
    pub fn one(image: &Path, modules: Option<&Path>) -> Result<Self> {
        for path in [Some(image), modules].into_iter().flatten() {
            fs::metadata(path).at("finding", path)?;
        }
        Ok(Self {
            kernels: vec![Given {
                name: name_of(image),
                package: "-".into(),
                image: image.to_owned(),
                modules: modules.map(Path::to_owned),
            }],
        })
    }

    fn given(&self, offer: &Offer) -> Result<&Given> {
        let given = self.kernels.iter().find(|given| given.name == offer.name);
        given.ok_or_else(|| {
            let names = self.kernels.iter().map(|given| given.name.as_str());
            Error::unknown_kernel(&offer.name, names)
        })
    }
}

impl Provider for Folder {
    fn offers(&self) -> Result<Vec<Offer>> {
        let offer = |given: &Given| Offer {
            name: given.name.clone(),
            flavour: GIVEN.into(),
            // Who provides kernels wants them in every matrix.
            sets: vec![Set::Quick],
            package: given.package.clone(),
            version: given.version(),
            sha256: None,
            stored: true,
        };
        Ok(self.kernels.iter().map(offer).collect())
    }

    fn kernel(&self, offer: &Offer, _: &Progress) -> Result<Kernel> {
        let given = self.given(offer)?;
        Ok(Kernel {
            identity: KernelIdentity {
                series: offer.name.clone(),
                package: offer.package.clone(),
                version: offer.version.clone(),
                sha256: given.digest()?,
                stands_in_for: None,
            },
            image: given.image.canonicalize().at("finding", &given.image)?,
            modules: given
                .modules
                .clone()
                .unwrap_or_else(|| PathBuf::from("/nonexistent")),
        })
    }

    /// Nothing says what these files should be; that all of them can be read is what can be said.
    fn verify(&self, offer: &Offer) -> Result<Option<usize>> {
        let given = self.given(offer)?;
        given.digest()?;
        Ok(Some(1 + given.module_files()?.len()))
    }
}

impl Given {
    /// The release that its modules are for.
    fn version(&self) -> String {
        self.modules
            .as_deref()
            .map(name_of)
            .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
            .unwrap_or_else(|| "-".into())
    }

    fn module_files(&self) -> Result<Vec<PathBuf>> {
        match &self.modules {
            Some(folder) => Ok(Modules::find(folder)?.files().map(Path::to_owned).collect()),
            None => Ok(Vec::new()),
        }
    }

    /// sha256 over the image and all modules: a rebuilt module is another kernel.
    fn digest(&self) -> Result<String> {
        let image = sha256_file(&self.image)?;
        let modules = self.module_files()?;
        if modules.is_empty() {
            return Ok(image);
        }
        let mut parts = vec![image];
        for path in &modules {
            parts.push(name_of(path));
            parts.push(sha256_file(path)?);
        }
        Ok(digest_hex(
            &parts.iter().map(String::as_bytes).collect::<Vec<_>>(),
        ))
    }
}

/// The folder in which a file really lies when links led to it: in a Nix store, the derivation. Else `-`.
fn target_folder(file: &Path) -> String {
    let linked = |path: &Path| path.is_symlink();
    if !linked(file) && !file.parent().is_some_and(linked) {
        return "-".into();
    }
    let real = file.canonicalize().ok();
    real.and_then(|real| real.parent().map(name_of))
        .unwrap_or_else(|| "-".into())
}

/// `lib/modules/RELEASE` when there is one release, else the folder itself.
fn release_folder(modules: &Path) -> PathBuf {
    let folders: Vec<PathBuf> = fs::read_dir(modules)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    match folders.as_slice() {
        [only] if only.is_dir() => only.clone(),
        _ => modules.to_owned(),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder as a flake makes it: a link farm over outputs of a store.
    fn farm() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("store/0a1b-linux-6.6.143/bzImage", b"image");
        write(
            "store/2c3d-modules/lib/modules/6.6.143/modules.builtin",
            b"kernel/net/sched/sch_netem.ko\n",
        );
        let veth = "store/2c3d-modules/lib/modules/6.6.143/kernel/drivers/net/veth.ko.zst";
        write(veth, &zstd::encode_all(b"veth".as_slice(), 0).unwrap());
        write("kernels/README", b"no kernel");
        fs::create_dir_all(top.path().join("kernels/6.6-nix/lib")).unwrap();
        for (target, link) in [
            ("store/0a1b-linux-6.6.143/bzImage", "kernels/6.6-nix/bzImage"),
            ("store/2c3d-modules/lib/modules", "kernels/6.6-nix/lib/modules"),
        ] {
            symlink(top.path().join(target), top.path().join(link)).unwrap();
        }
        top
    }

    fn only(top: &Path) -> (Folder, Offer) {
        let folder = Folder::open(&top.join("kernels")).unwrap();
        let offers = folder.offers().unwrap();
        assert_eq!(offers.len(), 1, "{offers:?}");
        let offer = offers.into_iter().next().unwrap();
        (folder, offer)
    }

    #[test]
    fn a_link_farm_of_a_store_is_read() {
        let top = farm();
        let (folder, offer) = only(top.path());
        assert_eq!(offer.name, "6.6-nix");
        assert_eq!(offer.package, "0a1b-linux-6.6.143");
        assert_eq!(offer.version, "6.6.143");
        let kernel = folder.kernel(&offer, &Progress::silent()).unwrap();
        assert!(kernel.image.ends_with("store/0a1b-linux-6.6.143/bzImage"));
        let wanted = ["veth".to_owned(), "sch_netem".to_owned(), "tun".to_owned()];
        let selection = Modules::find(&kernel.modules)
            .unwrap()
            .select(&wanted, false)
            .unwrap();
        assert_eq!(selection.bytes["veth"], b"veth");
        assert_eq!(selection.index, "veth veth\nsch_netem builtin\n");
        assert_eq!(folder.verify(&offer).unwrap(), Some(2));
    }

    #[test]
    fn another_module_is_another_kernel() {
        let top = farm();
        let digest = || {
            let (folder, offer) = only(top.path());
            folder
                .kernel(&offer, &Progress::silent())
                .unwrap()
                .identity
                .sha256
        };
        let before = digest();
        assert_eq!(before, digest());
        let veth = "store/2c3d-modules/lib/modules/6.6.143/kernel/drivers/net/veth.ko.zst";
        fs::write(top.path().join(veth), b"other").unwrap();
        assert_ne!(before, digest());
    }

    #[test]
    fn one_image_needs_no_modules() {
        let top = farm();
        let folder = Folder::one(&top.path().join("kernels/6.6-nix/bzImage"), None).unwrap();
        let offer = folder.offers().unwrap().remove(0);
        assert_eq!((offer.name.as_str(), offer.version.as_str()), ("bzImage", "-"));
        let kernel = folder.kernel(&offer, &Progress::silent()).unwrap();
        assert_eq!(kernel.identity.sha256, sha256_file(&kernel.image).unwrap());
    }
}
