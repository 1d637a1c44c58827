//! From the blocklist's counters to metric families: what each number is called. The README lists them.

use probe::{
    accounting::{add_attached, add_hits, add_map, gauge},
    loader::XdpMode,
    metrics::{Families, Labels, Value, labels},
};

use super::{
    Reading,
    kernel::{Config, Count},
    types::{BLOCKLIST_VERDICTS, VERDICT_NAMES},
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
const FATES: [(Fate, &str); BLOCKLIST_VERDICTS as usize] = [
    (Fate::Drop, "entry"),
    (Fate::Tx, "entry"),
    (Fate::Drop, "tx_group"),
    (Fate::Pass, "entry"),
    (Fate::Pass, "shadow"),
    (Fate::Pass, "no_match"),
    (Fate::Pass, "expired"),
    (Fate::Pass, "arp"),
    (Fate::Pass, "neighbour_discovery"),
    (Fate::Pass, "not_ip"),
    (Fate::AsUnreadable, "truncated"),
    (Fate::AsUnreadable, "malformed"),
    (Fate::AsDeepTags, "tags"),
    (Fate::Pass, "too_many_expired"),
    (Fate::Pass, "internal"),
];

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
    for ((fate, reason), count) in FATES.iter().zip(&reading.verdicts) {
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
