//! The kernel half in place: loaded, attached to an interface, and read.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use probe::accounting::{Hits, Programs, ReadError};
use probe::clock::{monotonic_ns, real_ns};
use probe::interface::Interface;
use probe::loader::{Knobs, LoadError, Loader, Object};
use probe::maps::{self, Array, Hash, MapError, PerCpuArray, PerCpuHash, RingBuffer};
use probe::object_file;
use probe::packet_socket::{self, PacketSocket};
use probe::stats::ProgramStats;

use crate::bounds::Bounds;
use crate::slow::SlowPath;
use crate::tally::{Exchange, Tally};
use crate::types::{
    HTTP_MAX_PORTS, HTTP_OUTCOME_UNKNOWN_EXPIRED, HTTP_STAGES, HTTP_VERDICTS, http_connection, http_counters,
    http_exchange, http_histogram, http_key, http_series,
};

/// Programs of the kernel half: the entry, then those it tail-calls, by their place in the tail-call map.
pub const PROGRAMS: [&str; 1 + HTTP_STAGES as usize] =
    ["http_packet", "http_request", "http_response", "http_forward"];

/// What to watch and with how much memory.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where packets are seen.
    pub interface: Interface,
    /// Server ports, one to eight.
    pub ports: Vec<u16>,
    /// Connections followed at the same time.
    pub max_connections: u32,
    /// Size of each of the two ring buffers: a power of two, at least a page.
    pub ring_buffer_bytes: u32,
    /// Whether every finished request is reported one by one.
    pub exchange_log: bool,
    /// Whether an empty program runs beside the probe, to show what a hook costs by itself.
    pub calibrate: bool,
    /// Bounds of the duration histograms.
    pub bounds: Bounds,
    /// Use the object with the known pairing mistake. For the lab's negative control only.
    pub wrong_pairing: bool,
}

/// Why the probe is not in place.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The kernel half could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It could not be put on a packet socket.
    #[error(transparent)]
    Socket(#[from] packet_socket::AttachError),
    /// More ports than the program can hold, or none.
    #[error("one to {HTTP_MAX_PORTS} ports can be watched, not {count}")]
    Ports {
        /// How many were asked for.
        count: usize,
    },
}

/// A reading of all counters of the kernel half and the user-space path together.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Requests.
    pub tally: Tally,
    /// Packets, by `HTTP_VERDICT`, beside the kernel's own count of them.
    pub hits: Hits,
    /// Kernel statistics of the programs that are tail-called: only what the verifier says is theirs alone.
    pub tail_called: Vec<(&'static str, ProgramStats)>,
    /// Kernel statistics of the calibration program.
    pub empty: Option<ProgramStats>,
    /// Packets the socket could not queue.
    pub socket_drops: u64,
    /// Connections now, in the kernel half.
    pub connections: u64,
    /// Connections now, in user space.
    pub slow_connections: u64,
    /// Methods and statuses seen.
    pub series: u64,
}

/// The probe in place. Dropping it detaches it.
pub struct HttpProbe {
    config: Config,
    object: Object,
    empty: Option<(Object, PacketSocket)>,
    socket: PacketSocket,
    counters: PerCpuArray<http_counters>,
    clock_offset: Array<u64>,
    connections: Hash<http_key, http_connection>,
    histograms: PerCpuHash<http_series, http_histogram>,
    segments: RingBuffer,
    exchanges: RingBuffer,
    slow: SlowPath,
    expired: Tally,
    finished: Vec<Exchange>,
    programs: Programs,
}

/// Tells the program how far CLOCK_REALTIME, on which the kernel stamps packets, is ahead of CLOCK_MONOTONIC. Done
/// again with every look at the probe, because the wall clock is steered and set.
fn set_clock_offset(map: &mut Array<u64>) {
    // Without it the program takes its own time, which is right but for interrupts.
    if let Err(error) = map.set(0, real_ns().wrapping_sub(monotonic_ns()), 0) {
        tracing::warn!("receive stamps cannot be used: {error}");
    }
}

