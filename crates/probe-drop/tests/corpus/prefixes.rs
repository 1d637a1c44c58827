//! Prefixes of every length.

use std::net::{Ipv4Addr, Ipv6Addr};

use probe::loader::Loader;
use probe_drop::blocklist::kernel::Kernel;

use crate::{
    common::DROP,
    config, entries,
    frames::{v4, v6_frame},
    judge, load,
};

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
