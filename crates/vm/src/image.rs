//! The guest image: the root filesystem, then the guest program and the kernel's modules, as one initramfs.
//!
//! It is compressed, because the memory that a guest once used for it stays in every checkpoint's template:
//! 50 MB less there for three seconds more of a cold boot. All kernels since 5.9 unpack zstd.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::{
    IoContext, Result,
    cpio::{self, Entries, Entry},
    kernels::Kernel,
    modules::Modules,
    rootfs::Built,
};

/// Half a second for the whole image; higher levels save a few more megabytes for many seconds.
const COMPRESSION_LEVEL: i32 = 6;

/// Writes the initramfs of a kernel. Archives follow one another; the kernel unpacks them in order.
pub fn write(rootfs: &Built, guest: &Path, kernel: &Kernel, out: &Path) -> Result<()> {
    let file = fs::File::create(out).at("writing", out)?;
    let during = || String::from("compressing the guest image");
    let mut writer = zstd::Encoder::new(BufWriter::new(file), COMPRESSION_LEVEL).during(during)?;
    let mut base = fs::File::open(&rootfs.archive).at("opening", &rootfs.archive)?;
    io::copy(&mut base, &mut writer).at("writing", out)?;
    cpio::write(&additions(rootfs, guest, kernel)?, &mut writer)?;
    writer
        .finish()
        .and_then(|mut writer| writer.flush())
        .at("writing", out)
}

fn additions(rootfs: &Built, guest: &Path, kernel: &Kernel) -> Result<Entries> {
    // A kernel without some module still runs the scenarios that do not ask for it.
    let selection = Modules::find(&kernel.modules)?.select(&rootfs.modules, false)?;
    let mut entries = Entries::new();
    entries.insert(
        b"init".to_vec(),
        Entry::FromFile {
            mode: 0o755,
            source: guest.to_owned(),
        },
    );
    entries.insert(b"usr/lib/modules".to_vec(), Entry::Directory { mode: 0o755 });
    for (name, bytes) in selection.bytes {
        entries.insert(
            format!("usr/lib/modules/{name}.ko").into_bytes(),
            Entry::Bytes { mode: 0o644, bytes },
        );
    }
    let index = Entry::Bytes {
        mode: 0o644,
        bytes: selection.index.into_bytes(),
    };
    entries.insert(b"usr/lib/modules/lab.index".to_vec(), index);
    Ok(entries)
}

/// What the image is made of, for the key of a checkpoint, without writing it.
pub fn digest(rootfs: &Built, guest: &Path, kernel: &Kernel) -> Result<String> {
    let guest_sha256 = crate::digest::sha256_file(guest)?;
    let parts = [
        rootfs.sha256.as_str(),
        &guest_sha256,
        &kernel.identity.sha256,
        &rootfs.modules.join(" "),
    ];
    Ok(wire::digest_hex(&parts.map(str::as_bytes)))
}
