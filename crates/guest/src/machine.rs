//! The machine from the inside: file systems, processors, the clock, the stop for a checkpoint, power off.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use nix::{
    mount::{MsFlags, mount},
    sys::{reboot, utsname::uname},
    time::{ClockId, clock_gettime},
};

/// The pvpanic port of QEMU's ISA device (`hw/misc/pvpanic-isa.c`: 0x505).
const PVPANIC_PORT: u16 = 0x505;
/// The event bit "guest panicked"; with `-action panic=pause` QEMU pauses at this very instruction.
const PVPANIC_PANICKED: u8 = 1;
/// How long the stop is announced ahead: some 16 million instructions, which take an emulated processor a tenth of
/// a second or so.
const NOTICE_ROUNDS: u64 = 4_000_000;

struct FileSystem {
    source: &'static str,
    target: &'static str,
    kind: &'static str,
    /// A kernel without it still runs every scenario that does not need it.
    optional: bool,
}

const FILE_SYSTEMS: &[FileSystem] = &[
    FileSystem {
        source: "proc",
        target: "/proc",
        kind: "proc",
        optional: false,
    },
    FileSystem {
        source: "sys",
        target: "/sys",
        kind: "sysfs",
        optional: false,
    },
    FileSystem {
        source: "dev",
        target: "/dev",
        kind: "devtmpfs",
        optional: false,
    },
    FileSystem {
        source: "pts",
        target: "/dev/pts",
        kind: "devpts",
        optional: true,
    },
    FileSystem {
        source: "shm",
        target: "/dev/shm",
        kind: "tmpfs",
        optional: false,
    },
    FileSystem {
        source: "run",
        target: "/run",
        kind: "tmpfs",
        optional: false,
    },
    FileSystem {
        source: "tmp",
        target: "/tmp",
        kind: "tmpfs",
        optional: false,
    },
    FileSystem {
        source: "cgroup",
        target: "/sys/fs/cgroup",
        kind: "cgroup2",
        optional: true,
    },
    FileSystem {
        source: "bpf",
        target: "/sys/fs/bpf",
        kind: "bpf",
        optional: true,
    },
    FileSystem {
        source: "tracefs",
        target: "/sys/kernel/tracing",
        kind: "tracefs",
        optional: true,
    },
    FileSystem {
        source: "debugfs",
        target: "/sys/kernel/debug",
        kind: "debugfs",
        optional: true,
    },
];

/// Mounts what a small system needs.
pub fn mount_file_systems() -> Result<()> {
    for system in FILE_SYSTEMS {
        mount_one(system).or_else(|error| if system.optional { Ok(()) } else { Err(error) })?;
    }
    Ok(())
}

/// Mounts the same around a tree on a machine in use: devices are the machine's, bound from `devices`, and what is on
/// the machine's own file system of devices is not touched.
pub fn mount_around(devices: &Path) -> Result<()> {
    fs::create_dir_all("/dev").context("creating /dev")?;
    let none: Option<&str> = None;
    mount(
        Some(devices),
        "/dev",
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )
    .context("binding /dev")?;
    for system in FILE_SYSTEMS {
        let is_machines = match system.target {
            "/dev" | "/dev/pts" => true,
            target => target.starts_with("/dev/") && !Path::new(target).exists(),
        };
        if !is_machines {
            mount_one(system).or_else(|error| if system.optional { Ok(()) } else { Err(error) })?;
        }
    }
    Ok(())
}

/// Lets the kernel's warnings onto the console, which `quiet` keeps for errors: the judge looks for them there.
pub fn show_warnings() -> Result<()> {
    const UP_TO_WARNINGS: &str = "5";
    let path = "/proc/sys/kernel/printk";
    fs::write(path, UP_TO_WARNINGS).with_context(|| format!("writing {path}"))
}

fn mount_one(system: &FileSystem) -> Result<()> {
    if !Path::new(system.target).exists() {
        fs::create_dir_all(system.target).with_context(|| format!("creating {}", system.target))?;
    }
    let none: Option<&str> = None;
    mount(
        Some(system.source),
        system.target,
        Some(system.kind),
        MsFlags::empty(),
        none,
    )
    .with_context(|| format!("mounting {} on {}", system.kind, system.target))
}

