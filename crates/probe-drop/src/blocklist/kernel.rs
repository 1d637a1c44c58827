//! The kernel half: loaded, attached to an interface, its maps written and read.

use std::{fmt, io, net::IpAddr, path::PathBuf};

use ipnet::IpNet;
use probe::{
    accounting::{Hits, Programs, ReadError},
    interface::Interface,
    loader::{Hook, Knobs, Link, LoadError, Loader, Object, TestRun, XdpMode},
    maps::{self, LpmTrie, MapError, PerCpuArray, lpm_trie::Key},
    object_file,
    packet_socket::PacketSocket,
    xdp::AttachedProgram,
};

use super::{
    Control,
    entry::{Entry, Prefix},
    types::{
        BLOCKLIST_FILTERED_NOT_IP, BLOCKLIST_SPARE_SLOTS, BLOCKLIST_VERDICTS, blocklist_count,
        blocklist_counters, blocklist_entry,
    },
};

/// The program for frames in one piece, and the one for frames in several. One of them is loaded.
const PROGRAMS: [&str; 2] = ["blocklist", "blocklist_frags"];

/// The frame a program is proven with: of a protocol that is reserved for experiments, so that no list says anything
/// about it.
const TEST_FRAME: [u8; 60] = {
    let mut frame = [0; 60];
    (frame[12], frame[13]) = (0x88, 0xb5);
    frame
};

/// How the program decides, and where it runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whose arriving frames it sees.
    pub interface: Interface,
    /// In the driver, or behind it.
    pub mode: XdpMode,
    /// Whether the destination decides instead of the source.
    pub destination: bool,
    /// Whether ARP and neighbour discovery are matched like everything else.
    pub match_neighbours: bool,
    /// Whether frames are dropped whose address cannot be read.
    pub drop_unreadable: bool,
    /// Whether frames are dropped that carry more tags than are passed over.
    pub drop_deep_tags: bool,
    /// Whether frames in several pieces are taken.
    pub jumbo: bool,
    /// How many entries a list can have.
    pub max_entries: u32,
    /// A file of a BPF filesystem that keeps the program on the interface when this process ends.
    pub keep_in: Option<PathBuf>,
    /// Use an object with a known mistake. For the lab's negative controls only.
    pub control: Option<Control>,
}

/// Why the blocklist is not in place.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The kernel half could not be loaded or attached.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The interface has a program already.
    #[error("{interface} has an XDP program already: {occupant}, in {mode:?} mode; it is left alone")]
    Occupied {
        /// The interface's name.
        interface: String,
        /// What is there.
        occupant: AttachedProgram,
        /// Where that runs.
        mode: XdpMode,
    },
}

/// Packets and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// How many packets.
    pub packets: u64,
    /// Their bytes, without checksums.
    pub bytes: u64,
}

impl From<blocklist_count> for Count {
    fn from(blocklist_count { packets, bytes }: blocklist_count) -> Self {
        Self { packets, bytes }
    }
}

