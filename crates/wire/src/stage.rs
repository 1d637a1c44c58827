//! What the guest is told: the [`Stage`] before a checkpoint, the [`Job`] after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Loader;

/// What the guest finds in shared memory when it boots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// [`crate::PROTOCOL`] of the host.
    pub protocol: u32,
    /// What to set up.
    pub stage: Stage,
    /// Stop the machine at an exact instruction after the stage and wait for a [`Job`] (virtual lane); else
    /// the job follows in [`Boot::job`].
    pub stop_for_checkpoint: bool,
    /// The job of a run that is not restored from a checkpoint.
    pub job: Option<Job>,
    /// Which blobs belong to the job rather than the stage: the index of its first one.
    pub first_job_blob: usize,
}

/// Everything that is set up before the checkpoint: it depends on the scenario, never on the seed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Kernel modules to load, by name; dependencies are found through `modules.dep`.
    pub modules: Vec<String>,
    /// Files to write before anything starts.
    pub files: Vec<File>,
    /// Virtual links and namespaces to create.
    pub links: Vec<Link>,
    /// Control groups to create below `/sys/fs/cgroup`, with controller files to write.
    pub cgroups: BTreeMap<String, BTreeMap<String, String>>,
    /// Programs to start, in order, each ready before the next one starts.
    pub workloads: Vec<Workload>,
}

/// What to do after the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Name of the scenario, for messages.
    pub scenario: String,
    /// Seed of everything random. Written to `/run/lab/seed` before anything starts.
    pub seed: u64,
    /// Processors to have online: 1 or 2.
    pub cpus: u32,
    /// Guest time after which the job is given up, in seconds.
    pub deadline_guest_seconds: u64,
    /// Files to write first (the probe daemon and its manifest among them).
    pub files: Vec<File>,
    /// Kernel settings below `/proc/sys`, by their dotted name.
    pub sysctls: BTreeMap<String, String>,
    /// The probe daemon.
    pub probe: Option<Probe>,
    /// A packet capture around the load.
    pub capture: Option<Capture>,
    /// Programs started after the probe is attached, each waited for: the load.
    pub loads: Vec<Workload>,
    /// Run an interactive shell on the console instead of the loads.
    pub shell: bool,
    /// Output files to bring home.
    pub collect: Vec<Collect>,
}

/// A file to write in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Absolute path in the guest.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Which blob of the envelope holds the bytes.
    pub blob: usize,
}

/// A veth pair between the initial network namespace and a named one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Interface on this side.
    pub name: String,
    /// Address on this side with prefix length, as `ip address add` takes it.
    pub address: Vec<String>,
    /// Interface on the other side.
    pub peer: String,
    /// Address on the other side with prefix length.
    pub peer_address: Vec<String>,
    /// Namespace of the other side; created when it does not exist.
    pub namespace: Option<String>,
    /// Largest packet of both sides in bytes; the kernel's default otherwise.
    pub mtu_bytes: Option<u32>,
}

/// A program to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Name in messages and of its logs.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory.
    pub directory: String,
    /// Environment beside the guest's small default one.
    pub environment: BTreeMap<String, String>,
    /// Network namespace to start it in.
    pub namespace: Option<String>,
    /// Control group, relative to `/sys/fs/cgroup`.
    pub cgroup: Option<String>,
    /// How to see that it is ready; without it, it is ready when it has started.
    pub ready: Option<Readiness>,
    /// File for its standard output; the console's journal otherwise.
    pub stdout: Option<String>,
    /// How it may end, for a load.
    #[serde(default)]
    pub end: WorkloadEnd,
}

/// How a load may end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadEnd {
    /// Anything but exit status 0 fails the run.
    #[default]
    Success,
    /// Any end is fine.
    Any,
}

/// How to see that a program is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// Something accepts connections at this address (`127.0.0.1:8000`).
    Tcp(String),
    /// `GET` of `http://ADDRESS/PATH` answers 200.
    Http {
        /// Address to connect to.
        address: String,
        /// Path to ask for.
        path: String,
    },
    /// This file exists.
    File(String),
}

/// The probe daemon's part of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it serves: `GET /ready` answers 200 when every hook is attached, `GET /metrics` the series.
    pub address: String,
    /// The loader that its command asks for; the record keeps it.
    pub loader: Loader,
    /// How long after the last load the metrics are read, in milliseconds of guest time.
    pub settle_milliseconds: u64,
}

/// A packet capture around the load, taken by tcpdump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Interface to listen on.
    pub interface: String,
    /// Filter expression.
    pub filter: String,
    /// File to write.
    pub path: String,
}

/// An output file to bring home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collect {
    /// Name in the record.
    pub name: String,
    /// Path in the guest.
    pub path: String,
}
