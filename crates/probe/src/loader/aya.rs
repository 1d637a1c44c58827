//! Objects by `aya`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::{
    Btf, Ebpf, EbpfLoader,
    programs::{Program, ProgramError, UProbe, uprobe::UProbeScope, xdp::XdpMode as Mode},
};

use super::{Hook, Knobs, Loaded, XdpMode, elf::Parts};
use crate::{causes::chain, kernel_types};

struct AyaObject {
    ebpf: Ebpf,
}

pub(super) fn load(bytes: &[u8], parts: &Parts, knobs: &Knobs<'_>) -> Result<Box<dyn Loaded>, String> {
    let types = kernel_types::get();
    let mut loader = EbpfLoader::new();
    loader.btf(types.as_ref().ok().copied());
    for (variable, value) in &knobs.globals {
        loader.override_global(variable, *value, true);
    }
    for (map, entries) in &knobs.max_entries {
        loader.map_max_entries(map, *entries);
    }
    let mut ebpf = loader.load(bytes).map_err(|error| chain(&error))?;
    for (name, section) in parts.programs() {
        if knobs.without.contains(&name) {
            continue;
        }
        let program = ebpf
            .program_mut(name)
            .ok_or_else(|| format!("it does not know program {name}"))?;
        verify(program, section, &types).map_err(|reason| format!("program {name}: {reason}"))?;
    }
    Ok(Box::new(AyaObject { ebpf }))
}

fn verify(program: &mut Program, section: &str, types: &Result<&Btf, String>) -> Result<(), String> {
    let result = match program {
        Program::SocketFilter(program) => program.load(),
        Program::BtfTracePoint(program) => {
            let (_, tracepoint) = section.split_once('/').unwrap_or(("", section));
            program.load(tracepoint, types.clone()?)
        }
        Program::TracePoint(program) => program.load(),
        Program::RawTracePoint(program) => program.load(),
        Program::KProbe(program) => program.load(),
        Program::UProbe(program) => program.load(),
        Program::Xdp(program) => program.load(),
        other => {
            return Err(format!(
                "programs of type {:?} are not used here",
                other.prog_type()
            ));
        }
    };
    result.map_err(|error| verifier_words(&error))
}

/// The verifier's last lines, which say what is wrong; those before retell the program.
fn verifier_words(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let last = super::last_lines(&log);
            format!("the verifier refused it ({io_error}): {last}")
        }
        other => chain(other),
    }
}

impl Loaded for AyaObject {
    fn program(&self, name: &str) -> Option<BorrowedFd<'_>> {
        let fd = self.ebpf.program(name)?.fd().ok()?;
        Some(fd.as_fd())
    }

    fn map(&self, name: &str) -> Option<OwnedFd> {
        let fd = crate::maps::descriptor(self.ebpf.map(name)?)?;
        fd.try_clone_to_owned().ok()
    }

    fn attach(&mut self, name: &str, hook: &Hook<'_>) -> Result<Box<dyn Send>, String> {
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or_else(|| String::from("the program is gone"))?;
        attach(program, hook).map_err(|error| chain(&error))
    }
}

fn attach(program: &mut Program, hook: &Hook<'_>) -> Result<Box<dyn Send>, ProgramError> {
    Ok(match (program, hook) {
        (Program::BtfTracePoint(program), Hook::BtfTracepoint) => {
            let id = program.attach()?;
            Box::new(program.take_link(id)?)
        }
        (Program::TracePoint(program), Hook::Tracepoint { category, name }) => {
            let id = program.attach(category, name)?;
            Box::new(program.take_link(id)?)
        }
        (Program::KProbe(program), Hook::Kprobe { function }) => {
            let id = program.attach(function, 0)?;
            Box::new(program.take_link(id)?)
        }
        (Program::UProbe(program), Hook::Uprobe { path, offset_bytes }) => {
            let program: &mut UProbe = program;
            let id = program.attach(*offset_bytes, path, UProbeScope::AllProcesses)?;
            Box::new(program.take_link(id)?)
        }
        (
            Program::Xdp(program),
            Hook::Xdp {
                interface_index,
                mode,
            },
        ) => {
            let mode = match mode {
                XdpMode::Native => Mode::Driver,
                XdpMode::Generic => Mode::Skb,
            };
            let id = program.attach_to_if_index(*interface_index, mode)?;
            Box::new(program.take_link(id)?)
        }
        _ => return Err(ProgramError::UnexpectedProgramType),
    })
}
