//! The blocklist's program on frames of every shape and length, one by one (`BPF_PROG_TEST_RUN`). What must become of
//! each is written beside it. Skips, and says so, where BPF may not be used.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::net::{Ipv4Addr, Ipv6Addr};

use probe::{
    interface::Interface,
    loader::{Loader, XdpMode},
};
use probe_drop::blocklist::{
    Blocklist, Control,
    entry::{Action, Entry},
    kernel::{Config, Kernel},
    list_file::Entries,
    types::VERDICT_NAMES,
};

const ABORTED: u32 = 0;
const DROP: u32 = 1;
const PASS: u32 = 2;
const TX: u32 = 3;
const EINVAL: i32 = 22;

fn config() -> Config {
    Config {
        interface: Interface::by_name("lo").unwrap(),
        mode: XdpMode::Generic,
        destination: false,
        match_neighbours: false,
        drop_unreadable: false,
        drop_deep_tags: false,
        jumbo: false,
        max_entries: 64,
        control: None,
    }
}

/// "PREFIX ACTION", with "shadow" behind it if it only counts.
fn entries(lines: &[&str]) -> Entries {
    let entry = |line: &&str| {
        let mut words = line.split(' ');
        let prefix = words.next().unwrap().parse().unwrap();
        let action = match words.next().unwrap() {
            "drop" => Action::Drop,
            "tx" => Action::Tx,
            _ => Action::Pass,
        };
        let entry = Entry {
            prefix,
            action,
            shadow: words.next() == Some("shadow"),
            ttl_seconds: None,
        };
        (prefix, entry)
    };
    lines.iter().map(entry).collect()
}

const LIST: [&str; 12] = [
    "192.0.2.0/24 drop",
    "192.0.2.128/25 pass",
    "192.0.2.129/32 drop",
    "198.51.100.0/24 tx",
    "203.0.113.0/24 drop shadow",
    "203.0.113.7/32 tx shadow",
    "2001:db8::/32 drop",
    "2001:db8:1::/48 pass",
    "2001:db8:1::1/128 drop",
    "2001:db8:2::/48 tx",
    "2001:db8:3::/48 drop shadow",
    "fe80::/10 drop",
];

fn load(loader: Loader, config: Config, lines: &[&str]) -> Option<Blocklist> {
    match Kernel::load(loader, config) {
        Ok(kernel) => Some(Blocklist::new(kernel, entries(lines), false, None).unwrap()),
        Err(error) if error.to_string().contains("os error 1)") => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// What the program does with a frame: its action, and what it counted it as.
fn judge(kernel: &Kernel, frame: &[u8]) -> (u32, &'static str) {
    let counts = || kernel.verdicts().unwrap();
    let before = counts();
    let returned = kernel.test_run(frame).unwrap().returned;
    let after = counts();
    let rose: Vec<usize> = (0..after.len())
        .filter(|verdict| after[*verdict].packets != before[*verdict].packets)
        .collect();
    let [verdict] = rose[..] else {
        panic!("{} verdicts for one frame", rose.len())
    };
    assert_eq!(after[verdict].packets, before[verdict].packets + 1);
    assert_eq!(after[verdict].bytes, before[verdict].bytes + frame.len() as u64);
    (returned, VERDICT_NAMES[verdict].1)
}

const HOST: [u8; 6] = [2, 0, 0, 0, 0, 2];
const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn ethernet(tags: &[u16], protocol: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [HOST, SENDER].concat();
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(protocol.to_be_bytes());
    frame.extend(payload);
    frame
}

struct V4 {
    source: Ipv4Addr,
    words: u8,
    fragment: u16,
    protocol: u8,
}

fn v4(source: &str) -> V4 {
    V4 {
        source: source.parse().unwrap(),
        words: 5,
        fragment: 0,
        protocol: 17,
    }
}

impl V4 {
    fn bytes(&self) -> Vec<u8> {
        let mut ip = vec![0x40 | self.words, 0, 0, 60, 0, 1];
        ip.extend(self.fragment.to_be_bytes());
        ip.extend([64, self.protocol, 0, 0]);
        ip.extend(self.source.octets());
        ip.extend([10, 0, 0, 1]);
        ip.resize(usize::from(self.words) * 4 + 32, 0xAA);
        ip
    }

    fn frame(&self) -> Vec<u8> {
        ethernet(&[], 0x0800, &self.bytes())
    }
}

fn v6(source: &str, next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, hops];
    ip.extend(source.parse::<Ipv6Addr>().unwrap().octets());
    ip.extend("fd00::1".parse::<Ipv6Addr>().unwrap().octets());
    ip.extend(payload);
    ip
}

fn v6_frame(source: &str) -> Vec<u8> {
    ethernet(&[], 0x86dd, &v6(source, 17, 64, &[0; 16]))
}

fn arp(sender: [u8; 4]) -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend(SENDER);
    arp.extend(sender);
    arp.extend([0; 6]);
    arp.extend([10, 0, 0, 1]);
    ethernet(&[], 0x0806, &arp)
}

