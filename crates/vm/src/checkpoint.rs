//! Checkpoints: a booted machine with its stage set, saved once and restored for ever.
//!
//! ```text
//! checkpoints/KEY/template (guest memory, sparse, never written again)   state (devices)
//!                 console  meta.json   about
//! ```
//! The key is a digest over everything that decides what is in it. A checkpoint appears whole or not at all.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use wire::{Boot, GuestEnd, Lane, PROTOCOL, Stage, pack};

use crate::{
    Error, IoContext, Progress, Result,
    cache::{Cache, free_bytes, remove, touch},
    console::{first_trouble, last_lines, read, settle},
    digest::{blake3_sparse, real_bytes},
    image,
    kernels::Kernel,
    lock::Lock,
    machine::{Console, MEMORY_MIB, Machine, Memory, description_of_boot},
    qemu::{Installed, Notice, Qemu},
    rootfs::Built,
    sparse::punch_zeros,
    state,
};

/// Wall time that a boot and its stage may take.
const BOOT_PATIENCE: Duration = Duration::from_secs(300);
/// How often a booting machine is looked at. The guest announces its stop several looks ahead.
const LOOK: Duration = Duration::from_millis(20);
/// Boots that are tried for one checkpoint before the lab gives up; hardly one is thrown away.
const BOOTS: u32 = 20;
/// Free bytes below which saving is not even tried: a template of a booted guest has a fifth of its memory.
const NEEDED_BYTES: u64 = 400 << 20;

/// What a checkpoint is made of.
#[derive(Debug, Clone)]
pub struct Ingredients<'a> {
    /// QEMU.
    pub installed: &'a Installed,
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Processors that the job may bring online, 1 or 2.
    pub cpus: u32,
    /// The root filesystem.
    pub rootfs: &'a Built,
    /// The guest program.
    pub guest: &'a Path,
    /// The stage.
    pub stage: &'a Stage,
    /// The bytes of the stage's files.
    pub blobs: &'a [Vec<u8>],
}

impl Ingredients<'_> {
    fn boot_message(&self) -> Result<Vec<u8>> {
        let boot = Boot {
            protocol: PROTOCOL,
            stage: self.stage.clone(),
            stop_for_checkpoint: true,
            job: None,
            first_job_blob: self.blobs.len(),
        };
        let blobs: Vec<&[u8]> = self.blobs.iter().map(Vec::as_slice).collect();
        Ok(pack(&boot, &blobs)?)
    }

    /// The digest over everything that decides what is in the checkpoint.
    pub fn key(&self) -> Result<String> {
        let image = image::digest(self.rootfs, self.guest, self.kernel)?;
        Ok(wire::digest_hex(&[
            description_of_boot(Lane::Virtual, self.cpus).as_bytes(),
            self.installed.version_line.as_bytes(),
            self.installed.firmware.as_bytes(),
            image.as_bytes(),
            &self.boot_message()?,
        ]))
    }
}

/// A checkpoint that can be restored.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Its key.
    pub key: String,
    /// Guest memory.
    pub template: PathBuf,
    /// Device state.
    pub state: PathBuf,
    /// What the console said until the stop.
    pub console: String,
    /// Whether it was in the cache.
    pub was_cached: bool,
    /// Bytes that the template occupies on the disk.
    pub template_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    template_blake3: String,
    state_blake3: String,
}

const META: &str = "meta.json";

