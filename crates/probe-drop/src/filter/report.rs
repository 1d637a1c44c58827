//! From a reading to metric families: what each number is called. The README lists them.

use probe::{
    accounting::{add_attached, add_hits},
    metrics::{Families, Labels, Value, labels},
};

use super::{
    Reading,
    types::{DROP_PROTOCOLS, DROP_REASONS, VERDICT_NAMES},
};

const PROBE: &str = "drop";

/// Names of `enum drop_protocol`.
pub const PROTOCOL_NAMES: [&str; DROP_PROTOCOLS as usize] = [
    "tcp",
    "udp",
    "icmp",
    "icmpv6",
    "igmp",
    "sctp",
    "gre",
    "esp",
    "other_ip",
    "arp",
    "not_ip",
    "unreadable",
];

/// Names of `enum drop_reason`; the first says that a packet passes.
pub const REASON_NAMES: [&str; DROP_REASONS as usize] =
    ["none", "protocol", "extensions", "fragment", "truncated"];

/// Adds one filter's reading to the families of a scrape. `proven` says whether its hook was seen to fire.
pub(super) fn add(families: &mut Families, interface: &str, proven: bool, reading: &Reading) {
    for counted in &reading.counted {
        let verdict = if counted.reason == 0 {
            "passed"
        } else {
            "discarded"
        };
        let labels = || {
            labels([
                ("interface", interface),
                ("verdict", verdict),
                (
                    "protocol",
                    PROTOCOL_NAMES
                        .get(counted.protocol)
                        .copied()
                        .unwrap_or("other_ip"),
                ),
                (
                    "reason",
                    REASON_NAMES.get(counted.reason).copied().unwrap_or("none"),
                ),
            ])
        };
        families.add(
            "drop_packets",
            "Received packets a filter that wants whole TCP segments passes or discards, by protocol and reason.",
            labels(),
            Value::Counter(counted.packets),
        );
        families.add(
            "drop_bytes",
            "Bytes of the same packets, from the network header to the end of the frame.",
            labels(),
            Value::Counter(counted.bytes),
        );
    }
    families.add(
        "probelab_socket_drops",
        "Packets a probe's packet socket dropped. It queues none, so anything but 0 is a defect.",
        Labels::new(),
        Value::Counter(reading.socket_drops),
    );
    add_hits(families, PROBE, &VERDICT_NAMES, &reading.hits);
    add_attached(families, PROBE, &format!("socket:{interface}"), proven);
}
