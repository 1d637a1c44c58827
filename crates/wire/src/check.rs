//! What a check of a BPF object finds on one kernel: the words of `probelab check`.
//!
//! The checker in the guest fills them in, the report prints them. A finding says what happened and never whether
//! that is good: what a user wants is decided where the user is.

use serde::{Deserialize, Serialize};

use crate::Loader;

/// What the stage of a check has, by the names that both sides use.
pub mod check_stage {
    /// The network interface on this side.
    pub const INTERFACE: &str = "check0";
    /// Its address.
    pub const ADDRESS: &str = "10.99.0.1";
    /// The interface on the far side.
    pub const FAR_INTERFACE: &str = "check1";
    /// Its address.
    pub const FAR_ADDRESS: &str = "10.99.0.2";
    /// The network namespace of the far side.
    pub const NAMESPACE: &str = "check";
    /// The control group that a check runs in.
    pub const CGROUP: &str = "check";
    /// The ready-made tools of the guest's packages.
    pub const PEERS: Peers = Peers {
        folder: "/usr/sbin",
        ending: "-libbpf",
    };

    /// Where ready-made tools are, and how their names end.
    #[derive(Debug, Clone, Copy)]
    pub struct Peers {
        /// Their folder.
        pub folder: &'static str,
        /// The end of their names.
        pub ending: &'static str,
    }
}

/// What the checker leaves behind: one entry per object and loader, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// One per object and loader.
    pub objects: Vec<ObjectFinding>,
}

/// What was found about one object with one loader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ObjectFinding {
    /// Name of its file, without folders.
    pub file_name: String,
    /// What it was loaded with.
    pub loader: Loader,
    /// Whether it loads as it is, with all programs that it wants loaded.
    pub whole: Step,
    /// Its maps, as far as they could be created.
    pub maps: Vec<MapFinding>,
    /// Its programs.
    pub programs: Vec<ProgramFinding>,
}

/// A map that the kernel created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MapFinding {
    /// Its name, as the kernel keeps it (15 bytes).
    pub name: String,
    /// The kernel's number of its type.
    pub map_type: u32,
    /// How many entries it may hold.
    pub max_entries: u32,
    /// Memory that the kernel charges for it, in bytes (`memlock` of its fdinfo); before Linux 6.4 an estimate.
    pub memory_bytes: u64,
}

/// What was found about one program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProgramFinding {
    /// Its name.
    pub program: String,
    /// Its section, which says what it is and where it belongs.
    pub section: String,
    /// Its type, in the kernel's small letters; empty when the loader does not know it.
    pub program_type: String,
    /// Whether the verifier accepts it.
    pub load: Step,
    /// Whether it could be hung on the hook that its section names.
    pub attach: Step,
    /// Whether it ran under the stimulus.
    pub fire: Step,
    /// What the verifier counted.
    pub verifier: VerifierCounts,
    /// Instructions of the program in the object.
    pub size_instructions: u64,
    /// Machine code in bytes; nothing when it is not loaded, 0 when the kernel interprets it.
    pub jited_bytes: Option<u64>,
    /// Runs under the stimulus.
    pub runs: u64,
    /// What a run costs: the median over the rounds of the stimulus of a round's mean, in instructions (virtual lane)
    /// or nanoseconds (others), the cost of counting included.
    pub run_cost: Option<f64>,
    /// The same of an empty program of the same kind.
    pub empty_run_cost: Option<f64>,
    /// Last lines of the verifier's log, when it refused the program.
    pub log: Vec<String>,
}

impl ProgramFinding {
    /// What the program itself costs per run: [`Self::run_cost`] less [`Self::empty_run_cost`].
    pub fn net_run_cost(&self) -> Option<f64> {
        Some(self.run_cost? - self.empty_run_cost?)
    }

    /// The section without the mark of an optional program.
    pub fn place(&self) -> &str {
        self.section.trim_start_matches('?')
    }

    /// Whether the object leaves it out unless told otherwise (`SEC("?…")`).
    pub fn is_optional(&self) -> bool {
        self.section.starts_with('?')
    }

    /// The first step that was not done, and why.
    pub fn first_trouble(&self) -> Option<&Trouble> {
        [&self.load, &self.attach, &self.fire]
            .into_iter()
            .find_map(Step::trouble)
    }
}

/// What the verifier says of its work on a program; what a kernel or a loader does not tell is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerifierCounts {
    /// Time that it took, in microseconds of the kernel's clock.
    pub duration_us: Option<u64>,
    /// Instructions processed.
    pub total_insns: Option<u64>,
    /// States explored.
    pub total_states: Option<u64>,
    /// States kept at once.
    pub peak_states: Option<u64>,
    /// States kept at one instruction.
    pub max_states_per_insn: Option<u64>,
    /// Longest chain of register marks.
    pub max_mark_read_len: Option<u64>,
    /// Stack of the program and its functions, in bytes.
    pub stack_depth: Option<u64>,
}

