//! The root filesystem of the guest: a tree of Debian packages as a reproducible cpio archive.
//!
//! What goes in is said by `vm/rootfs.toml`; which package files that were, and the sha256 of the archive they
//! made, by `vm/rootfs.lock`. The same inputs give the same archive in any folder on any machine.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, IoContext, Mirror, Progress, Result,
    cache::{Cache, touch},
    cpio::{self, Entry},
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

/// Builds into `target`, which appears whole or not at all.
pub fn build_in(cache: &Cache, rootfs: &Rootfs, mirror: Option<&str>, target: &Path) -> Result<()> {
    let folder = cache.folder("rootfs")?;
    let scratch = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&folder)
        .at("writing in", &folder)?;
    let tree = scratch.path().join("tree");
    extract_packages(rootfs, &Mirror::find(mirror)?, &tree)?;
    let packages = list_packages(&tree)?;
    finish(rootfs, &tree)?;
    compile_python(rootfs, &tree)?;

    let made = scratch.path().join("made");
    fs::create_dir(&made).at("creating", &made)?;
    let archive = made.join(ARCHIVE);
    write_archive(rootfs, &tree, &archive)?;
    let built = Built {
        sha256: sha256_file(&archive)?,
        archive,
        packages,
        modules: rootfs.modules.clone(),
    };
    let about = format!(
        "root filesystem {}: {} packages",
        &built.sha256[..12],
        built.packages.len()
    );
    for (name, text) in [(PACKAGES, RootfsLock::render(&built)), ("about", about)] {
        fs::write(made.join(name), text).at("writing", made.join(name))?;
    }
    fs::rename(&made, target).at("keeping", target)
}

fn extract_packages(rootfs: &Rootfs, mirror: &Mirror, tree: &Path) -> Result<()> {
    let purpose = "make the root filesystem";
    let output = Command::new("mmdebstrap")
        .args([
            "--variant=extract",
            "--architectures=amd64",
            "--components=main",
            "--format=directory",
        ])
        // The downloaded files say exactly what went in.
        .arg("--skip=cleanup/apt")
        .arg(format!("--include={}", rootfs.packages.join(",")))
        .arg(&rootfs.suite)
        .arg(tree)
        .arg(&mirror.main)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .map_err(|_| Error::ToolMissing {
            program: "mmdebstrap".into(),
            purpose,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("E:") || line.starts_with("Err"))
        .collect();
    let words = if words.is_empty() {
        text.trim().to_owned()
    } else {
        words.join(" ")
    };
    if text.contains("No space left") {
        return Err(Error::DiskFull {
            during: "building the root filesystem".into(),
        });
    }
    if ["Could not resolve", "Unable to connect", "Failed to fetch"]
        .iter()
        .any(|sign| text.contains(sign))
    {
        return Err(Error::Network { reason: words });
    }
    Err(Error::ToolFailed {
        program: "mmdebstrap".into(),
        purpose,
        words,
    })
}

/// The package files that were downloaded, by name.
fn list_packages(tree: &Path) -> Result<Vec<Archive>> {
    let folder = tree.join("var/cache/apt/archives");
    let mut packages = Vec::new();
    for entry in fs::read_dir(&folder).at("listing", &folder)? {
        let path = entry.at("listing", &folder)?.path();
        let Some(name) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".deb"))
        else {
            continue;
        };
        let mut parts = name.split('_');
        packages.push(Archive {
            package: parts.next().unwrap_or_default().to_owned(),
            // apt writes the colon of an epoch as %3a.
            version: parts.next().unwrap_or_default().replace("%3a", ":"),
            sha256: sha256_file(&path)?,
        });
    }
    packages.sort_by(|a, b| a.package.cmp(&b.package));
    Ok(packages)
}

/// What configured packages would have made: links, folders, users, busybox's names.
fn finish(rootfs: &Rootfs, tree: &Path) -> Result<()> {
    for (name, target) in [
        ("bin", "usr/bin"),
        ("sbin", "usr/sbin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ] {
        let path = tree.join(name);
        if !path.exists() {
            std::os::unix::fs::symlink(target, &path).at("linking", &path)?;
        }
    }
    for name in ["proc", "sys", "dev", "run", "tmp", "root", "etc", "lab"] {
        let path = tree.join(name);
        fs::create_dir_all(&path).at("creating", &path)?;
    }
    for applet in &rootfs.applets {
        let path = tree.join("usr/bin").join(applet);
        if fs::symlink_metadata(&path).is_err() {
            std::os::unix::fs::symlink("busybox", &path).at("linking", &path)?;
        }
    }
    for (name, text) in &rootfs.files {
        let path = tree.join(name.trim_start_matches('/'));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).at("creating", folder)?;
        }
        fs::write(&path, text).at("writing", &path)?;
    }
    Ok(())
}

