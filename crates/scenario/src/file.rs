//! The scenario file: its keys, their types, and how text becomes a checked [`Scenario`].
//!
//! Names keep the place where they were written, so that an error found later still points at it. What the
//! file means for a VM is in `lab`, what its expectations mean is in `compare`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::IgnoredAny};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};
use wire::{GuestEnd, WorkloadEnd};

use crate::{
    OracleKind, ScenarioError,
    budget::{Budget, TOLERANCE_PERCENT},
    builds::BuildTable,
    check,
    error::Fault,
    expectation::{self, Expectation},
    lab,
};

/// One scenario: what is set up, what is run, what is brought home and what must be true of it.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(crate) file: ScenarioFile,
    pub(crate) expectations: Vec<Expectation>,
}

impl Scenario {
    /// Reads and checks the text of a scenario file. `file_name` only serves messages.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, ScenarioError> {
        read(text).map_err(|fault| fault.in_file(file_name, text))
    }

    /// One line that says what it is about.
    pub fn about(&self) -> &str {
        &self.file.about
    }

    /// Why `all` does not mean it, if it does not: it must be asked for by its name.
    pub fn only_by_name(&self) -> Option<&str> {
        self.file.only_by_name.as_deref()
    }

    /// Wall-clock time after which the run is given up, in seconds.
    pub fn deadline_wall_seconds(&self) -> u64 {
        *self.file.deadline_wall_seconds.get_ref()
    }

    /// Processors of the machine: 1 or 2.
    pub fn cpus(&self) -> u32 {
        *self.file.cpus.get_ref()
    }

    /// Whether the probe daemon takes part.
    pub fn has_probe(&self) -> bool {
        self.file.probe.is_some()
    }

    /// Its probe manifest, the first one, as [`Scenario::files`] names it.
    pub fn manifest(&self) -> Option<&str> {
        let probe = self.file.probe.as_ref()?;
        Some(probe.manifest.get_ref())
    }

    /// Names of the expectations that must fail: not empty for a negative control.
    pub fn must_fail(&self) -> impl Iterator<Item = &str> {
        self.file.must_fail.iter().map(|name| name.get_ref().as_str())
    }

    /// How the run must end, for a scenario about broken guests.
    pub fn must_end(&self) -> Option<EndKind> {
        self.file.must_end.as_ref().map(|end| *end.get_ref())
    }

    /// Names of its expectations, in the order of the file.
    pub fn expectations(&self) -> impl Iterator<Item = &str> {
        self.expectations
            .iter()
            .map(|expectation| expectation.name.get_ref().as_str())
    }

    /// How much more than its budget a program may cost, in per cent.
    pub fn budget_tolerance_percent(&self) -> f64 {
        self.file
            .budget
            .as_ref()
            .map_or(TOLERANCE_PERCENT, Budget::tolerance_percent)
    }

    /// The kernels that it says for what the programs of its probes may cost.
    pub fn budget_kernels(&self) -> BTreeSet<&str> {
        let budget = self.file.budget.as_ref();
        budget.map(Budget::kernels).unwrap_or_default()
    }

    /// TCP ports that the capture is to be read as HTTP on: `Some` when an oracle reads the capture.
    pub fn capture_http_ports(&self) -> Option<&[u16]> {
        self.file
            .oracles
            .iter()
            .find(|oracle| oracle.kind == OracleKind::Capture)
            .map(|oracle| oracle.http_ports.as_slice())
    }
}

/// The kind of a [`GuestEnd`], without its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndKind {
    /// [`GuestEnd::Completed`].
    Completed,
    /// [`GuestEnd::StepFailed`].
    StepFailed,
    /// [`GuestEnd::NotReady`].
    NotReady,
    /// [`GuestEnd::GuestDeadline`].
    GuestDeadline,
    /// [`GuestEnd::Panic`].
    Panic,
    /// [`GuestEnd::Oops`].
    Oops,
    /// [`GuestEnd::Lockup`].
    Lockup,
    /// [`GuestEnd::OutOfMemory`].
    OutOfMemory,
    /// [`GuestEnd::WallDeadline`].
    WallDeadline,
    /// [`GuestEnd::Silent`].
    Silent,
    /// [`GuestEnd::QemuLost`].
    QemuLost,
}

impl From<&GuestEnd> for EndKind {
    fn from(end: &GuestEnd) -> Self {
        match end {
            GuestEnd::Completed => Self::Completed,
            GuestEnd::StepFailed { .. } => Self::StepFailed,
            GuestEnd::NotReady { .. } => Self::NotReady,
            GuestEnd::GuestDeadline { .. } => Self::GuestDeadline,
            GuestEnd::Panic { .. } => Self::Panic,
            GuestEnd::Oops { .. } => Self::Oops,
            GuestEnd::Lockup { .. } => Self::Lockup,
            GuestEnd::OutOfMemory { .. } => Self::OutOfMemory,
            GuestEnd::WallDeadline { .. } => Self::WallDeadline,
            GuestEnd::Silent { .. } => Self::Silent,
            GuestEnd::QemuLost { .. } => Self::QemuLost,
        }
    }
}

