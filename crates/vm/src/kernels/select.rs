//! Choosing kernels by name or pattern.

use super::{config::Set, provider::Source};
use crate::{Error, Result};

impl Source {
    /// Whether it is meant by a word that names no kernel.
    fn is_in(&self, word: &str) -> bool {
        let sets = &self.offer.sets;
        match word {
            "wide" => true,
            "all" | "quick" => sets.contains(&Set::Quick),
            "lts" => sets.contains(&Set::Lts),
            "latest-per-series" => sets.contains(&Set::LatestPerSeries),
            flavour => self.offer.flavour == flavour,
        }
    }
}

/// The kernels that match any of the patterns: `all` (the quick set, and what somebody provides), `wide` (everything),
/// `lts`, `latest-per-series`, a flavour (`rt`), a name (`6.12`, `6.12.107`), a version (`6.12.107-1`), or a name or version
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
    use std::sync::Arc;

    use super::*;
    use crate::{
        Progress,
        kernels::{CLOUD, GIVEN, Kernel, Offer, Provider, available},
    };

    /// Name, version, flavour and sets.
    type Named = (&'static str, &'static str, &'static str, &'static [Set]);

    /// Offers these names, and no kernel.
    #[derive(Debug)]
    struct Names(&'static [Named]);

    impl Provider for Names {
        fn offers(&self) -> Result<Vec<Offer>> {
            let offer = |(name, version, flavour, sets): &Named| Offer {
                name: (*name).into(),
                flavour: (*flavour).into(),
                sets: sets.to_vec(),
                package: format!("linux-{name}"),
                version: (*version).into(),
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
        let archive = Arc::new(Names(&[
            (
                "5.10",
                "5.10.5-1",
                CLOUD,
                &[Set::Quick, Set::Lts, Set::LatestPerSeries],
            ),
            (
                "6.1",
                "6.1.5-1",
                CLOUD,
                &[Set::Quick, Set::Lts, Set::LatestPerSeries],
            ),
            ("6.12.4", "6.12.4-1", CLOUD, &[Set::Lts]),
            (
                "6.12",
                "6.12.5-1",
                CLOUD,
                &[Set::Quick, Set::Lts, Set::LatestPerSeries],
            ),
            ("6.12-rt", "6.12.5-1", "rt", &[Set::Lts]),
            ("7.2", "7.2.5-1", CLOUD, &[Set::LatestPerSeries]),
        ]));
        let flake = Arc::new(Names(&[("6.6-nix", "6.6.5", GIVEN, &[Set::Quick])]));
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
        assert_eq!(chosen("6.12"), ["6.12"]);
        assert_eq!(chosen("6.12.*"), ["6.12.4", "6.12", "6.12-rt"]);
        assert_eq!(chosen("6.12.4-1"), ["6.12.4"]);
        assert_eq!(chosen("*-nix"), ["6.6-nix"]);
        assert_eq!(chosen("7.2,5.10"), ["5.10", "7.2"]);
    }

    #[test]
    fn words_choose_sets() {
        assert_eq!(chosen("all"), ["5.10", "6.1", "6.12", "6.6-nix"]);
        assert_eq!(chosen("quick"), chosen("all"));
        assert_eq!(chosen("wide").len(), 7);
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
            "there are: 5.10, 6.1, 6.12.4, 6.12, 6.12-rt, 7.2, 6.6-nix"
        );
    }

    #[test]
    fn a_name_that_two_providers_use_is_refused() {
        let same: Arc<dyn Provider> = Arc::new(Names(&[("6.12", "6.12.5-1", CLOUD, &[])]));
        let error = available(&[Arc::clone(&same), same]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "two kernels are called `6.12`: linux-6.12 and linux-6.12"
        );
    }
}
