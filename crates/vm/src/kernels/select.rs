//! Choosing kernels by name or pattern.

use super::provider::Source;
use crate::{Error, Result};

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
            let fits = pattern == "all"
                || matches(pattern, &source.offer.name)
                || matches(pattern, &source.offer.version);
            *chosen |= fits;
            any |= fits;
        }
        if !any {
            let names = sources.iter().map(|source| source.offer.name.as_str());
            return Err(Error::unknown_kernel(pattern, names));
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
    use std::sync::Arc;

    use super::*;
    use crate::{
        Progress,
        kernels::{Kernel, Offer, Provider, available},
    };

    /// Offers these names, and no kernel.
    #[derive(Debug)]
    struct Names(&'static [&'static str]);

    impl Provider for Names {
        fn offers(&self) -> Result<Vec<Offer>> {
            let offer = |name: &&str| Offer {
                name: (*name).into(),
                package: format!("linux-{name}"),
                version: format!("{name}.5-1"),
                sha256: None,
                stored: false,
            };
            Ok(self.0.iter().map(offer).collect())
        }

        fn kernel(&self, offer: &Offer, _: &Progress) -> Result<Kernel> {
            unreachable!("{} was only chosen", offer.name)
        }

        fn verify(&self, _: &Offer) -> Result<Option<usize>> {
            Ok(None)
        }
    }

    fn sources() -> Vec<Source> {
        let archive = Arc::new(Names(&["5.10", "6.1", "6.12", "7.2"]));
        let flake = Arc::new(Names(&["6.6-nix", "6.12-nix"]));
        available(&[archive, flake]).unwrap()
    }

    fn chosen(pattern: &str) -> Vec<String> {
        select(&sources(), &[pattern.into()])
            .unwrap()
            .iter()
            .map(|source| source.offer.name.clone())
            .collect()
    }

    #[test]
    fn patterns_choose_by_series_and_version() {
        assert_eq!(chosen("6.1"), ["6.1"]);
        assert_eq!(chosen("6.*"), ["6.1", "6.12", "6.6-nix", "6.12-nix"]);
        assert_eq!(chosen("*-nix"), ["6.6-nix", "6.12-nix"]);
        assert_eq!(chosen("6.12.5-1"), ["6.12"]);
        assert_eq!(chosen("7.2,5.10"), ["5.10", "7.2"]);
        assert_eq!(chosen("all").len(), 6);
    }

    #[test]
    fn an_unknown_kernel_names_the_known_ones() {
        let error = select(&sources(), &["4.19".into()]).unwrap_err();
        assert_eq!(error.to_string(), "no kernel matches `4.19`");
        assert_eq!(
            miette::Diagnostic::help(&error).unwrap().to_string(),
            "there are: 5.10, 6.1, 6.12, 7.2, 6.6-nix, 6.12-nix"
        );
    }

    #[test]
    fn a_name_that_two_providers_use_is_refused() {
        let same: Arc<dyn Provider> = Arc::new(Names(&["6.12"]));
        let error = available(&[Arc::clone(&same), same]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "two kernels are called `6.12`: linux-6.12 and linux-6.12"
        );
    }
}
