//! Objects by libbpf.
//!
//! An object is first loaded as it is. When that fails, each program is loaded by itself with all others left out, so
//! that one refusal does not hide the rest, and then all that were accepted are loaded together. A map that the kernel
//! refuses is left out in the same way; the programs that use it are then refused for its sake.

use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd, BorrowedFd},
};

use libbpf_rs::{
    AsRawLibbpf, MapType, NF_INET_LOCAL_OUT, NFPROTO_IPV4, NetfilterOpts, Object, ObjectBuilder, OpenObject,
    ProgramMut, ProgramType, TC_EGRESS, TC_INGRESS, TcHook, TcHookBuilder, libbpf_sys,
};
use wire::{ObjectFinding, ProgramFinding, Reason, Step, Trouble};

use crate::{
    loaded::{Hold, Loaded},
    place::{self, Place},
    props::{self, Props},
    reason, verifier,
    words::told,
};

/// The verifier's statistics alone; its errors come with them (`BPF_LOG_STATS` of linux/bpf_verifier.h).
const STATISTICS: u32 = 4;
/// The whole course of the verification (`BPF_LOG_LEVEL1`). libbpf puts words of its own for what it could not resolve
/// into such a log, and not into one with statistics.
const COURSE: u32 = 1;
/// Room for the statistics and an error.
const STATISTICS_BYTES: usize = 16 << 10;
/// Room for a course; a kernel before 6.4 that fills it tells its beginning instead of its end.
const COURSE_BYTES: usize = 1 << 20;

/// Loads an object and writes down what happened. Nothing is returned when nothing of it could be loaded.
pub fn load(bytes: &[u8], stem: &str, finding: &mut ObjectFinding) -> Option<Box<dyn Loaded>> {
    let mut refused = BTreeMap::new();
    let whole = Attempt::new(
        bytes,
        stem,
        &|_, by_default| by_default,
        &refused,
        STATISTICS,
        finding,
    );
    finding.whole = whole.step(&refused);
    let has_optional = finding.programs.iter().any(ProgramFinding::is_optional);
    if whole.result.is_ok() && !has_optional {
        for program in &mut finding.programs {
            accept(program, &whole);
        }
        return whole.into_loaded();
    }
    drop(whole);
    for index in 0..finding.programs.len() {
        alone(bytes, stem, finding, index, &mut refused);
    }
    let accepted: Vec<String> = finding
        .programs
        .iter()
        .filter(|program| program.load.is_done())
        .map(|program| program.program.clone())
        .collect();
    if accepted.is_empty() {
        return None;
    }
    let wanted = |name: &str, _| accepted.iter().any(|accepted| accepted == name);
    let together = Attempt::new(bytes, stem, &wanted, &refused, STATISTICS, finding);
    if let Err(words) = &together.result {
        let words = format!(
            "its programs load one by one and not together: {}",
            reason::one_line(words)
        );
        for program in finding
            .programs
            .iter_mut()
            .filter(|program| program.load.is_done())
        {
            program.attach = Step::not_tried(Reason::LoadRefused, words.clone());
        }
    }
    together.into_loaded()
}

/// Loads one program with all others left out.
fn alone(
    bytes: &[u8],
    stem: &str,
    finding: &mut ObjectFinding,
    index: usize,
    refused: &mut BTreeMap<String, Trouble>,
) {
    let name = finding.programs[index].program.clone();
    let section = finding.programs[index].place().to_owned();
    if let (Place::NeedsTarget(what), true) = (place::of(&section), names_a_type(&section)) {
        finding.programs[index].load = needs_target(what);
        return;
    }
    let only = |candidate: &str, _| candidate == name;
    let attempt = loop {
        let attempt = Attempt::new(bytes, stem, &only, refused, STATISTICS, finding);
        match attempt.newly_refused_map(refused) {
            Some((map, trouble)) => refused.insert(map, trouble),
            None => break attempt,
        };
    };
    let program_type = attempt.program_types.get(&name).copied();
    if attempt.result.is_ok() {
        accept(&mut finding.programs[index], &attempt);
        return;
    }
    let statistics = attempt.log(&name);
    let mut log = statistics.clone();
    if !log.is_empty() {
        let course = Attempt::new(bytes, stem, &only, refused, COURSE, finding).log(&name);
        // A course that did not fit ends anywhere.
        let is_whole = verifier::verdict_line(&course) == verifier::verdict_line(&log);
        if is_whole || course.contains("<invalid ") {
            log = course;
        }
    }
    let program = &mut finding.programs[index];
    program.verifier = verifier::counts(&statistics);
    program.log = verifier::last_lines(&log);
    program.load = attempt.step_with(&log, refused, program_type);
}

