//! A package of the root filesystem, whole: the recipe leaves out of the guest what no scenario calls, and who wants the rest
//! sends it along.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Built;
use crate::{
    Error, IoContext, Mirror, Progress, Result,
    apt::{Apt, Candidate},
    archive::extract_deb,
    cache::{Cache, touch},
    digest::sha256_file,
    kernels::Archive,
    lock::Lock,
};

/// A folder with all files of a package of the root filesystem; from the cache, else from the mirror. Nothing when the root
/// filesystem is made of no such package.
pub async fn package(
    cache: &Cache,
    built: &Built,
    suite: &str,
    mirror: Option<&str>,
    name: &str,
    progress: &Progress,
) -> Result<Option<PathBuf>> {
    let Some(package) = built.packages.iter().find(|package| package.package == name) else {
        return Ok(None);
    };
    let folder = cache.folder("packages")?.join(&package.sha256[..32]);
    let _lock = Lock::take(&folder.with_extension("lock"), progress, name).await?;
    if !folder.exists() {
        progress.step(name, format!("fetching {} {}", package.package, package.version));
        let (cache, package, target) = (cache.clone(), package.clone(), folder.clone());
        let (suite, mirror) = (suite.to_owned(), mirror.map(str::to_owned));
        let fetching = move || fetch(&cache, &package, suite, mirror.as_deref(), &target);
        // The closure does not panic by itself and is never aborted.
        tokio::task::spawn_blocking(fetching)
            .await
            .map_err(std::io::Error::other)
            .during(|| format!("fetching {name}"))??;
    }
    touch(&folder);
    Ok(Some(folder))
}

/// Fetches into `target`, which appears whole or not at all.
fn fetch(cache: &Cache, package: &Archive, suite: String, mirror: Option<&str>, target: &Path) -> Result<()> {
    let folder = cache.folder("packages")?;
    let scratch = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&folder)
        .at("writing in", &folder)?;
    let apt = Apt::open(cache, &Mirror::find(mirror)?, &[suite])?;
    let candidate = Candidate {
        package: package.package.clone(),
        version: package.version.clone(),
    };
    let file = apt
        .download(&candidate, scratch.path())?
        .ok_or_else(|| Error::PackageGone {
            package: package.package.clone(),
            version: package.version.clone(),
        })?;
    let found = sha256_file(&file)?;
    if found != package.sha256 {
        return Err(Error::DigestMismatch {
            what: format!("{} {}", package.package, package.version),
            found,
            expected: package.sha256.clone(),
            help: "the mirror serves other bytes under this version; --mirror URL reads another".into(),
        });
    }
    let made = scratch.path().join("made");
    fs::create_dir(&made).at("creating", &made)?;
    extract_deb(&file, &made)?;
    let about = format!("package {} {}", package.package, package.version);
    fs::write(made.join("about"), about).at("writing", made.join("about"))?;
    fs::rename(&made, target).at("keeping", target)
}
