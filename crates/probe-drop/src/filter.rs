//! The filter: a program on a packet socket that lets whole TCP segments pass, discards the rest, and counts both by
//! protocol and reason. Nothing of it reaches user space but numbers, and no packet of the machine is touched.

mod report;
mod types;

use probe::{
    Failure, Probe,
    accounting::{Hits, Programs, ReadError},
    interface::Interface,
    loader::{Knobs, Loader, Object},
    maps::{self, MapError, PerCpuArray},
    metrics::Families,
    object_file,
    packet_socket::{AttachError, PacketSocket},
};
use schemars::JsonSchema;
use serde::Deserialize;

pub use report::{PROTOCOL_NAMES, REASON_NAMES};
use types::{DROP_REASON_SLOTS, DROP_VERDICTS, drop_count, drop_counters};

const PROGRAM: &str = "drop_packet";

/// What a manifest says about this probe.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// The network interface, in the daemon's network namespace.
    pub interface: String,
    /// For the lab only: run a probe that is known to be wrong.
    pub control: Option<Control>,
}

/// Known mistakes a lab can turn on to see that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Only IPv4 is looked into: IPv6 counts as something else.
    Ipv4Only,
    /// It asks for the time of every packet, for nobody: right, and dearer than it may be.
    Slower,
}

impl probe::Spec for Spec {
    fn control(&self) -> Option<&str> {
        self.control.map(|control| match control {
            Control::Ipv4Only => "ipv4-only",
            Control::Slower => "slower",
        })
    }

    fn start(&self, loader: Loader) -> Result<Box<dyn Probe>, Failure> {
        let interface = Interface::by_name(&self.interface)?;
        Ok(Box::new(Filter::attach(loader, interface, self.control)?))
    }
}

/// Packets and bytes of one protocol and reason, both by their place in [`PROTOCOL_NAMES`] and [`REASON_NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// What the packets carry.
    pub protocol: usize,
    /// Why they are discarded; 0: they pass.
    pub reason: usize,
    /// How many.
    pub packets: u64,
    /// Their bytes, from the network header to the end of the frame.
    pub bytes: u64,
}

/// A reading of all counters.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// What was counted, without what never was.
    pub counted: Vec<Counted>,
    /// Packets by verdict, beside the kernel's own count of them.
    pub hits: Hits,
    /// Packets the socket could not queue.
    pub socket_drops: u64,
}

/// The filter in place. Dropping it detaches it.
pub struct Filter {
    interface: Interface,
    object: Object,
    socket: PacketSocket,
    counters: PerCpuArray<drop_counters>,
    programs: Programs,
    proven: bool,
}

impl Filter {
    /// Loads the kernel half and attaches it.
    ///
    /// # Errors
    /// See [`AttachError`]; nothing stays attached then.
    pub fn attach(
        loader: Loader,
        interface: Interface,
        control: Option<Control>,
    ) -> Result<Self, AttachError> {
        let (name, bytes) = match control {
            None => object_file!("drop"),
            Some(Control::Ipv4Only) => object_file!("drop.ipv4_only"),
            Some(Control::Slower) => object_file!("drop.slower"),
        };
        let mut object = Object::load(loader, name, bytes, &Knobs::default())?;
        let programs = Programs::before_attach(&object, &[PROGRAM])?;
        let socket = PacketSocket::attach(&mut object, PROGRAM, &interface)?;
        Ok(Self {
            counters: object.map("counters")?,
            interface,
            object,
            socket,
            programs,
            proven: false,
        })
    }

    fn verdicts(&self) -> Result<[u64; DROP_VERDICTS as usize], MapError> {
        Ok(maps::sum(&self.counters.get(&0, 0)?).verdicts)
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When a map or a program's statistics cannot be read.
    pub fn read(&mut self) -> Result<Reading, ReadError> {
        let hits = self.programs.hits(&self.object, || self.verdicts())?;
        let table = maps::sum(&self.counters.get(&0, 0)?).table;
        let mut counted = Vec::new();
        for protocol in 0..PROTOCOL_NAMES.len() {
            for reason in 0..REASON_NAMES.len() {
                let place = protocol * DROP_REASON_SLOTS as usize + reason;
                let drop_count { packets, bytes } = table[place];
                if packets > 0 {
                    counted.push(Counted {
                        protocol,
                        reason,
                        packets,
                        bytes,
                    });
                }
            }
        }
        Ok(Reading {
            counted,
            hits,
            socket_drops: self.socket.drops()?,
        })
    }
}

impl Probe for Filter {
    /// Sends a frame and sees whether the program ran. On its way out it does even where nothing is ever received; from
    /// then on the kernel need not run it for such packets.
    fn prove(&mut self) -> Result<(), String> {
        PacketSocket::prove(&self.interface, || Ok(self.verdicts()?.iter().sum()))?;
        if let Err(error) = self.socket.ignore_outgoing() {
            tracing::debug!(
                "the program on {} runs for outgoing packets, too: {error}",
                self.interface.name
            );
        }
        self.proven = true;
        Ok(())
    }

    fn collect(&mut self, families: &mut Families) -> Result<(), Failure> {
        let reading = self.read()?;
        report::add(families, &self.interface.name, self.proven, &reading);
        Ok(())
    }
}
