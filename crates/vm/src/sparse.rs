//! Sparse files: where their data is, and giving back room that holds only zeros.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
    unistd::{Whence, lseek},
};

use crate::{IoContext, Result};

/// Granularity in bytes in which zeros are looked for. Smaller finds a little more and makes many extents.
const BLOCK_BYTES: usize = 16 << 10;

/// The next extent of data at or after `position`, as start and end.
pub fn next_data(file: &File, position: i64, length: i64) -> io::Result<Option<(i64, i64)>> {
    if position >= length {
        return Ok(None);
    }
    match lseek(file, position, Whence::SeekData) {
        Ok(start) => Ok(Some((start, lseek(file, start, Whence::SeekHole)?))),
        Err(Errno::ENXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes holes of blocks that hold only zeros. Guest memory is written by large pages of the host, most of
/// which the guest touched only in part. The file reads as before; a file system without holes keeps it as it
/// is.
pub fn punch_zeros(path: &Path) -> Result<()> {
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .at("opening", path)?;
    let length = file.metadata().at("reading", path)?.len() as i64;
    let mut block = vec![0; BLOCK_BYTES];
    let mut position = 0;
    while let Some((start, end)) = next_data(&file, position, length).at("reading", path)? {
        let mut zeros_from = None;
        let mut at = start;
        while at < end {
            let count = BLOCK_BYTES.min((end - at) as usize);
            file.read_exact_at(&mut block[..count], at as u64)
                .at("reading", path)?;
            if block[..count].iter().all(|byte| *byte == 0) {
                zeros_from.get_or_insert(at);
            } else if let Some(from) = zeros_from.take() {
                punch(&file, from, at - from).at("making holes in", path)?;
            }
            at += count as i64;
        }
        if let Some(from) = zeros_from {
            punch(&file, from, end - from).at("making holes in", path)?;
        }
        position = end;
    }
    Ok(())
}

fn punch(file: &File, start: i64, length: i64) -> io::Result<()> {
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    match fallocate(file, flags, start, length) {
        Ok(()) | Err(Errno::EOPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::real_bytes;

    #[test]
    fn zeros_become_holes_and_the_file_reads_as_before() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = vec![0_u8; 4 << 20];
        bytes[5] = 1;
        bytes[3 << 20] = 2;
        std::fs::write(file.path(), &bytes).unwrap();
        file.as_file().sync_all().unwrap();
        punch_zeros(file.path()).unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), bytes);
        assert!(
            real_bytes(file.path()) < 1 << 20,
            "{} bytes remain",
            real_bytes(file.path())
        );
    }
}
