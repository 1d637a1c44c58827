//! From the bytes of an object file to programs, maps and hooks in the kernel.
//!
//! Two libraries can do it, [`Loader::Libbpf`] and [`Loader::Aya`], each in a module of its own behind one small
//! interface: loading and attaching is theirs, everything that works on a descriptor is done once, here and in
//! [`crate::maps`].

mod aya;
mod elf;
mod libbpf;
mod test_run;
mod xdp_link;

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    str::FromStr,
};

use nix::libc;

pub use test_run::TestRun;

use crate::maps::{self, Map};
use crate::stats::ProgramStats;

/// A library that loads objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loader {
    /// The kernel's own library, through the crate `libbpf-rs`.
    Libbpf,
    /// The crate `aya`, which is Rust alone.
    #[default]
    Aya,
}

impl Loader {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Libbpf, Self::Aya];
}

impl fmt::Display for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Libbpf => "libbpf",
            Self::Aya => "aya",
        })
    }
}

impl FromStr for Loader {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|loader| loader.to_string() == name)
            .ok_or_else(|| format!("no loader {name:?}; there are libbpf and aya"))
    }
}

/// Why a probe could not be loaded or attached.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel, or the loader, refused the object.
    #[error("{loader} cannot load BPF object {object}: {reason}{hint}")]
    Load {
        /// By which library.
        loader: Loader,
        /// Which object.
        object: &'static str,
        /// What was refused.
        reason: String,
        /// What to do about it; empty or starting with "; ".
        hint: &'static str,
    },
    /// The kernel, or the loader, refused to hang a program on its hook.
    #[error("{loader} cannot attach program {program} of {object} to {hook}: {reason}{hint}")]
    Attach {
        /// By which library.
        loader: Loader,
        /// Which object.
        object: &'static str,
        /// Which program.
        program: String,
        /// To which hook, in words.
        hook: String,
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
        /// "map", "program" or "variable".
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

/// What to set before loading: constants of the programs, sizes of maps, programs to leave out.
#[derive(Debug, Default)]
pub struct Knobs<'a> {
    globals: Vec<(&'a str, &'a [u8])>,
    max_entries: Vec<(&'a str, u32)>,
    without: Vec<&'a str>,
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

    /// Leaves a program out: it is not loaded and need not be loadable on this kernel.
    pub fn without(mut self, program: &'a str) -> Self {
        self.without.push(program);
        self
    }
}

/// Where XDP programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the network stack, after the driver made an `sk_buff` of the frame.
    Generic,
}

/// Where a program is hung.
#[derive(Debug, Clone, Copy)]
pub enum Hook<'a> {
    /// A socket's filter (`SEC("socket")`).
    Socket(BorrowedFd<'a>),
    /// The tracepoint that the program's section names (`SEC("tp_btf/NAME")`).
    BtfTracepoint,
    /// A tracepoint (`SEC("tracepoint")`), such as `syscalls` and `sys_enter_openat`.
    Tracepoint {
        /// Its group below `/sys/kernel/tracing/events`.
        category: &'a str,
        /// Its name there.
        name: &'a str,
    },
    /// Entry of a kernel function (`SEC("kprobe")`).
    Kprobe {
        /// Its symbol.
        function: &'a str,
    },
    /// An instruction of a program's file (`SEC("uprobe")`), in every process that maps it.
    Uprobe {
        /// The file.
        path: &'a Path,
        /// Where in the file, in bytes from its start.
        offset_bytes: u64,
    },
    /// Arriving frames of a network interface (`SEC("xdp")`). An interface that has a program already refuses.
    Xdp {
        /// The kernel's number for the interface.
        interface_index: u32,
        /// Where it runs.
        mode: XdpMode,
    },
}

impl fmt::Display for Hook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(_) => write!(f, "a socket"),
            Self::BtfTracepoint => write!(f, "its tracepoint"),
            Self::Tracepoint { category, name } => write!(f, "tracepoint {category}:{name}"),
            Self::Kprobe { function } => write!(f, "kernel function {function}"),
            Self::Uprobe { path, offset_bytes } => write!(f, "{} at {offset_bytes:#x}", path.display()),
            Self::Xdp {
                interface_index,
                mode,
            } => {
                write!(f, "XDP ({mode:?}) of interface {interface_index}")
            }
        }
    }
}

