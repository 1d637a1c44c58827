//! One correction of a saved device state: the guest's time at the stop.
//!
//! With `sleep=off` QEMU lets an idle machine jump to its next timer (`icount_start_warp_timer`). A guest that
//! has just stopped itself looks idle, and QEMU's main thread sometimes jumps once more before it has noticed
//! the stop: guest memory is then the same to the last byte, but the clock stands at the next timer instead of
//! at the stop (measured with QEMU 10.0.2: in 5 of 18 boots, by 96,170 ns). The guest noted its own time just
//! before, so the saved clock is set back to that.
//!
//! QEMU keeps the clock as executed instructions plus a bias (section `timer/icount` of the stream, version 1:
//! bias and instructions, both 64 bits, big endian; `accel/tcg/icount-common.c` and `system/cpu-timers.c`).

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use crate::{Error, IoContext, Result};

/// Name of the section with its length before and its version after it.
const SECTION: &[u8] = b"\x0ctimer/icount\x00\x00\x00\x01";
/// From the guest's note to its stop, in instructions and so in nanoseconds: more than the handful there are,
/// so that the clock never goes back.
const NOTE_TO_STOP_NS: i64 = 64;
/// A jump beyond this is no jump to the next timer of a running kernel: something is not understood.
const LARGEST_JUMP_NS: i64 = 10_000_000_000;

/// Sets the clock of a saved state to the guest's own account of its stop, in nanoseconds.
pub fn set_time(path: &Path, stop_time_ns: u64) -> Result<()> {
    let bytes = std::fs::read(path).at("reading", path)?;
    let (offset, bias) = corrected(&bytes, stop_time_ns).map_err(|what| Error::Qemu {
        what: format!("its saved state is not understood: {what}"),
        words: "is this a newer QEMU than Probelab was tried with?".into(),
    })?;
    let file = File::options().write(true).open(path).at("opening", path)?;
    file.write_all_at(&bias.to_be_bytes(), offset as u64)
        .at("writing", path)
}

/// Where the bias is, and what it should be.
fn corrected(bytes: &[u8], stop_time_ns: u64) -> Result<(usize, i64), String> {
    let mut places = bytes
        .windows(SECTION.len())
        .enumerate()
        .filter(|(_, window)| *window == SECTION);
    let (Some((start, _)), None) = (places.next(), places.next()) else {
        return Err("it has no single section timer/icount of version 1".into());
    };
    let offset = start + SECTION.len();
    let word = |at: usize| {
        bytes
            .get(at..at + 8)
            .and_then(|word| word.try_into().ok())
            .map(i64::from_be_bytes)
    };
    let (Some(bias), Some(instructions)) = (word(offset), word(offset + 8)) else {
        return Err("its section timer/icount is cut short".into());
    };
    let wanted =
        i64::try_from(stop_time_ns).map_err(|_| "the guest noted no time")? + NOTE_TO_STOP_NS - instructions;
    let jump = bias - wanted;
    if !(-NOTE_TO_STOP_NS..=LARGEST_JUMP_NS).contains(&jump) {
        return Err(format!("its clock is {jump} ns after the guest's note"));
    }
    Ok((offset, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(bias: i64, instructions: i64) -> Vec<u8> {
        [
            b"before",
            SECTION,
            &bias.to_be_bytes(),
            &instructions.to_be_bytes(),
            b"after",
        ]
        .concat()
    }

    #[test]
    fn a_jump_after_the_stop_is_taken_back() {
        let exact = corrected(&state(0, 1_000_020), 1_000_000).unwrap();
        let jumped = corrected(&state(96_170, 1_000_020), 1_000_000).unwrap();
        assert_eq!(exact, jumped);
        assert_eq!(exact.1 + 1_000_020, 1_000_000 + NOTE_TO_STOP_NS);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(corrected(b"nothing", 0).is_err());
        assert!(
            corrected(&state(0, 1_000_000), 5_000_000).is_err(),
            "the clock is before the note"
        );
        assert!(
            corrected(&[state(0, 0), state(0, 0)].concat(), 0).is_err(),
            "two sections"
        );
    }
}
