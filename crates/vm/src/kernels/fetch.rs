//! Fetching pinned kernels, and pinning the newest ones.

use std::{cmp::Ordering, path::PathBuf, process::Command};

use super::{
    config::{Series, Set, Wanted, upstream},
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
        .find(|series| series.series == pin.series && series.flavour == pin.flavour)
        .ok_or_else(|| Error::UnknownKernel {
            asked: pin.name.clone(),
            known: wanted
                .kernels
                .iter()
                .map(Series::name)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
    progress.step(
        &pin.name,
        format!("fetching kernel {} {}", pin.package, pin.version),
    );
    let apt = Apt::open(cache, &Mirror::find(mirror)?, std::slice::from_ref(&series.suite))?;
    let candidate = Candidate {
        package: pin.package.clone(),
        version: pin.version.clone(),
    };
    if let Some(found) = download(cache, &apt, &candidate, &Named::of(pin), Some(pin))? {
        return stored(cache, &found, None)?.ok_or_else(|| vanished(&found));
    }
    if !allow_drift {
        return Err(Error::PinGone {
            series: pin.name.clone(),
            package: pin.package.clone(),
            version: pin.version.clone(),
        });
    }
    // A mirror may list builds that it does not have.
    let mut found = None;
    for candidate in builds(&apt, series)? {
        found = download(cache, &apt, &candidate, &Named::of(pin), None)?;
        if found.is_some() {
            break;
        }
    }
    let found = found.ok_or_else(|| gone(series))?;
    progress.notice(
        &pin.name,
        format!(
            "{} {} is no longer served; {} {} stands in for it",
            pin.package, pin.version, found.package, found.version
        ),
    );
    stored(cache, &found, Some(format!("{} {}", pin.package, pin.version)))?.ok_or_else(|| vanished(&found))
}

/// Pins the newest builds of every series (or of those named), fetching each.
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
        if !only.is_empty() && !only.contains(&series.name()) {
            kernels.extend(lock.kernels.iter().filter(|pin| is_of(pin, series)).cloned());
            continue;
        }
        progress.step(&series.name(), "looking for the newest builds");
        let apt = Apt::open(cache, &mirror, std::slice::from_ref(&series.suite))?;
        let mut pins = Vec::new();
        for candidate in builds(&apt, series)? {
            if pins.len() == series.builds {
                break;
            }
            match pin(cache, &apt, series, &candidate, pins.is_empty(), lock, progress)? {
                Some(pin) => pins.push(pin),
                None => progress.notice(
                    &series.name(),
                    format!("the mirror lists {} and does not have it", candidate.version),
                ),
            }
        }
        if pins.is_empty() {
            return Err(gone(series));
        }
        kernels.extend(pins.into_iter().rev());
    }
    Ok(LockFile { kernels })
}

fn is_of(pin: &Pin, series: &Series) -> bool {
    pin.series == series.series && pin.flavour == series.flavour
}

/// The pin of one build: what the lock says of it already, else fetched. Nothing when the mirror does not have it.
fn pin(
    cache: &Cache,
    apt: &Apt,
    series: &Series,
    candidate: &Candidate,
    is_newest: bool,
    lock: &LockFile,
    progress: &Progress,
) -> Result<Option<Pin>> {
    let named = Named {
        name: if is_newest {
            series.name()
        } else {
            series.name_of(&candidate.version)
        },
        series: series.series.clone(),
        flavour: series.flavour.clone(),
        sets: series.sets(is_newest),
    };
    let known = |pin: &&Pin| pin.package == candidate.package && pin.version == candidate.version;
    if let Some(old) = lock.kernels.iter().find(known) {
        return Ok(Some(named.pin(
            candidate,
            old.image_sha256.clone(),
            old.archives.clone(),
        )));
    }
    progress.step(
        &named.name,
        format!("fetching {} {}", candidate.package, candidate.version),
    );
    download(cache, apt, candidate, &named, None)
}

/// What a pin is called, apart from what is in it.
struct Named {
    name: String,
    series: String,
    flavour: String,
    sets: Vec<Set>,
}

impl Named {
    fn of(pin: &Pin) -> Self {
        Self {
            name: pin.name.clone(),
            series: pin.series.clone(),
            flavour: pin.flavour.clone(),
            sets: pin.sets.clone(),
        }
    }

    fn pin(&self, candidate: &Candidate, image_sha256: String, archives: Vec<Archive>) -> Pin {
        Pin {
            name: self.name.clone(),
            series: self.series.clone(),
            flavour: self.flavour.clone(),
            sets: self.sets.clone(),
            package: candidate.package.clone(),
            version: candidate.version.clone(),
            image_sha256,
            archives,
        }
    }
}

/// Downloads a kernel's packages into the store. With a pin, the bytes must be the pinned ones. Nothing when
/// the mirror does not have it.
fn download(
    cache: &Cache,
    apt: &Apt,
    candidate: &Candidate,
    named: &Named,
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
    let mut found = named.pin(candidate, String::new(), archives);
    let about = format!(
        "kernel {}: {} {}",
        named.name, candidate.package, candidate.version
    );
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

/// The builds of a series that the mirror lists, newest first, one of each upstream version.
fn builds(apt: &Apt, series: &Series) -> Result<Vec<Candidate>> {
    let mut candidates = apt.candidates(&format!("^{}$", series.package))?;
    candidates.sort_by(|a, b| compare_versions(&b.version, &a.version));
    candidates.dedup_by(|a, b| upstream(&a.version) == upstream(&b.version));
    Ok(candidates)
}

fn gone(series: &Series) -> Error {
    Error::PinGone {
        series: series.name(),
        package: series.package.clone(),
        version: String::from("(any)"),
    }
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
