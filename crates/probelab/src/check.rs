//! Checks of BPF objects, and of ready-made tools that have theirs inside: they go into a guest, findings come back.
//!
//! One checkpoint per kernel holds the checker, ready and calibrated; each batch is one restore. A batch has a fixed size,
//! so that what is found about an object does not depend on how many processors check.

mod objects;
mod tools;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use futures::{StreamExt, stream};
use miette::{IntoDiagnostic, Result, WrapErr};
use vm::{
    kernels::Kernel,
    run::{Lab, Request},
};
use wire::{
    Collect, File, Findings, GuestEnd, Job, Lane, Link, Loader, ObjectFinding, Readiness, Reason, Record,
    Stage, Step, Workload,
    check_stage::{ADDRESS, CGROUP, FAR_ADDRESS, FAR_INTERFACE, INTERFACE, NAMESPACE},
};

pub use objects::{ObjectFile, read_objects};
pub use tools::{PEERS_PACKAGE, read_tools};

/// The environment variable that names another checker.
pub const CHECKER_VARIABLE: &str = "PROBELAB_CHECKER";

/// Objects of one restore.
const BATCH_OBJECTS: usize = 12;
/// Bytes of the objects of one restore, unless one alone has more: half of what the shared memory takes in.
const BATCH_BYTES: usize = 14 << 20;

const CHECKER: &str = "/lab/bin/checker";
const SOCKET: &str = "/run/checker.sock";
const FINDINGS: &str = "/lab/out/findings.json";

/// What all checks of a command share.
#[derive(Debug)]
pub struct Checks {
    /// The lab.
    pub lab: Lab,
    /// Its lane.
    pub lane: Lane,
    /// The static checker.
    pub checker: PathBuf,
    /// Loaders: each object is checked with each.
    pub loaders: Vec<Loader>,
    /// Guests at once.
    pub jobs: usize,
}

/// What was found about an object on a kernel.
#[derive(Debug)]
pub struct Found {
    /// What the kernel is called.
    pub kernel: String,
    /// What was found.
    pub finding: ObjectFinding,
}

impl Checks {
    /// Checks every object on every kernel; kernel by kernel, in the order of the objects.
    pub async fn run(&self, kernels: &[Kernel], objects: &[ObjectFile]) -> Result<Vec<Found>> {
        let stage = self.stage()?;
        let batches = batches(objects);
        let cells: Vec<(&Kernel, &[ObjectFile])> = kernels
            .iter()
            .flat_map(|kernel| batches.iter().map(move |batch| (kernel, *batch)))
            .collect();
        let stage = &stage;
        let parts = cells
            .into_iter()
            .map(|(kernel, batch)| self.batch(stage, kernel, batch));
        self.all(parts).await
    }

    /// Does the parts, as many at once as guests may be, and puts what they found in their order.
    async fn all<P>(&self, parts: impl Iterator<Item = P>) -> Result<Vec<Found>>
    where
        P: Future<Output = Result<Vec<Found>>>,
    {
        let results: Vec<Result<Vec<Found>>> = stream::iter(parts).buffered(self.jobs).collect().await;
        let mut found = Vec::new();
        for result in results {
            found.extend(result?);
        }
        Ok(found)
    }

    /// One restore. A guest that breaks takes the findings of its whole batch along, so each object then gets a guest of
    /// its own: the one that breaks it again is the one.
    async fn batch(
        &self,
        stage: &(Stage, Vec<u8>),
        kernel: &Kernel,
        batch: &[ObjectFile],
    ) -> Result<Vec<Found>> {
        let first = self.restore(stage, kernel, batch).await?;
        let findings = match (findings(&first)?, batch) {
            (Some(findings), _) => findings,
            (None, [_]) => vec![broken(&first, self.loaders.first().copied().unwrap_or_default())],
            (None, many) => {
                let mut all = Vec::new();
                for object in many {
                    all.extend(Box::pin(self.batch(stage, kernel, std::slice::from_ref(object))).await?);
                }
                return Ok(all);
            }
        };
        let per_object = if findings.len() == batch.len() * self.loaders.len() {
            self.loaders.len()
        } else {
            1
        };
        let named = findings.into_iter().enumerate().map(|(index, mut finding)| {
            if let Some(object) = batch.get(index / per_object) {
                finding.file_name.clone_from(&object.name);
            }
            Found {
                kernel: kernel.label(),
                finding,
            }
        });
        Ok(named.collect())
    }

    async fn restore(
        &self,
        stage: &(Stage, Vec<u8>),
        kernel: &Kernel,
        batch: &[ObjectFile],
    ) -> Result<Record> {
        let job = job(&self.loaders, batch);
        let checks = (batch.len() * self.loaders.len()) as u64;
        let request = Request {
            scenario: match batch {
                [object] => format!("the check of {}", object.name),
                many => format!("the check of {} objects", many.len()),
            },
            lane: self.lane,
            stage: stage.0.clone(),
            stage_blobs: vec![stage.1.clone()],
            job,
            job_blobs: batch.iter().map(|object| object.bytes.clone()).collect(),
            wall_deadline: Duration::from_secs(60 + 120 * checks),
        };
        Ok(self.lab.run(kernel, &request).await?)
    }