/// A program on its hook. Dropping it takes the program off.
pub struct Link {
    _held: Option<Box<dyn Send>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// What a library does with one object.
trait Loaded: Send {
    /// Descriptor of a program.
    fn program(&self, name: &str) -> Option<BorrowedFd<'_>>;
    /// A descriptor of its own for a map.
    fn map(&self, name: &str) -> Option<OwnedFd>;
    /// Hangs a program on its hook; what is returned takes it off when dropped. Sockets are not asked for.
    fn attach(&mut self, program: &str, hook: &Hook<'_>) -> Result<Box<dyn Send>, String>;
}

/// A loaded object: its maps are created and its programs verified.
pub struct Object {
    loader: Loader,
    name: &'static str,
    loaded: Box<dyn Loaded>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("name", &self.name)
            .field("loader", &self.loader)
            .finish_non_exhaustive()
    }
}

/// The end of a verifier's log, which says what is wrong; what comes before retells the program.
fn last_lines(log: &str) -> String {
    const LINES: usize = 4;
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim_end)
        // libbpf frames the log with lines of its own, and the verifier ends with what it counted.
        .filter(|line| !line.is_empty() && !line.contains("PROG LOAD LOG") && !line.starts_with("processed "))
        .collect();
    let omitted = lines.len().saturating_sub(LINES);
    let shown = lines[omitted..].join(" | ");
    if omitted == 0 {
        shown
    } else {
        format!("… {omitted} lines … | {shown}")
    }
}

/// What to do about a refusal, as far as its words tell.
fn hint(reason: &str) -> &'static str {
    if reason.contains("os error 12)") || reason.contains("Cannot allocate memory") {
        "; out of locked memory: raise RLIMIT_MEMLOCK (ulimit -l) or make the maps smaller"
    } else if reason.contains("os error 16)") || reason.contains("Device or resource busy") {
        "; something else is attached there already, and it is left alone"
    } else {
        ""
    }
}

impl Object {
    /// Creates the maps of an object, puts its constants in place and has the kernel verify its programs.
    ///
    /// # Errors
    /// [`LoadError::Missing`] when a knob names what is not there, [`LoadError::Load`] when the bytes are no BPF
    /// object or the kernel refuses a map or a program; the verifier's last words are in it.
    pub fn load(
        loader: Loader,
        name: &'static str,
        bytes: &[u8],
        knobs: &Knobs<'_>,
    ) -> Result<Self, LoadError> {
        let failed = |reason: String| LoadError::Load {
            loader,
            object: name,
            hint: hint(&reason),
            reason,
        };
        let parts = elf::Parts::read(bytes).map_err(failed)?;
        let missing = |kind, part: &str| LoadError::Missing {
            object: name,
            kind,
            name: part.to_owned(),
        };
        for (variable, value) in &knobs.globals {
            let place = parts
                .constant(variable)
                .ok_or_else(|| missing("variable", variable))?;
            if place.len() != value.len() {
                let (has, given) = (place.len(), value.len());
                return Err(failed(format!(
                    "its variable {variable} has {has} bytes, {given} were given"
                )));
            }
        }
        if let Some(program) = knobs.without.iter().find(|name| parts.section(name).is_none()) {
            return Err(missing("program", program));
        }
        let loaded = match loader {
            Loader::Libbpf => libbpf::load(name, bytes, &parts, knobs),
            Loader::Aya => aya::load(bytes, &parts, knobs),
        };
        Ok(Self {
            loader,
            name,
            loaded: loaded.map_err(failed)?,
        })
    }

    /// The library that loaded it.
    pub fn loader(&self) -> Loader {
        self.loader
    }

    fn missing(&self, kind: &'static str, name: &str) -> LoadError {
        LoadError::Missing {
            object: self.name,
            kind,
            name: name.to_owned(),
        }
    }

