//! The objectives of a file, and the place where `probed slo sync` keeps them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use slo::{ClientErrors, History, Milliseconds, Names, Objective, Report};

use crate::manifest::ManifestError;
use crate::replace::replace;

/// The least time between two readings.
const LEAST_STEP_MS: Milliseconds = 1000;
/// Into how many steps the shortest window is cut.
const STEPS: Milliseconds = 60;

/// The objectives of a file and what it takes to evaluate them.
#[derive(Debug)]
pub struct Objectives {
    /// In the order of the file.
    pub list: Vec<Objective>,
    /// The series they need.
    pub names: Names,
}

impl Objectives {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// With the place in the file where it is wrong.
    pub fn read(path: &Path, client_errors: ClientErrors) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ManifestError::Usage(format!("cannot read {}: {error}", path.display())))?;
        let list = slo::parse(&text, client_errors)
            .map_err(|error| ManifestError::Usage(format!("{}:{error}", path.display())))?;
        let names = Names::of(&list);
        Ok(Self { list, names })
    }

    /// The longest window.
    pub fn longest_ms(&self) -> Milliseconds {
        self.windows_ms().max().unwrap_or(0)
    }

    /// How far apart readings should be, so that the shortest window begins with one that is near enough.
    pub fn step_ms(&self) -> Milliseconds {
        (self.windows_ms().min().unwrap_or(0) / STEPS).max(LEAST_STEP_MS)
    }

    fn windows_ms(&self) -> impl Iterator<Item = Milliseconds> {
        self.list.iter().map(|objective| objective.window_ms)
    }

    /// A history that is long and fine enough. Readings that come a little early are kept all the same.
    pub fn history(&self) -> History {
        History::new(self.longest_ms(), self.step_ms())
    }

    /// What a history says of them.
    pub fn report(&self, history: &History) -> Report {
        slo::evaluate(&self.list, history)
    }
}

/// Where synced objectives lie.
#[derive(Debug, Args)]
pub struct Store {
    /// Where `probed slo sync` keeps objectives; below $STATE_DIRECTORY, $XDG_STATE_HOME or ~/.local/state otherwise.
    #[arg(long, value_name = "FILE", env = "PROBED_SLO_STORE")]
    store: Option<PathBuf>,
}

impl Store {
    /// The place that nobody has to name.
    pub fn usual() -> Self {
        Self { store: None }
    }

    fn path(&self) -> PathBuf {
        let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
        self.store.clone().unwrap_or_else(|| {
            folder("STATE_DIRECTORY")
                .or_else(|| folder("XDG_STATE_HOME").map(|home| home.join("probed")))
                .or_else(|| folder("HOME").map(|home| home.join(".local/state/probed")))
                .unwrap_or_else(|| PathBuf::from("/var/lib/probed"))
                .join("slo.yaml")
        })
    }

    /// Where the synced objectives are.
    ///
    /// # Errors
    /// When there are none.
    pub fn synced(&self) -> anyhow::Result<PathBuf> {
        let path = self.path();
        if path.is_file() {
            return Ok(path);
        }
        Err(ManifestError::Usage(format!(
            "no objectives are given, and none are in {}: name a file with -m, or store one with `probed slo sync -m FILE`",
            path.display()
        ))
        .into())
    }

    /// Stores a file that was found good, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written there.
    pub fn keep(&self, file: &Path) -> anyhow::Result<PathBuf> {
        let path = self.path();
        let folder = path.parent().unwrap_or(Path::new("."));
        let doing = || format!("cannot store objectives in {}", path.display());
        std::fs::create_dir_all(folder).with_context(doing)?;
        let content = std::fs::read(file).with_context(doing)?;
        replace(&path, &content)?;
        Ok(path)
    }
}
