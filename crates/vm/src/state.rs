//! Whether a saved device state is of the instruction at which the guest stopped itself, and its count of instructions.
//!
//! With `sleep=off` QEMU lets an idle machine jump to its next timer (`icount_start_warp_timer`). A guest that
//! has just stopped itself looks idle, and QEMU's main thread sometimes jumps once more, and fires that timer,
//! before it has noticed the stop: guest memory is then the same to the last byte, but the devices are not, and
//! a restore takes another course.
//!
//! Two things are done about it. QEMU wakes its main thread as soon as the guest asks for the stop, and that thread
//! needs no more than to run before the emulating thread has gone to rest: so the host lets it overtake the others
//! ([`crate::processor::prefer_main_thread`]), or, where the user may not ask for that, waits for the guest to announce
//! its stop and has the others rest from then on ([`crate::processor::rest_other_threads`]). And the guest notes its own
//! time just before, so that a state in which the clock ran on all the same is recognised and thrown away.
//!
//! QEMU keeps the clock as executed instructions plus a bias (section `timer/icount` of the stream, version 1:
//! bias and instructions, both 64 bits, big endian; `accel/tcg/icount-common.c` and `system/cpu-timers.c`).
//!
//! A restored machine records ([`crate::machine`]), and a recording QEMU takes the instructions that were executed
//! before for its first step, whose length it holds in 32 bits with a sign (`replay_advance_current_icount` of
//! `replay/replay-internal.c`, QEMU 10.0). So a state is kept with no instructions executed and all of its clock in the
//! bias.

use std::{fs, path::Path};

use crate::{Error, IoContext, Result};

/// Name of the section with its length before and its version after it.
const SECTION: &[u8] = b"\x0ctimer/icount\x00\x00\x00\x01";
/// From the guest's note to its stop there are a handful of instructions, and so of nanoseconds. A jump to a
/// timer this near would be missed, but then its timer would have fired within the same instructions anyway.
const NOTE_TO_STOP_NS: i64 = 32;

/// How far the clock of a saved state is beyond the guest's own account of its stop, in nanoseconds; nothing
/// when it stands where the guest stopped.
pub fn jump_after_stop(path: &Path, stop_time_ns: u64) -> Result<Option<i64>> {
    let bytes = fs::read(path).at("reading", path)?;
    let jump = Clock::of(&bytes)
        .and_then(|clock| clock.jump(stop_time_ns))
        .map_err(not_understood)?;
    Ok((jump > NOTE_TO_STOP_NS).then_some(jump))
}

/// Writes into a saved state that no instruction was executed yet, at the same time of its clock.
pub fn forget_instructions(path: &Path) -> Result<()> {
    let mut bytes = fs::read(path).at("reading", path)?;
    Clock::of(&bytes)
        .and_then(|clock| clock.without_instructions(&mut bytes))
        .map_err(not_understood)?;
    fs::write(path, bytes).at("writing", path)
}

fn not_understood(what: String) -> Error {
    Error::Qemu {
        what: format!("its saved state is not understood: {what}"),
        words: "is this a newer QEMU than Probelab was tried with?".into(),
    }
}

/// What a saved state says of time.
struct Clock {
    /// Where it stands in the state.
    offset: usize,
    bias_ns: i64,
    instructions: i64,
}

impl Clock {
    fn of(state: &[u8]) -> Result<Self, String> {
        let mut places = state
            .windows(SECTION.len())
            .enumerate()
            .filter(|(_, window)| *window == SECTION);
        let (Some((start, _)), None) = (places.next(), places.next()) else {
            return Err("it has no single section timer/icount of version 1".into());
        };
        let offset = start + SECTION.len();
        let word = |at: usize| {
            state
                .get(at..at + 8)
                .and_then(|word| word.try_into().ok())
                .map(i64::from_be_bytes)
        };
        match (word(offset), word(offset + 8)) {
            (Some(bias_ns), Some(instructions)) => Ok(Self {
                offset,
                bias_ns,
                instructions,
            }),
            _ => Err("its section timer/icount is cut short".into()),
        }
    }

    fn now_ns(&self) -> Result<i64, String> {
        let sum = self.bias_ns.checked_add(self.instructions);
        sum.ok_or_else(|| "its clock does not fit 64 bits".into())
    }

    fn jump(&self, stop_time_ns: u64) -> Result<i64, String> {
        let noted = i64::try_from(stop_time_ns).map_err(|_| "the guest noted no time")?;
        match self.now_ns()?.checked_sub(noted) {
            Some(jump @ 0..) => Ok(jump),
            _ => Err(format!("its clock is before the guest's note ({noted} ns)")),
        }
    }

    fn without_instructions(&self, state: &mut [u8]) -> Result<(), String> {
        let words = [self.now_ns()?.to_be_bytes(), [0; 8]].concat();
        // The state has both words: they were read from there.
        state[self.offset..self.offset + words.len()].copy_from_slice(&words);
        Ok(())
    }
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

    fn jump(state: &[u8], stop_time_ns: u64) -> Result<i64, String> {
        Clock::of(state)?.jump(stop_time_ns)
    }

    #[test]
    fn a_jump_after_the_stop_is_seen() {
        assert_eq!(jump(&state(0, 1_000_006), 1_000_000), Ok(6));
        assert_eq!(jump(&state(96_170, 1_000_006), 1_000_000), Ok(96_176));
    }

    #[test]
    fn the_clock_stands_where_it_stood_and_nothing_else_changes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), state(96_170, 7_000_000_006)).unwrap();
        forget_instructions(file.path()).unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), state(7_000_096_176, 0));
        forget_instructions(file.path()).unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), state(7_000_096_176, 0));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(jump(b"nothing", 0).is_err());
        assert!(
            jump(&state(0, 1_000_000), 5_000_000).is_err(),
            "the clock is before the note"
        );
        assert!(
            jump(&[state(0, 0), state(0, 0)].concat(), 0).is_err(),
            "two sections"
        );
    }
}
