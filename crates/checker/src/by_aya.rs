//! Objects by aya.
//!
//! aya reads an object and creates its maps at once, and then verifies program by program: what fails at first fails
//! for all of them.

use std::{
    error::Error,
    os::fd::{AsFd, BorrowedFd},
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    programs::{
        CgroupAttachMode, CgroupSkbAttachType, Program, ProgramError, TcAttachType,
        perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
        tc,
        uprobe::UProbeScope,
        xdp::XdpMode,
    },
};
use probe::causes::chain;
use wire::{ObjectFinding, ProgramFinding, Reason, Step, check_stage::INTERFACE};

use crate::{
    by_libbpf::{names_a_type, needs_target},
    loaded::{Hold, Loaded},
    place::{self, Place},
    props::{Props, SAMPLE_PERIOD_NS},
    reason, verifier,
};

/// What is the same for all objects of a kernel, made once: aya reads the kernel's types with each loader it makes.
pub struct Prepared {
    loader: EbpfLoader<'static>,
    types: Option<Btf>,
}

impl Prepared {
    /// Reads the kernel's types and what it can do.
    pub fn new() -> Self {
        let _ = aya::features();
        let mut loader = EbpfLoader::new();
        loader.allow_unsupported_maps();
        Self {
            loader,
            types: Btf::from_sys_fs().ok(),
        }
    }

    /// Loads an object and writes down what happened. Nothing is returned when nothing of it could be loaded.
    pub fn load(&mut self, bytes: &[u8], finding: &mut ObjectFinding) -> Option<Box<dyn Loaded>> {
        let mut ebpf = match self.loader.load(bytes) {
            Ok(ebpf) => ebpf,
            Err(error) => {
                let words = chain(&error);
                let step = Step::failed(reason::of_load(&words, ""), words);
                finding.whole = step.clone();
                for program in &mut finding.programs {
                    program.load = step.clone();
                }
                return None;
            }
        };
        for program in &mut finding.programs {
            program.load = self.verify(&mut ebpf, program);
        }
        finding.whole = finding
            .programs
            .iter()
            .filter(|program| !program.is_optional())
            .find_map(|program| program.load.trouble())
            .map_or(Step::Done, |trouble| Step::Failed(trouble.clone()));
        Some(Box::new(AyaObject { ebpf }))
    }

    fn verify(&self, ebpf: &mut Ebpf, finding: &mut ProgramFinding) -> Step {
        let section = finding.place().to_owned();
        if let (Place::NeedsTarget(what), true) = (place::of(&section), names_a_type(&section)) {
            return needs_target(what);
        }
        let Some(program) = ebpf.program_mut(&finding.program) else {
            return Step::failed(Reason::LoaderUnsupported, "aya does not know this program");
        };
        let (_, target) = section.split_once('/').unwrap_or(("", &section));
        match load_program(program, target, self.types.as_ref()) {
            Ok(()) => Step::Done,
            Err(ProgramError::LoadError {
                io_error,
                verifier_log,
            }) => {
                let log = verifier_log.to_string();
                finding.verifier = verifier::counts(&log);
                finding.log = verifier::last_lines(&log);
                let words = io_error.to_string();
                let said = verifier::verdict_line(&log).unwrap_or_else(|| words.clone());
                Step::failed(reason::of_load(&words, &log), said)
            }
            Err(error) => {
                let words = chain(&error);
                Step::failed(reason::of_load(&words, ""), words)
            }
        }
    }
}