    fn program(&self, name: &str) -> Result<BorrowedFd<'_>, LoadError> {
        self.loaded
            .program(name)
            .ok_or_else(|| self.missing("program", name))
    }

    /// Makes a program the target of a tail call.
    ///
    /// # Errors
    /// When map or program is missing, or the kernel refuses the pair.
    pub fn set_tail_call(&self, map: &str, index: u32, program: &str) -> Result<(), LoadError> {
        let table = self.loaded.map(map).ok_or_else(|| self.missing("map", map))?;
        let target = self.program(program)?.as_raw_fd();
        maps::update(table.as_fd(), &index.to_ne_bytes(), &target.to_ne_bytes()).map_err(|error| {
            LoadError::Load {
                loader: self.loader,
                object: self.name,
                reason: format!("tail call to {program}: {error}"),
                hint: "",
            }
        })
    }

    /// Hangs a program on its hook.
    ///
    /// # Errors
    /// When it is missing or the kernel refuses.
    pub fn attach(&mut self, program: &str, hook: &Hook<'_>) -> Result<Link, LoadError> {
        let fd = self.program(program)?;
        let held = match hook {
            Hook::Socket(socket) => attach_to_socket(fd, *socket)
                .map(|()| None)
                .map_err(|error| error.to_string()),
            _ => self.loaded.attach(program, hook).map(Some),
        };
        match held {
            Ok(held) => Ok(Link { _held: held }),
            Err(reason) => Err(self.not_attached(program, hook, reason)),
        }
    }

    /// Hangs an XDP program on an interface by a link that a file of a BPF filesystem keeps, so that it stays when this
    /// process ends. A link that the file keeps already gets this program instead of its own.
    ///
    /// # Errors
    /// When the program is missing or the kernel refuses; when the file keeps something else.
    pub fn attach_xdp_kept(
        &self,
        program: &str,
        interface_index: u32,
        mode: XdpMode,
        path: &Path,
    ) -> Result<Link, LoadError> {
        let fd = self.program(program)?;
        match xdp_link::keep(fd, interface_index, mode, path) {
            Ok(link) => Ok(Link {
                _held: Some(Box::new(link)),
            }),
            Err(reason) => {
                let hook = Hook::Xdp {
                    interface_index,
                    mode,
                };
                Err(self.not_attached(program, &hook, reason))
            }
        }
    }

    fn not_attached(&self, program: &str, hook: &Hook<'_>, reason: String) -> LoadError {
        LoadError::Attach {
            loader: self.loader,
            object: self.name,
            program: program.to_owned(),
            hook: hook.to_string(),
            hint: hint(&reason),
            reason,
        }
    }

    /// A map of the object, to be read by whatever type fits it.
    ///
    /// # Errors
    /// When there is none of that name and type.
    pub fn map<T: TryFrom<Map>>(&self, name: &str) -> Result<T, LoadError> {
        self.loaded
            .map(name)
            .and_then(|fd| maps::open(fd).ok())
            .and_then(|map| T::try_from(map).ok())
            .ok_or_else(|| self.missing("map", name))
    }

    /// What the kernel counted about a program; zero runs while statistics are off.
    ///
    /// # Errors
    /// When the program is missing.
    pub fn stats(&self, program: &str) -> Result<ProgramStats, LoadError> {
        ProgramStats::of(self.program(program)?).map_err(|error| LoadError::Load {
            loader: self.loader,
            object: self.name,
            reason: format!("statistics of {program}: {error}"),
            hint: "",
        })
    }
}

/// Gives a socket its filter. A socket holds it until it is closed, so there is nothing to keep.
///
/// # Errors
/// What setsockopt(2) says.
pub fn attach_to_socket(program: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> std::io::Result<()> {
    let fd = program.as_raw_fd();
    // SAFETY: the option's value is one `int`, `fd`, which lives until the call returns.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_BPF,
            (&raw const fd).cast(),
            size_of_val(&fd) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

#[doc(hidden)]
pub use ::aya::include_bytes_aligned;

/// Name and bytes of an object that the crate's build script made, `NAME` or `NAME.MUTANT`, for [`Object::load`]. The
/// bytes are in the binary, at an address the ELF reader accepts.
#[macro_export]
macro_rules! object_file {
    ($name:literal) => {{
        static BYTES: &[u8] =
            $crate::loader::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/", $name, ".bpf.o"));
        (concat!($name, ".bpf.o"), BYTES)
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders_are_read_as_they_are_written() {
        for loader in Loader::ALL {
            assert_eq!(loader.to_string().parse(), Ok(loader));
        }
        assert!("bcc".parse::<Loader>().unwrap_err().contains("libbpf and aya"));
    }

    #[test]
    fn a_long_log_is_cut_to_what_matters() {
        let log = "0: R1=ctx\n1: a\n2: b\n3: c\nR2 type=scalar expected=fp\nprocessed 5 insns\n-- END PROG LOAD LOG --\n";
        assert_eq!(
            last_lines(log),
            "… 1 lines … | 1: a | 2: b | 3: c | R2 type=scalar expected=fp"
        );
        assert_eq!(last_lines("short\n"), "short");
    }

    #[test]
    fn bytes_that_are_no_object_are_refused_by_name() {
        for loader in Loader::ALL {
            let error = Object::load(loader, "nonsense.bpf.o", b"nonsense", &Knobs::default()).unwrap_err();
            assert!(error.to_string().contains("nonsense.bpf.o"), "{error}");
        }
    }
}