/// A step of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// It was not come to.
    #[default]
    Pending,
    /// It worked.
    Done,
    /// It was tried in vain.
    Failed(Trouble),
    /// It could not be tried, which says nothing about the object.
    NotTried(Trouble),
}

impl Step {
    /// A failure.
    pub fn failed(reason: Reason, words: impl Into<String>) -> Self {
        Self::Failed(Trouble::new(reason, words))
    }

    /// A step that cannot be tried.
    pub fn not_tried(reason: Reason, words: impl Into<String>) -> Self {
        Self::NotTried(Trouble::new(reason, words))
    }

    /// Whether it worked.
    pub fn is_done(&self) -> bool {
        *self == Self::Done
    }

    /// Why it did not.
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Failed(trouble) | Self::NotTried(trouble) => Some(trouble),
            Self::Pending | Self::Done => None,
        }
    }
}

/// A reason with its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trouble {
    /// Which kind of trouble.
    pub reason: Reason,
    /// What loader or kernel said, in a line.
    pub words: String,
}

impl Trouble {
    /// A trouble.
    pub fn new(reason: Reason, words: impl Into<String>) -> Self {
        Self {
            reason,
            words: words.into(),
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $text:literal])+ $variant:ident $code:literal,)+) => {
        /// Why something does not work. The codes are stable; reports and gates may rely on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Reason {
            $($(#[doc = $text])+ #[serde(rename = $code)] $variant,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($text),+).trim_ascii()),+ }
            }
        }
    };
}

reasons! {
    /// The file is not a BPF object.
    NotAnObject "not_an_object",
    /// The object has no type information (BTF), and needs it: compile with -g.
    MissingBtf "missing_btf",
    /// The kernel has no type information (BTF) in /sys/kernel/btf/vmlinux.
    MissingKernelBtf "missing_kernel_btf",
    /// The object's map definitions are of the old kind (SEC("maps")), which the loader does not read.
    LegacyMapDefinition "legacy_map_definition",
    /// The loader does not know this kind of program, map or section.
    LoaderUnsupported "loader_unsupported",
    /// This kernel has no such program type.
    UnsupportedProgramType "unsupported_program_type",
    /// This kernel has no such map type.
    UnsupportedMapType "unsupported_map_type",
    /// The kernel knows the map type and refuses this map.
    MapCreation "map_creation",
    /// The program calls a helper that this kernel does not have, or not for programs of this type.
    UnknownHelper "unknown_helper",
    /// The program uses a kernel function or symbol (kfunc, ksym) that this kernel does not have.
    MissingKernelSymbol "missing_kernel_symbol",
    /// The program reads a kernel structure in a way that this kernel does not offer (CO-RE relocation).
    MissingKernelField "missing_kernel_field",
    /// The program needs the kernel's configuration, which is not to be had.
    MissingKconfig "missing_kconfig",
    /// The verifier gives up: the program is too long or has too many states.
    VerifierLimit "verifier_limit",
    /// The verifier refuses the program.
    VerifierRejection "verifier_rejection",
    /// The kernel refuses to load the program without a word of the verifier.
    LoadRefused "load_refused",
    /// The hook does not exist on this kernel.
    MissingHook "missing_hook",
    /// The hook exists and refuses the program.
    AttachRefused "attach_refused",
    /// The section does not say where to attach (a program's file, a device, a map).
    NeedsTarget "needs_target",
    /// Programs of this type are only loaded by a check.
    LoadOnly "load_only",
    /// The kernel was not started with the BPF LSM in its list of security modules.
    LsmOff "lsm_off",
    /// The program was attached, and nothing of the stimulus made it run.
    DidNotFire "did_not_fire",
    /// The checking process was killed or crashed.
    Crashed "crashed",
    /// The check of this object took too long.
    TimedOut "timed_out",
    /// The guest's kernel broke during the check of this object.
    KernelBroke "kernel_broke",
    /// The lab could not do its part.
    Infra "infra",
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_one_code_everywhere() {
        let mut codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert!(reason.meaning().ends_with('.'), "{reason}: {}", reason.meaning());
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
    }

    #[test]
    fn steps_survive_json() {
        for step in [
            Step::Pending,
            Step::Done,
            Step::failed(Reason::MissingHook, "no such function"),
            Step::not_tried(Reason::NeedsTarget, "which file?"),
        ] {
            let json = serde_json::to_string(&step).unwrap();
            assert_eq!(serde_json::from_str::<Step>(&json).unwrap(), step);
        }
    }

    #[test]
    fn a_net_cost_needs_both_figures() {
        let cost = |run_cost, empty_run_cost| ProgramFinding {
            run_cost,
            empty_run_cost,
            ..ProgramFinding::default()
        };
        assert_eq!(cost(Some(110.0), Some(90.0)).net_run_cost(), Some(20.0));
        assert_eq!(cost(Some(110.0), None).net_run_cost(), None);
        assert_eq!(cost(None, Some(90.0)).net_run_cost(), None);
    }
}
