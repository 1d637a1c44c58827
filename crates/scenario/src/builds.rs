//! `[[build]]`: programs that are compiled on this machine and put into the guest. Here they are declared and
//! checked; who runs a scenario runs them.
//!
//! ```toml
//! [[build]]
//! files = ["triangle.f90"]
//! command = ["gfortran", "-g", "-O0", "-o", "triangle", "triangle.f90"]
//! outputs = ["triangle"]
//! ```
//! The command runs in a fresh folder that holds the files and nothing else. A workload or load then names an
//! output in its `files`.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use crate::{
    Scenario,
    check::{check_folder_name, check_reference, fault_at},
    error::Fault,
    file::ScenarioFile,
};

/// The bytes of one file of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the guest may run it.
    pub executable: bool,
}

impl From<Vec<u8>> for Content {
    /// Bytes that are read, not run.
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            executable: false,
        }
    }
}

/// One build of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The files it needs, as [`Scenario::files`] names them.
    pub files: Vec<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Names of the files that it must leave in its folder.
    pub outputs: Vec<String>,
}

/// A build as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuildTable {
    pub(crate) files: Vec<Spanned<String>>,
    pub(crate) command: Spanned<Vec<String>>,
    pub(crate) outputs: Spanned<Vec<Spanned<String>>>,
}

impl Scenario {
    /// What must be built before it can run.
    pub fn builds(&self) -> Vec<Build> {
        let texts = |spanned: &[Spanned<String>]| spanned.iter().map(|text| text.get_ref().clone()).collect();
        self.file
            .builds
            .iter()
            .map(|build| Build {
                files: texts(&build.files),
                command: build.command.get_ref().clone(),
                outputs: texts(build.outputs.get_ref()),
            })
            .collect()
    }
}

/// The name that a file of the scenario has in a folder of its own: a sibling's file loses the sibling's name.
pub fn own_name(reference: &str) -> &str {
    match reference.strip_prefix("../") {
        Some(sibling) => sibling.rsplit('/').next().unwrap_or(sibling),
        None => reference,
    }
}

/// Names of everything that is built.
pub(crate) fn outputs(file: &ScenarioFile) -> impl Iterator<Item = &Spanned<String>> {
    file.builds.iter().flat_map(|build| build.outputs.get_ref())
}

pub(crate) fn check(file: &ScenarioFile) -> Result<(), Fault> {
    let mut made = BTreeSet::new();
    for output in outputs(file) {
        check_folder_name(output)?;
        if !made.insert(output.get_ref()) {
            return Err(fault_at(
                output,
                format!("a second build makes `{}`", output.get_ref()),
            ));
        }
    }
    for build in &file.builds {
        if build.command.get_ref().first().is_none_or(String::is_empty) {
            return Err(fault_at(&build.command, "the command is empty"));
        }
        if build.outputs.get_ref().is_empty() {
            return Err(fault_at(&build.outputs, "a build that makes nothing"));
        }
        for reference in &build.files {
            check_reference(reference)?;
            if made.contains(reference.get_ref()) {
                let message = format!(
                    "`{}` is what a build makes, not what it reads",
                    reference.get_ref()
                );
                return Err(fault_at(reference, message).help("one build may run several programs: `sh -c`"));
            }
        }
    }
    Ok(())
}
