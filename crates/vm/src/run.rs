//! One run: a machine (restored, or booted with its job), watched until its end, and what came of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use wire::{Boot, GuestEnd, Job, Lane, Outcome, Output, PROTOCOL, Record, Stage, Timing, digest_hex, pack};

use crate::{
    Error, IoContext, Progress, Result,
    cache::Cache,
    checkpoint::{self, Ingredients},
    console::{read, settle},
    image,
    kernels::Kernel,
    machine::{Console, Machine, Memory, description_of_run},
    qemu::{Installed, Notice, Qemu},
    rootfs::Built,
    visit::{Trouble, Visit},
};

/// What stays the same over many runs.
#[derive(Debug, Clone)]
pub struct Lab {
    /// The cache.
    pub cache: Cache,
    /// QEMU; lanes on a kernel that already runs need none.
    pub installed: Option<Installed>,
    /// The root filesystem.
    pub rootfs: Built,
    /// The guest program, static.
    pub guest: PathBuf,
    /// The guest program on a kernel that already runs, in the lanes `host` and `ssh`.
    pub visit: Option<Arc<Visit>>,
    /// Where events go.
    pub progress: Progress,
    /// Ends everything when cancelled.
    pub cancel: CancellationToken,
}

/// One run to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// Scenario name.
    pub scenario: String,
    /// Lane.
    pub lane: Lane,
    /// What to set up.
    pub stage: Stage,
    /// The bytes of the stage's files.
    pub stage_blobs: Vec<Vec<u8>>,
    /// What to do.
    pub job: Job,
    /// The bytes of the job's files.
    pub job_blobs: Vec<Vec<u8>>,
    /// Wall time after which a silent guest is given up.
    pub wall_deadline: Duration,
}

/// How a machine ended, before it becomes a record.
struct Ended {
    outcome: Outcome,
    blobs: Vec<Vec<u8>>,
    console: String,
    timing: Timing,
}

impl Lab {
    fn installed(&self) -> Result<&Installed> {
        self.installed.as_ref().ok_or(Error::QemuMissing {
            program: "qemu-system-x86_64".into(),
            minimum: crate::machine::MINIMUM_QEMU,
        })
    }

    /// Does one run.
    pub async fn run(&self, kernel: &Kernel, request: &Request) -> Result<Record> {
        let ended = match request.lane {
            Lane::Virtual => self.run_virtual(kernel, request).await,
            Lane::Kvm => self.run_kvm(kernel, request).await,
            Lane::Host | Lane::Ssh => self.run_on_visit(kernel, request).await,
        };
        let ended = match ended {
            // A stage that fails is a finding about the scenario on this kernel, not a fault of the lab.
            Err(Error::Stage { end, console }) => Ended {
                outcome: Outcome {
                    end: *end,
                    kernel_release: String::new(),
                    guest_end_ns: 0,
                    outputs: Vec::new(),
                },
                blobs: Vec::new(),
                console,
                timing: Timing::default(),
            },
            other => other?,
        };
        self.record(kernel, request, ended)
    }

    fn record(&self, kernel: &Kernel, request: &Request, ended: Ended) -> Result<Record> {
        let outputs: BTreeMap<String, Output> = ended
            .outcome
            .outputs
            .into_iter()
            .zip(ended.blobs.into_iter().map(Output))
            .collect();
        let mut record = Record {
            schema_version: Record::SCHEMA_VERSION,
            scenario: request.scenario.clone(),
            seed: request.job.seed,
            lane: request.lane,
            loader: request.job.probe.as_ref().map(|probe| probe.loader),
            kernel: kernel.identity.clone(),
            rootfs_sha256: self.rootfs.sha256.clone(),
            inputs_sha256: self.inputs_digest(kernel, request)?,
            qemu: match request.lane {
                lane if lane.is_shared() => String::from("-"),
                _ => self.installed()?.version_line.clone(),
            },
            end: ended.outcome.end,
            kernel_release: ended.outcome.kernel_release,
            guest_end_ns: ended.outcome.guest_end_ns,
            outputs,
            console: ended.console,
            digest: String::new(),
            timing: ended.timing,
        };
        record.digest = record.compute_digest();
        Ok(record)
    }

