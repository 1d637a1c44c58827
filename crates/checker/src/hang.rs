//! Hanging programs where they belong, whichever loader loaded them, and what has to be done for some to run at all:
//! iterators are read, programs of the system call are called.

use std::{
    io::{self, Read},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use libbpf_rs::libbpf_sys;
use probe::loader::attach_to_socket;
use wire::{ProgramFinding, Reason, Step};

use crate::{
    by_libbpf::needs_target,
    loaded::{Hold, Loaded},
    place::{self, Place},
    props::{self, Props},
    reason,
};

/// Makes a program run that waits to be asked.
pub type Driver = Box<dyn Fn() -> io::Result<()>>;

/// A program on its hook.
pub struct Hung {
    /// Keeps it there.
    _hold: Hold,
    /// Makes it run, when nothing else does.
    pub driver: Option<Driver>,
}

/// Hangs a loaded program where its section says, and writes down how that went.
pub fn hang(loaded: &mut dyn Loaded, finding: &mut ProgramFinding, props: &Props) -> Option<Hung> {
    let section = finding.place().to_owned();
    let place = place::of(&section);
    let hung = match place {
        Place::NeedsTarget(what) => {
            finding.attach = needs_target(what);
            return None;
        }
        Place::LoadOnly => {
            finding.attach = Step::not_tried(Reason::LoadOnly, "programs of this kind are only loaded");
            return None;
        }
        Place::Socket => with_descriptor(loaded, finding, on_a_socket),
        Place::Syscall => with_descriptor(loaded, finding, |fd| Ok(driven(Box::new(()), called(fd)))),
        Place::Iterator => iterated(loaded, finding, place, props),
        _ => loaded.attach(&finding.program, place, props).map(|hold| Hung {
            _hold: hold,
            driver: None,
        }),
    };
    match hung {
        Ok(hung) => {
            finding.attach = Step::Done;
            Some(hung)
        }
        Err(words) => {
            finding.attach = Step::failed(reason::of_attach(&words), reason::one_line(&words));
            None
        }
    }
}

fn driven(hold: Hold, driver: Driver) -> Hung {
    Hung {
        _hold: hold,
        driver: Some(driver),
    }
}

fn with_descriptor(
    loaded: &dyn Loaded,
    finding: &ProgramFinding,
    hang: impl FnOnce(BorrowedFd<'_>) -> io::Result<Hung>,
) -> Result<Hung, String> {
    let fd = loaded
        .descriptor(&finding.program)
        .ok_or("the program is not loaded")?;
    hang(fd).map_err(|error| error.to_string())
}

fn on_a_socket(program: BorrowedFd<'_>) -> io::Result<Hung> {
    let socket = props::packet_socket()?;
    attach_to_socket(program, std::os::fd::AsFd::as_fd(&socket))?;
    Ok(Hung {
        _hold: Box::new(socket),
        driver: None,
    })
}

/// A program that runs when it is called (`BPF_PROG_TEST_RUN`). Its context is zeroes, as large as it may be.
fn called(program: BorrowedFd<'_>) -> Driver {
    let fd = program.as_raw_fd();
    Box::new(move || {
        let mut context = [0_u8; 256];
        let mut options = libbpf_sys::bpf_test_run_opts {
            sz: size_of::<libbpf_sys::bpf_test_run_opts>() as libbpf_sys::size_t,
            ctx_in: context.as_mut_ptr().cast(),
            ctx_size_in: context.len() as u32,
            ..Default::default()
        };
        // SAFETY: the context outlives the call and goes with its size, as does `options`, whose size is in it.
        let result = unsafe { libbpf_sys::bpf_prog_test_run_opts(fd, &raw mut options) };
        errno(result).map(drop)
    })
}

/// The loader's own way to attach it, which must work, and a link of our own to read it through again and again.
fn iterated(
    loaded: &mut dyn Loaded,
    finding: &ProgramFinding,
    place: Place<'_>,
    props: &Props,
) -> Result<Hung, String> {
    let hold = loaded.attach(&finding.program, place, props)?;
    let fd = loaded
        .descriptor(&finding.program)
        .ok_or("the program is not loaded")?
        .as_raw_fd();
    // SAFETY: the descriptor is open, and no options are given.
    let link = unsafe { libbpf_sys::bpf_link_create(fd, 0, libbpf_sys::BPF_TRACE_ITER, std::ptr::null()) };
    let link = owned(link).map_err(|error| error.to_string())?;
    let read = move || {
        // SAFETY: the link is open as long as this closure.
        let reader = unsafe { libbpf_sys::bpf_iter_create(link.as_raw_fd()) };
        let mut text = Vec::new();
        std::fs::File::from(owned(reader)?)
            .read_to_end(&mut text)
            .map(drop)
    };
    Ok(driven(hold, Box::new(read)))
}

fn errno(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::from_raw_os_error(-result))
    } else {
        Ok(result)
    }
}

fn owned(fd: i32) -> io::Result<OwnedFd> {
    let fd = errno(fd)?;
    // SAFETY: the callers hand in what the kernel has just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
