//! Unpacking a cpio archive in the "newc" format, as the kernel does with the same archive in a virtual machine
//! (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! It fills an empty folder and writes nowhere else: names may not lead out of it, a folder comes before what is in
//! it, and nothing is written through a link or over something.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufRead, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Component, Path, PathBuf},
};

const MAGIC: &[u8] = b"070701";
const HEADER_BYTES: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!";
/// Longest name and link that the kernel takes.
const PATH_BYTES: usize = 4096;

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Not this format.
    #[error("it is no cpio archive of the form newc, or it is damaged at entry {0}")]
    NoEntry(usize),
    /// A name that leads somewhere else.
    #[error("its entry `{}` leads out of the archive or through something that is no folder of it", .0.display())]
    Outside(PathBuf),
    /// Reading or writing failed.
    #[error("{}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// The parts of a header that matter here.
struct Entry {
    mode: u32,
    bytes: usize,
    name: PathBuf,
}

/// Unpacks one archive into an empty folder. Devices are left out: the machine's own are mounted over them.
pub fn unpack(archive: &mut impl BufRead, root: &Path) -> Result<(), UnpackError> {
    let mut folders = BTreeSet::from([PathBuf::new()]);
    for index in 0.. {
        let Some(entry) = read_entry(archive, index)? else {
            break;
        };
        let name = inside(&entry.name, &folders)?;
        write_entry(archive, &entry, &root.join(&name))
            .map_err(|error| UnpackError::Io(entry.name.clone(), error))?;
        if kind(entry.mode) == libc_mode::DIRECTORY {
            folders.insert(name);
        }
    }
    Ok(())
}

/// The types of a file in its mode.
mod libc_mode {
    pub const MASK: u32 = 0o170_000;
    pub const DIRECTORY: u32 = 0o040_000;
    pub const FILE: u32 = 0o100_000;
    pub const LINK: u32 = 0o120_000;
}

fn kind(mode: u32) -> u32 {
    mode & libc_mode::MASK
}

/// The next header with its name; nothing at the trailer.
fn read_entry(archive: &mut impl BufRead, index: usize) -> Result<Option<Entry>, UnpackError> {
    let damaged = || UnpackError::NoEntry(index);
    let mut header = [0; HEADER_BYTES];
    archive.read_exact(&mut header).map_err(|_| damaged())?;
    if &header[..6] != MAGIC {
        return Err(damaged());
    }
    // Thirteen fields of eight hexadecimal digits: inode, mode, owners, links, time, size, devices, name's length, check.
    let field = |number: usize| {
        let start = MAGIC.len() + 8 * number;
        let digits = std::str::from_utf8(&header[start..start + 8]).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let (mode, bytes, name_bytes) = (field(1), field(6), field(11));
    let (mode, bytes, name_bytes) = (
        mode.ok_or_else(damaged)?,
        bytes.ok_or_else(damaged)? as usize,
        name_bytes.ok_or_else(damaged)? as usize,
    );
    if !(1..=PATH_BYTES).contains(&name_bytes) {
        return Err(damaged());
    }
    let mut name = vec![0; name_bytes];
    archive.read_exact(&mut name).map_err(|_| damaged())?;
    skip(archive, padding(HEADER_BYTES + name_bytes)).map_err(|_| damaged())?;
    name.pop();
    if name == TRAILER {
        return Ok(None);
    }
    let name = PathBuf::from(OsStr::from_bytes(&name));
    Ok(Some(Entry { mode, bytes, name }))
}

/// The name below the root, when it stays there: its folder is one that the archive made.
fn inside(name: &Path, folders: &BTreeSet<PathBuf>) -> Result<PathBuf, UnpackError> {
    let mut clean = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            _ => return Err(UnpackError::Outside(name.to_owned())),
        }
    }
    match clean.parent() {
        Some(folder) if !folders.contains(folder) => Err(UnpackError::Outside(name.to_owned())),
        _ => Ok(clean),
    }
}

