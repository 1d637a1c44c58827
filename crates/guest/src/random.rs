//! The kernel's random numbers. A machine in use has gathered what seeds them; a guest without a source of chance never does,
//! and whoever asks for good random numbers would wait for ever. So the guest seeds them itself: the same at each boot, and
//! anew with each run's seed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};

const DEVICE: &str = "/dev/urandom";
/// As much as the generator's key holds.
const BYTES: usize = 32;

/// `struct rand_pool_info` with its bytes (`include/uapi/linux/random.h`).
#[repr(C)]
pub struct Pool {
    entropy_bits: i32,
    length_bytes: i32,
    content: [u8; BYTES],
}

mod ioctl {
    // The size in the number is that of the two integers, whatever follows them.
    nix::ioctl_write_ptr_bad!(add_entropy, nix::request_code_write!(b'R', 0x03, 8), super::Pool);
    // Since Linux 4.17 (commit d848e5f8e1eb).
    nix::ioctl_none!(reseed, b'R', 0x07);
}

fn device() -> Result<File> {
    OpenOptions::new()
        .write(true)
        .open(DEVICE)
        .with_context(|| format!("opening {DEVICE}"))
}

/// Seeds the generator of a machine that has just booted.
pub fn begin() -> Result<()> {
    let pool = Pool {
        entropy_bits: (BYTES * 8) as i32,
        length_bytes: BYTES as i32,
        content: *b"Probelab: the same at each boot.",
    };
    let device = device()?;
    // SAFETY: the kernel reads the two integers and as many bytes as the second one says, all of which are in `pool`, which
    // lives until the call returns.
    unsafe { ioctl::add_entropy(device.as_raw_fd(), &raw const pool) }
        .context("seeding the kernel's generator")?;
    Ok(())
}

/// From here on, random numbers are those of this seed: it is mixed in, and the generator uses at once what it would else use
/// within minutes.
pub fn mix(seed: u64) -> Result<()> {
    let mut device = device()?;
    device
        .write_all(&seed.to_le_bytes())
        .context("mixing the seed into the kernel's generator")?;
    // SAFETY: the call takes no argument.
    unsafe { ioctl::reseed(device.as_raw_fd()) }.context("renewing the key of the kernel's generator")?;
    Ok(())
}
