//! Shapes of frames, and what must become of each while the list of the tests is in force.

use crate::{
    common::{DROP, PASS, TX},
    frames::{V4, arp, ethernet, v4, v6, v6_frame},
};

/// Name, frame, action, what it counts as.
pub type Shape = (&'static str, Vec<u8>, u32, &'static str);

pub fn addresses() -> Vec<Shape> {
    let options = V4 {
        words: 15,
        ..v4("192.0.2.1")
    };
    let first = V4 {
        fragment: 0x2000,
        ..v4("192.0.2.1")
    };
    let later = V4 {
        fragment: 0x00b9,
        ..v4("192.0.2.1")
    };
    let tcp = V4 {
        protocol: 6,
        ..v4("192.0.2.1")
    };
    // Hop-by-hop options, routing, and destination options, six deep.
    let chain: Vec<u8> = [43, 60, 43, 60, 43, 17]
        .iter()
        .flat_map(|next| [*next, 0, 0, 0, 0, 0, 0, 0])
        .collect();
    let chained = ethernet(&[], 0x86dd, &v6("2001:db8::1", 0, 64, &chain));
    let authentication = ethernet(
        &[],
        0x86dd,
        &v6("2001:db8::1", 51, 64, &[17, 4, 0, 0, 0, 0, 0, 0]),
    );
    let fragment = ethernet(
        &[],
        0x86dd,
        &v6("2001:db8::1", 44, 64, &[17, 0, 5, 0, 0, 0, 0, 1]),
    );
    let nothing = ethernet(&[], 0x86dd, &v6("2001:db8::1", 59, 64, &[]));
    vec![
        ("IPv4 in a dropped prefix", v4("192.0.2.1").frame(), DROP, "drop"),
        ("its last address", v4("192.0.2.127").frame(), DROP, "drop"),
        ("IPv4 outside of all", v4("192.0.3.0").frame(), PASS, "no_match"),
        (
            "just before the prefix",
            v4("192.0.1.255").frame(),
            PASS,
            "no_match",
        ),
        ("a longer prefix passes", v4("192.0.2.128").frame(), PASS, "pass"),
        (
            "a still longer one drops",
            v4("192.0.2.129").frame(),
            DROP,
            "drop",
        ),
        ("IPv4 options", options.frame(), DROP, "drop"),
        ("first fragment", first.frame(), DROP, "drop"),
        ("later fragment", later.frame(), DROP, "drop"),
        ("TCP", tcp.frame(), DROP, "drop"),
        ("bounced", v4("198.51.100.9").frame(), TX, "tx"),
        ("shadowed drop", v4("203.0.113.1").frame(), PASS, "shadow"),
        ("shadowed bounce", v4("203.0.113.7").frame(), PASS, "shadow"),
        ("multicast source", v4("224.0.0.1").frame(), PASS, "no_match"),
        ("IPv6 in a dropped prefix", v6_frame("2001:db8::1"), DROP, "drop"),
        ("IPv6 outside", v6_frame("2001:db9::1"), PASS, "no_match"),
        (
            "IPv6, a longer prefix passes",
            v6_frame("2001:db8:1::2"),
            PASS,
            "pass",
        ),
        (
            "IPv6, one address of it drops",
            v6_frame("2001:db8:1::1"),
            DROP,
            "drop",
        ),
        ("IPv6 bounced", v6_frame("2001:db8:2::1"), TX, "tx"),
        ("IPv6 shadowed", v6_frame("2001:db8:3::1"), PASS, "shadow"),
        (
            "IPv4 written as IPv6",
            v6_frame("::ffff:192.0.2.1"),
            PASS,
            "no_match",
        ),
        ("extension headers", chained, DROP, "drop"),
        ("authentication header", authentication, DROP, "drop"),
        ("IPv6 fragment", fragment, DROP, "drop"),
        ("IPv6 with nothing behind it", nothing, DROP, "drop"),
    ]
}

pub fn layers() -> Vec<Shape> {
    let ip = v4("192.0.2.1").bytes();
    let ipv6 = v6("2001:db8::1", 17, 64, &[0; 16]);
    let short = V4 {
        words: 4,
        ..v4("192.0.2.1")
    };
    vec![
        ("one tag", ethernet(&[0x8100], 0x0800, &ip), DROP, "drop"),
        ("two tags", ethernet(&[0x88a8, 0x8100], 0x0800, &ip), DROP, "drop"),
        (
            "two inner tags",
            ethernet(&[0x8100, 0x8100], 0x86dd, &ipv6),
            DROP,
            "drop",
        ),
        (
            "three tags",
            ethernet(&[0x88a8, 0x8100, 0x8100], 0x0800, &ip),
            PASS,
            "tags",
        ),
        ("five tags", ethernet(&[0x8100; 5], 0x0800, &ip), PASS, "tags"),
        (
            "tagged ARP",
            ethernet(&[0x8100], 0x0806, &arp([192, 0, 2, 1])[14..]),
            PASS,
            "arp",
        ),
        ("ARP of a blocked sender", arp([192, 0, 2, 1]), PASS, "arp"),
        ("802.3 length", ethernet(&[], 46, &[0x42; 46]), PASS, "not_ip"),
        ("MPLS", ethernet(&[], 0x8847, &ip), PASS, "not_ip"),
        ("no payload", ethernet(&[], 0x88b5, &[]), PASS, "not_ip"),
        (
            "IPv6 under IPv4's number",
            ethernet(&[], 0x0800, &ipv6),
            PASS,
            "malformed",
        ),
        (
            "IPv4 under IPv6's number",
            ethernet(&[], 0x86dd, &ip),
            PASS,
            "malformed",
        ),
        ("IPv4 header of 16 bytes", short.frame(), PASS, "malformed"),
    ]
}

pub fn neighbours() -> Vec<Shape> {
    let icmp = |kind: u8, hops: u8| {
        ethernet(
            &[],
            0x86dd,
            &v6("fe80::1", 58, hops, &[kind, 0, 0, 0, 0, 0, 0, 0]),
        )
    };
    vec![
        ("router solicitation", icmp(133, 255), PASS, "neighbour_discovery"),
        (
            "neighbour solicitation",
            icmp(135, 255),
            PASS,
            "neighbour_discovery",
        ),
        (
            "neighbour advertisement",
            icmp(136, 255),
            PASS,
            "neighbour_discovery",
        ),
        ("redirect", icmp(137, 255), PASS, "neighbour_discovery"),
        ("a forged one from afar", icmp(135, 254), DROP, "drop"),
        ("echo request", icmp(128, 255), DROP, "drop"),
        ("listener report", icmp(143, 255), DROP, "drop"),
    ]
}