/// The checkpoint, from the cache (verified) or made now. A damaged one is made again, and that is said.
pub async fn get(
    cache: &Cache,
    ingredients: &Ingredients<'_>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Checkpoint> {
    let subject = ingredients.kernel.label();
    let key = ingredients.key()?;
    let folder = cache.folder("checkpoints")?.join(&key[..32]);
    let _lock = Lock::take(
        &PathBuf::from(format!("{}.lock", folder.display())),
        progress,
        &subject,
    )
    .await?;
    if folder.exists() {
        match verify(&folder).await {
            Ok(()) => {
                touch(&folder);
                return open(&folder, key, true);
            }
            Err(what) => {
                progress.notice(
                    &subject,
                    format!(
                        "the checkpoint {} is damaged ({what}) and is made again",
                        &key[..12]
                    ),
                );
                remove(&folder)?;
            }
        }
    }
    progress.step(&subject, "booting for a checkpoint");
    for _ in 0..BOOTS {
        if make(cache, ingredients, &folder, progress, cancel).await? {
            return open(&folder, key, false);
        }
        progress.step(
            &subject,
            "booting for a checkpoint again: QEMU's clock ran on after the stop",
        );
    }
    Err(Error::Qemu {
        what: format!("its clock ran on after the guest's stop in {BOOTS} boots of {BOOTS}"),
        words: "this QEMU cannot make exact checkpoints".into(),
    })
}

fn open(folder: &Path, key: String, was_cached: bool) -> Result<Checkpoint> {
    let template = folder.join("template");
    Ok(Checkpoint {
        key,
        template_bytes: real_bytes(&template),
        template,
        state: folder.join("state"),
        console: read(&folder.join("console")),
        was_cached,
    })
}

/// Whether the bytes are those that were saved; what is wrong otherwise.
async fn verify(folder: &Path) -> Result<(), String> {
    let folder = folder.to_owned();
    let check = move || {
        let text = fs::read_to_string(folder.join(META)).map_err(|error| format!("{META}: {error}"))?;
        let meta: Meta = serde_json::from_str(&text).map_err(|error| format!("{META}: {error}"))?;
        for (name, expected) in [("template", meta.template_blake3), ("state", meta.state_blake3)] {
            let found = blake3_sparse(&folder.join(name)).map_err(|error| error.to_string())?;
            if found != expected {
                return Err(format!("{name}: other bytes than were saved"));
            }
        }
        Ok(())
    };
    tokio::task::spawn_blocking(check)
        .await
        .map_err(|error| error.to_string())?
}

/// Makes a checkpoint; false when QEMU did not stop where the guest did (see [`crate::state`]).
async fn make(
    cache: &Cache,
    ingredients: &Ingredients<'_>,
    folder: &Path,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<bool> {
    let checkpoints = cache.folder("checkpoints")?;
    make_room(cache, &checkpoints, ingredients, progress)?;
    let scratch = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&checkpoints)
        .at("writing in", &checkpoints)?;
    let made = scratch.path().join("made");
    fs::create_dir(&made).at("creating", &made)?;
    let initrd = scratch.path().join("initrd");
    image::write(ingredients.rootfs, ingredients.guest, ingredients.kernel, &initrd)?;
    let machine = Machine {
        lane: Lane::Virtual,
        cpus: ingredients.cpus,
        kernel: ingredients.kernel.image.clone(),
        initrd: Some(initrd),
        memory: Memory::Template(made.join("template")),
        console: Console::File(made.join("console")),
    };
    let mut qemu = Qemu::start(ingredients.installed, &machine, scratch.path()).await?;
    qemu.write_message(&ingredients.boot_message()?)?;
    let preferred = qemu.prefer_main_thread();
    qemu.resume().await?;
    let console = made.join("console");
    let stopped = wait_for_stop(&mut qemu, preferred, &console, cancel).await;
    if let Err(error) = stopped {
        qemu.kill().await;
        return Err(if free_bytes(&checkpoints) < (1 << 20) {
            Error::DiskFull {
                during: "saving a checkpoint".into(),
            }
        } else {
            error
        });
    }
    progress.step(&ingredients.kernel.label(), "saving the checkpoint");
    qemu.save_state(&made.join("state")).await?;
    let stop_time = qemu.stop_time()?;
    qemu.kill().await;
    if let Some(jump_ns) = state::jump_after_stop(&made.join("state"), stop_time)? {
        tracing::debug!(jump_ns, "the clock ran on after the stop");
        return Ok(false);
    }
    state::forget_instructions(&made.join("state"))?;
    seal(&made, ingredients).await?;
    fs::rename(&made, folder).at("keeping", folder)?;
    Ok(true)
}

