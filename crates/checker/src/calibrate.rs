//! What counting a run costs: empty programs, checked like any other.

use anyhow::Result;
use wire::Loader;

use crate::examine::{Bench, Calibration};

/// The object of `bpf/calibrate.bpf.c`.
pub static OBJECT: &[u8] =
    probe::loader::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/calibrate.bpf.o"));

/// Runs the empty programs and says what a run of each costs; those that do not run here are left out.
pub fn calibrate(bench: &mut Bench) -> Result<Calibration> {
    let finding = bench.examine("calibrate.bpf.o", OBJECT, Loader::Libbpf, &mut |_| {})?;
    let costs = finding.programs.into_iter().filter_map(|program| {
        let cost = program.run_cost?;
        Some((program.program, cost))
    });
    Ok(costs.collect())
}
