//! What can go wrong between a command and a record: each error says what happened, why, and what to do next.

use std::{io, path::PathBuf};

use miette::Diagnostic;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// No QEMU.
    #[error("`{program}` was not found")]
    #[diagnostic(
        code(probelab::qemu_missing),
        help("run `ci/bootstrap`, which installs QEMU {minimum} or newer, or set PROBELAB_QEMU to one")
    )]
    QemuMissing {
        /// What was looked for.
        program: String,
        /// The oldest usable version.
        minimum: &'static str,
    },
    /// A QEMU that is known not to work.
    #[error("QEMU {found} is too old: {minimum} or newer is needed")]
    #[diagnostic(
        code(probelab::qemu_too_old),
        help(
            "older emulators crash 6.12 guests and cannot save a checkpoint to a file; run `ci/bootstrap`, or set PROBELAB_QEMU"
        )
    )]
    QemuTooOld {
        /// The version found.
        found: String,
        /// The oldest usable version.
        minimum: &'static str,
    },
    /// QEMU said no, or died while it was needed.
    #[error("QEMU: {what}")]
    #[diagnostic(code(probelab::qemu), help("its last words: {words}"))]
    Qemu {
        /// What was attempted and what came of it.
        what: String,
        /// What QEMU printed.
        words: String,
    },
    /// Hardware virtualisation cannot be used.
    #[error("the kvm lane cannot be used here: {reason}")]
    #[diagnostic(
        code(probelab::kvm_unusable),
        help(
            "use the virtual lane (the default); it needs no KVM. After a change of the machine, `probelab doctor --recheck` decides anew"
        )
    )]
    KvmUnusable {
        /// Why.
        reason: String,
    },
    /// apt could not reach its mirror.
    #[error("the package mirror could not be read: {reason}")]
    #[diagnostic(
        code(probelab::no_network),
        help(
            "kernels and packages come from the mirror in this machine's apt configuration; check the network, or give another with --mirror URL. What is in the cache stays usable"
        )
    )]
    Network {
        /// apt's words.
        reason: String,
    },
    /// This machine's apt knows no Debian mirror.
    #[error("this machine's apt configuration names no Debian mirror")]
    #[diagnostic(
        code(probelab::no_mirror),
        help("give one with --mirror URL (or PROBELAB_MIRROR)")
    )]
    NoMirror,
    /// A pin that the mirror no longer serves.
    #[error("the mirror no longer serves {package} {version} (series {series})")]
    #[diagnostic(
        code(probelab::pin_gone),
        help(
            "--allow-drift lets the newest build of {series} stand in (the record says so); `probelab kernels update` pins it; --mirror URL reads a permanent archive"
        )
    )]
    PinGone {
        /// Series of the pin.
        series: String,
        /// Package of the pin.
        package: String,
        /// Version of the pin.
        version: String,
    },
    /// A package of the root filesystem that the mirror no longer serves.
    #[error("the mirror no longer serves {package} {version}, of which the guest is made")]
    #[diagnostic(
        code(probelab::package_gone),
        help("`probelab rootfs update` pins what it serves now; --mirror URL reads a permanent archive")
    )]
    PackageGone {
        /// Its name.
        package: String,
        /// Its version.
        version: String,
    },
    /// Bytes that are not what the lock says.
    #[error("{what} is not what it should be: sha256 {found}, expected {expected}")]
    #[diagnostic(code(probelab::digest_mismatch), help("{help}"))]
    DigestMismatch {
        /// Which bytes.
        what: String,
        /// Their sha256.
        found: String,
        /// The sha256 they should have.
        expected: String,
        /// What to do.
        help: String,
    },
    /// A kernel that is not in the lock.
    #[error("no kernel matches `{asked}`")]
    #[diagnostic(code(probelab::unknown_kernel), help("there are: {known}"))]
    UnknownKernel {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// Two providers offer a kernel of one name.
    #[error("two kernels are called `{name}`: {first} and {second}")]
    #[diagnostic(
        code(probelab::kernel_twice),
        help(
            "a record names its kernel, so a name means one: rename the folder in PROBELAB_KERNELS, for example to `{name}-own`"
        )
    )]
    KernelTwice {
        /// The name.
        name: String,
        /// Package of the one.
        first: String,
        /// Package of the other.
        second: String,
    },
    /// A file of ours that cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] Box<ConfigError>),
    /// The disk is full.
    #[error("the disk is full while {during}")]
    #[diagnostic(
        code(probelab::disk_full),
        help(
            "nothing half-written was kept. `probelab cache list` shows sizes, `probelab cache prune` makes room; PROBELAB_CACHE moves the cache"
        )
    )]
    DiskFull {
        /// What was being written.
        during: String,
    },
    /// A helper program is missing.
    #[error("`{program}` is needed to {purpose} and was not found")]
    #[diagnostic(code(probelab::tool_missing), help("run `ci/bootstrap`"))]
    ToolMissing {
        /// The program.
        program: String,
        /// What for.
        purpose: &'static str,
    },
    /// A helper program failed.
    #[error("`{program}` failed while trying to {purpose}")]
    #[diagnostic(code(probelab::tool_failed), help("its last words: {words}"))]
    ToolFailed {
        /// The program.
        program: String,
        /// What for.
        purpose: &'static str,
        /// Its last words.
        words: String,
    },
    /// A machine that already runs cannot be used.
    #[error("{machine} cannot be used: {trouble}")]
    #[diagnostic(code(probelab::machine), help("{}. Last words: {words}", trouble.help()))]
    Machine {
        /// Which one.
        machine: String,
        /// Why.
        trouble: crate::visit::Trouble,
        /// Last words of `ssh`, or of the lab's program there.
        words: String,
    },
    /// The guest did not get as far as a checkpoint.
    #[error("the stage could not be set: {end}")]
    #[diagnostic(code(probelab::stage_failed), help("last console lines:\n{console}"))]
    Stage {
        /// How the guest ended.
        end: Box<wire::GuestEnd>,
        /// Last lines of its console.
        console: String,
    },
    /// Something in the image cannot be what it should.
    #[error("the guest image cannot be built: {what}")]
    #[diagnostic(code(probelab::image), help("{help}"))]
    Image {
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
    /// Host and guest disagree about the layout of messages.
    #[error("the guest's message is not understood")]
    #[diagnostic(
        code(probelab::protocol),
        help("`just build` builds host and guest from one source")
    )]
    Envelope(#[from] wire::EnvelopeError),
    /// The user ended it.
    #[error("interrupted")]
    #[diagnostic(code(probelab::interrupted))]
    Interrupted,
    /// Input or output failed.
    #[error("{what}")]
    #[diagnostic(code(probelab::io))]
    Io {
        /// What was attempted, with the path.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Nobody has a kernel of that name; the names that there are.
    pub(crate) fn unknown_kernel<'a>(asked: &str, known: impl Iterator<Item = &'a str>) -> Self {
        Self::UnknownKernel {
            asked: asked.to_owned(),
            known: known.collect::<Vec<_>>().join(", "),
        }
    }
}