/// The programs and their maps.
pub struct Kernel {
    config: Config,
    object: Object,
    ipv4: LpmTrie<[u8; 4], blocklist_entry>,
    ipv6: LpmTrie<[u8; 16], blocklist_entry>,
    entry_counters: PerCpuArray<blocklist_count>,
    counters: PerCpuArray<blocklist_counters>,
    programs: Programs,
    link: Option<Link>,
    test_frames: u64,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Kernel {
    /// Loads the program; it runs on nothing yet.
    ///
    /// # Errors
    /// When the kernel or the loader refuses.
    pub fn load(loader: Loader, config: Config) -> Result<Self, LoadError> {
        let (name, bytes) = match config.control {
            None => object_file!("blocklist"),
            Some(Control::UntaggedOnly) => object_file!("blocklist.untagged_only"),
            Some(Control::AbortOnError) => object_file!("blocklist.abort_on_error"),
            Some(Control::ShadowDrops) => object_file!("blocklist.shadow_drops"),
        };
        let flags = [
            u8::from(config.destination),
            u8::from(config.match_neighbours),
            u8::from(config.drop_unreadable),
            u8::from(config.drop_deep_tags),
        ];
        let slots = slots(config.max_entries);
        // One more than there are slots: before Linux 6.13 (commit 532d6b36b2bf) a full trie also refuses to replace an
        // entry that it has.
        let trie_entries = slots + 1;
        let knobs = Knobs::default()
            .global("blocklist_destination", &flags[..1])
            .global("blocklist_match_neighbours", &flags[1..2])
            .global("blocklist_drop_unreadable", &flags[2..3])
            .global("blocklist_drop_deep_tags", &flags[3..])
            .max_entries("ipv4_entries", trie_entries)
            .max_entries("ipv6_entries", trie_entries)
            .max_entries("entry_counters", slots)
            .without(PROGRAMS[usize::from(!config.jumbo)]);
        let object = Object::load(loader, name, bytes, &knobs)?;
        let programs = Programs::before_attach(&object, &[program(&config)])?;
        Ok(Self {
            ipv4: object.map("ipv4_entries")?,
            ipv6: object.map("ipv6_entries")?,
            entry_counters: object.map("entry_counters")?,
            counters: object.map("counters")?,
            config,
            object,
            programs,
            link: None,
            test_frames: 0,
        })
    }

    /// Has the program decide about the interface's frames from now on.
    ///
    /// # Errors
    /// When the interface has a program already, or its driver knows no XDP.
    pub fn attach(&mut self) -> Result<(), AttachError> {
        let (program, mode) = (program(&self.config), self.config.mode);
        let interface_index = self.config.interface.index;
        let link = match &self.config.keep_in {
            Some(path) => self.object.attach_xdp_kept(program, interface_index, mode, path),
            None => {
                let hook = Hook::Xdp {
                    interface_index,
                    mode,
                };
                self.object.attach(program, &hook)
            }
        };
        match link {
            Ok(link) => {
                self.link = Some(link);
                Ok(())
            }
            // A kept link that could not be taken over is nobody else's.
            Err(error) if self.config.keep_in.as_ref().is_some_and(|path| path.exists()) => Err(error.into()),
            Err(error) => Err(self.occupied().unwrap_or(AttachError::Load(error))),
        }
    }

    /// Who has the interface already.
    fn occupied(&self) -> Option<AttachError> {
        let interface = &self.config.interface;
        [XdpMode::Native, XdpMode::Generic].into_iter().find_map(|mode| {
            Some(AttachError::Occupied {
                interface: interface.name.clone(),
                occupant: AttachedProgram::of(interface, mode).ok()??,
                mode,
            })
        })
    }

    /// What it was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the program is on its hook and runs. A frame cannot be made to arrive at a network card from this side
    /// of it, so that the program is run on one by hand, and the kernel is asked what hangs on the interface. Loopback
    /// gets a frame that really arrives.
    ///
    /// # Errors
    /// What is amiss, in words.
    pub fn prove(&mut self) -> Result<(), String> {
        let interface = self.config.interface.clone();
        let name = program(&self.config);
        let own = self.object.stats(name).map_err(|error| error.to_string())?.id;
        match AttachedProgram::of(&interface, self.config.mode) {
            Ok(Some(there)) if there.id == own => {}
            Ok(Some(there)) => return Err(format!("{} has {there} instead of ours", interface.name)),
            Ok(None) => return Err(format!("{} has no XDP program", interface.name)),
            Err(error) => {
                return Err(format!(
                    "cannot ask what is attached to {}: {error}",
                    interface.name
                ));
            }
        }
        let before = self.not_ip()?;
        self.test_run(&TEST_FRAME)
            .map_err(|error| format!("the program cannot be run on a test frame: {error}"))?;
        self.test_frames += 1;
        if interface.loopback {
            PacketSocket::send_stimulus(&interface)
                .map_err(|error| format!("cannot send the test frame on {}: {error}", interface.name))?;
            self.test_frames += 1;
        }
        if self.not_ip()? < before + self.test_frames {
            return Err(format!(
                "the program on {} did not count a test frame",
                interface.name
            ));
        }
        Ok(())
    }

    fn not_ip(&self) -> Result<u64, String> {
        let counts = self.all_verdicts().map_err(|error| error.to_string())?;
        Ok(counts[BLOCKLIST_FILTERED_NOT_IP as usize].packets)
    }

    /// Runs the program once on a frame that does not come from the interface.
    ///
    /// # Errors
    /// See [`Object::test_run`].
    pub fn test_run(&self, frame: &[u8]) -> io::Result<TestRun> {
        self.object.test_run(program(&self.config), frame)
    }

    /// Puts an entry in force, in one step even where its prefix has one already.
    ///
    /// # Errors
    /// When the kernel has no memory for it.
    pub fn put(&mut self, entry: &Entry, slot: u32, expires_ns: u64) -> Result<(), MapError> {
        let bits = entry.prefix.0.prefix_len();
        let value = blocklist_entry {
            expires_ns,
            slot,
            action: entry.action.number(),
            shadow: u8::from(entry.shadow),
            prefix_bits: bits,
            pad: 0,
        };
        match entry.prefix.0.network() {
            IpAddr::V4(address) => self
                .ipv4
                .insert(&Key::new(u32::from(bits), address.octets()), value, 0),
            IpAddr::V6(address) => self
                .ipv6
                .insert(&Key::new(u32::from(bits), address.octets()), value, 0),
        }
    }

    /// Takes an entry out of force.
    ///
    /// # Errors
    /// When there is none.
    pub fn remove(&mut self, prefix: Prefix) -> Result<(), MapError> {
        let bits = u32::from(prefix.0.prefix_len());
        match prefix.0 {
            IpNet::V4(net) => self.ipv4.remove(&Key::new(bits, net.network().octets())),
            IpNet::V6(net) => self.ipv6.remove(&Key::new(bits, net.network().octets())),
        }
    }

    /// What was counted in a slot.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn count(&self, slot: u32) -> Result<Count, MapError> {
        Ok(maps::sum(&self.entry_counters.get(&slot, 0)?).into())
    }

