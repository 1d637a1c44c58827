//! Ready-made tools: which of bcc's, as Debian builds them, start on a kernel.
//!
//! The guest carries the few that scenarios call. All the others are sent along: some seventy names for some fifty files.

use std::{collections::BTreeMap, path::Path, time::Duration};

use miette::{IntoDiagnostic, Result, WrapErr};
use vm::{kernels::Kernel, run::Request};
use wire::{File, Job, Loader, ObjectFinding, Stage, check_stage::PEERS};

use super::{CHECKER, Checks, FINDINGS, Found, ObjectFile, broken, findings, job, program};

/// Debian's package of them.
pub const PEERS_PACKAGE: &str = "libbpf-tools";

/// Each of some seventy tools has a few seconds of guest time.
const GUEST_SECONDS: u64 = 1200;
/// What that takes at most.
const WALL_DEADLINE: Duration = Duration::from_secs(3600);

/// The tools of an unpacked package. Several names may stand for one file.
pub fn read_tools(package: &Path) -> Result<Vec<ObjectFile>> {
    let folder = package.join(PEERS.folder.trim_start_matches('/'));
    let shown = || folder.display().to_string();
    let mut tools = Vec::new();
    for entry in std::fs::read_dir(&folder)
        .into_diagnostic()
        .wrap_err_with(shown)?
    {
        let path = entry.into_diagnostic().wrap_err_with(shown)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(PEERS.ending) {
            let bytes = std::fs::read(&path)
                .into_diagnostic()
                .wrap_err_with(|| path.display().to_string())?;
            tools.push(ObjectFile { name, path, bytes });
        }
    }
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tools)
}

impl Checks {
    /// Tries the guest's own tools and these on every kernel; kernel by kernel.
    pub async fn run_peers(&self, kernels: &[Kernel], tools: &[ObjectFile]) -> Result<Vec<Found>> {
        let stage = &self.stage()?;
        let sent = &Sent::new(tools);
        let parts = kernels.iter().map(|kernel| self.peers_on(stage, kernel, sent));
        self.all(parts).await
    }

    async fn peers_on(
        &self,
        stage: &(Stage, Vec<u8>),
        kernel: &Kernel,
        sent: &Sent<'_>,
    ) -> Result<Vec<Found>> {
        let request = Request {
            scenario: "the peers".into(),
            lane: self.lane,
            stage: stage.0.clone(),
            stage_blobs: vec![stage.1.clone()],
            job: Job {
                deadline_guest_seconds: GUEST_SECONDS,
                files: sent.files.clone(),
                loads: vec![program(
                    "peers",
                    [CHECKER, "peers", FINDINGS].map(str::to_owned).to_vec(),
                )],
                ..job(&[], &[])
            },
            job_blobs: sent.blobs.iter().map(|blob| blob.to_vec()).collect(),
            wall_deadline: WALL_DEADLINE,
        };
        let record = self.lab.run(kernel, &request).await?;
        // A guest that breaks takes the findings of all tools along, but not those of other kernels.
        let findings = findings(&record)?.unwrap_or_else(|| {
            vec![ObjectFinding {
                file_name: "(all tools)".into(),
                ..broken(&record, Loader::Libbpf)
            }]
        });
        let found = |finding| Found {
            kernel: kernel.label(),
            finding,
        };
        Ok(findings.into_iter().map(found).collect())
    }
}

/// Tools as they go into a guest: what several names stand for goes once.
struct Sent<'a> {
    files: Vec<File>,
    blobs: Vec<&'a [u8]>,
}

impl<'a> Sent<'a> {
    fn new(tools: &'a [ObjectFile]) -> Self {
        let mut known: BTreeMap<&[u8], usize> = BTreeMap::new();
        let mut sent = Self {
            files: Vec::new(),
            blobs: Vec::new(),
        };
        for tool in tools {
            let blob = *known.entry(&tool.bytes).or_insert_with(|| {
                sent.blobs.push(&tool.bytes);
                sent.blobs.len() - 1
            });
            sent.files.push(File {
                path: format!("{}/{}", PEERS.folder, tool.name),
                mode: 0o755,
                blob,
            });
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_names_stand_for_goes_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("usr/sbin");
        std::fs::create_dir_all(&place).unwrap();
        for (name, text) in [("b-libbpf", "one"), ("c-libbpf", "two"), ("readme", "three")] {
            std::fs::write(place.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("b-libbpf", place.join("a-libbpf")).unwrap();
        let tools = read_tools(folder.path()).unwrap();
        let sent = Sent::new(&tools);
        let files: Vec<(&str, usize)> = sent
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.blob))
            .collect();
        assert_eq!(
            files,
            [
                ("/usr/sbin/a-libbpf", 0),
                ("/usr/sbin/b-libbpf", 0),
                ("/usr/sbin/c-libbpf", 1)
            ]
        );
        assert_eq!(sent.blobs, [b"one".as_slice(), b"two"]);
    }
}
