//! Rounds of the stimulus, and what the programs' runs cost in them.
//!
//! A run that is interrupted counts the interruption, which no program is to blame for. So a program's cost is the median
//! over the rounds of what a run cost on average in a round: an interruption spoils one round. The first round is not
//! measured, because in it maps fill up and addresses are resolved; it only shows whether a program runs at all.

use std::os::fd::BorrowedFd;

use probe::stats::ProgramStats;

use crate::{hang::Hung, props::Props, stimulus};

/// Rounds that are measured.
const ROUNDS: usize = 5;

/// What a program did in all rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Runs {
    /// How often it ran.
    pub runs: u64,
    /// What a run cost, if it ran in a measured round.
    pub run_cost: Option<f64>,
}

/// Plays the rounds and says what each of these programs did.
pub fn play(programs: &[BorrowedFd<'_>], hung: &[&Hung], props: &Props) -> Vec<Runs> {
    let mut looks: Vec<Vec<ProgramStats>> = vec![look(programs)];
    for _ in 0..=ROUNDS {
        for driver in hung.iter().filter_map(|hung| hung.driver.as_ref()) {
            // What the program answers is its business; whether it ran is looked at.
            let _ = driver();
        }
        stimulus::all(props);
        looks.push(look(programs));
    }
    let of = |program: usize| looks.iter().map(|look| look[program]).collect::<Vec<_>>();
    (0..programs.len()).map(|program| runs(&of(program))).collect()
}

/// A program that is gone has run no more.
fn look(programs: &[BorrowedFd<'_>]) -> Vec<ProgramStats> {
    programs
        .iter()
        .map(|program| ProgramStats::of(*program).unwrap_or_default())
        .collect()
}

/// From the looks before the first round and after each.
fn runs(looks: &[ProgramStats]) -> Runs {
    let between = |pair: &[ProgramStats]| {
        let runs = pair[1].runs.saturating_sub(pair[0].runs);
        let cost = pair[1].run_time_ns.saturating_sub(pair[0].run_time_ns);
        (runs, cost)
    };
    let rounds: Vec<(u64, u64)> = looks.windows(2).map(between).collect();
    let mut means: Vec<f64> = rounds
        .iter()
        .skip(1)
        .filter(|(runs, _)| *runs > 0)
        .map(|(runs, cost)| *cost as f64 / *runs as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    Runs {
        runs: rounds.iter().map(|(runs, _)| runs).sum(),
        run_cost: means.get(means.len() / 2).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(of: &[(u64, u64)]) -> Vec<ProgramStats> {
        of.iter()
            .map(|(runs, run_time_ns)| ProgramStats {
                runs: *runs,
                run_time_ns: *run_time_ns,
                ..ProgramStats::default()
            })
            .collect()
    }

    #[test]
    fn an_interrupted_round_does_not_count_and_neither_does_the_first() {
        let looks = looks(&[
            (0, 0),
            (10, 9000),
            (20, 10_000),
            (30, 11_000),
            (40, 99_000),
            (50, 100_000),
            (60, 101_000),
        ]);
        assert_eq!(
            runs(&looks),
            Runs {
                runs: 60,
                run_cost: Some(100.0)
            }
        );
    }

    #[test]
    fn a_program_that_runs_once_has_run_and_has_no_cost() {
        let once = runs(&looks(&[(0, 0), (1, 500), (1, 500), (1, 500)]));
        assert_eq!((once.runs, once.run_cost), (1, None));
        assert_eq!(runs(&looks(&[(0, 0), (0, 0)])).runs, 0);
    }
}
