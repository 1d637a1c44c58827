//! Choosing kernels by name or pattern.

use std::path::PathBuf;

use super::{
    config::Set,
    lock_file::{LockFile, Pin},
    own::{VARIABLE, from_folder},
    store::Kernel,
};
use crate::{Error, Result};

/// Where a chosen kernel comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A pin of the lock; still to be fetched.
    Pinned(Pin),
    /// A kernel that is there already.
    Ready(Kernel),
}

impl Source {
    /// Its name in tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Pinned(pin) => &pin.name,
            Self::Ready(kernel) => &kernel.identity.series,
        }
    }

    fn version(&self) -> &str {
        match self {
            Self::Pinned(pin) => &pin.version,
            Self::Ready(kernel) => &kernel.identity.version,
        }
    }

    /// Whether it is meant by a word that names no kernel. `all` are the quick set and the kernels that somebody
    /// provides; `wide` is everything.
    fn is_in(&self, word: &str) -> bool {
        match (self, word) {
            (_, "wide") | (Self::Ready(_), "all") => true,
            (Self::Ready(_), _) => false,
            (Self::Pinned(pin), "all" | "quick") => pin.sets.contains(&Set::Quick),
            (Self::Pinned(pin), "lts") => pin.sets.contains(&Set::Lts),
            (Self::Pinned(pin), "latest-per-series") => pin.sets.contains(&Set::LatestPerSeries),
            (Self::Pinned(pin), flavour) => pin.flavour == flavour,
        }
    }
}

/// All kernels: the pinned ones, then those of the folder that [`VARIABLE`] names.
pub fn available(lock: &LockFile) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = lock.kernels.iter().cloned().map(Source::Pinned).collect();
    if let Some(folder) = std::env::var_os(VARIABLE) {
        sources.extend(
            from_folder(&PathBuf::from(folder))?
                .into_iter()
                .map(Source::Ready),
        );
    }
    Ok(sources)
}

/// The kernels that match any of the patterns: `all` (the quick set), `wide` (everything), `lts`,
/// `latest-per-series`, a flavour (`rt`), a name (`6.12`, `6.12.107`), a version (`6.12.107-1`), or a name or version
/// with `*`.
pub fn select(sources: &[Source], patterns: &[String]) -> Result<Vec<Source>> {
    let mut chosen = vec![false; sources.len()];
    for pattern in patterns
        .iter()
        .flat_map(|pattern| pattern.split(','))
        .map(str::trim)
    {
        let mut any = false;
        for (source, chosen) in sources.iter().zip(&mut chosen) {
            let fits = source.is_in(pattern)
                || matches(pattern, source.name())
                || matches(pattern, source.version());
            *chosen |= fits;
            any |= fits;
        }
        if !any {
            return Err(Error::UnknownKernel {
                asked: pattern.to_owned(),
                known: sources.iter().map(Source::name).collect::<Vec<_>>().join(", "),
            });
        }
    }
    Ok(sources
        .iter()
        .zip(chosen)
        .filter(|(_, chosen)| *chosen)
        .map(|(source, _)| source.clone())
        .collect())
}

/// Whether `text` fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| matches(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<Source> {
        let pin = |name: &str, series: &str, flavour: &str, version: &str, sets: &[Set]| {
            Source::Pinned(Pin {
                name: name.into(),
                series: series.into(),
                flavour: flavour.into(),
                sets: sets.into(),
                package: "p".into(),
                version: version.into(),
                image_sha256: String::new(),
                archives: Vec::new(),
            })
        };
        vec![
            pin(
                "5.10",
                "5.10",
                "cloud",
                "5.10.5-1",
                &[Set::Quick, Set::Lts, Set::LatestPerSeries],
            ),
            pin(
                "6.1",
                "6.1",
                "cloud",
                "6.1.5-1",
                &[Set::Quick, Set::Lts, Set::LatestPerSeries],
            ),
            pin("6.12.4", "6.12", "cloud", "6.12.4-1", &[Set::Lts]),
            pin(
                "6.12",
                "6.12",
                "cloud",
                "6.12.5-1",
                &[Set::Quick, Set::Lts, Set::LatestPerSeries],
            ),
            pin("6.12-rt", "6.12", "rt", "6.12.5-1", &[Set::Lts]),
            pin("7.2", "7.2", "cloud", "7.2.5-1", &[Set::LatestPerSeries]),
        ]
    }

    fn chosen(pattern: &str) -> Vec<String> {
        select(&sources(), &[pattern.into()])
            .unwrap()
            .iter()
            .map(|source| source.name().to_owned())
            .collect()
    }

    #[test]
    fn patterns_choose_by_series_and_version() {
        assert_eq!(chosen("6.1"), ["6.1"]);
        assert_eq!(chosen("6.12"), ["6.12"]);
        assert_eq!(chosen("6.12.*"), ["6.12.4", "6.12", "6.12-rt"]);
        assert_eq!(chosen("6.12.4-1"), ["6.12.4"]);
        assert_eq!(chosen("7.2,5.10"), ["5.10", "7.2"]);
    }

    #[test]
    fn words_choose_sets() {
        assert_eq!(chosen("all"), ["5.10", "6.1", "6.12"]);
        assert_eq!(chosen("quick"), chosen("all"));
        assert_eq!(chosen("wide").len(), 6);
        assert_eq!(chosen("lts"), ["5.10", "6.1", "6.12.4", "6.12", "6.12-rt"]);
        assert_eq!(chosen("latest-per-series"), ["5.10", "6.1", "6.12", "7.2"]);
        assert_eq!(chosen("rt"), ["6.12-rt"]);
    }

    #[test]
    fn an_unknown_kernel_names_the_known_ones() {
        let error = select(&sources(), &["4.19".into()]).unwrap_err();
        assert_eq!(error.to_string(), "no kernel matches `4.19`");
        assert_eq!(
            miette::Diagnostic::help(&error).unwrap().to_string(),
            "there are: 5.10, 6.1, 6.12.4, 6.12, 6.12-rt, 7.2"
        );
    }
}
