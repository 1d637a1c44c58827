//! The types shared with the kernel half, from `bpf/connect.h` by bindgen. Nothing is declared here a second time; this
//! module only gives numbers their names.

include!(concat!(env!("OUT_DIR"), "/types.rs"));

/// Names of `enum connect_outcome`.
pub const OUTCOME_NAMES: [&str; CONNECT_OUTCOMES as usize] = [
    "success",
    "refused",
    "timeout",
    "unreachable",
    "reset",
    "aborted",
    "unsent",
    "other",
];

/// Labels of the classes of repeated SYNs.
pub const RETRANSMIT_NAMES: [&str; CONNECT_RETRANSMIT_CLASSES as usize] = ["0", "1", "2", "3+"];

/// The name of an outcome.
pub fn outcome_name(outcome: u8) -> &'static str {
    OUTCOME_NAMES
        .get(usize::from(outcome))
        .copied()
        .unwrap_or("other")
}

/// The name of a protocol version, as OpenTelemetry's `network.type` has it.
pub fn family_name(family: u8) -> &'static str {
    if family == 6 { "ipv6" } else { "ipv4" }
}
