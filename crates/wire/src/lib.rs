//! The types that cross the VM boundary: [`Stage`] and [`Job`] go in, [`Outcome`] comes out, and the host
//! keeps a [`Record`] of it.
//!
//! This crate knows neither QEMU nor probes; it only says what the words look like. Host and guest are built
//! from one source tree, so there is no negotiation: [`PROTOCOL`] must be equal on both sides.

mod check;
mod envelope;
mod frame;
mod lane;
mod loader;
mod record;
mod stage;

pub use check::{
    Findings, MapFinding, ObjectFinding, ProgramFinding, Reason, Step, Trouble, VerifierCounts, check_stage,
};
pub use envelope::{EnvelopeError, pack, unpack};
pub use frame::{FrameError, FrameKind, Greeting, Header, RunEnd};
pub use lane::Lane;
pub use loader::Loader;
pub use record::{GuestEnd, KernelIdentity, Outcome, Output, Record, Timing, digest_hex};
pub use stage::{Boot, Capture, Collect, File, Job, Link, Probe, Readiness, Stage, Workload, WorkloadEnd};

/// Version of everything in this crate. Raised with each change of layout; part of every checkpoint key.
pub const PROTOCOL: u32 = 2;

/// The shared memory between host and guest: an ivshmem BAR, half for each direction.
pub mod shared_memory {
    /// Size of the whole window in bytes. All of it travels in the checkpoint's device state while empty
    /// (zero pages cost nothing there).
    pub const SIZE_BYTES: usize = 64 << 20;
    /// Host to guest: the envelope of a [`crate::Boot`] or a [`crate::Job`].
    pub const TO_GUEST_OFFSET: usize = 0;
    /// Guest to host: the envelope of an [`crate::Outcome`].
    pub const TO_HOST_OFFSET: usize = SIZE_BYTES / 2;
    /// Where the guest notes the value of its time stamp counter just before it stops for a checkpoint; eight
    /// bytes, little endian. Before that, some other value than zero says that it is about to.
    pub const STOP_TIME_OFFSET: usize = SIZE_BYTES - 8;
    /// First eight bytes of a filled half, little endian; the next eight are the length in bytes.
    pub const MAGIC: u64 = 0x3142_4c45_424f_5250;
    /// Bytes before the envelope in each half: magic and length.
    pub const HEADER_BYTES: usize = 16;
}