impl std::fmt::Display for EndKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScenarioFile {
    pub(crate) about: String,
    /// Why it is run only when it is named.
    pub(crate) only_by_name: Option<String>,
    pub(crate) deadline_guest_seconds: Spanned<u64>,
    pub(crate) deadline_wall_seconds: Spanned<u64>,
    pub(crate) cpus: Spanned<u32>,
    #[serde(default)]
    pub(crate) modules: Vec<String>,
    #[serde(default)]
    pub(crate) must_fail: Vec<Spanned<String>>,
    pub(crate) must_end: Option<Spanned<EndKind>>,
    pub(crate) budget: Option<Budget>,
    #[serde(default)]
    pub(crate) sysctls: BTreeMap<String, String>,
    #[serde(default, rename = "link")]
    pub(crate) links: Vec<Link>,
    #[serde(default, rename = "cgroup")]
    pub(crate) cgroups: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default, rename = "build")]
    pub(crate) builds: Vec<BuildTable>,
    #[serde(default, rename = "workload")]
    pub(crate) workloads: Vec<Program>,
    pub(crate) probe: Option<Probe>,
    pub(crate) capture: Option<Capture>,
    #[serde(default, rename = "load")]
    pub(crate) loads: Vec<Program>,
    #[serde(default, rename = "output")]
    pub(crate) outputs: Vec<Output>,
    #[serde(default, rename = "oracle")]
    pub(crate) oracles: Vec<Oracle>,
    /// Only here to be a known key: its tables are read by kind, before this one is.
    #[serde(default, rename = "expect")]
    _expect: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    pub(crate) name: Spanned<String>,
    #[serde(default)]
    pub(crate) address: Vec<Spanned<String>>,
    pub(crate) peer: Spanned<String>,
    #[serde(default)]
    pub(crate) peer_address: Vec<Spanned<String>>,
    pub(crate) namespace: Option<String>,
    pub(crate) mtu_bytes: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    pub(crate) name: Spanned<String>,
    pub(crate) command: Spanned<Vec<String>>,
    #[serde(default)]
    pub(crate) files: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) ready: Option<Spanned<Ready>>,
    pub(crate) namespace: Option<Spanned<String>>,
    pub(crate) cgroup: Option<Spanned<String>>,
    pub(crate) stdout: Option<Spanned<String>>,
    pub(crate) end: Option<Spanned<WorkloadEnd>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ready {
    Http(String),
    Tcp(String),
    File(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    pub(crate) manifest: Spanned<String>,
    /// Objectives whose history the daemon keeps.
    pub(crate) objectives: Option<Spanned<String>>,
    /// Manifests beside it, each a file of its own.
    #[serde(default)]
    pub(crate) more_manifests: Vec<Spanned<String>>,
    /// A file that tells the daemon which containers there are.
    pub(crate) inventory: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) settle_milliseconds: u64,
}

impl Probe {
    /// The files of the scenario that the daemon reads, with where they lie in the guest and the option that names them.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Spanned<String>, String, &'static str)> {
        let manifests = std::iter::once(&self.manifest).chain(&self.more_manifests);
        let manifests = manifests.enumerate().map(|(index, file)| {
            let path = match index {
                0 => lab::MANIFEST_PATH.to_owned(),
                index => format!("/lab/probe-{}.yaml", index + 1),
            };
            (file, path, "--manifest")
        });
        let inventory = self.inventory.iter();
        let inventory = inventory.map(|file| (file, "/lab/inventory.yaml".to_owned(), "--inventory"));
        let objectives = self.objectives.iter();
        let objectives = objectives.map(|file| (file, "/lab/objectives.yaml".to_owned(), "--slo"));
        manifests.chain(inventory).chain(objectives)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capture {
    pub(crate) interface: String,
    #[serde(default)]
    pub(crate) filter: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Output {
    pub(crate) name: Spanned<String>,
    pub(crate) path: Spanned<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oracle {
    pub(crate) name: Spanned<String>,
    pub(crate) kind: OracleKind,
    pub(crate) output: Spanned<String>,
    #[serde(default)]
    pub(crate) http_ports: Vec<u16>,
}

fn read(text: &str) -> Result<Scenario, Fault> {
    let mut document = DeTable::parse(text)?;
    let expectations = match document.get_ref().get("expect").cloned() {
        Some(tables) => expectation::read(tables)?,
        None => Vec::new(),
    };
    let span = document.span();
    let table = DeValue::Table(std::mem::take(document.get_mut()));
    let file = ScenarioFile::deserialize(ValueDeserializer::from(Spanned::new(span, table)))?;
    let scenario = Scenario { file, expectations };
    check::check(&scenario)?;
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_ends_are_named_as_on_the_wire() {
        let line = || "x".to_owned();
        for end in [
            GuestEnd::Completed,
            GuestEnd::StepFailed {
                step: line(),
                reason: line(),
            },
            GuestEnd::NotReady {
                workload: line(),
                reason: line(),
            },
            GuestEnd::GuestDeadline {
                seconds: 1,
                during: line(),
            },
            GuestEnd::Panic { line: line() },
            GuestEnd::Oops { line: line() },
            GuestEnd::Lockup { line: line() },
            GuestEnd::OutOfMemory { line: line() },
            GuestEnd::WallDeadline { seconds: 1 },
            GuestEnd::Silent { reason: line() },
            GuestEnd::QemuLost { reason: line() },
        ] {
            assert_eq!(
                serde_json::to_value(&end).unwrap()["kind"],
                EndKind::from(&end).to_string()
            );
        }
    }
}