/// Name, frame, action, what it counts as.
type Shape = (&'static str, Vec<u8>, u32, &'static str);

fn addresses() -> Vec<Shape> {
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

fn layers() -> Vec<Shape> {
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

fn neighbours() -> Vec<Shape> {
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

fn assert_all(blocklist: &Blocklist, shapes: &[Shape]) {
    for (name, frame, action, verdict) in shapes {
        assert_eq!(judge(blocklist.kernel(), frame), (*action, *verdict), "{name}");
    }
}

#[test]
fn every_shape_gets_its_verdict() {
    for loader in Loader::ALL {
        let Some(blocklist) = load(loader, config(), &LIST) else {
            return;
        };
        for shapes in [addresses(), layers(), neighbours()] {
            assert_all(&blocklist, &shapes);
        }
        // Every frame of every shape is in the kernel's own count.
        assert_eq!(blocklist.read().unwrap().hits.unaccounted, 0);
    }
}

/// Frames by the length from which their address can be read.
fn readable_from() -> Vec<(&'static str, Vec<u8>, usize, u32)> {
    let ip = v4("192.0.2.1").bytes();
    vec![
        ("IPv4", v4("192.0.2.1").frame(), 34, DROP),
        ("IPv4, one tag", ethernet(&[0x8100], 0x0800, &ip), 38, DROP),
        (
            "IPv4, two tags",
            ethernet(&[0x88a8, 0x8100], 0x0800, &ip),
            42,
            DROP,
        ),
        ("IPv6", v6_frame("2001:db8::1"), 54, DROP),
        ("bounced", v4("198.51.100.9").frame(), 34, TX),
    ]
}

#[test]
fn every_length_has_its_verdict() {
    for loader in Loader::ALL {
        let Some(blocklist) = load(loader, config(), &LIST) else {
            return;
        };
        for (name, frame, from, action) in readable_from() {
            for length in 0..=64 {
                let cut = &frame[..length];
                if length < 14 {
                    let error = blocklist.kernel().test_run(cut).unwrap_err();
                    // Less than an Ethernet header reaches no program.
                    assert_eq!(error.raw_os_error(), Some(EINVAL), "{name}, {length} bytes");
                } else if length < from {
                    assert_eq!(
                        judge(blocklist.kernel(), cut),
                        (PASS, "truncated"),
                        "{name}, {length} bytes"
                    );
                } else {
                    assert_eq!(judge(blocklist.kernel(), cut).0, action, "{name}, {length} bytes");
                }
            }
        }
    }
}

#[test]
fn policies_turn_the_verdict() {
    let config = Config {
        match_neighbours: true,
        drop_unreadable: true,
        drop_deep_tags: true,
        ..config()
    };
    let ip = v4("192.0.3.1").bytes();
    let solicitation = ethernet(&[], 0x86dd, &v6("fe80::1", 58, 255, &[135, 0, 0, 0, 0, 0, 0, 0]));
    let Some(blocklist) = load(Loader::Aya, config, &LIST) else {
        return;
    };
    assert_all(
        &blocklist,
        &[
            (
                "truncated",
                v4("192.0.3.1").frame()[..33].to_vec(),
                DROP,
                "truncated",
            ),
            ("malformed", ethernet(&[], 0x86dd, &ip), DROP, "malformed"),
            ("three tags", ethernet(&[0x8100; 3], 0x0800, &ip), DROP, "tags"),
            ("ARP of a blocked sender", arp([192, 0, 2, 1]), DROP, "drop"),
            ("ARP of another", arp([192, 0, 3, 1]), PASS, "no_match"),
            (
                "half an ARP message",
                arp([192, 0, 2, 1])[..41].to_vec(),
                DROP,
                "truncated",
            ),
            (
                "ARP of another kind of link",
                ethernet(&[], 0x0806, &[0xAA; 28]),
                PASS,
                "arp",
            ),
            ("a blocked neighbour", solicitation, DROP, "drop"),
            ("nothing amiss", v4("192.0.3.1").frame(), PASS, "no_match"),
        ],
    );
}

#[test]
fn the_destination_can_decide() {
    let config = Config {
        destination: true,
        ..config()
    };
    let Some(blocklist) = load(
        Loader::Aya,
        config,
        &["10.0.0.1/32 drop", "fd00::1/128 drop", "192.0.2.0/24 tx"],
    ) else {
        return;
    };
    assert_eq!(
        judge(blocklist.kernel(), &v4("192.0.2.1").frame()),
        (DROP, "drop")
    );
    assert_eq!(
        judge(blocklist.kernel(), &v6_frame("2001:db8::1")),
        (DROP, "drop")
    );
}

/// Whether a frame is dropped while one prefix is on the list, and then whether another one is.
fn drops(kernel: &mut Kernel, prefix: &str, frames: [Vec<u8>; 2]) -> [bool; 2] {
    let (prefix, entry) = entries(&[&format!("{prefix} drop")]).pop_first().unwrap();
    kernel.put(&entry, 0, 0).unwrap();
    let dropped = frames.map(|frame| judge(kernel, &frame).0 == DROP);
    kernel.remove(prefix).unwrap();
    dropped
}

#[test]
fn a_prefix_of_every_length_matches_its_own_addresses_only() {
    let Some(_) = load(Loader::Aya, config(), &[]) else {
        return;
    };
    let mut kernel = Kernel::load(Loader::Aya, config()).unwrap();
    let base = u32::from(Ipv4Addr::new(172, 23, 45, 67));
    for bits in 0..=32_u32 {
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        let prefix = format!("{}/{bits}", Ipv4Addr::from(base & mask));
        let inside = (base & mask) | (0x5555_5555 & !mask);
        // The last bit that counts is another one; of no bits none is.
        let outside = base ^ 1_u32.checked_shl(32 - bits).unwrap_or(0);
        let frames = [inside, outside].map(|address| v4(&Ipv4Addr::from(address).to_string()).frame());
        assert_eq!(drops(&mut kernel, &prefix, frames), [true, bits == 0], "{prefix}");
    }
    let base = u128::from(
        "2001:db8:5555:aaaa:5555:aaaa:5555:aaaa"
            .parse::<Ipv6Addr>()
            .unwrap(),
    );
    for bits in 0..=128_u32 {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        let prefix = format!("{}/{bits}", Ipv6Addr::from(base & mask));
        let outside = base ^ 1_u128.checked_shl(128 - bits).unwrap_or(0);
        let frames = [base, outside].map(|address| v6_frame(&Ipv6Addr::from(address).to_string()));
        assert_eq!(drops(&mut kernel, &prefix, frames), [true, bits == 0], "{prefix}");
    }
}

#[test]
fn a_bounced_frame_differs_in_its_link_addresses_only() {
    let Some(blocklist) = load(Loader::Aya, config(), &LIST) else {
        return;
    };
    let frame = v4("198.51.100.9").frame();
    let bounced = blocklist.kernel().test_run(&frame).unwrap();
    assert_eq!(bounced.returned, TX);
    assert_eq!(bounced.packet[..12], [SENDER, HOST].concat());
    assert_eq!(bounced.packet[12..], frame[12..]);

    let mut broadcast = frame;
    broadcast[..6].fill(0xff);
    assert_eq!(judge(blocklist.kernel(), &broadcast), (DROP, "tx_group"));
    let passed = blocklist.kernel().test_run(&v4("192.0.3.1").frame()).unwrap();
    assert_eq!(passed.packet, v4("192.0.3.1").frame());
}

#[test]
fn frames_in_several_pieces_need_the_program_for_them() {
    let mut frame = v4("192.0.2.1").frame();
    frame.resize(9000, 0);
    let Some(plain) = load(Loader::Aya, config(), &LIST) else {
        return;
    };
    // It sees the first piece, and so counts the frame as shorter than it is; a driver gives it no such frame.
    assert_eq!(plain.kernel().test_run(&frame).unwrap().returned, DROP);
    let bytes: u64 = plain
        .kernel()
        .verdicts()
        .unwrap()
        .iter()
        .map(|count| count.bytes)
        .sum();
    assert!(bytes < 9000, "{bytes}");
    for loader in Loader::ALL {
        let jumbo = Config {
            jumbo: true,
            ..config()
        };
        let blocklist = load(loader, jumbo, &LIST).unwrap();
        assert_eq!(judge(blocklist.kernel(), &frame), (DROP, "drop"));
        assert_all(&blocklist, &addresses());
    }
}

/// The shapes whose action is not the one it should be.
fn wrong(control: Control) -> Option<Vec<(&'static str, u32)>> {
    let config = Config {
        control: Some(control),
        ..config()
    };
    let blocklist = load(Loader::Aya, config, &LIST)?;
    let truncated = (
        "cut off",
        v4("192.0.3.1").frame()[..33].to_vec(),
        PASS,
        "truncated",
    );
    let shapes = [addresses(), layers(), neighbours(), vec![truncated]].concat();
    let wrong = |(name, frame, action, _): &Shape| {
        let did = judge(blocklist.kernel(), frame).0;
        (did != *action).then_some((*name, did))
    };
    Some(shapes.iter().filter_map(wrong).collect())
}

#[test]
fn known_mistakes_are_caught() {
    let Some(untagged_only) = wrong(Control::UntaggedOnly) else {
        return;
    };
    assert_eq!(
        untagged_only,
        [("one tag", PASS), ("two tags", PASS), ("two inner tags", PASS)]
    );
    let aborted = wrong(Control::AbortOnError).unwrap();
    assert_eq!(
        aborted,
        [
            ("IPv6 under IPv4's number", ABORTED),
            ("IPv4 under IPv6's number", ABORTED),
            ("IPv4 header of 16 bytes", ABORTED),
            ("cut off", ABORTED)
        ]
    );
    assert_eq!(
        wrong(Control::ShadowDrops).unwrap(),
        [
            ("shadowed drop", DROP),
            ("shadowed bounce", TX),
            ("IPv6 shadowed", DROP)
        ]
    );
}
