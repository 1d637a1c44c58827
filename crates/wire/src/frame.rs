//! Frames: how the lab and its program on a kernel that already runs talk over a pipe, here or through `ssh`.
//!
//! A frame is a header of [`Header::BYTES`] bytes and a body. The first bytes of a header are the same in all of them,
//! so that a shell's greeting in between is told from a frame.

use serde::{Deserialize, Serialize};

/// What every header begins with.
const MAGIC: [u8; 4] = *b"PLab";
/// No body is longer: a header that says so is damaged.
const LARGEST_BYTES: u64 = 1 << 31;

/// What a frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// To the far side: the lab is still there. No body.
    Alive = 1,
    /// To the far side: the root filesystem, a cpio archive.
    Archive = 2,
    /// To the far side: a run to do, the envelope of a [`crate::Boot`].
    Run = 3,
    /// To the far side: end the run that is under way. No body.
    Stop = 4,
    /// Back: the program is there; the envelope of a [`Greeting`].
    Ready = 16,
    /// Back: the root filesystem has come whole. No body.
    Kept = 17,
    /// Back: what the run said on its console.
    Console = 18,
    /// Back: a run is over; the envelope of a [`RunEnd`] with the outcome's bytes as its blob.
    Ended = 19,
    /// Back: the program cannot go on; the body says why.
    Failed = 20,
}

impl FrameKind {
    const ALL: [Self; 9] = [
        Self::Alive,
        Self::Archive,
        Self::Run,
        Self::Stop,
        Self::Ready,
        Self::Kept,
        Self::Console,
        Self::Ended,
        Self::Failed,
    ];
}

/// What comes before the body of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame is about.
    pub kind: FrameKind,
    /// Length of its body in bytes.
    pub length: u64,
}

/// What is wrong with bytes that should be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Something else speaks.
    #[error("what came is no frame: something else writes to the same output")]
    NoFrame,
    /// Another version, or damage.
    #[error("a frame of the unknown kind {0}")]
    UnknownKind(u8),
    /// Damage.
    #[error("a frame that claims {0} bytes")]
    TooLong(u64),
}

impl Header {
    /// Length of a header.
    pub const BYTES: usize = 16;

    /// The header as bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = self.kind as u8;
        bytes[8..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// A header out of its bytes.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Result<Self, FrameError> {
        let [m0, m1, m2, m3, kind, _, _, _, length @ ..] = bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(FrameError::NoFrame);
        }
        let known = FrameKind::ALL.into_iter().find(|known| *known as u8 == kind);
        let kind = known.ok_or(FrameError::UnknownKind(kind))?;
        match u64::from_le_bytes(length) {
            length if length > LARGEST_BYTES => Err(FrameError::TooLong(length)),
            length => Ok(Self { kind, length }),
        }
    }
}

/// Who speaks at the far side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// [`crate::PROTOCOL`] of the program.
    pub protocol: u32,
    /// `uname -r` of the machine.
    pub kernel_release: String,
}

/// How the processes of a run ended. The outcome that they left, if any, is the blob beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// In words.
    pub status: String,
    /// What of the machine could not be put back as it was before, in words.
    pub left: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_comes_back() {
        for kind in FrameKind::ALL {
            for length in [0, 1, 74 << 20] {
                let header = Header { kind, length };
                assert_eq!(Header::from_bytes(header.to_bytes()), Ok(header));
            }
        }
    }

    #[test]
    fn what_is_no_header_is_told_apart() {
        assert_eq!(Header::from_bytes(*b"Last login: Mon "), Err(FrameError::NoFrame));
        let mut bytes = Header {
            kind: FrameKind::Run,
            length: 1,
        }
        .to_bytes();
        bytes[15] = 1;
        assert_eq!(Header::from_bytes(bytes), Err(FrameError::TooLong(1 | 1 << 56)));
        bytes[4] = 99;
        assert_eq!(Header::from_bytes(bytes), Err(FrameError::UnknownKind(99)));
    }
}
