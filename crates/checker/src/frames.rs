//! Frames on the check's interface: the same bytes in the same order in every history, which no stack has a say in. The
//! costs of programs that see packets are taken from them; what a stack sends depends on timers and on what it sent before.
//!
//! Nobody is at home at their addresses, so nobody answers: the stack drops them when the programs have seen them.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, OwnedFd},
};

use anyhow::{Context, Result};
use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, TcpHeader, VlanId,
};
use nix::{
    libc,
    net::if_::if_nametoindex,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socket},
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: check\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Of those that ask, beyond the interface, and of those that answer, behind it: neither is the interface's own.
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
/// For documentation: RFC 5737.
const IPV4: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 1)];
/// For documentation: RFC 3849.
const IPV6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
];
const PORTS: [u16; 2] = [40_000, 80];
const FIRST_SEQUENCE_NUMBERS: [u32; 2] = [1_000, 5_000];
const HOPS: u8 = 64;
const VLAN: u16 = 10;

/// Who sends a frame, as an index into the pairs above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// It arrives at the interface.
    Far,
    /// It leaves by the interface.
    Near,
}

use Sender::{Far, Near};

impl Sender {
    fn other(self) -> Self {
        match self {
            Far => Near,
            Near => Far,
        }
    }
}

/// A segment of the conversation that every connection has.
struct Segment {
    sender: Sender,
    syn: bool,
    fin: bool,
    payload: &'static [u8],
}

const fn segment(sender: Sender, syn: bool, fin: bool, payload: &'static [u8]) -> Segment {
    Segment {
        sender,
        syn,
        fin,
        payload,
    }
}

/// All but the first acknowledge what was sent before.
const CONVERSATION: [Segment; 9] = [
    segment(Far, true, false, b""),
    segment(Near, true, false, b""),
    segment(Far, false, false, b""),
    segment(Far, false, false, REQUEST),
    segment(Near, false, false, ANSWER),
    segment(Far, false, false, b""),
    segment(Far, false, true, b""),
    segment(Near, false, true, b""),
    segment(Far, false, false, b""),
];

#[derive(Debug)]
struct Frame {
    sender: Sender,
    bytes: Vec<u8>,
}

/// The wire between the check's two interfaces.
#[derive(Debug)]
pub struct Wire {
    near: OwnedFd,
    far: OwnedFd,
    frames: Vec<Frame>,
}

impl Wire {
    /// From a sender on each side.
    pub fn new(near: OwnedFd, far: OwnedFd) -> Result<Self> {
        let frames = frames().context("making frames")?;
        Ok(Self { near, far, frames })
    }

    /// Sends every frame once. A program under check may refuse any of them, which is its business, and may keep them from
    /// ever leaving, which is no reason to wait.
    pub fn send_all(&self) {
        for frame in &self.frames {
            let sender = match frame.sender {
                Near => &self.near,
                Far => &self.far,
            };
            let _ = send(sender.as_raw_fd(), &frame.bytes, MsgFlags::MSG_DONTWAIT);
        }
    }
}

