//! The root filesystem of the guest: a tree of Debian packages as a reproducible cpio archive.
//!
//! What goes in is said by `vm/rootfs.toml`; which package files that were, and the sha256 of the archive they
//! made, by `vm/rootfs.lock`. The same inputs give the same archive in any folder on any machine.

mod build;
mod pack;
mod package;

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use build::build_in;
pub use pack::pack;
pub use package::package;

use crate::{
    Error, IoContext, Progress, Result,
    cache::{Cache, touch},
    cpio,
    digest::sha256_file,
    error::parse_toml,
    kernels::Archive,
    lock::Lock,
};

/// `vm/rootfs.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rootfs {
    /// Debian suite.
    pub suite: String,
    /// Packages, with everything they depend on.
    pub packages: Vec<String>,
    /// Paths that are left out: what no scenario reads costs guest memory in every checkpoint.
    pub drop: Vec<String>,
    /// Paths that stay although `drop` takes them.
    #[serde(default)]
    pub keep: Vec<String>,
    /// Folders whose Python sources are replaced by their bytecode.
    pub python: Vec<String>,
    /// Names under which busybox is installed.
    pub applets: Vec<String>,
    /// Text files to write, by path.
    pub files: BTreeMap<String, String>,
    /// Kernel modules that a scenario may ask for.
    pub modules: Vec<String>,
    #[serde(skip)]
    text: String,
}

/// `vm/rootfs.lock`: which packages, and what they became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootfsLock {
    /// sha256 of the archive, hex.
    pub sha256: String,
    /// The package files.
    #[serde(rename = "package")]
    pub packages: Vec<Archive>,
}

/// A root filesystem that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The cpio archive.
    pub archive: PathBuf,
    /// Its sha256, hex.
    pub sha256: String,
    /// The package files that went in.
    pub packages: Vec<Archive>,
    /// Modules that a scenario may ask for.
    pub modules: Vec<String>,
}

impl Rootfs {
    /// Reads `vm/rootfs.toml`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).at("reading", path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads its text.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let mut rootfs: Self = parse_toml(path, text)?;
        text.clone_into(&mut rootfs.text);
        Ok(rootfs)
    }
}

impl RootfsLock {
    /// Reads the lock; nothing when there is none.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        match fs::read_to_string(path) {
            Ok(text) => parse_toml(&path.display().to_string(), &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("reading", path),
        }
    }

    /// The lock of a built root filesystem, as text.
    pub fn render(built: &Built) -> String {
        let lock = Self {
            sha256: built.sha256.clone(),
            packages: built.packages.clone(),
        };
        let header =
            "# What the guest's root filesystem is made of. Written by `probelab rootfs update`.\n\n";
        // The type holds only strings, which TOML can always express.
        format!("{header}{}", toml::to_string(&lock).unwrap_or_default())
    }
}

/// The environment variable that names a ready archive.
pub const VARIABLE: &str = "PROBELAB_ROOTFS";

/// A root filesystem that something else made, such as a flake: a plain cpio archive of the form `newc`. Its digest
/// stands in every record; the lock says nothing about it.
pub fn given(archive: &Path, rootfs: &Rootfs) -> Result<Built> {
    let mut magic = [0; 6];
    let mut file = fs::File::open(archive).at("opening", archive)?;
    let read = file.read(&mut magic).at("reading", archive)?;
    if &magic[..read] != cpio::MAGIC {
        return Err(Error::Image {
            what: format!("{} is no cpio archive of the form newc", archive.display()),
            help: format!(
                "--rootfs ({VARIABLE}) names an archive that is not compressed, as `cpio -o -H newc` writes it"
            ),
        });
    }
    Ok(Built {
        sha256: sha256_file(archive)?,
        archive: archive.canonicalize().at("finding", archive)?,
        packages: Vec::new(),
        modules: rootfs.modules.clone(),
    })
}

const ARCHIVE: &str = "rootfs.cpio";
const PACKAGES: &str = "packages.toml";