/// Compiles with the tree's own interpreter, started through its own loader, so that no root rights and no
/// matching interpreter outside are needed. `unchecked-hash` keeps times out of the bytecode.
fn compile_python(rootfs: &Rootfs, tree: &Path) -> Result<()> {
    let purpose = "compile Python bytecode";
    let folders: Vec<PathBuf> = rootfs
        .python
        .iter()
        .map(|name| tree.join(name))
        .filter(|path| path.is_dir())
        .collect();
    if folders.is_empty() {
        return Ok(());
    }
    let output = Command::new(tree.join("usr/lib64/ld-linux-x86-64.so.2"))
        .arg(tree.join("usr/bin/python3"))
        .args([
            "-m",
            "compileall",
            "-q",
            "-f",
            "--invalidation-mode",
            "unchecked-hash",
            "-s",
        ])
        .arg(tree)
        .args(["-p", "/"])
        .args(&folders)
        .env_clear()
        .env("PYTHONHASHSEED", "0")
        // What the compiler itself imports would else be written with times and this folder's name.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONHOME", tree.join("usr"))
        .env("LD_LIBRARY_PATH", tree.join("usr/lib/x86_64-linux-gnu"))
        .output()
        .map_err(|error| Error::ToolFailed {
            program: "python3".into(),
            purpose,
            words: error.to_string(),
        })?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Err(Error::ToolFailed {
        program: "python3 -m compileall".into(),
        purpose,
        words,
    })
}

fn write_archive(rootfs: &Rootfs, tree: &Path, archive: &Path) -> Result<()> {
    let keep = |path: &Path| {
        let named = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, path));
        let dropped = named(&rootfs.drop) && !named(&rootfs.keep);
        !dropped && !is_compiled_source(rootfs, tree, path)
    };
    let mut entries = cpio::scan(tree, &keep)?;
    // The kernel opens the console for PID 1 before anything is mounted; packages bring no devices.
    entries.insert(
        b"dev/console".to_vec(),
        Entry::Device {
            mode: 0o600,
            major: 5,
            minor: 1,
        },
    );
    entries.insert(
        b"dev/null".to_vec(),
        Entry::Device {
            mode: 0o666,
            major: 1,
            minor: 3,
        },
    );
    let file = fs::File::create(archive).at("writing", archive)?;
    let mut out = BufWriter::new(file);
    cpio::write(&entries, &mut out)?;
    out.flush().at("writing", archive)
}

/// Whether a path is a Python source beside its bytecode, which the interpreter takes without it.
fn is_compiled_source(rootfs: &Rootfs, tree: &Path, path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "py")
        && rootfs.python.iter().any(|folder| path.starts_with(folder))
        && tree.join(path).with_extension("pyc").exists()
}

/// Whether a path is, or lies below, the one that a pattern names; a component `*` stands for any name, and `*x` or `x*` for
/// any that ends or begins so.
fn fits(pattern: &str, path: &Path) -> bool {
    let mut components = path.components();
    pattern.split('/').all(|wanted| {
        components.next().is_some_and(|component| {
            let name = component.as_os_str().to_string_lossy();
            match wanted.split_once('*') {
                None => wanted == name,
                Some((head, tail)) => {
                    name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
                }
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_paths_take_what_is_below_them() {
        assert!(fits("usr/share/doc", Path::new("usr/share/doc/x/y")));
        assert!(!fits("usr/share/doc", Path::new("usr/share/docs")));
        assert!(!fits("usr/share/doc", Path::new("usr/share")));
        assert!(fits("usr/bin/perl*", Path::new("usr/bin/perl5.40")));
        assert!(fits(
            "usr/lib/*/gconv",
            Path::new("usr/lib/x86_64-linux-gnu/gconv/A.so")
        ));
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