    /// Sets a slot's counters to zero.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn clear(&mut self, slot: u32) -> Result<(), MapError> {
        maps::fill(&mut self.entry_counters, slot, blocklist_count::default())
    }

    fn all_verdicts(&self) -> Result<[Count; BLOCKLIST_VERDICTS as usize], MapError> {
        Ok(maps::sum(&self.counters.get(&0, 0)?).verdicts.map(Count::from))
    }

    /// Frames of the interface by verdict, in the order of `enum blocklist_verdict`: not those of [`Kernel::prove`].
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn verdicts(&self) -> Result<Vec<Count>, MapError> {
        let mut counts = self.all_verdicts()?;
        let not_ip = &mut counts[BLOCKLIST_FILTERED_NOT_IP as usize];
        not_ip.packets -= self.test_frames;
        not_ip.bytes -= self.test_frames * TEST_FRAME.len() as u64;
        Ok(counts.to_vec())
    }

    /// The program's runs by verdict, beside the kernel's own count of them.
    ///
    /// # Errors
    /// When either cannot be read.
    pub fn hits(&self) -> Result<Hits, ReadError> {
        self.programs.hits(&self.object, || {
            Ok(self.all_verdicts()?.map(|count| count.packets))
        })
    }
}

fn program(config: &Config) -> &'static str {
    PROGRAMS[usize::from(config.jumbo)]
}

/// Counters for so many entries.
pub fn slots(max_entries: u32) -> u32 {
    max_entries.saturating_add(BLOCKLIST_SPARE_SLOTS)
}
