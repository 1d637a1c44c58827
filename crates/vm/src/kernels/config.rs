//! `vm/kernels.toml`: the series that the lab runs on, where each comes from, and how many of its builds are pinned.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{IoContext, Result, error::parse_toml};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The series, oldest first.
    #[serde(rename = "kernel")]
    pub kernels: Vec<Series>,
}

/// One kernel series in one flavour.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Name such as `6.12`.
    pub series: String,
    /// How it was configured and built; [`CLOUD`] goes without saying.
    #[serde(default = "cloud")]
    pub flavour: String,
    /// Debian suite that carries it.
    pub suite: String,
    /// Extended regular expression that the image packages' whole names match.
    pub package: String,
    /// How many of the newest builds are pinned.
    #[serde(default = "one")]
    pub builds: usize,
    /// Whether the newest build is in the quick set.
    #[serde(default)]
    pub quick: bool,
    /// Whether kernel.org maintains the series for years.
    #[serde(default)]
    pub lts: bool,
}

/// The flavour for virtual machines, which kernels have when none is named.
pub const CLOUD: &str = "cloud";

fn cloud() -> String {
    CLOUD.to_owned()
}

fn one() -> usize {
    1
}

impl Series {
    /// The name of its newest build: the series, and the flavour where it is not [`CLOUD`].
    pub fn name(&self) -> String {
        self.of_flavour(&self.series)
    }

    /// The name of an older build: what upstream calls it, `6.12.107` of `6.12.107-1`.
    pub fn name_of(&self, version: &str) -> String {
        self.of_flavour(upstream(version))
    }

    fn of_flavour(&self, name: &str) -> String {
        if self.flavour == CLOUD {
            name.to_owned()
        } else {
            format!("{name}-{}", self.flavour)
        }
    }

    /// The sets that a build is in, sorted.
    pub fn sets(&self, is_newest: bool) -> Vec<Set> {
        let mut sets = vec![
            (self.quick && is_newest).then_some(Set::Quick),
            self.lts.then_some(Set::Lts),
            (is_newest && self.flavour == CLOUD).then_some(Set::LatestPerSeries),
        ];
        sets.sort();
        sets.into_iter().flatten().collect()
    }
}

/// What upstream calls a Debian version: all before its last dash.
pub fn upstream(version: &str) -> &str {
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

/// A set of kernels, by which they can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// What `--kernel all` means, and what every change is tested on.
    Quick,
    /// Series that are maintained for years.
    Lts,
    /// The newest build of each series, in one flavour.
    LatestPerSeries,
}

impl Wanted {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).at("reading", path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads the file's text.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        parse_toml(path, text)
    }
}
