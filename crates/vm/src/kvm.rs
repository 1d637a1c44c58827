//! Whether the kvm lane works here: decided by really booting a stock kernel once, and remembered.
//!
//! A `/dev/kvm` that exists proves nothing: nested or filtered ones open and then fail to set a register, or
//! loop in an emulation failure.

use std::{fs, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use wire::{GuestEnd, Job, Lane, Stage};

use crate::{
    Error, IoContext, Result,
    kernels::Kernel,
    run::{Lab, Request},
};

/// Wall time that a boot with KVM may take; one that works takes two seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether a stock kernel booted.
    pub usable: bool,
    /// Why, or why not.
    pub reason: String,
    /// What it was found out for: another machine, kernel or QEMU decides anew.
    pub key: String,
}

/// The remembered decision, or a new one.
pub async fn decide(lab: &Lab, kernel: &Kernel, recheck: bool) -> Result<Decision> {
    let path = lab.cache.root().join("kvm.json");
    let key = key(lab, kernel);
    let remembered = fs::read_to_string(&path)
        .ok()
        .and_then(|text| serde_json::from_str::<Decision>(&text).ok());
    if let Some(decision) = remembered.filter(|decision| decision.key == key && !recheck) {
        return Ok(decision);
    }
    let (usable, reason) = try_boot(lab, kernel).await?;
    let decision = Decision { usable, reason, key };
    // The type holds strings and a flag, which JSON can always express.
    fs::write(&path, serde_json::to_string(&decision).unwrap_or_default()).at("writing", &path)?;
    Ok(decision)
}

/// An error unless the lane is usable.
pub async fn require(lab: &Lab, kernel: &Kernel) -> Result<()> {
    let decision = decide(lab, kernel, false).await?;
    if decision.usable {
        Ok(())
    } else {
        Err(Error::KvmUnusable {
            reason: decision.reason,
        })
    }
}

fn key(lab: &Lab, kernel: &Kernel) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let qemu = lab
        .installed
        .as_ref()
        .map(|installed| installed.version_line.clone())
        .unwrap_or_default();
    let host = nix::sys::utsname::uname().map(|names| names.release().to_string_lossy().into_owned());
    wire::digest_hex(&[
        read("/etc/machine-id").as_bytes(),
        host.unwrap_or_default().as_bytes(),
        qemu.as_bytes(),
        kernel.identity.sha256.as_bytes(),
    ])
}

async fn try_boot(lab: &Lab, kernel: &Kernel) -> Result<(bool, String)> {
    let device = Path::new("/dev/kvm");
    if !device.exists() {
        return Ok((false, "there is no /dev/kvm".into()));
    }
    if let Err(error) = fs::File::options().read(true).write(true).open(device) {
        return Ok((false, format!("/dev/kvm cannot be opened: {error}")));
    }
    let request = Request {
        scenario: "a boot".into(),
        lane: Lane::Kvm,
        stage: Stage::default(),
        stage_blobs: Vec::new(),
        job: Job {
            scenario: "boot".into(),
            cpus: 1,
            deadline_guest_seconds: PATIENCE.as_secs(),
            ..Job::default()
        },
        job_blobs: Vec::new(),
        wall_deadline: PATIENCE,
    };
    match lab.run(kernel, &request).await {
        Ok(record) if record.end == GuestEnd::Completed => Ok((
            true,
            format!(
                "kernel {} booted in {:.1} s",
                record.kernel_release, record.timing.total_seconds
            ),
        )),
        Ok(record) => Ok((false, format!("a stock kernel does not boot: {}", record.end))),
        Err(Error::Qemu { what, words }) => Ok((false, format!("{what}: {words}"))),
        Err(error) => Err(error),
    }
}