    /// A digest over everything that a deterministic run is a function of.
    pub fn inputs_digest(&self, kernel: &Kernel, request: &Request) -> Result<String> {
        let image = image::digest(&self.rootfs, &self.guest, kernel)?;
        let blobs = |blobs: &[Vec<u8>]| digest_hex(&blobs.iter().map(Vec::as_slice).collect::<Vec<_>>());
        // Both types hold only strings, numbers and maps of them.
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        let (qemu, firmware) = match &self.installed {
            Some(installed) => (installed.version_line.as_str(), installed.firmware.as_str()),
            None => ("-", "-"),
        };
        Ok(digest_hex(
            &[
                description_of_run(request.lane, request.job.cpus).as_str(),
                qemu,
                firmware,
                &image,
                &json(serde_json::to_string(&request.stage)),
                &blobs(&request.stage_blobs),
                &json(serde_json::to_string(&request.job)),
                &blobs(&request.job_blobs),
            ]
            .map(str::as_bytes),
        ))
    }

    async fn run_virtual(&self, kernel: &Kernel, request: &Request) -> Result<Ended> {
        let installed = self.installed()?;
        let ingredients = Ingredients {
            installed,
            kernel,
            cpus: request.job.cpus,
            rootfs: &self.rootfs,
            guest: &self.guest,
            stage: &request.stage,
            blobs: &request.stage_blobs,
        };
        let checkpoint = checkpoint::get(&self.cache, &ingredients, &self.progress, &self.cancel).await?;
        self.progress
            .step(&kernel.label(), format!("running {}", request.scenario));
        let scratch = self.scratch()?;
        let machine = Machine {
            lane: Lane::Virtual,
            cpus: request.job.cpus,
            kernel: kernel.image.clone(),
            initrd: None,
            memory: Memory::CopyOf(checkpoint.template.clone()),
            console: Console::File(scratch.path().join("console")),
        };
        let qemu = Qemu::start(installed, &machine, scratch.path()).await?;
        qemu.load_state(&checkpoint.state).await?;
        qemu.write_message(&job_message(request)?)?;
        let mut ended = self
            .finish(qemu, &scratch.path().join("console"), request.wall_deadline)
            .await?;
        ended.timing.warm = checkpoint.was_cached;
        ended.console.insert_str(0, &checkpoint.console);
        Ok(ended)
    }

    async fn run_kvm(&self, kernel: &Kernel, request: &Request) -> Result<Ended> {
        let installed = self.installed()?;
        self.progress.step(
            &kernel.label(),
            format!("booting for {} with KVM", request.scenario),
        );
        let scratch = self.scratch()?;
        let initrd = scratch.path().join("initrd");
        image::write(&self.rootfs, &self.guest, kernel, &initrd)?;
        let machine = Machine {
            lane: Lane::Kvm,
            cpus: request.job.cpus,
            kernel: kernel.image.clone(),
            initrd: Some(initrd),
            memory: Memory::Own,
            console: Console::File(scratch.path().join("console")),
        };
        let qemu = Qemu::start(installed, &machine, scratch.path()).await?;
        qemu.write_message(&boot_message(request)?)?;
        self.finish(qemu, &scratch.path().join("console"), request.wall_deadline)
            .await
    }

    async fn run_on_visit(&self, kernel: &Kernel, request: &Request) -> Result<Ended> {
        // Whoever asks for such a lane has opened a visit before.
        let visit = self.visit.as_ref().ok_or_else(|| Error::Machine {
            machine: kernel.label(),
            trouble: Trouble::Lost,
            words: "no visit is open".into(),
        })?;
        self.progress
            .step(&kernel.label(), format!("running {}", request.scenario));
        let started = Instant::now();
        let message = boot_message(request)?;
        let finished = visit.run(message, request.wall_deadline, &self.cancel).await?;
        Ok(Ended {
            outcome: finished.outcome,
            blobs: finished.blobs,
            console: finished.console,
            timing: Timing {
                total_seconds: started.elapsed().as_secs_f64(),
                ..Timing::default()
            },
        })
    }

    /// Ends what is open beyond a run.
    pub async fn close(&self) {
        if let Some(visit) = &self.visit {
            visit.close().await;
        }
    }