/// What a program needs that its section does not say.
pub fn needs_target(what: &str) -> Step {
    Step::not_tried(Reason::NeedsTarget, format!("its section does not name {what}"))
}

/// Whether a program of this section is verified against the type of what it is attached to, so that it cannot even be
/// loaded without.
pub fn names_a_type(section: &str) -> bool {
    let kind = section.split(['/', '.']).next().unwrap_or(section);
    matches!(
        kind,
        "fentry" | "fexit" | "fmod_ret" | "fsession" | "tp_btf" | "lsm" | "lsm_cgroup" | "iter" | "freplace"
    )
}

fn accept(program: &mut ProgramFinding, attempt: &Attempt) {
    if attempt.logs.contains_key(&program.program) {
        program.load = Step::Done;
        program.verifier = verifier::counts(&attempt.log(&program.program));
    }
}

/// One try to load some of an object.
struct Attempt {
    result: Result<Object, String>,
    /// Logs of the programs that were to be loaded.
    logs: BTreeMap<String, Vec<u8>>,
    program_types: BTreeMap<String, ProgramType>,
    map_types: BTreeMap<String, MapType>,
}

impl Attempt {
    /// Tries to load the programs that are `wanted`, by name and by whether the object wants them.
    fn new(
        bytes: &[u8],
        stem: &str,
        wanted: &dyn Fn(&str, bool) -> bool,
        refused: &BTreeMap<String, Trouble>,
        log_level: u32,
        finding: &mut ObjectFinding,
    ) -> Self {
        let mut attempt = Self {
            result: Err(String::new()),
            logs: BTreeMap::new(),
            program_types: BTreeMap::new(),
            map_types: BTreeMap::new(),
        };
        let opened = told(|| ObjectBuilder::default().name(stem)?.open_memory(bytes));
        attempt.result = opened.and_then(|mut open| {
            attempt.prepare(&mut open, wanted, refused, log_level, finding)?;
            told(|| open.load())
        });
        attempt
    }

    fn prepare(
        &mut self,
        open: &mut OpenObject,
        wanted: &dyn Fn(&str, bool) -> bool,
        refused: &BTreeMap<String, Trouble>,
        log_level: u32,
        finding: &mut ObjectFinding,
    ) -> Result<(), String> {
        for mut map in open.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            self.map_types.insert(name.clone(), map.map_type());
            if refused.contains_key(&name) {
                told(|| map.set_autocreate(false))?;
            }
        }
        for mut program in open.progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            self.program_types.insert(name.clone(), program.prog_type());
            if let Some(finding) = finding
                .programs
                .iter_mut()
                .find(|finding| finding.program == name)
            {
                finding.program_type = type_name(program.prog_type());
                finding.size_instructions = program.insn_cnt() as u64;
            }
            let load = wanted(&name, program.autoload());
            program.set_autoload(load);
            if !load {
                continue;
            }
            program.set_log_level(log_level);
            let bytes = match log_level {
                STATISTICS => STATISTICS_BYTES,
                _ => COURSE_BYTES,
            };
            let mut log = vec![0_u8; bytes];
            // SAFETY: the program is of `open`, which is alive. The buffer goes with its length; libbpf writes to it only
            // while it loads, which `new` lets it do once, and `self` keeps the buffer, whose bytes do not move.
            unsafe {
                libbpf_sys::bpf_program__set_log_buf(
                    program.as_libbpf_object().as_ptr(),
                    log.as_mut_ptr().cast(),
                    log.len() as libbpf_sys::size_t,
                )
            };
            self.logs.insert(name, log);
        }
        Ok(())
    }

    fn log(&self, program: &str) -> String {
        let bytes = self.logs.get(program).map_or(&[][..], Vec::as_slice);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    /// What became of all of it.
    fn step(&self, refused: &BTreeMap<String, Trouble>) -> Step {
        // A program that was accepted has counts in its log and no words.
        let log: String = self
            .logs
            .keys()
            .map(|name| self.log(name))
            .filter(|log| verifier::verdict_line(log).is_some())
            .collect();
        self.step_with(&log, refused, None)
    }

    /// What became of it, going by this log. `program_type` is that of the only program it was about.
    fn step_with(
        &self,
        log: &str,
        refused: &BTreeMap<String, Trouble>,
        program_type: Option<ProgramType>,
    ) -> Step {
        let Err(words) = &self.result else {
            return Step::Done;
        };
        let mut reason = reason::of_load(words, log);
        let mut said = verifier::verdict_line(log).unwrap_or_else(|| reason::one_line(words));
        if let Some((_, trouble)) = self.newly_refused_map(refused) {
            return Step::Failed(trouble);
        }
        if reason == Reason::MapCreation {
            // The log names the map: "BPF map 'NAME' is referenced but wasn't created".
            let cause = refused.iter().find(|(map, _)| log.contains(&format!("'{map}'")));
            if let Some((_, trouble)) = cause {
                return Step::Failed(trouble.clone());
            }
        }
        if reason == Reason::LoadRefused
            && let Some(program_type) = program_type
            && program_type
                .is_supported()
                .is_ok_and(|is_supported| !is_supported)
        {
            reason = Reason::UnsupportedProgramType;
            said = format!("this kernel has no programs of type {}", type_name(program_type));
        }
        Step::failed(reason, said)
    }

    /// The map whose creation failed, and why.
    fn newly_refused_map(&self, refused: &BTreeMap<String, Trouble>) -> Option<(String, Trouble)> {
        let words = self.result.as_ref().err()?;
        let map = reason::refused_map(words)?;
        if refused.contains_key(map) {
            return None;
        }
        // A type that libbpf does not know either gives an error here.
        let is_unknown = self
            .map_types
            .get(map)
            .is_some_and(|map_type| !map_type.is_supported().unwrap_or(false));
        let reason = match is_unknown {
            true => Reason::UnsupportedMapType,
            false => Reason::MapCreation,
        };
        Some((map.to_owned(), Trouble::new(reason, reason::one_line(words))))
    }

    fn into_loaded(self) -> Option<Box<dyn Loaded>> {
        let object = self.result.ok()?;
        Some(Box::new(LibbpfObject { object }))
    }
}