fn load_program(program: &mut Program, target: &str, types: Option<&Btf>) -> Result<(), ProgramError> {
    let types = || {
        types.ok_or_else(|| {
            ProgramError::IOError(std::io::Error::other(
                "no type information in /sys/kernel/btf/vmlinux",
            ))
        })
    };
    match program {
        Program::KProbe(program) => program.load(),
        Program::UProbe(program) => program.load(),
        Program::TracePoint(program) => program.load(),
        Program::SocketFilter(program) => program.load(),
        Program::ReusePortSocketFilter(program) => program.load(),
        Program::Xdp(program) => program.load(),
        Program::SkMsg(program) => program.load(),
        Program::SkSkb(program) => program.load(),
        Program::CgroupSockAddr(program) => program.load(),
        Program::SockOps(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        Program::CgroupSkb(program) => program.load(),
        Program::CgroupSysctl(program) => program.load(),
        Program::CgroupSockopt(program) => program.load(),
        Program::LircMode2(program) => program.load(),
        Program::PerfEvent(program) => program.load(),
        Program::RawTracePoint(program) => program.load(),
        Program::Lsm(program) => program.load(target, types()?),
        Program::LsmCgroup(program) => program.load(target, types()?),
        Program::BtfTracePoint(program) => program.load(target, types()?),
        Program::FEntry(program) => program.load(target, types()?),
        Program::FExit(program) => program.load(target, types()?),
        Program::FlowDissector(program) => program.load(),
        Program::SkLookup(program) => program.load(),
        Program::SkReuseport(program) => program.load(),
        Program::CgroupSock(program) => program.load(),
        Program::CgroupDevice(program) => program.load(),
        Program::Iter(program) => program.load(target, types()?),
        // It needs the program that it replaces a function of.
        Program::Extension(_) => Err(ProgramError::UnexpectedProgramType),
    }
}

struct AyaObject {
    ebpf: Ebpf,
}

impl Loaded for AyaObject {
    fn descriptor(&self, program: &str) -> Option<BorrowedFd<'_>> {
        Some(self.ebpf.program(program)?.fd().ok()?.as_fd())
    }

    fn attach(&mut self, name: &str, place: Place<'_>, props: &Props) -> Result<Hold, String> {
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or_else(|| format!("aya does not know {name}"))?;
        attach(program, place, props).map_err(|error| chain(error.as_ref()))
    }
}

/// Attaches and takes the link out of aya's object, which would keep the program there as long as it lives itself.
macro_rules! held {
    ($program:ident, $attached:expr) => {{
        let link = $attached?;
        let held: Hold = Box::new($program.take_link(link)?);
        held
    }};
}

fn attach(program: &mut Program, place: Place<'_>, props: &Props) -> Result<Hold, Box<dyn Error>> {
    let target = match place {
        Place::Named { target } | Place::Uprobe { target } => target,
        _ => "",
    };
    // A link to a group stands beside others by itself, and the kernel refuses to be told so.
    let (group, mode) = (&props.cgroup, CgroupAttachMode::Single);
    Ok(match program {
        Program::KProbe(program) => held!(program, program.attach(target, 0)),
        Program::UProbe(program) => {
            let (file, function) = target.rsplit_once(':').unwrap_or((target, ""));
            held!(program, program.attach(function, file, UProbeScope::AllProcesses))
        }
        Program::TracePoint(program) => {
            let (category, name) = target.split_once('/').ok_or("the section names no tracepoint")?;
            held!(program, program.attach(category, name))
        }
        Program::RawTracePoint(program) => held!(program, program.attach(target)),
        Program::BtfTracePoint(program) => held!(program, program.attach()),
        Program::FEntry(program) => held!(program, program.attach()),
        Program::FExit(program) => held!(program, program.attach()),
        Program::Lsm(program) => held!(program, program.attach()),
        Program::LsmCgroup(program) => held!(program, program.attach(group)),
        Program::Iter(program) => held!(program, program.attach()),
        Program::Xdp(program) => held!(
            program,
            program.attach_to_if_index(props.interface_index, XdpMode::default())
        ),
        Program::SchedClassifier(program) => {
            // Kernels without links for traffic control need the queue; it may be there already.
            let _ = tc::qdisc_add_clsact(INTERFACE);
            let point = match place {
                Place::Tc { egress: true } => TcAttachType::Egress,
                _ => TcAttachType::Ingress,
            };
            held!(program, program.attach(INTERFACE, point))
        }
        Program::CgroupSkb(program) => {
            let point = program
                .expected_attach_type()
                .unwrap_or(CgroupSkbAttachType::Egress);
            held!(program, program.attach(group, point, mode))
        }
        Program::CgroupSock(program) => held!(program, program.attach(group, mode)),
        Program::CgroupSockAddr(program) => held!(program, program.attach(group, mode)),
        Program::CgroupSockopt(program) => held!(program, program.attach(group, mode)),
        Program::CgroupSysctl(program) => held!(program, program.attach(group, mode)),
        Program::CgroupDevice(program) => held!(program, program.attach(group, mode)),
        Program::SockOps(program) => held!(program, program.attach(group, mode)),
        Program::SkLookup(program) => held!(program, program.attach(&props.namespace)),
        Program::FlowDissector(program) => held!(program, program.attach(&props.namespace)),
        Program::PerfEvent(program) => held!(
            program,
            program.attach(
                PerfEventConfig::Software(SoftwareEvent::CpuClock),
                PerfEventScope::AllProcessesOneCpu { cpu: 0 },
                SamplePolicy::Period(SAMPLE_PERIOD_NS),
                false,
            )
        ),
        _ => return Err("aya has no way to attach it here".into()),
    })
}