    /// Lets the guest go and watches it until its end.
    async fn finish(&self, mut qemu: Qemu, console: &Path, wall_deadline: Duration) -> Result<Ended> {
        qemu.resume().await?;
        let first_instruction = qemu.started.elapsed();
        let end = watch(&mut qemu, wall_deadline, &self.cancel).await;
        let status = match &end {
            Ok(None | Some(GuestEnd::QemuLost { .. })) => qemu.wait_or_kill().await,
            _ => {
                qemu.kill().await;
                String::from("killed")
            }
        };
        let mut console = read(console);
        let end = match end? {
            Some(GuestEnd::QemuLost { reason }) => Some(GuestEnd::QemuLost {
                reason: format!("{status}: {reason}"),
            }),
            other => other,
        };
        let trouble = settle(end, &mut console);
        let left = qemu.read_outcome()?;
        let (outcome, blobs) = match (trouble, left) {
            (None, Some((outcome, blobs))) => (outcome, blobs),
            (trouble, _) => {
                let lost = || GuestEnd::Silent {
                    reason: format!("QEMU {status}: {}", qemu.last_words()),
                };
                let end = trouble.unwrap_or_else(lost);
                (
                    Outcome {
                        end,
                        kernel_release: String::new(),
                        guest_end_ns: 0,
                        outputs: Vec::new(),
                    },
                    Vec::new(),
                )
            }
        };
        let timing = Timing {
            start_to_first_instruction_seconds: first_instruction.as_secs_f64(),
            total_seconds: qemu.started.elapsed().as_secs_f64(),
            warm: false,
        };
        Ok(Ended {
            outcome,
            blobs,
            console,
            timing,
        })
    }

    fn scratch(&self) -> Result<tempfile::TempDir> {
        scratch(&self.cache)
    }
}

/// Where runs have their folders, and what the names of this process' own begin with.
pub fn scratch_place(cache: &Cache) -> Result<(PathBuf, String)> {
    Ok((cache.folder("run")?, format!(".run-{}-", std::process::id())))
}

/// A folder for one run or visit, gone when it is dropped.
pub fn scratch(cache: &Cache) -> Result<tempfile::TempDir> {
    let (folder, prefix) = scratch_place(cache)?;
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(&folder)
        .at("writing in", &folder)
}

/// Watches a running guest until it ends; what else ended it, if anything did.
///
/// Trouble on the console ends no run: where the guest is when the host has read of it would be chance. Most kernels that break
/// panic (see [`crate::machine`]). One that goes on comes to the end of its job or to its deadline, and only one that hangs
/// for good, such as with a processor that takes no interrupts, waits for the host's.
async fn watch(
    qemu: &mut Qemu,
    wall_deadline: Duration,
    cancel: &CancellationToken,
) -> Result<Option<GuestEnd>> {
    tokio::select! {
        notice = qemu.notice() => Ok(match notice {
            Notice::Shutdown { .. } => None,
            Notice::StoppedItself => Some(GuestEnd::Panic {
                line: "the guest reported a panic to its machine".into(),
            }),
            // A guest that left its outcome was only faster than its own shutdown notice.
            Notice::Gone if qemu.read_outcome()?.is_some() => None,
            Notice::Gone => Some(GuestEnd::QemuLost { reason: qemu.last_words() }),
        }),
        () = tokio::time::sleep(wall_deadline) => Ok(Some(GuestEnd::WallDeadline {
            seconds: wall_deadline.as_secs(),
        })),
        () = cancel.cancelled() => Err(Error::Interrupted),
    }
}

fn job_message(request: &Request) -> Result<Vec<u8>> {
    let blobs: Vec<&[u8]> = request.job_blobs.iter().map(Vec::as_slice).collect();
    Ok(pack(&request.job, &blobs)?)
}

/// Stage and job in one message, for lanes without checkpoints.
pub(crate) fn boot_message(request: &Request) -> Result<Vec<u8>> {
    let boot = Boot {
        protocol: PROTOCOL,
        stage: request.stage.clone(),
        stop_for_checkpoint: false,
        job: Some(request.job.clone()),
        first_job_blob: request.stage_blobs.len(),
    };
    let blobs: Vec<&[u8]> = request
        .stage_blobs
        .iter()
        .chain(&request.job_blobs)
        .map(Vec::as_slice)
        .collect();
    Ok(pack(&boot, &blobs)?)
}