/// A checkpoint costs a boot, a disk that is full of them the whole run.
fn make_room(
    cache: &Cache,
    checkpoints: &Path,
    ingredients: &Ingredients<'_>,
    progress: &Progress,
) -> Result<()> {
    let has_room = || free_bytes(checkpoints) >= NEEDED_BYTES;
    if has_room() {
        return Ok(());
    }
    let gone = cache.make_room(has_room)?;
    if !gone.is_empty() {
        progress.notice(
            &ingredients.kernel.label(),
            format!(
                "the disk is full: deleted {} of the longest unused checkpoints",
                gone.len()
            ),
        );
    }
    if has_room() {
        return Ok(());
    }
    Err(Error::DiskFull {
        during: "saving a checkpoint".into(),
    })
}

/// Waits until the guest stops itself; anything else that it does is an error. `preferred` says whether QEMU's main thread
/// overtakes the others anyway.
async fn wait_for_stop(
    qemu: &mut Qemu,
    preferred: bool,
    console: &Path,
    cancel: &CancellationToken,
) -> Result<()> {
    let deadline = Instant::now() + BOOT_PATIENCE;
    let mut tick = tokio::time::interval(LOOK);
    let mut announced = false;
    let end = loop {
        tokio::select! {
            notice = qemu.notice() => match notice {
                Notice::StoppedItself => match first_trouble(&read(console)) {
                    None => return Ok(()),
                    Some(trouble) => break trouble,
                },
                Notice::Shutdown { reason } => {
                    let left = qemu.read_outcome()?.map(|(outcome, _)| outcome.end);
                    break left.unwrap_or(GuestEnd::Silent { reason });
                }
                Notice::Gone => break GuestEnd::QemuLost { reason: qemu.last_words() },
            },
            _ = tick.tick() => {
                if !preferred && !announced && qemu.stop_time()? != 0 {
                    announced = true;
                    // Without it a jump is only likelier, and is recognised.
                    if let Err(error) = qemu.rest_other_threads() {
                        tracing::debug!("the stop cannot be prepared: {error}");
                    }
                }
                if Instant::now() > deadline {
                    break GuestEnd::WallDeadline { seconds: BOOT_PATIENCE.as_secs() };
                }
            }
            () = cancel.cancelled() => return Err(Error::Interrupted),
        }
    };
    let mut console = read(console);
    let end = settle(Some(end.clone()), &mut console).unwrap_or(end);
    Err(Error::Stage {
        end: Box::new(end),
        console: last_lines(&console, 20),
    })
}

/// Gives unused room back, notes the digests and takes the right to write away.
async fn seal(made: &Path, ingredients: &Ingredients<'_>) -> Result<()> {
    let folder = made.to_owned();
    let hash = move || -> Result<Meta> {
        punch_zeros(&folder.join("template"))?;
        Ok(Meta {
            template_blake3: blake3_sparse(&folder.join("template"))?,
            state_blake3: blake3_sparse(&folder.join("state"))?,
        })
    };
    let meta = tokio::task::spawn_blocking(hash)
        .await
        .map_err(std::io::Error::other)
        .during(|| "hashing".into())??;
    // The type holds two strings, which JSON can always express.
    let text = serde_json::to_string(&meta).unwrap_or_default();
    let names: Vec<&str> = ingredients
        .stage
        .workloads
        .iter()
        .map(|workload| workload.name.as_str())
        .collect();
    let about = format!(
        "checkpoint of kernel {} ({}), {MEMORY_MIB} MiB, stage: {}",
        ingredients.kernel.identity.series,
        ingredients.kernel.identity.version,
        if names.is_empty() {
            String::from("bare")
        } else {
            names.join(", ")
        }
    );
    for (name, text) in [(META, text), ("about", about)] {
        fs::write(made.join(name), text).at("writing", made.join(name))?;
    }
    for name in ["template", "state", "console"] {
        let path = made.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).at("protecting", &path)?;
    }
    Ok(())
}
