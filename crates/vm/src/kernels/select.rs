//! Choosing kernels by name or pattern.

use std::path::PathBuf;

use super::{
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
    pub fn series(&self) -> &str {
        match self {
            Self::Pinned(pin) => &pin.series,
            Self::Ready(kernel) => &kernel.identity.series,
        }
    }

    fn version(&self) -> &str {
        match self {
            Self::Pinned(pin) => &pin.version,
            Self::Ready(kernel) => &kernel.identity.version,
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

/// The kernels that match any of the patterns: `all`, a series (`6.12`), a version (`6.12.107-1`), or either
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
            let fits =
                pattern == "all" || matches(pattern, source.series()) || matches(pattern, source.version());
            *chosen |= fits;
            any |= fits;
        }
        if !any {
            return Err(Error::UnknownKernel {
                asked: pattern.to_owned(),
                known: sources.iter().map(Source::series).collect::<Vec<_>>().join(", "),
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
pub fn matches(pattern: &str, text: &str) -> bool {
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
        ["5.10", "6.1", "6.12", "7.2"]
            .map(|series| {
                Source::Pinned(Pin {
                    series: series.into(),
                    package: "p".into(),
                    version: format!("{series}.5-1"),
                    image_sha256: String::new(),
                    archives: Vec::new(),
                })
            })
            .into()
    }

    fn chosen(pattern: &str) -> Vec<String> {
        select(&sources(), &[pattern.into()])
            .unwrap()
            .iter()
            .map(|source| source.series().to_owned())
            .collect()
    }

    #[test]
    fn patterns_choose_by_series_and_version() {
        assert_eq!(chosen("6.1"), ["6.1"]);
        assert_eq!(chosen("6.*"), ["6.1", "6.12"]);
        assert_eq!(chosen("6.12.5-1"), ["6.12"]);
        assert_eq!(chosen("7.2,5.10"), ["5.10", "7.2"]);
        assert_eq!(chosen("all").len(), 4);
    }

    #[test]
    fn an_unknown_kernel_names_the_known_ones() {
        let error = select(&sources(), &["4.19".into()]).unwrap_err();
        assert_eq!(error.to_string(), "no kernel matches `4.19`");
        assert_eq!(
            miette::Diagnostic::help(&error).unwrap().to_string(),
            "there are: 5.10, 6.1, 6.12, 7.2"
        );
    }
}