/// A configuration file with the place of the mistake.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{path}: {message}")]
#[diagnostic(code(probelab::configuration))]
pub struct ConfigError {
    /// Which file.
    pub path: String,
    /// What is wrong, in one line.
    pub message: String,
    /// The text.
    #[source_code]
    pub text: miette::NamedSource<String>,
    /// The place.
    #[label("here")]
    pub place: Option<miette::SourceSpan>,
}

/// Reads a TOML document; a mistake is reported with its place.
pub fn parse_toml<T: serde::de::DeserializeOwned>(path: &str, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        Error::from(Box::new(ConfigError {
            path: path.to_owned(),
            message: error.message().trim().replace('\n', "; "),
            text: miette::NamedSource::new(path, text.to_owned()),
            place: error.span().map(Into::into),
        }))
    })
}

/// Says what was attempted when input or output fails.
pub trait IoContext<T> {
    /// Adds the attempt; a full disk becomes its own error.
    fn during(self, what: impl FnOnce() -> String) -> Result<T>;

    /// Adds "VERB PATH".
    fn at(self, verb: &str, path: impl Into<PathBuf>) -> Result<T>
    where
        Self: Sized,
    {
        let path = path.into();
        self.during(|| format!("{verb} {}", path.display()))
    }
}

impl<T> IoContext<T> for io::Result<T> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| {
            if source.kind() == io::ErrorKind::StorageFull || source.kind() == io::ErrorKind::QuotaExceeded {
                Error::DiskFull { during: what() }
            } else {
                Error::Io { what: what(), source }
            }
        })
    }
}
