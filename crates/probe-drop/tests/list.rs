//! The list of a blocklist over its life: entries end, change, come and go, and no packet is counted twice or not at
//! all. Skips, and says so, where BPF may not be used.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net};
use probe::{
    interface::Interface,
    loader::{Loader, XdpMode},
};
use probe_drop::blocklist::{
    Blocklist,
    entry::{Action, Entry, Prefix},
    kernel::{Config, Count, Kernel},
    list_file::{Entries, ListFile},
    table::{Table, TableError},
    types::VERDICT_NAMES,
};
use proptest::prelude::*;

const DROP: u32 = 1;
const PASS: u32 = 2;
const TX: u32 = 3;

fn kernel(loader: Loader, max_entries: u32) -> Option<Kernel> {
    let config = Config {
        interface: Interface::by_name("lo").unwrap(),
        mode: XdpMode::Generic,
        destination: false,
        match_neighbours: false,
        drop_unreadable: false,
        drop_deep_tags: false,
        jumbo: false,
        max_entries,
        control: None,
    };
    match Kernel::load(loader, config) {
        Ok(kernel) => Some(kernel),
        Err(error) if error.to_string().contains("os error 1)") => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn entry(prefix: &str, action: Action, ttl_seconds: Option<u32>) -> Entry {
    Entry {
        prefix: prefix.parse().unwrap(),
        action,
        shadow: false,
        ttl_seconds,
    }
}

fn list(entries: &[Entry]) -> Entries {
    entries.iter().map(|entry| (entry.prefix, *entry)).collect()
}

fn frame(source: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 20];
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    frame.extend(source);
    frame.extend([10, 0, 0, 1]);
    frame
}

fn action(kernel: &Kernel, source: [u8; 4]) -> u32 {
    kernel.test_run(&frame(source)).unwrap().returned
}

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

const SECOND: u64 = 1_000_000_000;
/// A time long past on CLOCK_MONOTONIC, and one that does not come.
const PAST: u64 = 1;
const FUTURE: u64 = u64::MAX / 2;

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

#[test]
fn the_file_and_the_manifest_must_not_speak_of_the_same_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    std::fs::write(&path, "10.0.0.0/8 pass\n11.0.0.0/8\n").unwrap();
    let own = list(&[entry("10.0.0.0/8", Action::Drop, None)]);
    let Some(loaded) = kernel(Loader::Aya, 8) else {
        return;
    };
    let error = Blocklist::new(loaded, own.clone(), false, Some(ListFile::new(&path))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("10.0.0.0/8 is in the manifest already"),
        "{error}"
    );

    std::fs::write(&path, "11.0.0.0/8\n").unwrap();
    let loaded = kernel(Loader::Aya, 8).unwrap();
    let mut blocklist = Blocklist::new(loaded, own, false, Some(ListFile::new(&path))).unwrap();
    assert_eq!(action(blocklist.kernel(), [11, 0, 0, 1]), DROP);
    std::fs::remove_file(&path).unwrap();
    for _ in 0..3 {
        blocklist.refresh(0).unwrap();
    }
    let reading = blocklist.read().unwrap();
    assert_eq!((reading.lists_refused, reading.list_in_force), (1, false));
    assert_eq!(action(blocklist.kernel(), [11, 0, 0, 1]), DROP);
    std::fs::write(&path, "12.0.0.0/8\n").unwrap();
    blocklist.refresh(0).unwrap();
    let reading = blocklist.read().unwrap();
    assert_eq!((reading.lists_applied, reading.list_in_force), (1, true));
    assert_eq!(action(blocklist.kernel(), [11, 0, 0, 1]), PASS);
}

/// One thing that can happen to a list.
#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<Entry>),
    Sweep,
    Wait(u64),
    Packet([u8; 4]),
}

fn address() -> impl Strategy<Value = [u8; 4]> {
    // Few different addresses, so that prefixes lie in one another.
    (0..2_u8, 0..2_u8, prop::sample::select(vec![0_u8, 1, 128, 255])).prop_map(|(b, c, d)| [10, b, c, d])
}