fn write_entry(archive: &mut impl BufRead, entry: &Entry, path: &Path) -> io::Result<()> {
    let mode = fs::Permissions::from_mode(entry.mode & 0o7777);
    let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    match kind(entry.mode) {
        libc_mode::DIRECTORY => {
            match fs::create_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !path.is_symlink() => {}
                other => other?,
            }
            fs::set_permissions(path, mode)?;
        }
        libc_mode::FILE => {
            let mut file = File::create_new(path)?;
            let copied = io::copy(&mut archive.by_ref().take(entry.bytes as u64), &mut file)?;
            if copied != entry.bytes as u64 {
                return Err(short());
            }
            file.set_permissions(mode)?;
            return skip(archive, padding(entry.bytes));
        }
        libc_mode::LINK if entry.bytes <= PATH_BYTES => {
            let mut target = vec![0; entry.bytes];
            archive.read_exact(&mut target)?;
            symlink(OsStr::from_bytes(&target), path)?;
            return skip(archive, padding(entry.bytes));
        }
        _ => {}
    }
    skip(archive, entry.bytes)?;
    skip(archive, padding(entry.bytes))
}

/// Names and contents are padded to four bytes.
fn padding(bytes: usize) -> usize {
    (4 - bytes % 4) % 4
}

fn skip(archive: &mut impl BufRead, bytes: usize) -> io::Result<()> {
    let skipped = io::copy(&mut archive.by_ref().take(bytes as u64), &mut io::sink())?;
    if skipped == bytes as u64 {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, mode: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = format!(
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
            1,
            0,
            0,
            1,
            0,
            bytes.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0
        )
        .into_bytes();
        out.extend(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn archive(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
        let mut bytes: Vec<u8> = entries
            .iter()
            .flat_map(|(name, mode, content)| entry(name, *mode, content))
            .collect();
        bytes.extend(entry("TRAILER!!!", 0, b""));
        bytes
    }

    /// A folder of its own for a test, with what came of unpacking into `root` below it.
    fn unpacked(test: &str, bytes: &[u8]) -> (PathBuf, Result<(), UnpackError>) {
        let top = std::env::temp_dir().join(format!("probelab-unpack-{test}-{}", std::process::id()));
        let root = top.join("root");
        fs::create_dir_all(&root).unwrap();
        let result = unpack(&mut &bytes[..], &root);
        (top, result)
    }

    #[test]
    fn folders_files_and_links_come_with_their_modes() {
        let bytes = archive(&[
            (".", 0o040_755, b""),
            ("usr", 0o040_750, b""),
            ("usr/a", 0o100_711, b"hello"),
            ("usr/console", 0o020_600, b""),
            ("bin", 0o120_777, b"usr"),
        ]);
        let (top, result) = unpacked("whole", &bytes);
        result.unwrap();
        let root = top.join("root");
        assert_eq!(fs::read(root.join("bin/a")).unwrap(), b"hello");
        let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("usr"), mode("usr/a")), (0o750, 0o711));
        assert!(!root.join("usr/console").exists());
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in ["../out", "/out", "usr/../../out", "way/out", "no/folder"] {
            let bytes = archive(&[
                ("usr", 0o040_755, b""),
                ("way", 0o120_777, b".."),
                (name, 0o100_644, b"x"),
            ]);
            let (top, result) = unpacked("outside", &bytes);
            assert!(
                matches!(result, Err(UnpackError::Outside(_))),
                "{name}: {result:?}"
            );
            assert!(!top.join("out").exists(), "{name}");
            fs::remove_dir_all(top).unwrap();
        }
    }

    #[test]
    fn nothing_is_written_over_something() {
        for mode in [0o100_644, 0o040_755, 0o120_777] {
            let bytes = archive(&[("way", 0o120_777, b"../out"), ("way", mode, b"x")]);
            let (top, result) = unpacked("over", &bytes);
            assert!(matches!(result, Err(UnpackError::Io(..))), "{mode:o}: {result:?}");
            assert!(!top.join("out").exists());
            fs::remove_dir_all(top).unwrap();
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = archive(&[("a", 0o100_644, b"hello"), ("b", 0o120_777, b"a")]);
        for length in 0..bytes.len() {
            let (top, result) = unpacked("short", &bytes[..length]);
            assert!(result.is_err(), "{length}");
            fs::remove_dir_all(top).unwrap();
        }
    }
}
