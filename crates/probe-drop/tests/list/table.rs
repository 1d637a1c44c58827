//! Which entries are in force, and what is told of those that were.

use probe::loader::Loader;
use probe_drop::blocklist::{
    entry::{Action, Entry},
    kernel::Kernel,
    table::{Table, TableError},
};

use crate::{
    FUTURE, SECOND, action,
    common::{DROP, PASS, TX},
    entry, kernel, list,
};

/// Packets told of, for entries in force and for those that are gone.
fn told(table: &Table, kernel: &Kernel) -> (Vec<u64>, u64) {
    let in_force = table.in_force(kernel).unwrap();
    let gone = table.gone(kernel).unwrap();
    (
        in_force.iter().map(|(_, count)| count.packets).collect(),
        gone.values().map(|count| count.packets).sum(),
    )
}

#[test]
fn an_entry_lives_as_long_as_it_was_given_and_stays_dead() {
    let Some(mut kernel) = kernel(Loader::Aya, 64) else {
        return;
    };
    let mut table = Table::new(64);
    let brief = list(&[entry("10.0.0.0/8", Action::Drop, Some(60))]);
    // Far enough off that the kernel's clock does not get there: only the sweep ends it.
    let now = FUTURE;
    assert!(table.apply(&mut kernel, &brief, now).unwrap());
    assert_eq!(action(&kernel, [10, 0, 0, 1]), DROP);
    table.sweep(&mut kernel, now + 60 * SECOND - 1).unwrap();
    assert_eq!((told(&table, &kernel), table.expired()), ((vec![1], 0), 0));
    table.sweep(&mut kernel, now + 60 * SECOND).unwrap();
    assert_eq!((told(&table, &kernel), table.expired()), ((vec![], 1), 1));
    assert_eq!(action(&kernel, [10, 0, 0, 1]), PASS);
    // The same list read again does not bring it back; a changed entry does.
    assert!(!table.apply(&mut kernel, &brief, now + 61 * SECOND).unwrap());
    assert_eq!(action(&kernel, [10, 0, 0, 1]), PASS);
    let longer = list(&[entry("10.0.0.0/8", Action::Drop, Some(120))]);
    assert!(table.apply(&mut kernel, &longer, now + 61 * SECOND).unwrap());
    assert_eq!(action(&kernel, [10, 0, 0, 1]), DROP);
    assert_eq!(told(&table, &kernel), (vec![1], 1));
}

#[test]
fn a_list_that_is_too_long_changes_nothing() {
    let Some(mut kernel) = kernel(Loader::Aya, 2) else {
        return;
    };
    let mut table = Table::new(2);
    let full = list(&[
        entry("10.0.0.0/8", Action::Drop, None),
        entry("11.0.0.0/8", Action::Drop, None),
    ]);
    table.apply(&mut kernel, &full, 0).unwrap();
    let longer = list(&[
        entry("12.0.0.0/8", Action::Drop, None),
        entry("13.0.0.0/8", Action::Drop, None),
        entry("14.0.0.0/8", Action::Drop, None),
    ]);
    let error = table.apply(&mut kernel, &longer, 0).unwrap_err();
    assert!(matches!(
        error,
        TableError::TooMany {
            entries: 3,
            max_entries: 2
        }
    ));
    assert!(error.to_string().contains("maxEntries, which is 2"), "{error}");
    assert_eq!(action(&kernel, [10, 0, 0, 1]), DROP);
    assert_eq!(action(&kernel, [12, 0, 0, 1]), PASS);
    // A full list is replaced as a whole, and one entry of it in place.
    let turned = list(&[
        entry("10.0.0.0/8", Action::Tx, None),
        entry("12.0.0.0/8", Action::Drop, None),
    ]);
    table.apply(&mut kernel, &turned, 0).unwrap();
    assert_eq!(action(&kernel, [10, 0, 0, 1]), TX);
    assert_eq!(action(&kernel, [11, 0, 0, 1]), PASS);
    assert_eq!(action(&kernel, [12, 0, 0, 1]), DROP);
}

#[test]
fn counters_of_removed_entries_are_kept_when_their_place_is_needed() {
    let Some(mut kernel) = kernel(Loader::Aya, 100) else {
        return;
    };
    let mut table = Table::new(100);
    // Without a sweep every place is soon used by an entry or rests.
    for round in 0..12_u8 {
        let wanted: Vec<Entry> = (0..100)
            .map(|number| entry(&format!("10.{round}.{number}.0/24"), Action::Drop, None))
            .collect();
        table.apply(&mut kernel, &list(&wanted), 0).unwrap();
        for number in 0..100 {
            assert_eq!(action(&kernel, [10, round, number, 7]), DROP);
        }
        let (in_force, gone) = told(&table, &kernel);
        assert_eq!(
            (in_force.iter().sum::<u64>(), gone),
            (100, 100 * u64::from(round))
        );
    }
}
