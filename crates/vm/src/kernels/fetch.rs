//! Fetching pinned kernels, and pinning the newest ones.

use std::{cmp::Ordering, path::PathBuf, process::Command};

use super::{
    config::{Series, Wanted},
    lock_file::{Archive, LockFile, Pin},
    store::{self, Kernel, stored},
};
use crate::{
    Error, IoContext, Mirror, Progress, Result,
    apt::{Apt, Candidate},
    cache::Cache,
    digest::sha256_file,
};

/// The kernel of a pin: from the store, else from the mirror. When the mirror no longer serves the pin, the
/// newest build of its series stands in if `allow_drift`, and the kernel says so.
pub fn fetch(
    cache: &Cache,
    mirror: Option<&str>,
    wanted: &Wanted,
    pin: &Pin,
    allow_drift: bool,
    progress: &Progress,
) -> Result<Kernel> {
    if let Some(kernel) = stored(cache, pin, None)? {
        return Ok(kernel);
    }
    let series = wanted
        .kernels
        .iter()
        .find(|series| series.series == pin.series)
        .ok_or_else(|| {
            let names = wanted.kernels.iter().map(|series| series.series.as_str());
            Error::unknown_kernel(&pin.series, names)
        })?;
    progress.step(
        &pin.series,
        format!("fetching kernel {} {}", pin.package, pin.version),
    );
    let apt = Apt::open(cache, &Mirror::find(mirror)?, std::slice::from_ref(&series.suite))?;
    let candidate = Candidate {
        package: pin.package.clone(),
        version: pin.version.clone(),
    };
    if let Some(found) = download(cache, &apt, &candidate, &series.series, Some(pin))? {
        return stored(cache, &found, None)?.ok_or_else(|| vanished(&found));
    }
    if !allow_drift {
        return Err(Error::PinGone {
            series: pin.series.clone(),
            package: pin.package.clone(),
            version: pin.version.clone(),
        });
    }
    let newest = newest(&apt, series)?;
    progress.notice(
        &pin.series,
        format!(
            "{} {} is no longer served; {} {} stands in for it",
            pin.package, pin.version, newest.package, newest.version
        ),
    );
    let found = download(cache, &apt, &newest, &series.series, None)?.ok_or_else(|| Error::PinGone {
        series: series.series.clone(),
        package: newest.package.clone(),
        version: newest.version.clone(),
    })?;
    stored(cache, &found, Some(format!("{} {}", pin.package, pin.version)))?.ok_or_else(|| vanished(&found))
}

/// Pins the newest build of every series (or of those named), fetching each.
pub fn update(
    cache: &Cache,
    mirror: Option<&str>,
    wanted: &Wanted,
    lock: &LockFile,
    only: &[String],
    progress: &Progress,
) -> Result<LockFile> {
    let mirror = Mirror::find(mirror)?;
    let mut kernels = Vec::new();
    for series in &wanted.kernels {
        let old = lock.kernels.iter().find(|pin| pin.series == series.series);
        if !only.is_empty() && !only.contains(&series.series) {
            kernels.extend(old.cloned());
            continue;
        }
        progress.step(&series.series, "looking for the newest build");
        let apt = Apt::open(cache, &mirror, std::slice::from_ref(&series.suite))?;
        let newest = newest(&apt, series)?;
        if let Some(old) = old.filter(|old| old.package == newest.package && old.version == newest.version) {
            kernels.push(old.clone());
            continue;
        }
        progress.step(
            &series.series,
            format!("fetching {} {}", newest.package, newest.version),
        );
        let pin = download(cache, &apt, &newest, &series.series, None)?.ok_or_else(|| Error::PinGone {
            series: series.series.clone(),
            package: newest.package.clone(),
            version: newest.version.clone(),
        })?;
        kernels.push(pin);
    }
    Ok(LockFile { kernels })
}

/// Downloads a kernel's packages into the store. With a pin, the bytes must be the pinned ones. Nothing when
/// the mirror does not have it.
fn download(
    cache: &Cache,
    apt: &Apt,
    candidate: &Candidate,
    series: &str,
    pin: Option<&Pin>,
) -> Result<Option<Pin>> {
    let folder = cache.folder("kernels")?;
    let scratch = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&folder)
        .at("writing in", &folder)?;
    let mut parts = vec![candidate.clone()];
    parts.extend(apt.kernel_parts(candidate)?);
    let mut archives = Vec::new();
    let mut files: Vec<PathBuf> = Vec::new();
    for part in parts {
        let Some(file) = apt.download(&part, scratch.path())? else {
            return Ok(None);
        };
        archives.push(Archive {
            sha256: sha256_file(&file)?,
            package: part.package,
            version: part.version,
        });
        files.push(file);
    }
    if let Some(pin) = pin {
        check_archives(pin, &archives)?;
    }
    let mut found = Pin {
        series: series.to_owned(),
        package: candidate.package.clone(),
        version: candidate.version.clone(),
        image_sha256: String::new(),
        archives,
    };
    let about = format!("kernel {series}: {} {}", candidate.package, candidate.version);
    let (_, image_sha256) = store::install(cache, &found.key(), &about, &files)?;
    found.image_sha256 = image_sha256;
    Ok(Some(found))
}

fn check_archives(pin: &Pin, archives: &[Archive]) -> Result<()> {
    for (expected, found) in pin.archives.iter().zip(archives) {
        if expected.sha256 != found.sha256 {
            return Err(Error::DigestMismatch {
                what: format!("package {} {} from the mirror", found.package, found.version),
                found: found.sha256.clone(),
                expected: expected.sha256.clone(),
                help: "the mirror serves other bytes than the lock pins under the same version; nothing was kept. \
                       If that is intended, `probelab kernels update` pins what it serves now"
                    .into(),
            });
        }
    }
    Ok(())
}

fn newest(apt: &Apt, series: &Series) -> Result<Candidate> {
    let mut candidates = apt.candidates(&format!("^{}$", series.package))?;
    candidates.sort_by(|a, b| compare_versions(&a.version, &b.version));
    candidates.pop().ok_or_else(|| Error::PinGone {
        series: series.series.clone(),
        package: series.package.clone(),
        version: String::from("(any)"),
    })
}

/// Debian's own order of versions.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let holds = |relation: &str| {
        Command::new("dpkg")
            .args(["--compare-versions", a, relation, b])
            .status()
            .is_ok_and(|status| status.success())
    };
    if holds("lt") {
        Ordering::Less
    } else if holds("gt") {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

fn vanished(pin: &Pin) -> Error {
    Error::Image {
        what: format!(
            "kernel {} was deleted from the cache while it was fetched",
            pin.version
        ),
        help: "try again; `probelab cache prune` may have run at the same time".into(),
    }
}
