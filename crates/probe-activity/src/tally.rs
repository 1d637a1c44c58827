//! What control groups did, and what those did that are gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::{ACTIVITY_CLASSES, activity_result};

/// System calls by class.
pub(crate) type Classes = [u64; ACTIVITY_CLASSES as usize];

/// All counters of the kernel half, as they were at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// By group, action and result.
    pub(crate) results: BTreeMap<activity_result, u64>,
    /// By group.
    pub(crate) classes: BTreeMap<u64, Classes>,
}

/// Counts under the labels they are shown with: groups that are gone are one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// By path, `enum activity_action` and error.
    pub(crate) results: BTreeMap<(String, u32, u32), u64>,
    /// By path.
    pub(crate) classes: BTreeMap<String, Classes>,
}

impl Shown {
    /// Results of one action.
    pub(crate) fn count(&self, action: u32) -> u64 {
        let of_action = self.results.iter().filter(|((_, other, _), _)| *other == action);
        of_action.map(|(_, count)| *count).sum()
    }

    /// All system calls.
    pub(crate) fn calls(&self) -> u64 {
        self.classes.values().flatten().sum()
    }

    fn add(&mut self, counts: &Counts, mut path: impl FnMut(u64) -> String) {
        for (key, count) in &counts.results {
            let shown = (path(key.cgroup), key.action, key.error);
            *self.results.entry(shown).or_insert(0) += count;
        }
        for (cgroup, classes) in &counts.classes {
            let sums = self.classes.entry(path(*cgroup)).or_default();
            for (sum, count) in sums.iter_mut().zip(classes) {
                *sum += count;
            }
        }
    }
}

/// What is remembered of groups that are gone.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    gone: Shown,
    /// Counters of groups that were not to be seen at the last look.
    unseen: Counts,
}

impl Tally {
    /// Takes over the counters of groups that are gone and takes them out of `counts`; they are to be removed from the
    /// maps. A group that cannot be seen may live on where this process cannot look, so it must also have been idle
    /// since the last time.
    pub(crate) fn end(
        &mut self,
        counts: &mut Counts,
        mut path: impl FnMut(u64) -> String,
        gone: &str,
    ) -> Counts {
        let mut groups: BTreeSet<u64> = counts.classes.keys().copied().collect();
        groups.extend(counts.results.keys().map(|key| key.cgroup));
        groups.retain(|cgroup| path(*cgroup) == gone);
        let unseen = of_groups(counts, &groups);
        groups.retain(|cgroup| {
            let one = BTreeSet::from([*cgroup]);
            of_groups(&unseen, &one) == of_groups(&self.unseen, &one)
        });
        let ended = of_groups(counts, &groups);
        self.gone.add(&ended, |_| gone.to_owned());
        counts.results.retain(|key, _| !groups.contains(&key.cgroup));
        counts.classes.retain(|cgroup, _| !groups.contains(cgroup));
        self.unseen = unseen;
        ended
    }

    /// These counts and what is remembered.
    pub(crate) fn show(&self, counts: &Counts, path: impl FnMut(u64) -> String) -> Shown {
        let mut shown = self.gone.clone();
        shown.add(counts, path);
        shown
    }
}

fn of_groups(counts: &Counts, groups: &BTreeSet<u64>) -> Counts {
    let results = counts.results.iter();
    let classes = counts.classes.iter();
    Counts {
        results: results
            .filter(|(key, _)| groups.contains(&key.cgroup))
            .map(|(key, count)| (*key, *count))
            .collect(),
        classes: classes
            .filter(|(cgroup, _)| groups.contains(cgroup))
            .map(|(cgroup, classes)| (*cgroup, *classes))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(groups: &[(u64, u64)]) -> Counts {
        let mut counts = Counts::default();
        for (cgroup, count) in groups {
            let key = activity_result {
                cgroup: *cgroup,
                action: 1,
                error: 2,
            };
            counts.results.insert(key, *count);
            counts
                .classes
                .insert(*cgroup, [*count; ACTIVITY_CLASSES as usize]);
        }
        counts
    }

    /// Groups from 10 on are gone.
    fn path(cgroup: u64) -> String {
        if cgroup < 10 {
            format!("/{cgroup}")
        } else {
            "(gone)".to_owned()
        }
    }

    #[test]
    fn a_group_that_is_gone_and_idle_is_taken_over_once() {
        let mut tally = Tally::default();
        let mut now = counts(&[(1, 5), (10, 3), (11, 4)]);
        let first = tally.show(&now, path);
        assert_eq!(tally.end(&mut now, path, "(gone)"), Counts::default());

        // 11 counted meanwhile: it lives somewhere.
        let mut now = counts(&[(1, 5), (10, 3), (11, 6)]);
        assert_eq!(tally.end(&mut now, path, "(gone)"), counts(&[(10, 3)]));
        assert_eq!(now, counts(&[(1, 5), (11, 6)]));
        let second = tally.show(&now, path);
        assert_eq!(second.count(1), first.count(1) + 2);
        assert_eq!(second.calls(), first.calls() + 2 * u64::from(ACTIVITY_CLASSES));
        assert_eq!(second.results[&("(gone)".to_owned(), 1, 2)], 9);
        assert_eq!(second.results.len(), 2);
    }
}