/// A socket that sends whole frames by an interface of the network namespace that this thread is in. It receives none.
pub fn sender(interface: &str) -> Result<OwnedFd> {
    let index = if_nametoindex(interface).with_context(|| format!("there is no {interface}"))?;
    let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
        .context("opening a packet socket")?;
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`, which is made of integers.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = index.try_into()?;
    // SAFETY: the pointer is to a live `sockaddr_ll` and the length is its size.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(fd),
        _ => {
            Err(io::Error::last_os_error()).with_context(|| format!("binding a packet socket to {interface}"))
        }
    }
}

/// A connection by each version of IP, datagrams both ways, and one in a VLAN.
fn frames() -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    for header in [ipv4, ipv6] {
        frames.extend(conversation(header)?);
        for sender in [Far, Near] {
            frames.push(datagram(sender, header, None)?);
        }
    }
    frames.push(datagram(Far, ipv4, Some(VlanId::try_from(VLAN)?))?);
    Ok(frames)
}

/// An IP header from a sender; lengths, protocol and checksum are filled in later.
type Header = fn(Sender) -> Result<IpHeaders>;

fn ipv4(sender: Sender) -> Result<IpHeaders> {
    let (source, destination) = ends(IPV4, sender);
    let header = Ipv4Header::new(0, HOPS, IpNumber::TCP, source.octets(), destination.octets())?;
    Ok(IpHeaders::Ipv4(header, Default::default()))
}

fn ipv6(sender: Sender) -> Result<IpHeaders> {
    let (source, destination) = ends(IPV6, sender);
    let header = Ipv6Header {
        traffic_class: 0,
        flow_label: Ipv6FlowLabel::ZERO,
        payload_length: 0,
        next_header: IpNumber::TCP,
        hop_limit: HOPS,
        source: source.octets(),
        destination: destination.octets(),
    };
    Ok(IpHeaders::Ipv6(header, Default::default()))
}

/// Source and destination.
fn ends<T: Copy>(pair: [T; 2], sender: Sender) -> (T, T) {
    (pair[sender as usize], pair[sender.other() as usize])
}

fn conversation(header: Header) -> Result<Vec<Frame>> {
    let mut next = FIRST_SEQUENCE_NUMBERS;
    let mut frames = Vec::new();
    for segment in &CONVERSATION {
        let sender = segment.sender;
        let (source_port, destination_port) = ends(PORTS, sender);
        let mut tcp = TcpHeader::new(source_port, destination_port, next[sender as usize], u16::MAX);
        tcp.syn = segment.syn;
        tcp.fin = segment.fin;
        tcp.psh = !segment.payload.is_empty();
        if !frames.is_empty() {
            tcp.ack = true;
            tcp.acknowledgment_number = next[sender.other() as usize];
        }
        next[sender as usize] +=
            segment.payload.len() as u32 + u32::from(segment.syn) + u32::from(segment.fin);
        let (source, destination) = ends(MACS, sender);
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2(source, destination)
            .ip(header(sender)?)
            .tcp_header(tcp)
            .write(&mut bytes, segment.payload)?;
        frames.push(Frame { sender, bytes });
    }
    Ok(frames)
}

fn datagram(sender: Sender, header: Header, vlan: Option<VlanId>) -> Result<Frame> {
    let (source, destination) = ends(MACS, sender);
    let (source_port, destination_port) = ends(PORTS, sender);
    let link = PacketBuilder::ethernet2(source, destination);
    let network = match vlan {
        Some(vlan) => link.single_vlan(vlan).ip(header(sender)?),
        None => link.ip(header(sender)?),
    };
    let mut bytes = Vec::new();
    network
        .udp(source_port, destination_port)
        .write(&mut bytes, REQUEST)?;
    Ok(Frame { sender, bytes })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    #[test]
    fn every_frame_is_whole_and_none_is_for_an_interface() {
        let frames = frames().unwrap();
        assert_eq!(frames.len(), 2 * (CONVERSATION.len() + 2) + 1);
        for frame in &frames {
            let packet = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
            let (source, destination) = ends(MACS, frame.sender);
            assert_eq!(frame.bytes[..6], destination);
            assert_eq!(frame.bytes[6..12], source);
            let (source, destination) = match packet.net.unwrap() {
                NetSlice::Ipv4(ip) => (
                    IpAddr::from(ip.header().source_addr()),
                    IpAddr::from(ip.header().destination_addr()),
                ),
                NetSlice::Ipv6(ip) => (
                    IpAddr::from(ip.header().source_addr()),
                    IpAddr::from(ip.header().destination_addr()),
                ),
                other => panic!("{other:?}"),
            };
            let ends = |pair: [IpAddr; 2]| ends(pair, frame.sender);
            let (ipv4, ipv6) = (ends(IPV4.map(IpAddr::from)), ends(IPV6.map(IpAddr::from)));
            assert!([ipv4, ipv6].contains(&(source, destination)));
        }
    }

    #[test]
    fn a_conversation_acknowledges_all_that_was_sent() {
        let frames = conversation(ipv4).unwrap();
        let last = SlicedPacket::from_ethernet(&frames.last().unwrap().bytes).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = last.transport else {
            panic!("no TCP");
        };
        let [far, near] = FIRST_SEQUENCE_NUMBERS;
        assert_eq!(tcp.sequence_number(), far + 2 + REQUEST.len() as u32);
        assert_eq!(tcp.acknowledgment_number(), near + 2 + ANSWER.len() as u32);
    }
}
