//! A packet socket that carries a filter program. It never receives: the program refuses every packet, so that the
//! kernel copies nothing. What it is for is running the program once per packet of one interface.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

use crate::interface::Interface;
use crate::loader::{Hook, LoadError, Object};
use crate::maps::MapError;
use crate::proof;

/// Why a program is not on a socket.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// It could not be loaded or attached.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The socket could not be opened or bound.
    #[error("cannot open a packet socket on {interface}: {source}; it needs CAP_NET_RAW")]
    Socket {
        /// The interface's name.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// An `AF_PACKET` socket, unbound until its filter is in place.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    drops: u64,
}

impl PacketSocket {
    /// Has a program run once per packet of an interface, for as long as the socket lives.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn attach(object: &mut Object, program: &str, interface: &Interface) -> Result<Self, AttachError> {
        Self::attach_with(object, program, interface, |_| Ok(()))
    }

    /// The same, and has the kernel stamp packets as it receives them, which the program may use. It then does so for
    /// every packet of the machine, as long as the socket is open.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn attach_stamping(
        object: &mut Object,
        program: &str,
        interface: &Interface,
    ) -> Result<Self, AttachError> {
        Self::attach_with(object, program, interface, |socket| {
            Ok(setsockopt(&socket.fd, sockopt::ReceiveTimestampns, &true)?)
        })
    }

    fn attach_with(
        object: &mut Object,
        program: &str,
        interface: &Interface,
        prepare: impl FnOnce(&Self) -> io::Result<()>,
    ) -> Result<Self, AttachError> {
        let failed = |source| AttachError::Socket {
            interface: interface.name.clone(),
            source,
        };
        let socket = Self::open().map_err(failed)?;
        prepare(&socket).map_err(failed)?;
        object.attach(program, &Hook::Socket(socket.fd.as_fd()))?;
        socket.bind(interface).map_err(failed)?;
        Ok(socket)
    }

    /// Opens a socket that sees nothing yet. Cooked (`SOCK_DGRAM`), so that a filter starts at the network header
    /// whatever the link layer is.
    fn open() -> io::Result<Self> {
        // Protocol 0: a packet that arrives before the filter is attached must not be queued.
        let fd = socket(
            AddressFamily::Packet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        Ok(Self { fd, drops: 0 })
    }

    /// Has the kernel run the filter for received packets only.
    ///
    /// # Errors
    /// `ENOPROTOOPT` before Linux 4.20.
    pub fn ignore_outgoing(&self) -> io::Result<()> {
        let yes: libc::c_int = 1;
        // SAFETY: the option's value is one `int`, which lives until the call returns.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_IGNORE_OUTGOING,
                (&raw const yes).cast(),
                size_of_val(&yes) as libc::socklen_t,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Starts the flow of packets, in both directions, from one interface.
    fn bind(&self, interface: &Interface) -> io::Result<()> {
        // SAFETY: all-zero bytes are a valid `sockaddr_ll`, which is made of integers.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = interface.socket_index();
        // SAFETY: the pointer is to a live `sockaddr_ll` and the length is its size.
        let result = unsafe {
            libc::bind(
                self.fd.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Sends one empty frame of a protocol that is reserved for experiments and that nobody answers, to show that a
    /// program on this interface runs.
    ///
    /// # Errors
    /// `ENETDOWN` while the interface is down, and those of `sendto(2)`.
    pub fn send_stimulus(interface: &Interface) -> io::Result<()> {
        const LOCAL_EXPERIMENTAL: u16 = 0x88b5;
        let sender = Self::open()?;
        // SAFETY: all-zero bytes are a valid `sockaddr_ll`, which is made of integers.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = LOCAL_EXPERIMENTAL.to_be();
        address.sll_ifindex = interface.socket_index();
        address.sll_halen = 6;
        let payload = [0_u8; 46];
        // SAFETY: both pointers are to live values and go with their sizes.
        let sent = unsafe {
            libc::sendto(
                sender.fd.as_raw_fd(),
                payload.as_ptr().cast(),
                payload.len(),
                0,
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Sends the stimulus and sees whether `hits`, a program's runs on this interface, rise. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// The reason in words when they do not.
    pub fn prove(interface: &Interface, hits: impl Fn() -> Result<u64, MapError>) -> Result<(), String> {
        let name = &interface.name;
        proof::prove(
            hits,
            || {
                Self::send_stimulus(interface)
                    .map_err(|error| format!("cannot send the test frame on {name}: {error}"))
            },
            || format!("the hook on {name} is attached but silent: a test frame did not run it"),
        )
    }

    /// Packets the socket could not queue, since it was opened. The kernel forgets its number when it is read.
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn drops(&mut self) -> io::Result<u64> {
        let mut statistics = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes into the live struct of exactly that size.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        self.drops += u64::from(statistics.tp_drops);
        Ok(self.drops)
    }
}