    /// Everything before the checkpoint, and the checker's bytes.
    fn stage(&self) -> Result<(Stage, Vec<u8>)> {
        let bytes = std::fs::read(&self.checker)
            .into_diagnostic()
            .wrap_err_with(|| self.checker.display().to_string())?;
        let stage = Stage {
            modules: ["veth", "sch_ingress", "cls_bpf"].map(str::to_owned).to_vec(),
            files: vec![File {
                path: CHECKER.into(),
                mode: 0o755,
                blob: 0,
            }],
            links: vec![Link {
                name: INTERFACE.into(),
                address: vec![format!("{ADDRESS}/24")],
                peer: FAR_INTERFACE.into(),
                peer_address: vec![format!("{FAR_ADDRESS}/24")],
                namespace: Some(NAMESPACE.into()),
                mtu_bytes: None,
            }],
            cgroups: BTreeMap::from([(CGROUP.to_owned(), BTreeMap::new())]),
            workloads: vec![Workload {
                ready: Some(Readiness::File(SOCKET.into())),
                ..program("checker", [CHECKER, "serve", SOCKET].map(str::to_owned).to_vec())
            }],
        };
        Ok((stage, bytes))
    }
}

fn program(name: &str, command: Vec<String>) -> Workload {
    Workload {
        name: name.into(),
        command,
        directory: "/".into(),
        environment: BTreeMap::new(),
        namespace: None,
        cgroup: None,
        ready: None,
        stdout: None,
        end: Default::default(),
    }
}

fn job(loaders: &[Loader], batch: &[ObjectFile]) -> Job {
    let path = |index: usize, object: &ObjectFile| format!("/lab/objects/{index}/{}", object.file_name());
    let loaders: Vec<&str> = loaders.iter().map(|loader| loader.name()).collect();
    let mut command: Vec<String> = [CHECKER, "ask", SOCKET, FINDINGS].map(str::to_owned).to_vec();
    command.push(loaders.join(","));
    command.extend(
        batch
            .iter()
            .enumerate()
            .map(|(index, object)| path(index, object)),
    );
    Job {
        scenario: "check".into(),
        seed: 1,
        cpus: 1,
        // Each object's own patience is a minute.
        deadline_guest_seconds: 60 + 61 * (batch.len() * loaders.len()) as u64,
        files: batch
            .iter()
            .enumerate()
            .map(|(blob, object)| File {
                path: path(blob, object),
                mode: 0o644,
                blob,
            })
            .collect(),
        loads: vec![program("check", command)],
        collect: vec![Collect {
            name: "findings".into(),
            path: FINDINGS.into(),
        }],
        ..Job::default()
    }
}

/// Objects that go together.
fn batches(objects: &[ObjectFile]) -> Vec<&[ObjectFile]> {
    let mut batches = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (index, object) in objects.iter().enumerate() {
        let is_full = index - start == BATCH_OBJECTS || bytes + object.bytes.len() > BATCH_BYTES;
        if is_full && index > start {
            batches.push(&objects[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += object.bytes.len();
    }
    if start < objects.len() {
        batches.push(&objects[start..]);
    }
    batches
}

/// The findings of a guest that came to its end; nothing of one that did not.
fn findings(record: &Record) -> Result<Option<Vec<ObjectFinding>>> {
    match (&record.end, record.outputs.get("findings")) {
        (GuestEnd::Completed, Some(output)) => {
            let findings: Findings = serde_json::from_slice(&output.0).into_diagnostic()?;
            Ok(Some(findings.objects))
        }
        _ => Ok(None),
    }
}

/// What is known of an object whose guest did not come to its end.
fn broken(record: &Record, loader: Loader) -> ObjectFinding {
    let reason = match &record.end {
        end if end.is_kernel_failure() => Reason::KernelBroke,
        GuestEnd::OutOfMemory { .. } => Reason::KernelBroke,
        GuestEnd::GuestDeadline { .. } | GuestEnd::WallDeadline { .. } => Reason::TimedOut,
        _ => Reason::Infra,
    };
    ObjectFinding {
        file_name: String::new(),
        loader,
        whole: Step::failed(reason, record.end.to_string()),
        maps: Vec::new(),
        programs: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(sizes: &[usize]) -> Vec<ObjectFile> {
        let object = |(index, size): (usize, &usize)| ObjectFile {
            name: format!("{index}.o"),
            path: PathBuf::new(),
            bytes: vec![0; *size],
        };
        sizes.iter().enumerate().map(object).collect()
    }

    #[test]
    fn batches_hold_so_many_objects_and_so_many_bytes() {
        let lengths = |sizes: &[usize]| {
            let objects = objects(sizes);
            batches(&objects)
                .iter()
                .map(|batch| batch.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[1; 30]), [12, 12, 6]);
        assert_eq!(lengths(&[BATCH_BYTES / 2 + 1; 3]), [1, 1, 1]);
        assert_eq!(lengths(&[BATCH_BYTES + 1, 1]), [1, 1]);
        assert!(lengths(&[]).is_empty());
    }

    #[test]
    fn equal_names_do_not_meet_in_the_guest() {
        let mut twice = objects(&[1, 1]);
        for (object, folder) in twice.iter_mut().zip(["a", "b"]) {
            object.name = format!("{folder}/same.bpf.o");
        }
        let job = job(&[Loader::Libbpf, Loader::Aya], &twice);
        let paths: Vec<&str> = job.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["/lab/objects/0/same.bpf.o", "/lab/objects/1/same.bpf.o"]);
        assert_eq!(job.loads[0].command[4..], ["libbpf,aya", paths[0], paths[1]]);
    }
}
