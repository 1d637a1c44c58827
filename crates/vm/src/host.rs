//! The host lane: the guest program on this machine's kernel, in fresh namespaces over the guest's tree.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;
use wire::{GuestEnd, Outcome, unpack};

use crate::{Error, IoContext, Result, cache::Cache, rootfs::Built};

/// What came of it.
#[derive(Debug)]
pub struct Finished {
    /// The outcome.
    pub outcome: Outcome,
    /// The outputs' bytes.
    pub blobs: Vec<Vec<u8>>,
    /// What the guest program said.
    pub console: String,
}

/// Runs a boot message on this machine's kernel.
pub async fn run(
    cache: &Cache,
    rootfs: &Built,
    guest: &Path,
    message: &[u8],
    scratch: &Path,
    wall_deadline: Duration,
    cancel: &CancellationToken,
) -> Result<Finished> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::ToolFailed {
            program: "host lane".into(),
            purpose: "enter fresh namespaces",
            words: "it needs root; the virtual lane (the default) does not".into(),
        });
    }
    let tree = unpacked(cache, rootfs)?;
    let (inbox, outbox, console) = (
        scratch.join("inbox"),
        scratch.join("outbox"),
        scratch.join("console"),
    );
    let work = scratch.join("work");
    fs::create_dir(&work).at("creating", &work)?;
    fs::write(&inbox, message).at("writing", &inbox)?;
    fs::write(&outbox, b"").at("writing", &outbox)?;
    let log = File::create(&console).at("creating", &console)?;
    let error_log = log.try_clone().at("writing", &console)?;
    let mut command = tokio::process::Command::new(guest);
    command
        .arg("--host-lane")
        .args([&tree, &work, &inbox, &outbox])
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(error_log)
        .process_group(0)
        .kill_on_drop(true);
    // SAFETY: prctl(2) is async-signal-safe and changes only the child; nothing is allocated in between.
    unsafe {
        command.pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(Into::into));
    }
    let mut child = command.spawn().at("starting", guest)?;
    let status = tokio::select! {
        status = child.wait() => Some(status.at("waiting for", guest)?),
        () = tokio::time::sleep(wall_deadline) => None,
        () = cancel.cancelled() => {
            let _ = child.kill().await;
            return Err(Error::Interrupted);
        }
    };
    let _ = child.kill().await;
    let console = crate::console::read(&console);
    let bytes = fs::read(&outbox).at("reading", &outbox)?;
    if let Ok((outcome, blobs)) = unpack::<Outcome>(&bytes) {
        return Ok(Finished {
            outcome,
            blobs: blobs.into_iter().map(<[u8]>::to_vec).collect(),
            console,
        });
    }
    let end = match status {
        None => GuestEnd::WallDeadline {
            seconds: wall_deadline.as_secs(),
        },
        Some(status) => GuestEnd::Silent {
            reason: format!("{status}: {}", console.trim()),
        },
    };
    let outcome = Outcome {
        end,
        kernel_release: String::new(),
        guest_end_ns: 0,
        outputs: Vec::new(),
    };
    Ok(Finished {
        outcome,
        blobs: Vec::new(),
        console,
    })
}

/// The root filesystem as a folder, unpacked once per archive.
fn unpacked(cache: &Cache, rootfs: &Built) -> Result<PathBuf> {
    let folder = cache.folder("rootfs")?;
    let target = folder.join(format!("tree-{}", &rootfs.sha256[..32]));
    if target.exists() {
        return Ok(target);
    }
    let scratch = tempfile::Builder::new()
        .prefix(".tree-")
        .tempdir_in(&folder)
        .at("writing in", &folder)?;
    let tree = scratch.path().join("tree");
    fs::create_dir(&tree).at("creating", &tree)?;
    let purpose = "unpack the root filesystem";
    let archive = File::open(&rootfs.archive).at("opening", &rootfs.archive)?;
    let output = std::process::Command::new("cpio")
        .args([
            "--extract",
            "--quiet",
            "--make-directories",
            "--preserve-modification-time",
        ])
        .current_dir(&tree)
        .stdin(archive)
        .output()
        .map_err(|_| Error::ToolMissing {
            program: "cpio".into(),
            purpose,
        })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::ToolFailed {
            program: "cpio".into(),
            purpose,
            words,
        });
    }
    match fs::rename(&tree, &target) {
        Err(_) if target.exists() => {}
        other => other.at("keeping", &target)?,
    }
    Ok(target)
}
