//! From the bytes of an object file to programs and maps in the kernel, by `aya`.
//!
//! No kernel type information is asked for: the programs here read packets, not kernel structures.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{Map, MapData, ProgramArray};
use aya::programs::{Program, SocketFilter};
use aya::{Ebpf, EbpfLoader};

use crate::stats::ProgramStats;

/// Why a probe could not be loaded or attached.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel, or the loader, refused the object.
    #[error("cannot load BPF object {object}: {reason}{hint}")]
    Load {
        /// Which object.
        object: &'static str,
        /// What was refused.
        reason: String,
        /// What to do about it; empty or starting with "; ".
        hint: &'static str,
    },
    /// The object has no such part. A build that passes its own tests cannot say this.
    #[error("BPF object {object} has no {kind} {name:?}")]
    Missing {
        /// Which object.
        object: &'static str,
        /// "map" or "program".
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

/// What to set before loading: constants of the program and sizes of its maps.
#[derive(Debug, Default)]
pub struct Knobs<'a> {
    globals: Vec<(&'a str, &'a [u8])>,
    max_entries: Vec<(&'a str, u32)>,
}

impl<'a> Knobs<'a> {
    /// Sets a `const volatile` variable; `bytes` in the machine's byte order and of exactly its size.
    pub fn global(mut self, name: &'a str, bytes: &'a [u8]) -> Self {
        self.globals.push((name, bytes));
        self
    }

    /// Sets how much a map holds: entries, or bytes of a ring buffer.
    pub fn max_entries(mut self, map: &'a str, entries: u32) -> Self {
        self.max_entries.push((map, entries));
        self
    }
}

/// A loaded object. Its maps are created; programs are verified when asked for.
pub struct Object {
    name: &'static str,
    ebpf: Ebpf,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn refused(object: &'static str, error: &dyn std::error::Error) -> LoadError {
    let reason = chain(error);
    let hint = if reason.contains("os error 1)") {
        "; it needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN), and before Linux 5.11 CAP_SYS_RESOURCE to raise \
         RLIMIT_MEMLOCK"
    } else if reason.contains("os error 12)") {
        "; out of locked memory: raise RLIMIT_MEMLOCK (ulimit -l) or make the maps smaller"
    } else {
        ""
    };
    LoadError::Load { object, reason, hint }
}

impl Object {
    /// Creates the maps of an object and puts its constants in place.
    ///
    /// # Errors
    /// [`LoadError::Load`] when the bytes are no BPF object or the kernel refuses a map.
    pub fn load(name: &'static str, bytes: &[u8], knobs: &Knobs<'_>) -> Result<Self, LoadError> {
        let mut loader = EbpfLoader::new();
        loader.btf(None);
        for (variable, value) in &knobs.globals {
            loader.override_global(variable, *value, true);
        }
        for (map, entries) in &knobs.max_entries {
            loader.map_max_entries(map, *entries);
        }
        let ebpf = loader.load(bytes).map_err(|error| refused(name, &error))?;
        Ok(Self { name, ebpf })
    }

    fn missing(&self, kind: &'static str, name: &str) -> LoadError {
        LoadError::Missing {
            object: self.name,
            kind,
            name: name.to_owned(),
        }
    }

    fn socket_filter(&mut self, program: &str) -> Result<&mut SocketFilter, LoadError> {
        let missing = self.missing("program", program);
        let found: Option<&mut SocketFilter> = self
            .ebpf
            .program_mut(program)
            .and_then(|program| program.try_into().ok());
        found.ok_or(missing)
    }

    /// Has the kernel verify a socket filter.
    ///
    /// # Errors
    /// [`LoadError::Load`] with the verifier's words.
    pub fn verify(&mut self, program: &str) -> Result<(), LoadError> {
        let name = self.name;
        self.socket_filter(program)?
            .load()
            .map_err(|error| refused(name, &error))
    }

    /// Makes a verified program the target of a tail call.
    ///
    /// # Errors
    /// When map or program is missing, or the kernel refuses the pair.
    pub fn set_tail_call(&mut self, map: &str, index: u32, program: &str) -> Result<(), LoadError> {
        let name = self.name;
        let fd = self
            .socket_filter(program)?
            .fd()
            .and_then(|fd| fd.try_clone().map_err(Into::into))
            .map_err(|error| refused(name, &error))?;
        let missing = self.missing("map", map);
        let map = self.ebpf.map_mut(map).ok_or(missing)?;
        let mut array = ProgramArray::try_from(map).map_err(|error| refused(name, &error))?;
        array.set(index, &fd, 0).map_err(|error| refused(name, &error))
    }

    /// Hangs a verified socket filter on a socket.
    ///
    /// # Errors
    /// When it is missing or the kernel refuses.
    pub fn attach(&mut self, program: &str, socket: impl AsFd) -> Result<(), LoadError> {
        let name = self.name;
        self.socket_filter(program)?
            .attach(socket)
            .map_err(|error| refused(name, &error))
    }

    /// Moves a map out of the object. The programs keep using it.
    ///
    /// # Errors
    /// When there is none of that name and type.
    pub fn take_map<T: TryFrom<Map>>(&mut self, name: &str) -> Result<T, LoadError> {
        let missing = self.missing("map", name);
        self.ebpf
            .take_map(name)
            .and_then(|map| T::try_from(map).ok())
            .ok_or(missing)
    }

    /// What the kernel counted about a program; zero runs while statistics are off.
    ///
    /// # Errors
    /// When the program is missing or not loaded.
    pub fn stats(&self, program: &str) -> Result<ProgramStats, LoadError> {
        let found: Option<&Program> = self.ebpf.program(program);
        let info = found
            .ok_or_else(|| self.missing("program", program))?
            .info()
            .map_err(|error| refused(self.name, &error))?;
        Ok(ProgramStats {
            runs: info.run_count(),
            run_time_ns: u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX),
            verified_instructions: info.verified_instruction_count(),
        })
    }
}

/// Has the kernel count runs and run time of all programs for as long as the result lives.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`; `EINVAL` before Linux 5.8.
pub fn enable_stats() -> std::io::Result<OwnedFd> {
    aya::sys::enable_stats(aya::sys::Stats::RunTime).map_err(|error| error.io_error)
}

/// The types of map a probe reads, so that probe crates name no loader.
pub mod maps {
    use super::MapData;

    /// A hash map.
    pub type Hash<K, V> = aya::maps::HashMap<MapData, K, V>;
    /// A hash map with one value per CPU.
    pub type PerCpuHash<K, V> = aya::maps::PerCpuHashMap<MapData, K, V>;
    /// An array with one value per CPU.
    pub type PerCpuArray<V> = aya::maps::PerCpuArray<MapData, V>;
    /// An array.
    pub type Array<V> = aya::maps::Array<MapData, V>;
    /// A ring buffer.
    pub type RingBuffer = aya::maps::RingBuf<MapData>;
    pub use aya::Pod;
    pub use aya::maps::MapError;
}

/// Puts an object file into the binary at an address the ELF reader accepts.
pub use aya::include_bytes_aligned;
