//! How a message with attached bytes is laid out: JSON first, then the raw blobs it names by index.
//!
//! ```text
//! u32 json bytes | u32 number of blobs | u64 length of each blob … | json | blob 0 | blob 1 | …
//! ```
//! All integers little endian. Blobs stay raw because the guest pays for every byte it decodes.

use serde::{Serialize, de::DeserializeOwned};

/// What can be wrong with received bytes.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The bytes end before the layout says they do.
    #[error("the message is cut short: it needs {needed} bytes and has {have}")]
    Short {
        /// Bytes that the layout asks for.
        needed: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The JSON part is not the expected type.
    #[error("the message is not understood (host and guest built from different sources?)")]
    Json(#[from] serde_json::Error),
}

/// One message and its blobs as bytes.
pub fn pack<T: Serialize>(message: &T, blobs: &[&[u8]]) -> Result<Vec<u8>, EnvelopeError> {
    let json = serde_json::to_vec(message)?;
    let total = blobs.iter().map(|blob| blob.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(8 + 8 * blobs.len() + json.len() + total);
    bytes.extend((json.len() as u32).to_le_bytes());
    bytes.extend((blobs.len() as u32).to_le_bytes());
    for blob in blobs {
        bytes.extend((blob.len() as u64).to_le_bytes());
    }
    bytes.extend(json);
    for blob in blobs {
        bytes.extend_from_slice(blob);
    }
    Ok(bytes)
}

/// The message and its blobs, borrowed from `bytes`.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Vec<&[u8]>), EnvelopeError> {
    let mut rest = bytes;
    let json_bytes = u32::from_le_bytes(take_array(&mut rest)?) as usize;
    let blob_count = u32::from_le_bytes(take_array(&mut rest)?) as usize;
    let mut lengths = Vec::new();
    for _ in 0..blob_count {
        lengths.push(u64::from_le_bytes(take_array(&mut rest)?) as usize);
    }
    let message = serde_json::from_slice(take(&mut rest, json_bytes)?)?;
    let blobs = lengths
        .into_iter()
        .map(|length| take(&mut rest, length))
        .collect::<Result<_, _>>()?;
    Ok((message, blobs))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], EnvelopeError> {
    let (head, tail) = rest.split_at_checked(count).ok_or(EnvelopeError::Short {
        needed: count,
        have: rest.len(),
    })?;
    *rest = tail;
    Ok(head)
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], EnvelopeError> {
    let have = rest.len();
    take(rest, N)?
        .try_into()
        .map_err(|_| EnvelopeError::Short { needed: N, have })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_with_its_blobs() {
        let bytes = pack(&vec!["a", "b"], &[b"one", b"", b"three"]).unwrap();
        let (message, blobs): (Vec<String>, _) = unpack(&bytes).unwrap();
        assert_eq!(message, ["a", "b"]);
        assert_eq!(blobs, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn every_truncation_is_an_error_and_never_a_panic() {
        let bytes = pack(&"message", &[b"blob"]).unwrap();
        for length in 0..bytes.len() {
            assert!(
                unpack::<String>(&bytes[..length]).is_err(),
                "{length} bytes were taken for a message"
            );
        }
    }
}
