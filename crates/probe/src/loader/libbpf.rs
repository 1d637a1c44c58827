//! Objects by `libbpf-rs`.

use std::{
    ffi::OsStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

use libbpf_rs::{
    AsRawLibbpf, Link, MapCore, Object, ObjectBuilder, PrintLevel, ProgramAttachType, ProgramMut,
    TracepointCategory, UprobeMultiOpts, libbpf_sys, set_print,
};

use super::{Hook, Knobs, Loaded, elf::CONSTANTS, elf::Parts, xdp_link};

struct LibbpfObject {
    object: Object,
}

/// What libbpf said while it worked: the verifier's words come only this way.
static WORDS: Mutex<String> = Mutex::new(String::new());
/// One object at a time, so that the words are of one.
static LOADING: Mutex<()> = Mutex::new(());

fn words() -> MutexGuard<'static, String> {
    // A text that a panic interrupted is still a text.
    WORDS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(_: PrintLevel, text: String) {
    tracing::debug!("libbpf: {}", text.trim_end());
    words().push_str(&text);
}

/// Runs one step; what libbpf said meanwhile becomes part of its error.
fn told<T>(what: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T, String> {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        set_print(Some((PrintLevel::Warn, listen)));
    });
    let _one = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    words().clear();
    what().map_err(|error| {
        let said = words();
        if said.is_empty() {
            format!("{error:#}")
        } else {
            format!("{error:#}: {}", super::last_lines(&said))
        }
    })
}

pub(super) fn load(
    name: &str,
    bytes: &[u8],
    parts: &Parts,
    knobs: &Knobs<'_>,
) -> Result<Box<dyn Loaded>, String> {
    let stem = name.split('.').next().unwrap_or(name);
    let object = told(|| {
        let mut open = ObjectBuilder::default().name(stem)?.open_memory(bytes)?;
        for mut map in open.maps_mut() {
            let map_name = map.name().to_string_lossy().into_owned();
            if let Some((_, entries)) = knobs.max_entries.iter().find(|(name, _)| *name == map_name) {
                map.set_max_entries(*entries)?;
            }
            if map_name.ends_with(CONSTANTS)
                && let Some(values) = map.initial_value_mut()
            {
                for (variable, value) in &knobs.globals {
                    // The caller has compared the sizes; the section is as long as its last variable needs.
                    if let Some(place) = parts.constant(variable).and_then(|at| values.get_mut(at)) {
                        place.copy_from_slice(value);
                    }
                }
            }
        }
        for mut program in open.progs_mut() {
            if knobs
                .without
                .iter()
                .any(|name| OsStr::new(name) == program.name())
            {
                program.set_autoload(false);
            }
            if program.section() == OsStr::new("uprobe") {
                // Kernels before 6.6 do not look at it: such a program can be attached either way.
                program.set_attach_type(ProgramAttachType::TraceUprobeMulti);
            }
        }
        open.load()
    })?;
    Ok(Box::new(LibbpfObject { object }))
}

impl LibbpfObject {
    fn find(&self, name: &str) -> Option<ProgramMut<'_>> {
        self.object
            .progs_mut()
            .find(|program| program.name() == OsStr::new(name))
    }
}

impl Loaded for LibbpfObject {
    fn program(&self, name: &str) -> Option<BorrowedFd<'_>> {
        let program = self.find(name)?;
        // SAFETY: the pointer is to a program of `self.object`, which is alive.
        let fd = unsafe { libbpf_sys::bpf_program__fd(program.as_libbpf_object().as_ptr()) };
        // SAFETY: libbpf keeps the descriptor of a loaded program open as long as the object, which `self` borrows;
        // a program that is not loaded has a negative one and is left out.
        (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
    }

    fn map(&self, name: &str) -> Option<OwnedFd> {
        let map = self.object.maps().find(|map| map.name() == OsStr::new(name))?;
        map.as_fd().try_clone_to_owned().ok()
    }

    fn attach(&mut self, name: &str, hook: &Hook<'_>) -> Result<Box<dyn Send>, String> {
        let program = self
            .find(name)
            .ok_or_else(|| String::from("the program is gone"))?;
        let link = match hook {
            Hook::BtfTracepoint => told(|| program.attach_trace())?,
            Hook::Tracepoint { category, name } => {
                told(|| program.attach_tracepoint(TracepointCategory::Custom((*category).to_owned()), name))?
            }
            Hook::Kprobe { function } => told(|| program.attach_kprobe(false, function))?,
            Hook::Uprobe { path, offset_bytes } => {
                let offset = usize::try_from(*offset_bytes).map_err(|error| error.to_string())?;
                attach_uprobe(&program, path, offset)?
            }
            Hook::Xdp {
                interface_index,
                mode,
            } => {
                let fd = self
                    .program(name)
                    .ok_or_else(|| String::from("the program is not loaded"))?;
                // The library's own call for it has no way to say where the program is to run.
                let link =
                    xdp_link::create(fd, *interface_index, *mode).map_err(|error| error.to_string())?;
                return Ok(Box::new(link));
            }
            Hook::Socket(_) => return Err(String::from("sockets take their filter by themselves")),
        };
        Ok(Box::new(link))
    }
}

/// By a link of many places where the kernel has those (Linux 6.6, 89ae89f53d20): it needs no perf event. Else by a
/// single one, whose error is then the one to tell.
fn attach_uprobe(program: &ProgramMut<'_>, path: &Path, offset: usize) -> Result<Link, String> {
    let places = UprobeMultiOpts {
        offsets: vec![offset],
        ..Default::default()
    };
    told(|| program.attach_uprobe_multi_with_opts(-1, path, "", places)).or_else(|reason| {
        tracing::debug!("no uprobe_multi link here: {reason}");
        told(|| program.attach_uprobe(false, -1, path, offset))
    })
}