/// The kernel's name of a program type, in libbpf's letters.
fn type_name(program_type: ProgramType) -> String {
    type_name_of(program_type as u32)
}

/// The same of its number.
pub fn type_name_of(number: u32) -> String {
    // SAFETY: the function takes a number and returns null or a text that lives as long as the program.
    let name = unsafe { libbpf_sys::libbpf_bpf_prog_type_str(number) };
    if name.is_null() {
        return format!("type {number}");
    }
    // SAFETY: it is not null, see above.
    unsafe { std::ffi::CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned()
}

struct LibbpfObject {
    object: Object,
}

impl LibbpfObject {
    fn find(&self, name: &str) -> Option<ProgramMut<'_>> {
        self.object.progs_mut().find(|program| program.name() == name)
    }
}

impl Loaded for LibbpfObject {
    fn descriptor(&self, program: &str) -> Option<BorrowedFd<'_>> {
        let program = self.find(program)?;
        // SAFETY: the pointer is to a program of `self.object`, which is alive.
        let fd = unsafe { libbpf_sys::bpf_program__fd(program.as_libbpf_object().as_ptr()) };
        // SAFETY: libbpf keeps the descriptor of a loaded program open as long as the object, which `self` borrows;
        // a program that is not loaded has a negative one and is left out.
        (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
    }

    fn attach(&mut self, name: &str, place: Place<'_>, props: &Props) -> Result<Hold, String> {
        let program = self
            .find(name)
            .ok_or_else(|| format!("libbpf does not know {name}"))?;
        let interface = i32::try_from(props.interface_index).map_err(|error| error.to_string())?;
        let link = match place {
            Place::Xdp => told(|| program.attach_xdp(interface))?,
            Place::Cgroup => told(|| program.attach_cgroup(props.cgroup.as_raw_fd()))?,
            Place::Namespace => told(|| program.attach_netns(props.namespace.as_raw_fd()))?,
            Place::Netfilter => {
                let leaving = NetfilterOpts {
                    protocol_family: NFPROTO_IPV4,
                    hooknum: NF_INET_LOCAL_OUT,
                    ..NetfilterOpts::default()
                };
                told(|| program.attach_netfilter_with_opts(leaving))?
            }
            Place::PerfEvent => {
                let event = props::clock_event().map_err(|error| format!("perf_event_open: {error}"))?;
                let link = told(|| program.attach_perf_event(event.as_raw_fd()))?;
                // The link owns the descriptor from here on, and closes it.
                std::mem::forget(event);
                link
            }
            Place::Tc { egress } => {
                let fd = self.descriptor(name).ok_or("it is not loaded")?;
                let point = if egress { TC_EGRESS } else { TC_INGRESS };
                let mut hook = TcHookBuilder::new(fd).ifindex(interface).hook(point);
                told(|| hook.create())?;
                return Ok(Box::new(OnTc(told(|| hook.attach())?)));
            }
            _ => told(|| program.attach())?,
        };
        Ok(Box::new(link))
    }
}

/// A program on traffic control, which has no link that would take it off.
struct OnTc(TcHook);

impl Drop for OnTc {
    fn drop(&mut self) {
        // What cannot be taken off goes with the interface's queue, which the serving process removes.
        let _ = told(|| self.0.detach());
    }
}
