//! Building the tree: Debian packages, unpacked and not configured, with Python's bytecode.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{ARCHIVE, Built, PACKAGES, Rootfs, RootfsLock, pack};
use crate::{Error, IoContext, Mirror, Result, cache::Cache, digest::sha256_file, kernels::Archive};

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
    compile_python(rootfs, &tree)?;

    let made = scratch.path().join("made");
    fs::create_dir(&made).at("creating", &made)?;
    let archive = made.join(ARCHIVE);
    pack(rootfs, &tree, &archive)?;
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
