//! Counts over the lives of processes and control groups: what is gone keeps counting, and series stay few.
//!
//! A process is given a series of its own when it is first seen, if there is room, and keeps its place until it ends;
//! so no series ever falls but by ending. What an ended process counted moves to the series of all ended ones.

use std::collections::{BTreeMap, BTreeSet};

/// The series of all processes that had one of their own and ended.
pub(crate) const ENDED: &str = "(ended)";
/// The series of all processes for which there was no room.
pub(crate) const OTHERS: &str = "(others)";

/// One counter of the kernel half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Number of a control group.
    pub(crate) cgroup: u64,
    /// A process, 0 when they are not told apart.
    pub(crate) process: u32,
    /// Calls since the counter was made.
    pub(crate) calls: u64,
}

/// What is remembered of counters that are no more, and of who has a series.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    max_shown: usize,
    shown: BTreeSet<u32>,
    others: BTreeSet<u32>,
    ended_by_cgroup: BTreeMap<u64, u64>,
    ended_shown: u64,
    ended_others: u64,
}

/// All calls, twice: by control group and by process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// By the group's number.
    pub(crate) by_cgroup: BTreeMap<u64, u64>,
    /// By number, [`ENDED`] and [`OTHERS`]; empty when processes are not told apart.
    pub(crate) by_process: BTreeMap<String, u64>,
}

impl Calls {
    /// How many there are.
    pub(crate) fn total(&self) -> u64 {
        self.by_cgroup.values().sum()
    }
}

impl Tally {
    /// At most `max_shown` processes have a series of their own.
    pub(crate) fn new(max_shown: usize) -> Self {
        Self {
            max_shown,
            ..Self::default()
        }
    }

    /// Takes over the counters of processes that are gone. Those entries are to be removed from the map then; the others
    /// stay.
    pub(crate) fn end(&mut self, entries: &[Entry], is_alive: impl Fn(u32) -> bool) -> Vec<Entry> {
        let gone: Vec<Entry> = entries
            .iter()
            .copied()
            .filter(|entry| entry.process != 0 && !is_alive(entry.process))
            .collect();
        for entry in &gone {
            *self.ended_by_cgroup.entry(entry.cgroup).or_insert(0) += entry.calls;
            // One that came and went between two looks had no series yet, and would have had room in the ended ones'.
            if self.others.contains(&entry.process) {
                self.ended_others += entry.calls;
            } else {
                self.ended_shown += entry.calls;
            }
        }
        // After the loop: a process may have counters in several groups.
        for entry in &gone {
            self.shown.remove(&entry.process);
            self.others.remove(&entry.process);
        }
        gone
    }

    /// Takes over one counter whose control group is gone.
    pub(crate) fn end_group(&mut self, entry: &Entry) {
        *self.ended_by_cgroup.entry(entry.cgroup).or_insert(0) += entry.calls;
    }

    /// Sums up: what is remembered and these counters, all of them of the living.
    pub(crate) fn sum(&mut self, entries: &[Entry]) -> Calls {
        let mut calls = Calls {
            by_cgroup: self.ended_by_cgroup.clone(),
            ..Calls::default()
        };
        let mut others = self.ended_others;
        for entry in entries {
            *calls.by_cgroup.entry(entry.cgroup).or_insert(0) += entry.calls;
            if entry.process == 0 {
                continue;
            }
            if self.has_series(entry.process) {
                *calls.by_process.entry(entry.process.to_string()).or_insert(0) += entry.calls;
            } else {
                others += entry.calls;
            }
        }
        for (name, count) in [(ENDED, self.ended_shown), (OTHERS, others)] {
            if count > 0 {
                calls.by_process.insert(name.to_owned(), count);
            }
        }
        calls
    }

    fn has_series(&mut self, process: u32) -> bool {
        if self.shown.contains(&process) {
            return true;
        }
        if !self.others.contains(&process) && self.shown.len() < self.max_shown {
            return self.shown.insert(process);
        }
        self.others.insert(process);
        false
    }

