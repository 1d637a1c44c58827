//! Rounds of the stimulus, and what the programs' runs cost in them.
//!
//! A run that is interrupted counts the interruption, which no program is to blame for. So a program's cost is the median
//! over the rounds of what a run cost on average in a round: an interruption spoils one round. The first round is not
//! measured, because in it maps fill up and addresses are resolved; it only shows whether a program runs at all.
//!
//! A round has two parts, what a system does and frames on the wire. The second is for programs that see packets: in the
//! first, stacks decide which packets there are.

use std::os::fd::BorrowedFd;

use probe::stats::ProgramStats;

use crate::{hang::Hung, place::Place, props::Props, stimulus};

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

/// The part of a round that a program's cost is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The stimulus.
    Deeds,
    /// The frames.
    Frames,
}

impl Part {
    /// Of a program in this place.
    pub fn of(place: Place<'_>) -> Self {
        match place {
            Place::Xdp | Place::Tc { .. } | Place::Socket => Self::Frames,
            _ => Self::Deeds,
        }
    }
}

/// The kernel's counts of a program before the parts of a round and after each.
type Looks = [ProgramStats; 3];

/// Plays the rounds and says what each of these programs did.
pub fn play(programs: &[(BorrowedFd<'_>, Part)], hung: &[&Hung], props: &Props) -> Vec<Runs> {
    let mut rounds: Vec<[Vec<ProgramStats>; 3]> = Vec::new();
    for _ in 0..=ROUNDS {
        let before = look(programs);
        for driver in hung.iter().filter_map(|hung| hung.driver.as_ref()) {
            // What the program answers is its business; whether it ran is looked at.
            let _ = driver();
        }
        stimulus::all(props);
        let between = look(programs);
        props.wire.send_all();
        rounds.push([before, between, look(programs)]);
    }
    let looks = |program: usize| -> Vec<Looks> {
        let of = |round: &[Vec<ProgramStats>; 3]| round.each_ref().map(|look| look[program]);
        rounds.iter().map(of).collect()
    };
    let parts = programs.iter().map(|(_, part)| *part).enumerate();
    parts.map(|(program, part)| runs(&looks(program), part)).collect()
}

/// A program that is gone has run no more.
fn look(programs: &[(BorrowedFd<'_>, Part)]) -> Vec<ProgramStats> {
    programs
        .iter()
        .map(|(program, _)| ProgramStats::of(*program).unwrap_or_default())
        .collect()
}

/// From the looks at each round.
fn runs(rounds: &[Looks], part: Part) -> Runs {
    let between = |from: &ProgramStats, to: &ProgramStats| {
        let runs = to.runs.saturating_sub(from.runs);
        let cost = to.run_time_ns.saturating_sub(from.run_time_ns);
        (runs, cost)
    };
    let mut means: Vec<f64> = rounds
        .iter()
        .skip(1)
        .map(|[before, middle, after]| match part {
            Part::Deeds => between(before, middle),
            Part::Frames => between(middle, after),
        })
        .filter(|(runs, _)| *runs > 0)
        .map(|(runs, cost)| cost as f64 / runs as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    Runs {
        runs: rounds
            .iter()
            .map(|[before, _, after]| between(before, after).0)
            .sum(),
        run_cost: means.get(means.len() / 2).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats((runs, run_time_ns): (u64, u64)) -> ProgramStats {
        ProgramStats {
            runs,
            run_time_ns,
            ..ProgramStats::default()
        }
    }

    /// Rounds without frames, from the looks before the first and after each.
    fn rounds(of: &[(u64, u64)]) -> Vec<Looks> {
        of.windows(2)
            .map(|pair| [stats(pair[0]), stats(pair[1]), stats(pair[1])])
            .collect()
    }

    #[test]
    fn an_interrupted_round_does_not_count_and_neither_does_the_first() {
        let rounds = rounds(&[
            (0, 0),
            (10, 9000),
            (20, 10_000),
            (30, 11_000),
            (40, 99_000),
            (50, 100_000),
            (60, 101_000),
        ]);
        assert_eq!(
            runs(&rounds, Part::Deeds),
            Runs {
                runs: 60,
                run_cost: Some(100.0)
            }
        );
    }

    #[test]
    fn a_program_that_runs_once_has_run_and_has_no_cost() {
        let once = runs(&rounds(&[(0, 0), (1, 500), (1, 500), (1, 500)]), Part::Deeds);
        assert_eq!((once.runs, once.run_cost), (1, None));
        assert_eq!(runs(&rounds(&[(0, 0), (0, 0)]), Part::Deeds).runs, 0);
    }

    #[test]
    fn a_cost_is_of_one_part_and_runs_are_of_both() {
        let round = [(0, 0), (3, 700), (5, 900)].map(stats);
        let of = |part| runs(&[round, round], part);
        assert_eq!((of(Part::Deeds).runs, of(Part::Frames).runs), (10, 10));
        assert_eq!(of(Part::Deeds).run_cost, Some(700.0 / 3.0));
        assert_eq!(of(Part::Frames).run_cost, Some(100.0));
    }

    #[test]
    fn programs_that_see_packets_are_measured_on_frames() {
        for section in ["xdp", "xdp.frags", "tc", "tcx/egress", "classifier", "socket"] {
            assert_eq!(Part::of(crate::place::of(section)), Part::Frames, "{section}");
        }
        for section in [
            "tp_btf/sched_switch",
            "cgroup_skb/egress",
            "sk_lookup",
            "netfilter",
        ] {
            assert_eq!(Part::of(crate::place::of(section)), Part::Deeds, "{section}");
        }
    }
}
