//! Whether a counter counts, without calling what it counts.
//!
//! Two things together show it. A function of our own, with the same type of program on it, is called and must be seen:
//! such hooks fire here. And the file is mapped into this process, whereupon the kernel must put its breakpoint where
//! the counter was asked to be: the hook lies there.

use std::{
    fs::{self, File},
    hint::black_box,
    io,
    num::NonZeroUsize,
    os::unix::fs::FileExt,
    path::Path,
};

use nix::{
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
    unistd::{SysconfVar, getppid, sysconf},
};

/// This program's own file.
pub(crate) const OWN_FILE: &str = "/proc/self/exe";

/// The kernel's function behind getppid(2), which is called for nothing else.
pub(crate) const KERNEL_STIMULUS: &str = if cfg!(target_arch = "aarch64") {
    "__arm64_sys_getppid"
} else {
    "__x64_sys_getppid"
};

/// As long as the longest instruction that a breakpoint replaces, and no longer than any function.
const BREAKPOINT_BYTES: usize = 1;

/// The function that is called to see whether uprobes fire here.
#[inline(never)]
pub(crate) extern "C" fn stimulus() {
    black_box(OWN_FILE);
}

/// Has the kernel run [`KERNEL_STIMULUS`].
pub(crate) fn kernel_stimulus() {
    black_box(getppid());
}

/// Where [`stimulus`] begins in this program's own file.
pub(crate) fn stimulus_offset_bytes() -> Result<u64, String> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(|error| format!("/proc/self/maps: {error}"))?;
    let address = stimulus as *const () as u64;
    offset_of(&maps, address).ok_or_else(|| format!("/proc/self/maps has nothing at {address:#x}"))
}

/// Where in its file an address was mapped from, by the text of `/proc/PID/maps`.
fn offset_of(maps: &str, address: u64) -> Option<u64> {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    maps.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let (start, end) = (number(start)?, number(end)?);
        let (_permissions, offset) = (fields.next()?, number(fields.next()?)?);
        (start..end)
            .contains(&address)
            .then(|| offset + (address - start))
    })
}

/// Whether the kernel changes the instruction at a place of a file in whoever maps it.
pub(crate) fn has_breakpoint(path: &Path, offset_bytes: u64) -> io::Result<bool> {
    let file = File::open(path)?;
    let mut written = [0; BREAKPOINT_BYTES];
    file.read_exact_at(&mut written, offset_bytes)?;
    Ok(mapped(&file, offset_bytes)? != written)
}

/// What a process that maps the file finds at a place of it.
fn mapped(file: &File, offset_bytes: u64) -> io::Result<[u8; BREAKPOINT_BYTES]> {
    let page_bytes = sysconf(SysconfVar::PAGE_SIZE)?.map_or(4096, i64::unsigned_abs);
    let inside = offset_bytes % page_bytes;
    let start = i64::try_from(offset_bytes - inside).map_err(io::Error::other)?;
    let length = usize::try_from(page_bytes)
        .ok()
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| io::Error::other("no page size"))?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_EXEC;
    // SAFETY: a new private mapping at an address of the kernel's choice; nothing in this process refers to it.
    let map = unsafe { mmap(None, length, protection, MapFlags::MAP_PRIVATE, file, start) }?;
    let mut found = [0; BREAKPOINT_BYTES];
    // Read as a file: should this one be cut short just now, that is an error and no fault.
    let read = File::open("/proc/self/mem")
        .and_then(|memory| memory.read_exact_at(&mut found, map.as_ptr() as u64 + inside));
    // SAFETY: the mapping made above, of this length; no reference into it exists.
    unsafe { munmap(map, length.get()) }?;
    read.map(|()| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_its_mapping() {
        let maps = "55d0a000-55d0b000 r--p 00000000 fd:00 12 /usr/bin/x\n\
                    55d0b000-55d0d000 r-xp 00001000 fd:00 12 /usr/bin/x\n\
                    7ffd0000-7ffd1000 rw-p 00000000 00:00 0 [stack]\n";
        assert_eq!(offset_of(maps, 0x55d0_b123), Some(0x1123));
        assert_eq!(offset_of(maps, 0x55d0_afff), Some(0xfff));
        assert_eq!(offset_of(maps, 0x55d0_d000), None);
    }

    #[test]
    fn the_stimulus_is_in_our_own_file() {
        let offset = stimulus_offset_bytes().unwrap();
        let mut in_file = [0; 8];
        File::open(OWN_FILE)
            .unwrap()
            .read_exact_at(&mut in_file, offset)
            .unwrap();
        // SAFETY: the first bytes of a function of this program, which is longer than that, are readable.
        let in_memory = unsafe { std::ptr::read_unaligned(stimulus as *const [u8; 8]) };
        assert_eq!(in_file, in_memory);
    }

    #[test]
    fn an_untouched_file_has_no_breakpoint() {
        let offset = stimulus_offset_bytes().unwrap();
        assert!(!has_breakpoint(Path::new(OWN_FILE), offset).unwrap());
        assert!(has_breakpoint(Path::new(OWN_FILE), u64::MAX / 4).is_err());
    }
}
