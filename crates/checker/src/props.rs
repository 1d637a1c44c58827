//! What stands ready for programs to be hung on: a network interface, a control group, a namespace, sockets.
//!
//! The lab's stage creates interface, namespace and control group before the checkpoint (`probelab check` asks for
//! them by the names here); the rest is made by each checking process for itself.

use std::{
    fs::File,
    io,
    net::{TcpListener, UdpSocket},
    os::fd::{FromRawFd, OwnedFd},
};

use anyhow::{Context, Result};
use nix::{
    libc,
    net::if_::if_nametoindex,
    sched::{CloneFlags, setns},
    sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket},
};
use wire::check_stage::{CGROUP, FAR_ADDRESS, FAR_INTERFACE, INTERFACE, NAMESPACE};

use crate::frames::{self, Wire};

/// Nanoseconds between two samples of a perf event.
pub const SAMPLE_PERIOD_NS: u64 = 20_000;

/// From linux/perf_event.h.
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 1 << 3;

/// The things of one checking process.
#[derive(Debug)]
pub struct Props {
    /// The kernel's number for the interface.
    pub interface_index: u32,
    /// The control group that this process is in.
    pub cgroup: File,
    /// This network namespace.
    pub namespace: File,
    /// A server on the far side of the interface.
    pub far_tcp: TcpListener,
    /// The same for datagrams.
    pub far_udp: UdpSocket,
    /// Frames to and from the interface.
    pub wire: Wire,
}

/// What is opened in the other network namespace.
struct FarSide {
    tcp: TcpListener,
    udp: UdpSocket,
    frames: OwnedFd,
}

impl Props {
    /// Collects them, and moves this process into the control group.
    pub fn collect() -> Result<Self> {
        let cgroup = format!("/sys/fs/cgroup/{CGROUP}");
        std::fs::write(format!("{cgroup}/cgroup.procs"), "0")
            .with_context(|| format!("entering {cgroup}"))?;
        let namespace = File::open("/proc/self/ns/net").context("opening the network namespace")?;
        let far = on_the_far_side(&namespace)?;
        far.tcp.set_nonblocking(true)?;
        far.udp.set_nonblocking(true)?;
        Ok(Self {
            interface_index: if_nametoindex(INTERFACE).with_context(|| format!("there is no {INTERFACE}"))?,
            cgroup: File::open(&cgroup)?,
            namespace,
            far_tcp: far.tcp,
            far_udp: far.udp,
            wire: Wire::new(frames::sender(INTERFACE)?, far.frames)?,
        })
    }
}

/// Opens them in the other namespace and comes back. A socket stays in the namespace it was made in.
fn on_the_far_side(own: &File) -> Result<FarSide> {
    let path = format!("/run/netns/{NAMESPACE}");
    let far = File::open(&path).with_context(|| format!("opening {path}"))?;
    setns(&far, CloneFlags::CLONE_NEWNET).context("entering the far network namespace")?;
    let opened = (
        TcpListener::bind((FAR_ADDRESS, 0)),
        UdpSocket::bind((FAR_ADDRESS, 0)),
        frames::sender(FAR_INTERFACE),
    );
    setns(own, CloneFlags::CLONE_NEWNET).context("coming back from the far network namespace")?;
    Ok(FarSide {
        tcp: opened.0?,
        udp: opened.1?,
        frames: opened.2?,
    })
}

/// A packet socket that sees every frame of every interface, the loopback among them.
pub fn packet_socket() -> nix::Result<OwnedFd> {
    socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )
}

/// The clock of the first processor as a perf event (perf_event_open(2)), sampled.
pub fn clock_event() -> io::Result<OwnedFd> {
    // The first published form of `struct perf_event_attr`, eight words: type PERF_TYPE_SOFTWARE and size, config
    // PERF_COUNT_SW_CPU_CLOCK, sample_period, sample_type, read_format, flags, wakeup_events with bp_type, bp_addr.
    let mut attributes: [u64; 8] = [0; 8];
    attributes[0] = 1 | ((size_of_val(&attributes) as u64) << 32);
    attributes[2] = SAMPLE_PERIOD_NS;
    let (every_process, first_processor, no_group) = (-1, 0, -1);
    // SAFETY: the attributes live until the call returns, and their size is in them.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            attributes.as_ptr(),
            every_process,
            first_processor,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us; descriptors fit an int.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
