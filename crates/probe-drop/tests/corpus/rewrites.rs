//! Frames that come back changed, and frames in several pieces.

use probe::loader::Loader;
use probe_drop::blocklist::kernel::Config;

use crate::{
    LIST,
    common::{DROP, TX},
    config,
    frames::{HOST, SENDER, v4},
    judge, load,
    shapes::addresses,
    verdicts::assert_all,
};

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
