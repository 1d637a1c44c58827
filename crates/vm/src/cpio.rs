//! A reproducible cpio archive in the "newc" format that the kernel unpacks
//! (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Names are sorted, owners are 0, times are 0, inode numbers count from 1: equal trees give equal bytes.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use crate::{IoContext, Result};

/// What every entry begins with.
pub const MAGIC: &[u8] = b"070701";

const TYPE_DIRECTORY: u32 = 0o040_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_LINK: u32 = 0o120_000;
const TYPE_CHARACTER: u32 = 0o020_000;

/// An entry of an archive.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A folder.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// A file with its bytes.
    Bytes {
        /// Permission bits.
        mode: u32,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A file whose bytes are read when the archive is written.
    FromFile {
        /// Permission bits.
        mode: u32,
        /// Where the bytes are.
        source: PathBuf,
    },
    /// A symbolic link.
    Link {
        /// What it points to.
        target: Vec<u8>,
    },
    /// A character device.
    Device {
        /// Permission bits.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// Names in an archive, without a leading slash, and what they are.
pub type Entries = BTreeMap<Vec<u8>, Entry>;

/// All entries of a tree for which `keep` says yes; a folder that is not kept hides what is in it.
pub fn scan(root: &Path, keep: &dyn Fn(&Path) -> bool) -> Result<Entries> {
    let mut entries = Entries::new();
    scan_folder(root, Path::new(""), keep, &mut entries)?;
    Ok(entries)
}

fn scan_folder(root: &Path, below: &Path, keep: &dyn Fn(&Path) -> bool, entries: &mut Entries) -> Result<()> {
    let folder = root.join(below);
    for item in fs::read_dir(&folder).at("listing", &folder)? {
        let item = item.at("listing", &folder)?;
        let name = below.join(item.file_name());
        if !keep(&name) {
            continue;
        }
        let path = item.path();
        let metadata = fs::symlink_metadata(&path).at("reading", &path)?;
        let kind = metadata.file_type();
        let mode = metadata.permissions().mode() & 0o7777;
        let entry = if kind.is_dir() {
            scan_folder(root, &name, keep, entries)?;
            Entry::Directory { mode }
        } else if kind.is_symlink() {
            Entry::Link {
                target: fs::read_link(&path)
                    .at("reading", &path)?
                    .as_os_str()
                    .as_bytes()
                    .to_vec(),
            }
        } else if kind.is_file() {
            Entry::FromFile { mode, source: path }
        } else if kind.is_char_device() {
            let device = metadata.rdev();
            Entry::Device {
                mode,
                major: nix::sys::stat::major(device) as u32,
                minor: nix::sys::stat::minor(device) as u32,
            }
        } else {
            // Sockets, pipes and block devices of a package tree mean nothing to a fresh guest.
            continue;
        };
        entries.insert(name.as_os_str().as_bytes().to_vec(), entry);
    }
    Ok(())
}

/// Writes an archive with its trailer, padded to 4 bytes so that another one can follow.
pub fn write(entries: &Entries, out: &mut impl Write) -> Result<()> {
    let during = || String::from("writing a cpio archive");
    for (index, (name, entry)) in entries.iter().enumerate() {
        let (mode, bytes, device) = match entry {
            Entry::Directory { mode } => (TYPE_DIRECTORY | mode, Vec::new(), (0, 0)),
            Entry::Bytes { mode, bytes } => (TYPE_FILE | mode, bytes.clone(), (0, 0)),
            Entry::FromFile { mode, source } => {
                (TYPE_FILE | mode, fs::read(source).at("reading", source)?, (0, 0))
            }
            Entry::Link { target } => (TYPE_LINK | 0o777, target.clone(), (0, 0)),
            Entry::Device { mode, major, minor } => (TYPE_CHARACTER | mode, Vec::new(), (*major, *minor)),
        };
        write_entry(out, index + 1, name, mode, &bytes, device).during(during)?;
    }
    write_entry(out, 0, b"TRAILER!!!", 0, b"", (0, 0)).during(during)
}

fn write_entry(
    out: &mut impl Write,
    inode: usize,
    name: &[u8],
    mode: u32,
    bytes: &[u8],
    device: (u32, u32),
) -> std::io::Result<()> {
    let links = if mode & TYPE_DIRECTORY == TYPE_DIRECTORY {
        2
    } else {
        1
    };
    let (uid, gid, mtime, dev_major, dev_minor, check) = (0, 0, 0, 0, 0, 0);
    write!(
        out,
        "070701{inode:08x}{mode:08x}{uid:08x}{gid:08x}{links:08x}{mtime:08x}{:08x}{dev_major:08x}{dev_minor:08x}{:08x}{:08x}{:08x}{check:08x}",
        bytes.len(),
        device.0,
        device.1,
        name.len() + 1,
    )?;
    out.write_all(name)?;
    // The header is 110 bytes; the name's terminating zero belongs to it, and both are padded to 4.
    pad(out, 110 + name.len(), 1)?;
    out.write_all(bytes)?;
    pad(out, bytes.len(), 0)
}

fn pad(out: &mut impl Write, written: usize, at_least: usize) -> std::io::Result<()> {
    let zeros = at_least + (4 - (written + at_least) % 4) % 4;
    out.write_all(&[0; 4][..zeros])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_trees_in_different_folders_give_equal_bytes() {
        let archive = |reverse: bool| {
            let folder = tempfile::tempdir().unwrap();
            let mut names = ["b", "a", "dir/c"];
            if reverse {
                names.reverse();
            }
            fs::create_dir(folder.path().join("dir")).unwrap();
            for name in names {
                fs::write(folder.path().join(name), name).unwrap();
            }
            std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
            let mut bytes = Vec::new();
            write(&scan(folder.path(), &|_| true).unwrap(), &mut bytes).unwrap();
            bytes
        };
        let bytes = archive(false);
        assert_eq!(bytes, archive(true));
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.starts_with(b"070701"));
    }

    #[test]
    fn what_is_not_kept_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("doc/deep")).unwrap();
        fs::write(folder.path().join("doc/deep/x"), "x").unwrap();
        fs::write(folder.path().join("kept"), "y").unwrap();
        let entries = scan(folder.path(), &|path| !path.starts_with("doc")).unwrap();
        assert_eq!(entries.keys().collect::<Vec<_>>(), [&b"kept".to_vec()]);
    }
}
