//! From the blocklist's counters to metric families: what each number is called. The README lists them.

use probe::{
    accounting::{add_attached, add_hits, add_map, gauge},
    loader::XdpMode,
    metrics::{Families, Labels, Value, labels},
};

use super::{
    Reading,
    kernel::{Config, Count},
    types::{self, VERDICT_NAMES},
};

const PROBE: &str = "blocklist";

/// What an interface does by a verdict that depends on the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    Drop,
    Tx,
    AsUnreadable,
    AsDeepTags,
}

/// What becomes of a frame, and why, by `enum blocklist_verdict`.
fn fate(verdict: u32) -> (Fate, &'static str) {
    match verdict {
        types::BLOCKLIST_RECORDED_DROP => (Fate::Drop, "entry"),
        types::BLOCKLIST_RECORDED_TX => (Fate::Tx, "entry"),
        types::BLOCKLIST_RECORDED_TX_GROUP => (Fate::Drop, "tx_group"),
        types::BLOCKLIST_RECORDED_PASS => (Fate::Pass, "entry"),
        types::BLOCKLIST_RECORDED_SHADOW => (Fate::Pass, "shadow"),
        types::BLOCKLIST_FILTERED_NO_MATCH => (Fate::Pass, "no_match"),
        types::BLOCKLIST_FILTERED_EXPIRED => (Fate::Pass, "expired"),
        types::BLOCKLIST_FILTERED_ARP => (Fate::Pass, "arp"),
        types::BLOCKLIST_FILTERED_NEIGHBOUR_DISCOVERY => (Fate::Pass, "neighbour_discovery"),
        types::BLOCKLIST_FILTERED_NOT_IP => (Fate::Pass, "not_ip"),
        types::BLOCKLIST_FILTERED_TRUNCATED => (Fate::AsUnreadable, "truncated"),
        types::BLOCKLIST_FILTERED_MALFORMED => (Fate::AsUnreadable, "malformed"),
        types::BLOCKLIST_FILTERED_TAGS => (Fate::AsDeepTags, "tags"),
        types::BLOCKLIST_LOST_EXPIRED => (Fate::Pass, "too_many_expired"),
        _ => (Fate::Pass, "internal"),
    }
}

impl Fate {
    fn name(self, config: &Config) -> &'static str {
        match self {
            Self::Tx => "tx",
            Self::Drop => "drop",
            Self::AsUnreadable if config.drop_unreadable => "drop",
            Self::AsDeepTags if config.drop_deep_tags => "drop",
            Self::Pass | Self::AsUnreadable | Self::AsDeepTags => "pass",
        }
    }
}

/// How the hook is called among those of all probes.
fn hook(config: &Config) -> String {
    let mode = match config.mode {
        XdpMode::Native => "native",
        XdpMode::Generic => "generic",
    };
    format!("xdp-{mode}:{}", config.interface.name)
}

/// Adds one blocklist's reading to the families of a scrape.
pub(super) fn add(families: &mut Families, config: &Config, proven: bool, reading: &Reading) {
    let interface = config.interface.name.as_str();
    for (verdict, count) in (0..).zip(&reading.verdicts) {
        let (fate, reason) = fate(verdict);
        let labels = labels([
            ("interface", interface),
            ("verdict", fate.name(config)),
            ("reason", reason),
        ]);
        add_count(
            families,
            [
                (
                    "xdp_packets",
                    "Frames that arrived, by what became of them and why.",
                ),
                ("xdp_bytes", "Bytes of the same frames, without their checksums."),
            ],
            &labels,
            *count,
        );
    }
    add_entries(families, interface, reading);
    add_list(families, config, reading);
    add_hits(families, PROBE, &VERDICT_NAMES, &reading.hits);
    add_attached(families, PROBE, &hook(config), proven);
}

fn add_count(
    families: &mut Families,
    names: [(&'static str, &'static str); 2],
    labels: &Labels,
    count: Count,
) {
    let [(packets, packets_help), (bytes, bytes_help)] = names;
    families.add(
        packets,
        packets_help,
        labels.clone(),
        Value::Counter(count.packets),
    );
    families.add(bytes, bytes_help, labels.clone(), Value::Counter(count.bytes));
}

fn add_entries(families: &mut Families, interface: &str, reading: &Reading) {
    let in_force = reading
        .in_force
        .iter()
        .map(|(entry, count)| (entry.prefix.to_string(), (entry.action, entry.shadow), *count));
    let gone = reading
        .gone
        .iter()
        .map(|(kind, count)| ("(gone)".to_owned(), *kind, *count));
    for (prefix, (action, shadow), count) in in_force.chain(gone) {
        let labels = labels([
            ("interface", interface),
            ("prefix", &prefix),
            ("action", action.name()),
            ("shadow", if shadow { "true" } else { "false" }),
        ]);
        add_count(
            families,
            [
                (
                    "xdp_blocklist_entry_packets",
                    "Frames an entry decided about; those of entries that are no longer in force together.",
                ),
                (
                    "xdp_blocklist_entry_bytes",
                    "Bytes of the same frames, without their checksums.",
                ),
            ],
            &labels,
            count,
        );
    }
}

fn add_list(families: &mut Families, config: &Config, reading: &Reading) {
    let interface = config.interface.name.as_str();
    let of_interface = || labels([("interface", interface)]);
    families.add(
        "xdp_blocklist_entries",
        "Entries in force.",
        of_interface(),
        gauge(reading.in_force.len() as u64),
    );
    families.add(
        "xdp_blocklist_max_entries",
        "Entries a list can have.",
        of_interface(),
        gauge(u64::from(config.max_entries)),
    );
    families.add(
        "xdp_blocklist_expired",
        "Entries whose time to live has ended.",
        of_interface(),
        Value::Counter(reading.expired),
    );
    for (result, count) in [
        ("applied", reading.lists_applied),
        ("refused", reading.lists_refused),
    ] {
        families.add(
            "xdp_blocklist_lists",
            "Lists that were put in force, and lists that were refused so that the one before stays.",
            labels([("interface", interface), ("result", result)]),
            Value::Counter(count),
        );
    }
    families.add(
        "xdp_blocklist_list_in_force",
        "Whether the list as it is written now is in force.",
        of_interface(),
        Value::Gauge(i64::from(reading.list_in_force)),
    );
    let mut per_map = [("ipv4_entries", 0), ("ipv6_entries", 0)];
    for (entry, _) in &reading.in_force {
        per_map[usize::from(entry.prefix.0.addr().is_ipv6())].1 += 1;
    }
    for (map, entries) in per_map {
        add_map(families, PROBE, map, entries, u64::from(config.max_entries));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_verdicts_have_the_same_words() {
        let words: BTreeSet<_> = (0..types::BLOCKLIST_VERDICTS)
            .map(|verdict| {
                let (fate, reason) = fate(verdict);
                (format!("{fate:?}"), reason)
            })
            .collect();
        assert_eq!(words.len(), types::BLOCKLIST_VERDICTS as usize);
    }
}