impl HttpProbe {
    /// Loads the kernel half and attaches it.
    ///
    /// # Errors
    /// See [`AttachError`]; nothing stays attached then.
    pub fn attach(loader: Loader, config: Config) -> Result<Self, AttachError> {
        if config.ports.is_empty() || config.ports.len() > HTTP_MAX_PORTS as usize {
            return Err(AttachError::Ports {
                count: config.ports.len(),
            });
        }
        let mut ports = [0_u16; HTTP_MAX_PORTS as usize];
        ports[..config.ports.len()].copy_from_slice(&config.ports);
        let bounds_ns = config.bounds.padded_ns();
        let flags = [u8::from(config.interface.loopback), u8::from(config.exchange_log)];
        let (name, bytes) = if config.wrong_pairing {
            object_file!("http.wrong_pairing")
        } else {
            object_file!("http")
        };
        let knobs = Knobs::default()
            .global("http_ports", bytemuck::cast_slice(&ports))
            .global("http_bounds_ns", bytemuck::cast_slice(&bounds_ns))
            .global("http_loopback", &flags[..1])
            .global("http_exchange_log", &flags[1..])
            .max_entries("connections", config.max_connections)
            .max_entries("segments", config.ring_buffer_bytes)
            .max_entries("exchanges", config.ring_buffer_bytes);
        let mut object = Object::load(loader, name, bytes, &knobs)?;
        for (stage, program) in (0..).zip(&PROGRAMS[1..]) {
            object.set_tail_call("stages", stage, program)?;
        }
        let empty = if config.calibrate {
            let (name, bytes) = object_file!("empty");
            let mut empty = Object::load(loader, name, bytes, &Knobs::default())?;
            let socket = PacketSocket::attach_stamping(&mut empty, "empty", &config.interface)?;
            Some((empty, socket))
        } else {
            None
        };
        let programs = Programs::before_attach(&object, &PROGRAMS[..1])?;
        let mut clock_offset: Array<u64> = object.map("clock_offset")?;
        set_clock_offset(&mut clock_offset);
        let socket = PacketSocket::attach_stamping(&mut object, PROGRAMS[0], &config.interface)?;
        Ok(Self {
            counters: object.map("counters")?,
            clock_offset,
            connections: object.map("connections")?,
            histograms: object.map("histograms")?,
            segments: object.map("segments")?,
            exchanges: object.map("exchanges")?,
            slow: SlowPath::new(config.bounds.clone()),
            config,
            object,
            empty,
            socket,
            expired: Tally::default(),
            finished: Vec::new(),
            programs,
        })
    }

    /// What it was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sends one frame on the interface and sees whether the program ran. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// The reason in words when it did not.
    pub fn prove(&self) -> Result<(), String> {
        PacketSocket::prove(&self.config.interface, || Ok(self.verdicts()?.iter().sum()))
    }

    fn verdicts(&self) -> Result<[u64; HTTP_VERDICTS as usize], MapError> {
        Ok(maps::sum(&self.counters.get(&0, 0)?).verdicts)
    }

    /// Descriptors that become readable when [`Self::drain`] has something to do.
    ///
    /// # Errors
    /// When this process has too many descriptors open.
    pub fn descriptors(&self) -> io::Result<[OwnedFd; 2]> {
        Ok([
            self.segments.as_fd().try_clone_to_owned()?,
            self.exchanges.as_fd().try_clone_to_owned()?,
        ])
    }

    /// Takes what waits in the ring buffers.
    pub fn drain(&mut self) {
        set_clock_offset(&mut self.clock_offset);
        while let Some(item) = self.segments.next() {
            if let Err(error) = self.slow.event(&item) {
                tracing::error!("{error}");
            }
        }
        let (exchanges, _) = maps::take_all::<http_exchange>(&mut self.exchanges);
        self.finished.extend(exchanges.iter().map(Exchange::from));
        let slow = self.slow.take_exchanges();
        if self.config.exchange_log {
            self.finished.extend(slow);
        }
    }

    /// The requests that finished since the last call, in the order in which they ended.
    pub fn take_exchanges(&mut self) -> Vec<Exchange> {
        self.drain();
        let mut finished = std::mem::take(&mut self.finished);
        finished.sort_unstable();
        finished
    }

    /// Gives up on connections nothing was seen of since `before_ns` of the monotonic clock.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn expire(&mut self, before_ns: u64) -> Result<(), MapError> {
        self.drain();
        self.slow.expire(before_ns);
        let mut idle = Vec::new();
        for entry in self.connections.iter() {
            let (key, connection) = entry?;
            if connection.half.iter().all(|half| half.last_ns < before_ns) {
                idle.push((key, connection));
            }
        }
        for (key, connection) in idle {
            // A connection that ended meanwhile has settled its requests itself.
            let [request, response] = connection.half;
            let is_told_elsewhere = connection.slow != 0 && request.handed_over != 0;
            if self.connections.remove(&key).is_ok() && !is_told_elsewhere {
                let pending = request.count.wrapping_sub(response.count);
                self.expired
                    .settle(HTTP_OUTCOME_UNKNOWN_EXPIRED, pending as usize);
            }
        }
        Ok(())
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When a map or a program's statistics cannot be read.
    pub fn read(&mut self) -> Result<Reading, ReadError> {
        self.drain();
        let hits = self.programs.hits(&self.object, || self.verdicts())?;
        let mut tally = Tally::new(self.config.bounds.clone());
        tally.add_counters(&maps::sum(&self.counters.get(&0, 0)?));
        let mut series = 0;
        for entry in self.histograms.iter() {
            let (key, cpus) = entry?;
            series += 1;
            tally.add_histogram(key.method, key.status, &maps::sum(&cpus));
        }
        tally.merge(self.slow.tally());
        tally.merge(&self.expired);
        let mut tail_called = Vec::new();
        for program in &PROGRAMS[1..] {
            tail_called.push((*program, self.object.stats(program)?));
        }
        let empty = match &self.empty {
            Some((object, _)) => Some(object.stats("empty")?),
            None => None,
        };
        let mut connections = 0;
        for key in self.connections.keys() {
            key?;
            connections += 1;
        }
        Ok(Reading {
            tally,
            hits,
            tail_called,
            empty,
            socket_drops: self.socket.drops()?,
            connections,
            slow_connections: self.slow.connections() as u64,
            series,
        })
    }
}