/// The root filesystem, from the cache or built now. A build whose packages differ from the lock is an error
/// unless `allow_drift`; then it is said.
pub async fn get(
    cache: &Cache,
    rootfs: &Rootfs,
    lock: Option<&RootfsLock>,
    mirror: Option<&str>,
    allow_drift: bool,
    progress: &Progress,
) -> Result<Built> {
    // Another recipe or another lock is another root filesystem.
    let locked = lock.map(|lock| lock.sha256.clone()).unwrap_or_default();
    let key = wire::digest_hex(&[
        rootfs.text.as_bytes(),
        locked.as_bytes(),
        env!("CARGO_PKG_VERSION").as_bytes(),
    ]);
    let folder = cache.folder("rootfs")?.join(&key[..32]);
    let _lock = Lock::take(&folder.with_extension("lock"), progress, "rootfs").await?;
    if !folder.exists() {
        progress.step("rootfs", "building the root filesystem");
        let (cache, rootfs, mirror) = (cache.clone(), rootfs.clone(), mirror.map(str::to_owned));
        let target = folder.clone();
        let built =
            tokio::task::spawn_blocking(move || build_in(&cache, &rootfs, mirror.as_deref(), &target)).await;
        // The closure does not panic by itself and is never aborted.
        built
            .map_err(std::io::Error::other)
            .during(|| "building the root filesystem".into())??;
    }
    touch(&folder);
    let built = read_built(&folder, rootfs)?;
    if let Some(lock) = lock.filter(|lock| lock.sha256 != built.sha256) {
        let what = difference(lock, &built);
        if !allow_drift {
            crate::cache::remove(&folder)?;
            return Err(Error::DigestMismatch {
                what: format!("the root filesystem ({what})"),
                found: built.sha256,
                expected: lock.sha256.clone(),
                help: "--allow-drift runs with it (digests then differ from the pinned ones); \
                       `probelab rootfs update` pins it; --mirror URL reads a permanent archive"
                    .into(),
            });
        }
        progress.notice(
            "rootfs",
            format!("the root filesystem is not the pinned one: {what}"),
        );
    }
    Ok(built)
}

fn read_built(folder: &Path, rootfs: &Rootfs) -> Result<Built> {
    let archive = folder.join(ARCHIVE);
    let path = folder.join(PACKAGES);
    let text = fs::read_to_string(&path).at("reading", &path)?;
    let lock: RootfsLock = parse_toml(&path.display().to_string(), &text)?;
    let sha256 = sha256_file(&archive)?;
    if sha256 != lock.sha256 {
        return Err(Error::DigestMismatch {
            what: archive.display().to_string(),
            found: sha256,
            expected: lock.sha256,
            help: format!(
                "the cached copy was changed or damaged: delete {} and try again",
                folder.display()
            ),
        });
    }
    Ok(Built {
        archive,
        sha256,
        packages: lock.packages,
        modules: rootfs.modules.clone(),
    })
}

fn difference(lock: &RootfsLock, built: &Built) -> String {
    let changed: Vec<String> = built
        .packages
        .iter()
        .filter(|package| !lock.packages.contains(package))
        .map(|package| format!("{} {}", package.package, package.version))
        .collect();
    if changed.is_empty() {
        String::from("same packages, other bytes")
    } else {
        format!("other packages: {}", changed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_archive_is_known_by_its_bytes_and_must_be_one() {
        let text = "suite = \"trixie\"\npackages = []\ndrop = []\npython = []\napplets = []\nmodules = [\"veth\"]\n[files]\n";
        let recipe = Rootfs::parse("rootfs.toml", text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rootfs.cpio");
        let mut bytes = Vec::new();
        cpio::write(&cpio::Entries::new(), &mut bytes).unwrap();
        fs::write(&path, &bytes).unwrap();
        let built = given(&path, &recipe).unwrap();
        assert_eq!(built.sha256, sha256_file(&path).unwrap());
        assert_eq!(built.modules, ["veth"]);

        fs::write(&path, zstd::encode_all(bytes.as_slice(), 0).unwrap()).unwrap();
        let error = given(&path, &recipe).unwrap_err();
        assert!(
            error.to_string().contains("no cpio archive of the form newc"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_place() {
        let text = "suite = \"trixie\"\npackages = []\ndrop = []\npython = []\napplets = []\nmodules = []\nfliles = {}\n";
        let report = format!(
            "{:?}",
            miette::Report::new(Rootfs::parse("rootfs.toml", text).unwrap_err())
        );
        assert!(report.contains("unknown field `fliles`"), "{report}");
        assert!(report.contains("rootfs.toml:7:1"), "{report}");
    }
}
