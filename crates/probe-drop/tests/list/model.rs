//! Any life of a list, against a model of what its text says.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net};
use probe::loader::Loader;
use probe_drop::blocklist::{
    entry::{Action, Entry, Prefix},
    kernel::{Count, Kernel},
    list_file::Entries,
    table::Table,
};
use proptest::prelude::*;

use crate::{
    FUTURE, SECOND, action,
    common::{DROP, PASS, TX},
    kernel, list,
};

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