    /// Lets control groups that are gone share one number, `u64::MAX`, so that not every group there ever was is
    /// remembered.
    pub(crate) fn forget_groups(&mut self, mut is_gone: impl FnMut(u64) -> bool) {
        let mut gone = 0;
        self.ended_by_cgroup.retain(|cgroup, count| {
            let forget = *cgroup == u64::MAX || is_gone(*cgroup);
            if forget {
                gone += *count;
            }
            !forget
        });
        if gone > 0 {
            self.ended_by_cgroup.insert(u64::MAX, gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(process: u32, cgroup: u64, calls: u64) -> Entry {
        Entry {
            cgroup,
            process,
            calls,
        }
    }

    fn by_process(calls: &Calls) -> Vec<(&str, u64)> {
        calls
            .by_process
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect()
    }

    #[test]
    fn what_an_ended_process_counted_stays() {
        let mut tally = Tally::new(8);
        let entries = [entry(7, 1, 5), entry(7, 2, 1), entry(8, 1, 2)];
        assert_eq!(by_process(&tally.sum(&entries)), [("7", 6), ("8", 2)]);
        assert_eq!(tally.end(&entries, |process| process == 8), entries[..2]);
        let after = tally.sum(&entries[2..]);
        assert_eq!(by_process(&after), [("(ended)", 6), ("8", 2)]);
        assert_eq!(after.by_cgroup, BTreeMap::from([(1, 7), (2, 1)]));
    }

    #[test]
    fn no_more_series_than_there_is_room_for_and_nobody_moves_up() {
        let mut tally = Tally::new(1);
        let entries = [entry(7, 1, 5), entry(8, 1, 2), entry(9, 1, 3)];
        assert_eq!(by_process(&tally.sum(&entries)), [("(others)", 5), ("7", 5)]);
        tally.end(&entries, |process| process != 7 && process != 8);
        // 8 keeps its place among the others in its afterlife, and 9 does not take that of 7.
        assert_eq!(
            by_process(&tally.sum(&entries[2..])),
            [("(ended)", 5), ("(others)", 5)]
        );
    }

    #[test]
    fn groups_that_are_gone_share_one_number() {
        let mut tally = Tally::new(8);
        tally.end(&[entry(7, 1, 5), entry(7, 2, 1), entry(7, 3, 4)], |_| false);
        tally.forget_groups(|cgroup| cgroup != 3);
        tally.forget_groups(|_| false);
        assert_eq!(tally.sum(&[]).by_cgroup, BTreeMap::from([(3, 4), (u64::MAX, 6)]));
    }

    proptest! {
        /// Whoever ends whenever: every call is in both sums, and neither `(ended)` nor `(others)` falls.
        #[test]
        fn sums_agree_and_never_fall(
            steps in prop::collection::vec((1_u32..6, 1_u64..4, 0_u64..9, any::<bool>()), 0..60),
            max_shown in 0_usize..4,
        ) {
            let mut tally = Tally::new(max_shown);
            let mut map = BTreeMap::new();
            let (mut made, mut last) = (0, Calls::default());
            for (process, cgroup, calls, ends) in steps {
                *map.entry((process, cgroup)).or_insert(0) += calls;
                made += calls;
                let entries = |map: &BTreeMap<(u32, u64), u64>| -> Vec<Entry> {
                    map.iter().map(|((process, cgroup), calls)| entry(*process, *cgroup, *calls)).collect()
                };
                if ends {
                    for gone in tally.end(&entries(&map), |other| other != process) {
                        map.remove(&(gone.process, gone.cgroup));
                    }
                }
                let now = tally.sum(&entries(&map));
                prop_assert_eq!(now.total(), made);
                prop_assert_eq!(now.by_process.values().sum::<u64>(), made);
                for name in [ENDED, OTHERS] {
                    prop_assert!(now.by_process.get(name) >= last.by_process.get(name));
                }
                prop_assert!(now.by_process.len() <= max_shown + 2);
                last = now;
            }
        }
    }
}
