//! How words reach the guest and leave it: shared memory in a VM, two files on a kernel that already runs.
//!
//! The shared memory is BAR 2 of QEMU's ivshmem-plain device (PCI 1af4:1110), mapped through sysfs; no driver
//! is needed on any kernel. It is synchronous, so it does not disturb the run.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    num::NonZeroUsize,
    path::PathBuf,
    ptr::NonNull,
};

use anyhow::{Context, Result, bail};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use wire::{
    GuestEnd, pack,
    shared_memory::{HEADER_BYTES, MAGIC, SIZE_BYTES, STOP_TIME_OFFSET, TO_GUEST_OFFSET, TO_HOST_OFFSET},
};

use crate::{Collected, outcome};

/// An open channel to the host.
pub enum Channel {
    /// The mapped BAR.
    Memory(Window),
    /// One file to read and one to write.
    Files {
        /// What the host wrote.
        inbox: File,
        /// What the host will read.
        outbox: File,
    },
}

/// The mapped BAR of [`SIZE_BYTES`] bytes. It stays mapped for the life of the guest.
#[derive(Clone, Copy)]
pub struct Window {
    start: NonNull<u8>,
}

// SAFETY: the window is plain memory that lives as long as the process; the only second thread that gets one
// (the watchdog) writes through it only after it has taken the run over, and then powers the machine off.
unsafe impl Send for Window {}

const HALF_BYTES: usize = SIZE_BYTES / 2;

impl Window {
    /// Copies `bytes` to `offset`.
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        if offset + bytes.len() > SIZE_BYTES {
            bail!("{} bytes do not fit the shared memory at {offset}", bytes.len());
        }
        // SAFETY: the range was checked against the mapping's size above; the source is a Rust slice, which
        // cannot overlap memory that no Rust reference points into.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(offset), bytes.len())
        };
        Ok(())
    }

    /// Copies `count` bytes out of `offset`.
    fn read(&self, offset: usize, count: usize) -> Result<Vec<u8>> {
        if offset.checked_add(count).is_none_or(|end| end > SIZE_BYTES) {
            bail!("the message claims {count} bytes, more than the shared memory holds");
        }
        let mut bytes = vec![0; count];
        // SAFETY: the range was checked against the mapping's size; `bytes` is fresh and `count` long.
        unsafe { std::ptr::copy_nonoverlapping(self.start.as_ptr().add(offset), bytes.as_mut_ptr(), count) };
        Ok(bytes)
    }
}

impl Channel {
    /// Opens the shared memory of the machine.
    pub fn shared_memory() -> Result<Self> {
        let path = find_device()?.join("resource2");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .context("opening the ivshmem BAR")?;
        let size = NonZeroUsize::new(SIZE_BYTES).context("the shared memory has a size")?;
        // SAFETY: a fresh shared mapping at an address of the kernel's choice aliases no Rust memory; access
        // goes through `Window`, which checks each range against the size mapped here.
        let start = unsafe {
            mmap(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                &file,
                0,
            )
        }
        .context("mapping the ivshmem BAR")?;
        Ok(Self::Memory(Window { start: start.cast() }))
    }

    /// The message that is waiting.
    pub fn receive(&mut self) -> Result<Vec<u8>> {
        match self {
            Self::Memory(window) => {
                let header = window.read(TO_GUEST_OFFSET, HEADER_BYTES)?;
                let (magic, length) = (word(&header, 0), word(&header, 8));
                if magic != MAGIC {
                    bail!("no message in the shared memory (found {magic:#x})");
                }
                window.read(TO_GUEST_OFFSET + HEADER_BYTES, usize::try_from(length)?)
            }
            Self::Files { inbox, .. } => {
                let mut bytes = Vec::new();
                inbox
                    .read_to_end(&mut bytes)
                    .context("reading the message of the host")?;
                Ok(bytes)
            }
        }
    }

    /// Takes the received message out of the window: it must not travel in the checkpoint.
    pub fn clear(&mut self) -> Result<()> {
        if let Self::Memory(window) = self {
            let header = window.read(TO_GUEST_OFFSET, HEADER_BYTES)?;
            let used = HEADER_BYTES + usize::try_from(word(&header, 8))?;
            window.write(TO_GUEST_OFFSET, &vec![0; used.min(HALF_BYTES)])?;
        }
        Ok(())
    }

    /// Where to note the time of the stop for a checkpoint.
    pub fn stop_time(&self) -> Result<NonNull<u64>> {
        match self {
            // SAFETY: the offset is inside the mapping of SIZE_BYTES bytes and a multiple of eight.
            Self::Memory(window) => Ok(unsafe { window.start.add(STOP_TIME_OFFSET) }.cast()),
            Self::Files { .. } => bail!("only a machine with shared memory can be stopped for a checkpoint"),
        }
    }

    /// Hands the outcome to the host. The header goes last, so that the host never sees half of it.
    pub fn send_outcome(&mut self, end: GuestEnd, outputs: &Collected) -> Result<()> {
        let blobs: Vec<&[u8]> = outputs.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        let bytes = pack(&outcome(end, outputs), &blobs)?;
        match self {
            Self::Memory(window) => {
                if HEADER_BYTES + bytes.len() > HALF_BYTES {
                    let sizes: Vec<String> = outputs
                        .iter()
                        .map(|(name, bytes)| format!("{name} {}", bytes.len()))
                        .collect();
                    let reason = format!("the outputs do not fit {HALF_BYTES} bytes: {}", sizes.join(", "));
                    let end = GuestEnd::StepFailed {
                        step: "collect".into(),
                        reason,
                    };
                    return self.send_outcome(end, &Vec::new());
                }
                window.write(TO_HOST_OFFSET + HEADER_BYTES, &bytes)?;
                window.write(TO_HOST_OFFSET + 8, &(bytes.len() as u64).to_le_bytes())?;
                window.write(TO_HOST_OFFSET, &MAGIC.to_le_bytes())
            }
            Self::Files { outbox, .. } => {
                outbox.seek(SeekFrom::Start(0))?;
                outbox.write_all(&bytes).context("writing the outcome")
            }
        }
    }

    /// A second handle for the watchdog.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(match self {
            Self::Memory(window) => Self::Memory(*window),
            Self::Files { inbox, outbox } => Self::Files {
                inbox: inbox.try_clone()?,
                outbox: outbox.try_clone()?,
            },
        })
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn find_device() -> Result<PathBuf> {
    for entry in fs::read_dir("/sys/bus/pci/devices").context("listing PCI devices")? {
        let path = entry?.path();
        let id = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        if id("vendor").trim() == "0x1af4" && id("device").trim() == "0x1110" {
            return Ok(path);
        }
    }
    bail!("this machine has no ivshmem device: it was not started by Probelab")
}
