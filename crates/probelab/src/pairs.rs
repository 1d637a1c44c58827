//! Pairs: two runs that differ only in the loader. Each is judged by itself; together they must agree.

use scenario::{ExpectationResult, OfLoader, loaders_agree};
use wire::GuestEnd;

use crate::cells::Done;

/// Adds to both runs of each pair whether their metrics are the same.
pub fn compare(done: &mut [Done]) {
    for one in 0..done.len() {
        for other in one + 1..done.len() {
            if let Some(result) = agreement(&done[one], &done[other]) {
                done[one].judgement.add(result.clone());
                done[other].judgement.add(result);
            }
        }
    }
}

/// Runs that did not complete have a verdict of their own, and nothing to compare.
fn agreement(one: &Done, other: &Done) -> Option<ExpectationResult> {
    let is_pair =
        (&one.scenario, &one.kernel) == (&other.scenario, &other.kernel) && one.loader != other.loader;
    if !is_pair {
        return None;
    }
    Some(loaders_agree(metrics(one)?, metrics(other)?))
}

fn metrics(done: &Done) -> Option<OfLoader<'_>> {
    let record = done
        .record
        .as_ref()
        .filter(|record| record.end == GuestEnd::Completed)?;
    Some((done.loader?, &record.outputs))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scenario::{Judgement, Verdict};
    use wire::{Lane, Loader, Output, Record, Timing};

    use super::*;
    use crate::cells::running_kernel;

    fn done(scenario: &str, loader: Option<Loader>, end: GuestEnd, metrics: &str) -> Done {
        let record = Record {
            schema_version: Record::SCHEMA_VERSION,
            scenario: scenario.into(),
            seed: 1,
            lane: Lane::Virtual,
            loader,
            kernel: running_kernel("host").identity,
            rootfs_sha256: String::new(),
            inputs_sha256: String::new(),
            qemu: String::new(),
            end,
            kernel_release: String::new(),
            guest_end_ns: 0,
            outputs: BTreeMap::from([("metrics".into(), Output(metrics.into()))]),
            console: String::new(),
            digest: String::new(),
            timing: Timing::default(),
        };
        Done {
            scenario: scenario.into(),
            kernel: "6.12".into(),
            probes: Vec::new(),
            loader,
            record: Some(record),
            judgement: Judgement {
                verdict: Verdict::Passed,
                ..Judgement::infra("")
            },
            replay: None,
            was_stored: false,
        }
    }

    fn family(name: &str) -> String {
        format!("# TYPE calls counter\ncalls_total 7\n# TYPE {name} counter\n{name}_total 7\n# EOF\n")
    }

    fn passed(done: &[Done]) -> Vec<bool> {
        done.iter()
            .map(|done| done.judgement.verdict == Verdict::Passed)
            .collect()
    }

    #[test]
    fn a_pair_that_differs_fails_as_a_pair_and_alone() {
        let completed = || GuestEnd::Completed;
        let mut all = [
            done("calls", Some(Loader::Libbpf), completed(), &family("errors")),
            done("calls", Some(Loader::Aya), completed(), &family("mistakes")),
            done("equal", Some(Loader::Libbpf), completed(), &family("errors")),
            done("equal", Some(Loader::Aya), completed(), &family("errors")),
            done("canary", None, completed(), ""),
        ];
        compare(&mut all);
        assert_eq!(passed(&all), [false, false, true, true, true]);
        let evidence = &all[1].judgement.results[0].evidence;
        assert!(
            evidence.contains("1 only with aya: mistakes_total{}"),
            "{evidence}"
        );
        assert_eq!(all[2].judgement.results.len(), 1);
        assert!(all[4].judgement.results.is_empty());
    }

    #[test]
    fn a_run_that_did_not_complete_is_not_compared() {
        let hung = GuestEnd::WallDeadline { seconds: 1 };
        let mut all = [
            done("calls", Some(Loader::Libbpf), hung, ""),
            done("calls", Some(Loader::Aya), GuestEnd::Completed, &family("errors")),
        ];
        compare(&mut all);
        assert!(all.iter().all(|done| done.judgement.results.is_empty()));
    }
}
