//! Frames, byte by byte.

use std::net::{Ipv4Addr, Ipv6Addr};

pub const HOST: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 1];

pub fn ethernet(tags: &[u16], protocol: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [HOST, SENDER].concat();
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(protocol.to_be_bytes());
    frame.extend(payload);
    frame
}

pub struct V4 {
    pub source: Ipv4Addr,
    pub words: u8,
    pub fragment: u16,
    pub protocol: u8,
}

impl V4 {
    pub fn bytes(&self) -> Vec<u8> {
        let mut ip = vec![0x40 | self.words, 0, 0, 60, 0, 1];
        ip.extend(self.fragment.to_be_bytes());
        ip.extend([64, self.protocol, 0, 0]);
        ip.extend(self.source.octets());
        ip.extend([10, 0, 0, 1]);
        ip.resize(usize::from(self.words) * 4 + 32, 0xAA);
        ip
    }

    pub fn frame(&self) -> Vec<u8> {
        ethernet(&[], 0x0800, &self.bytes())
    }
}

pub fn v4(source: &str) -> V4 {
    V4 {
        source: source.parse().unwrap(),
        words: 5,
        fragment: 0,
        protocol: 17,
    }
}

pub fn v6(source: &str, next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, hops];
    ip.extend(source.parse::<Ipv6Addr>().unwrap().octets());
    ip.extend("fd00::1".parse::<Ipv6Addr>().unwrap().octets());
    ip.extend(payload);
    ip
}

pub fn v6_frame(source: &str) -> Vec<u8> {
    ethernet(&[], 0x86dd, &v6(source, 17, 64, &[0; 16]))
}

pub fn arp(sender: [u8; 4]) -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend(SENDER);
    arp.extend(sender);
    arp.extend([0; 6]);
    arp.extend([10, 0, 0, 1]);
    ethernet(&[], 0x0806, &arp)
}