/// Brings `cpus` processors online. A checkpoint holds one, because only then is it exact.
pub fn bring_processors_online(cpus: u32) -> Result<()> {
    for cpu in 1..cpus {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/online");
        if fs::read_to_string(&path).is_ok_and(|state| state.trim() == "1") {
            continue;
        }
        fs::write(&path, "1").with_context(|| format!("bringing processor {cpu} online"))?;
    }
    Ok(())
}

/// Refuses a machine in which DAMON runs: it acts on accessed bits that a page does not lose or gain at an exact
/// instruction (see "How exactness is had" in ARCHITECTURE.md).
pub fn refuse_access_monitors() -> Result<()> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        anyhow::ensure!(
            !name.starts_with("kdamond"),
            "this kernel watches memory accesses (its thread {}): two runs of it would differ; \
             find the parameter that turns its DAMON module off and add it to the kernel command line",
            name.trim()
        );
    }
    Ok(())
}

/// Stops the machine at this instruction; returns after it was restored and resumed.
///
/// The time stamp counter just before goes to `stop_time`, in memory that the host sees: it is the machine's own
/// account of when it stopped, which QEMU's saved state does not always agree with (see `vm::state`). A value
/// other than zero stands there [`NOTICE_ROUNDS`] earlier, so that the host can get ready.
#[cfg(target_arch = "x86_64")]
pub fn stop_for_checkpoint(stop_time: std::ptr::NonNull<u64>) -> Result<()> {
    unsafe extern "C" {
        fn ioperm(from: std::ffi::c_ulong, count: std::ffi::c_ulong, on: std::ffi::c_int) -> std::ffi::c_int;
    }
    // SAFETY: ioperm(2) changes only this thread's I/O permission bitmap; the port range is one byte long.
    let allowed = unsafe { ioperm(std::ffi::c_ulong::from(PVPANIC_PORT), 1, 1) };
    if allowed != 0 {
        return Err(std::io::Error::last_os_error()).context("asking for the pvpanic port");
    }
    // SAFETY: the caller owns the eight bytes; the host only reads them.
    unsafe { stop_time.write_volatile(1) };
    for round in 0..NOTICE_ROUNDS {
        std::hint::black_box(round);
    }
    // SAFETY: writes eight bytes to `stop_time`, which the caller owns, and one byte to a port that belongs to
    // the pvpanic device and that was just granted; all changed registers are declared.
    unsafe {
        std::arch::asm!(
            "rdtsc",
            "shl rdx, 32",
            "or rax, rdx",
            "mov qword ptr [{stop_time}], rax",
            "mov edx, {port}",
            "mov al, {event}",
            "out dx, al",
            stop_time = in(reg) stop_time.as_ptr(),
            port = const PVPANIC_PORT,
            event = const PVPANIC_PANICKED,
            out("rax") _,
            out("rdx") _,
            options(nostack),
        );
    }
    Ok(())
}

/// Only the x86-64 machine has checkpoints.
#[cfg(not(target_arch = "x86_64"))]
pub fn stop_for_checkpoint(_stop_time: std::ptr::NonNull<u64>) -> Result<()> {
    anyhow::bail!("checkpoints are made on the x86-64 machine only")
}

/// Time since boot in nanoseconds (CLOCK_BOOTTIME). In the virtual lane one instruction is one nanosecond.
pub fn guest_time_ns() -> u64 {
    // CLOCK_BOOTTIME exists on every kernel since 2.6.39, so the call cannot fail; zero would be seen at once.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| Duration::from(time).as_nanos() as u64)
}

/// `uname -r`.
pub fn kernel_release() -> String {
    uname().map_or_else(
        |_| String::from("-"),
        |names| names.release().to_string_lossy().into_owned(),
    )
}

/// Ends the machine. Nothing is on a disk, so nothing is synced.
pub fn power_off() -> ! {
    let _ = reboot::reboot(reboot::RebootMode::RB_POWER_OFF);
    // Only a missing capability makes reboot(2) return, and PID 1 of a VM has them all; PID 1 of a
    // visit's namespaces must simply end.
    std::process::exit(0)
}