fn an_entry() -> impl Strategy<Value = Entry> {
    let bits = prop::sample::select(vec![0_u8, 7, 8, 15, 16, 24, 25, 31, 32]);
    let action = prop::sample::select(vec![Action::Drop, Action::Tx, Action::Pass]);
    (address(), bits, action, any::<bool>(), prop::option::of(1..4_u32)).prop_map(
        |(address, bits, action, shadow, ttl_seconds)| Entry {
            prefix: Prefix(IpNet::V4(Ipv4Net::new(address.into(), bits).unwrap().trunc())),
            action,
            shadow,
            ttl_seconds,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => prop::collection::vec(an_entry(), 0..12).prop_map(Step::Apply),
        1 => Just(Step::Sweep),
        2 => (0..3 * SECOND).prop_map(Step::Wait),
        8 => address().prop_map(Step::Packet),
    ]
}

/// What a list means, with no trie and no slots.
#[derive(Default)]
struct Model {
    entries: BTreeMap<Prefix, (Entry, u64)>,
    counts: BTreeMap<(Action, bool), u64>,
}

impl Model {
    fn apply(&mut self, wanted: &Entries, now: u64) {
        self.entries
            .retain(|prefix, (entry, _)| wanted.get(prefix) == Some(entry));
        for (prefix, entry) in wanted {
            let end = entry
                .ttl_seconds
                .map_or(u64::MAX, |ttl| now + u64::from(ttl) * SECOND);
            self.entries.entry(*prefix).or_insert((*entry, end));
        }
    }

    fn packet(&mut self, source: [u8; 4], now: u64) -> u32 {
        let address = std::net::IpAddr::from(source);
        let found = self
            .entries
            .values()
            .filter(|(entry, end)| entry.prefix.0.contains(&address) && now < *end)
            .max_by_key(|(entry, _)| entry.prefix.0.prefix_len());
        let Some((entry, _)) = found else { return PASS };
        *self.counts.entry((entry.action, entry.shadow)).or_default() += 1;
        match entry.action {
            _ if entry.shadow => PASS,
            Action::Drop => DROP,
            Action::Tx => TX,
            Action::Pass => PASS,
        }
    }
}

/// What the table tells, by action and shadow.
fn counts(table: &Table, kernel: &Kernel) -> BTreeMap<(Action, bool), u64> {
    let in_force = table.in_force(kernel).unwrap().into_iter();
    let gone = table.gone(kernel).unwrap().into_iter();
    let mut counts = BTreeMap::new();
    let all = in_force
        .map(|(entry, count)| ((entry.action, entry.shadow), count))
        .chain(gone);
    for (kind, Count { packets, .. }) in all {
        if packets > 0 {
            *counts.entry(kind).or_default() += packets;
        }
    }
    counts
}

/// The clock of the test: the kernel's own cannot be moved, so that entries end by being swept at a later moment.
fn follow(kernel: &mut Kernel, steps: &[Step]) {
    let (mut table, mut model) = (Table::new(64), Model::default());
    let mut now = FUTURE;
    for step in steps {
        match step {
            Step::Apply(entries) => {
                let wanted = list(entries);
                table.apply(kernel, &wanted, now).unwrap();
                model.apply(&wanted, now);
            }
            Step::Sweep => table.sweep(kernel, now).unwrap(),
            Step::Wait(ns) => {
                now += ns;
                table.sweep(kernel, now).unwrap();
            }
            Step::Packet(source) => {
                assert_eq!(action(kernel, *source), model.packet(*source, now), "{source:?}");
            }
        }
        assert_eq!(counts(&table, kernel), model.counts);
    }
    // Leaves the maps as they were found.
    table.apply(kernel, &Entries::new(), now).unwrap();
    table.sweep(kernel, now).unwrap();
}

#[test]
fn any_life_of_a_list_is_as_its_text_says() {
    let Some(mut kernel) = kernel(Loader::Aya, 64) else {
        return;
    };
    let cases = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(128)
    };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        cases,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let kernel = std::cell::RefCell::new(&mut kernel);
    runner
        .run(&prop::collection::vec(step(), 1..60), |steps| {
            follow(&mut kernel.borrow_mut(), &steps);
            Ok(())
        })
        .unwrap();
}
