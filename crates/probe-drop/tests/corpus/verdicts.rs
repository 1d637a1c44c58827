//! Each shape and each length has its verdict, and policies and mistakes turn it.

use probe::loader::Loader;
use probe_drop::blocklist::{Blocklist, Control, kernel::Config};

use crate::{
    LIST,
    common::{ABORTED, DROP, PASS, TX},
    config,
    frames::{arp, ethernet, v4, v6, v6_frame},
    judge, load,
    shapes::{Shape, addresses, layers, neighbours},
};

pub fn assert_all(blocklist: &Blocklist, shapes: &[Shape]) {
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

/// What the kernel says of a frame that it hands to no program.
const EINVAL: i32 = 22;

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
