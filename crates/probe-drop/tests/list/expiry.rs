//! Entries that have ended, as the kernel half sees them.

use std::collections::BTreeMap;

use probe::loader::Loader;
use probe_drop::blocklist::{entry::Action, kernel::Kernel, types::VERDICT_NAMES};

use crate::{
    FUTURE, PAST, action,
    common::{DROP, PASS},
    entry, kernel,
};

/// Frames by the name of their verdict.
fn verdicts(kernel: &Kernel) -> BTreeMap<(&str, &str), u64> {
    let counts = kernel.verdicts().unwrap();
    VERDICT_NAMES
        .into_iter()
        .zip(counts)
        .filter(|(_, count)| count.packets > 0)
        .map(|(name, count)| (name, count.packets))
        .collect()
}

#[test]
fn an_entry_that_has_ended_leaves_the_word_to_a_shorter_one() {
    for loader in Loader::ALL {
        let Some(mut kernel) = kernel(loader, 64) else {
            return;
        };
        kernel
            .put(&entry("10.0.0.0/8", Action::Drop, None), 0, 0)
            .unwrap();
        kernel
            .put(&entry("10.1.0.0/16", Action::Pass, None), 1, FUTURE)
            .unwrap();
        kernel
            .put(&entry("10.1.1.0/24", Action::Tx, None), 2, PAST)
            .unwrap();
        kernel
            .put(&entry("10.1.1.1/32", Action::Drop, None), 3, PAST)
            .unwrap();
        kernel
            .put(&entry("192.0.2.0/24", Action::Drop, None), 4, PAST)
            .unwrap();
        kernel
            .put(&entry("0.0.0.0/0", Action::Drop, None), 5, PAST)
            .unwrap();
        assert_eq!(action(&kernel, [10, 1, 1, 1]), PASS);
        assert_eq!(action(&kernel, [10, 2, 1, 1]), DROP);
        assert_eq!(action(&kernel, [192, 0, 2, 1]), PASS);
        let counts = verdicts(&kernel);
        assert_eq!(counts[&("recorded", "pass")], 1);
        assert_eq!(counts[&("recorded", "drop")], 1);
        assert_eq!(counts[&("filtered", "expired")], 1);
    }
}

#[test]
fn more_ended_entries_than_are_passed_over_are_a_loss_with_a_name() {
    let Some(mut kernel) = kernel(Loader::Aya, 64) else {
        return;
    };
    kernel
        .put(&entry("10.0.0.0/8", Action::Drop, None), 0, 0)
        .unwrap();
    for bits in 25..=32 {
        kernel
            .put(
                &entry(&format!("10.0.0.0/{bits}"), Action::Pass, None),
                bits,
                PAST,
            )
            .unwrap();
    }
    assert_eq!(action(&kernel, [10, 0, 0, 0]), DROP);
    kernel
        .put(&entry("10.0.0.0/24", Action::Pass, None), 24, PAST)
        .unwrap();
    assert_eq!(action(&kernel, [10, 0, 0, 0]), PASS);
    assert_eq!(verdicts(&kernel)[&("lost", "expired")], 1);
}
