//! The kernel store: a folder per pin, keyed by the digest of its packages, read-only, verified on each use.
//!
//! ```text
//! kernels/KEY/vmlinuz   modules/…   manifest (sha256 and path of every file)   about
//! ```

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use wire::KernelIdentity;

use super::lock_file::Pin;
use crate::{
    Error, IoContext, Result,
    archive::extract_deb,
    cache::{Cache, touch},
    digest::sha256_file,
};

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Who it is.
    pub identity: KernelIdentity,
    /// The bootable image.
    pub image: PathBuf,
    /// Folder with its modules (any layout below), or a folder that does not exist.
    pub modules: PathBuf,
}

impl Kernel {
    /// The short name in tables: the series, and a mark when another build stands in for the pinned one.
    pub fn label(&self) -> String {
        self.identity.label()
    }
}

const MANIFEST: &str = "manifest";

/// Where a pin is stored.
pub fn folder_of(cache: &Cache, pin: &Pin) -> Result<PathBuf> {
    Ok(cache.folder("kernels")?.join(&pin.key()[..32]))
}

/// The stored kernel of a pin, its image verified; nothing when it was not fetched yet.
pub fn stored(cache: &Cache, pin: &Pin, stands_in_for: Option<String>) -> Result<Option<Kernel>> {
    let folder = folder_of(cache, pin)?;
    if !folder.exists() {
        return Ok(None);
    }
    let image = folder.join("vmlinuz");
    let found = sha256_file(&image)?;
    if found != pin.image_sha256 {
        return Err(mismatch(pin, &found, &folder));
    }
    touch(&folder);
    Ok(Some(Kernel {
        identity: KernelIdentity {
            series: pin.name.clone(),
            package: pin.package.clone(),
            version: pin.version.clone(),
            sha256: pin.key(),
            stands_in_for,
        },
        image,
        modules: folder.join("modules"),
    }))
}

/// Verifies every file of a stored kernel. Returns the number of files, or nothing when it is not stored.
pub fn verify(cache: &Cache, pin: &Pin) -> Result<Option<usize>> {
    let folder = folder_of(cache, pin)?;
    if !folder.exists() {
        return Ok(None);
    }
    let manifest = folder.join(MANIFEST);
    let text = fs::read_to_string(&manifest).at("reading", &manifest)?;
    let mut count = 0;
    for line in text.lines() {
        let Some((expected, name)) = line.split_once("  ") else {
            continue;
        };
        let path = folder.join(name);
        let found = sha256_file(&path)?;
        if found != expected {
            return Err(Error::DigestMismatch {
                what: path.display().to_string(),
                found,
                expected: expected.to_owned(),
                help: removal_help(&folder),
            });
        }
        count += 1;
    }
    let image = sha256_file(&folder.join("vmlinuz"))?;
    if image != pin.image_sha256 {
        return Err(mismatch(pin, &image, &folder));
    }
    Ok(Some(count))
}

/// Takes package files apart into a new folder of the store and returns the sha256 of the kernel image. The
/// folder appears whole or not at all.
pub fn install(cache: &Cache, key: &str, about: &str, packages: &[PathBuf]) -> Result<(PathBuf, String)> {
    let kernels = cache.folder("kernels")?;
    let scratch = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&kernels)
        .at("writing in", &kernels)?;
    let tree = scratch.path().join("tree");
    fs::create_dir(&tree).at("creating", &tree)?;
    for package in packages {
        extract_deb(package, &tree)?;
    }
    let made = scratch.path().join("made");
    fs::create_dir(&made).at("creating", &made)?;
    let image = find_image(&tree)?;
    fs::rename(&image, made.join("vmlinuz")).at("moving", &image)?;
    let modules = find_modules(&tree)?;
    fs::rename(&modules, made.join("modules")).at("moving", &modules)?;
    let mut manifest = String::new();
    seal(&made, Path::new(""), &mut manifest)?;
    for (name, text) in [(MANIFEST, manifest.as_str()), ("about", about)] {
        fs::write(made.join(name), text).at("writing", made.join(name))?;
    }
    let image_sha256 = sha256_file(&made.join("vmlinuz"))?;
    let target = kernels.join(&key[..32]);
    match fs::rename(&made, &target) {
        // Another process was faster with the same bytes.
        Err(_) if target.exists() => {}
        other => other.at("keeping", &target)?,
    }
    Ok((target, image_sha256))
}

/// Makes every file read-only and notes its digest.
fn seal(root: &Path, below: &Path, manifest: &mut String) -> Result<()> {
    let folder = root.join(below);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .at("listing", &folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<std::io::Result<_>>()
        .at("listing", &folder)?;
    names.sort();
    for name in names {
        let below = below.join(name);
        let path = root.join(&below);
        let kind = fs::symlink_metadata(&path).at("reading", &path)?.file_type();
        if kind.is_dir() {
            seal(root, &below, manifest)?;
        } else if kind.is_file() {
            manifest.push_str(&format!("{}  {}\n", sha256_file(&path)?, below.display()));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).at("protecting", &path)?;
        }
    }
    Ok(())
}

/// `boot/vmlinuz-*`, which moved to `usr/lib/modules/*/vmlinuz` with 7.2's packages.
fn find_image(tree: &Path) -> Result<PathBuf> {
    let in_boot = list(&tree.join("boot"))
        .into_iter()
        .find(|path| named(path, "vmlinuz"));
    let in_modules = || {
        ["usr/lib/modules", "lib/modules"]
            .iter()
            .flat_map(|folder| list(&tree.join(folder)))
            .flat_map(|folder| list(&folder))
            .find(|path| named(path, "vmlinuz"))
    };
    in_boot.or_else(in_modules).ok_or_else(|| Error::Image {
        what: "the kernel packages hold no vmlinuz".into(),
        help: "the pattern in vm/kernels.toml must match image packages".into(),
    })
}

fn find_modules(tree: &Path) -> Result<PathBuf> {
    ["usr/lib/modules", "lib/modules"]
        .iter()
        .flat_map(|folder| list(&tree.join(folder)))
        .find(|path| path.is_dir())
        .ok_or_else(|| Error::Image {
            what: "the kernel packages hold no modules".into(),
            help: "the pattern in vm/kernels.toml must match image packages".into(),
        })
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    paths.sort();
    paths
}

fn named(path: &Path, prefix: &str) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

fn mismatch(pin: &Pin, found: &str, folder: &Path) -> Error {
    Error::DigestMismatch {
        what: format!("the stored image of kernel {} ({})", pin.name, pin.version),
        found: found.to_owned(),
        expected: pin.image_sha256.clone(),
        help: removal_help(folder),
    }
}

fn removal_help(folder: &Path) -> String {
    format!(
        "the stored copy was changed or damaged: delete {} and run `probelab kernels fetch`",
        folder.display()
    )
}
