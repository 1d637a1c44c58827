//! sha256 for what is pinned and recorded; BLAKE3 for what is only checked for damage, because a gigabyte
//! template must not cost a tenth of a second.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use nix::unistd::{Whence, lseek};
use sha2::{Digest, Sha256};

use crate::{IoContext, Result, sparse::next_data};

/// sha256 of a file, hex.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).at("opening", path)?;
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hash)).at("reading", path)?;
    Ok(hex::encode(hash.finalize()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// BLAKE3 over the data of a sparse file: where each extent of data lies, and its bytes. Hex.
///
/// Holes are part of the result only through the places of the data, so a file of a gigabyte with a hundred
/// megabytes in it costs a hundred.
pub fn blake3_sparse(path: &Path) -> Result<String> {
    let mut file = File::open(path).at("opening", path)?;
    let length = file.metadata().at("reading", path)?.len() as i64;
    let mut hash = blake3::Hasher::new();
    hash.update(&length.to_le_bytes());
    let mut buffer = vec![0; 1 << 20];
    let mut position = 0;
    while let Some((start, end)) = next_data(&file, position, length).at("reading", path)? {
        hash.update(&start.to_le_bytes());
        lseek(&file, start, Whence::SeekSet)
            .map_err(io::Error::from)
            .at("reading", path)?;
        let mut left = (end - start) as usize;
        while left > 0 {
            let count = left.min(buffer.len());
            file.read_exact(&mut buffer[..count]).at("reading", path)?;
            hash.update(&buffer[..count]);
            left -= count;
        }
        position = end;
    }
    Ok(hash.finalize().to_hex().to_string())
}

/// Bytes that a file really occupies.
pub fn real_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // st_blocks counts 512-byte units whatever the block size of the file system (stat(2)).
    std::fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    #[test]
    fn the_place_of_data_in_a_sparse_file_counts() {
        let digest_with_data_at = |offset: u64| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(1 << 22).unwrap();
            file.seek(SeekFrom::Start(offset)).unwrap();
            file.write_all(b"data").unwrap();
            file.flush().unwrap();
            blake3_sparse(file.path()).unwrap()
        };
        assert_eq!(digest_with_data_at(1 << 20), digest_with_data_at(1 << 20));
        assert_ne!(digest_with_data_at(1 << 20), digest_with_data_at(1 << 21));
    }
}
