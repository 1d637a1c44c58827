//! What comes home: the guest's [`Outcome`], and the [`Record`] that the host keeps of a run.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{Lane, Loader};

/// What the guest writes at the end of a job. Output bytes are the blobs of its envelope, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub end: GuestEnd,
    /// `uname -r` of the kernel that ran.
    pub kernel_release: String,
    /// Guest time at the end since boot, in nanoseconds.
    pub guest_end_ns: u64,
    /// Names of the outputs, one per blob.
    pub outputs: Vec<String>,
}

/// How a run ended. Whether that is a pass is the judge's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum GuestEnd {
    /// All loads ran and all outputs were collected.
    Completed,
    /// A step of the job failed: what, and why.
    StepFailed {
        /// Which step: `stage`, `probe`, `capture`, `load`, `collect` and so on.
        step: String,
        /// What happened, with the program's last words.
        reason: String,
    },
    /// A workload did not become ready in time.
    NotReady {
        /// Its name.
        workload: String,
        /// Its last words.
        reason: String,
    },
    /// The job's guest deadline passed.
    GuestDeadline {
        /// The deadline in guest seconds.
        seconds: u64,
        /// What was going on.
        during: String,
    },
    /// The kernel panicked.
    Panic {
        /// The line that says so.
        line: String,
    },
    /// The kernel oopsed or warned of a bug.
    Oops {
        /// The line that says so.
        line: String,
    },
    /// The kernel reported a lockup, stall or hung task.
    Lockup {
        /// The line that says so.
        line: String,
    },
    /// The kernel ran out of memory and killed something.
    OutOfMemory {
        /// The line that says so.
        line: String,
    },
    /// Nothing was heard within the wall-clock deadline.
    WallDeadline {
        /// The deadline in seconds.
        seconds: u64,
    },
    /// The guest powered off or reset without a record.
    Silent {
        /// What QEMU said of it.
        reason: String,
    },
    /// The QEMU process went away.
    QemuLost {
        /// Its exit status and last words.
        reason: String,
    },
}

impl GuestEnd {
    /// Whether the kernel itself broke, which has an exit code of its own.
    pub fn is_kernel_failure(&self) -> bool {
        matches!(self, Self::Panic { .. } | Self::Oops { .. } | Self::Lockup { .. })
    }
}

impl std::fmt::Display for GuestEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Completed => write!(f, "completed"),
            Self::StepFailed { step, reason } => write!(f, "step `{step}` failed: {reason}"),
            Self::NotReady { workload, reason } => write!(f, "`{workload}` never became ready: {reason}"),
            Self::GuestDeadline { seconds, during } => {
                write!(f, "not done after {seconds} s of guest time, during {during}")
            }
            Self::Panic { line } => write!(f, "kernel panic: {line}"),
            Self::Oops { line } => write!(f, "kernel oops: {line}"),
            Self::Lockup { line } => write!(f, "kernel lockup: {line}"),
            Self::OutOfMemory { line } => write!(f, "out of memory: {line}"),
            Self::WallDeadline { seconds } => {
                write!(f, "the guest hangs: nothing for {seconds} s of wall time")
            }
            Self::Silent { reason } => write!(f, "the guest ended without a record: {reason}"),
            Self::QemuLost { reason } => write!(f, "QEMU was lost: {reason}"),
        }
    }
}

/// Which kernel ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KernelIdentity {
    /// Series such as `6.12`, or the name of a user's own kernel.
    pub series: String,
    /// Package name, or `-`.
    pub package: String,
    /// Package version, or `-`.
    pub version: String,
    /// sha256 over the kernel image and its modules archive, hex.
    pub sha256: String,
    /// The pin that this build stands in for, when the mirror no longer serves the pinned one.
    pub stands_in_for: Option<String>,
}

impl KernelIdentity {
    /// The short name in tables: the series, and a mark when another build stands in for the pinned one.
    pub fn label(&self) -> String {
        let drift = if self.stands_in_for.is_some() { "*" } else { "" };
        format!("{}{drift}", self.series)
    }
}

/// An output of a run: text when it is text, bytes when not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output(pub Vec<u8>);

impl Output {
    /// The output as text; invalid UTF-8 is replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OutputForm {
    Text(String),
    Base64(String),
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => OutputForm::Text(text.to_owned()),
            Err(_) => OutputForm::Base64(STANDARD.encode(&self.0)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Output(match OutputForm::deserialize(deserializer)? {
            OutputForm::Text(text) => text.into_bytes(),
            OutputForm::Base64(text) => STANDARD.decode(text).map_err(serde::de::Error::custom)?,
        }))
    }
}

/// Wall-clock facts of a run. They differ from run to run and are no part of the digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Timing {
    /// From the start of the QEMU process to the first guest instruction.
    pub start_to_first_instruction_seconds: f64,
    /// From the start of the QEMU process to its end.
    pub total_seconds: f64,
    /// Whether a checkpoint was found in the cache (false: it was made for this run, or none is used).
    pub warm: bool,
}

/// What is kept of a run: enough to judge it again, and to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this layout.
    pub schema_version: u32,
    /// Scenario name.
    pub scenario: String,
    /// Seed of the run.
    pub seed: u64,
    /// Lane of the run.
    pub lane: Lane,
    /// What the probes were loaded with; `None` without a probe.
    pub loader: Option<Loader>,
    /// Which kernel ran.
    pub kernel: KernelIdentity,
    /// sha256 of the root filesystem's archive, hex; empty in records that were written before it was kept.
    #[serde(default)]
    pub rootfs_sha256: String,
    /// sha256 over everything that went in: kernel, root filesystem, machine, stage, job.
    pub inputs_sha256: String,
    /// QEMU's version string, or `-` in the lanes `host` and `ssh`.
    pub qemu: String,
    /// How it ended.
    pub end: GuestEnd,
    /// `uname -r`.
    pub kernel_release: String,
    /// Guest time at the end since boot, in nanoseconds.
    pub guest_end_ns: u64,
    /// Outputs by name; the exposition of the probe daemon is `metrics`.
    pub outputs: BTreeMap<String, Output>,
    /// Everything the kernel and the guest said on the console.
    pub console: String,
    /// sha256 over what came out: end, outputs, console, guest time.
    pub digest: String,
    /// Wall-clock facts, no part of the digest.
    pub timing: Timing,
}

impl Record {
    /// The layout's version today.
    pub const SCHEMA_VERSION: u32 = 2;

    /// The digest of what came out. Two runs with equal inputs and different digests are a bug of the lab.
    pub fn compute_digest(&self) -> String {
        let end = serde_json::to_vec(&self.end).unwrap_or_default();
        let mut parts: Vec<&[u8]> = vec![&end, self.kernel_release.as_bytes(), self.console.as_bytes()];
        let guest_end = self.guest_end_ns.to_le_bytes();
        parts.push(&guest_end);
        for (name, output) in &self.outputs {
            parts.push(name.as_bytes());
            parts.push(&output.0);
        }
        digest_hex(&parts)
    }
}

/// sha256 over parts, each preceded by its length so that no two lists of parts collide. Hex.
pub fn digest_hex(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_tells_where_one_part_ends() {
        assert_ne!(digest_hex(&[b"ab", b"c"]), digest_hex(&[b"a", b"bc"]));
    }

    #[test]
    fn outputs_survive_json_as_text_and_as_bytes() {
        for bytes in [b"text".to_vec(), vec![0xff, 0, 1]] {
            let output = Output(bytes);
            let json = serde_json::to_string(&output).unwrap();
            assert_eq!(serde_json::from_str::<Output>(&json).unwrap(), output);
        }
    }
}
