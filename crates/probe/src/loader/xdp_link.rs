//! The link that holds an XDP program on an interface, by its descriptor: made here where a library cannot say all of it,
//! and kept in a BPF filesystem where it is to outlive its process.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use libbpf_rs::libbpf_sys;

use super::XdpMode;

/// Takes a descriptor that the kernel has just made, or its error.
fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn done(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    Ok(())
}

/// Hangs a program on an interface; the last descriptor that is closed takes it off.
///
/// # Errors
/// `EBUSY` when the interface has one, `EPERM` without `CAP_NET_ADMIN`, `EOPNOTSUPP` when its driver knows no XDP.
pub fn create(program: BorrowedFd<'_>, interface_index: u32, mode: XdpMode) -> io::Result<OwnedFd> {
    let target = i32::try_from(interface_index).map_err(io::Error::other)?;
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
        flags: match mode {
            XdpMode::Native => libbpf_sys::XDP_FLAGS_DRV_MODE,
            XdpMode::Generic => libbpf_sys::XDP_FLAGS_SKB_MODE,
        },
        ..Default::default()
    };
    // SAFETY: the descriptor is open and `options`, whose size is in it, lives until the call returns.
    owned(unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            target,
            libbpf_sys::BPF_XDP,
            &raw const options,
        )
    })
}

/// Hangs a program on an interface by a link that a file of a BPF filesystem keeps. A link that is there already gets the
/// program instead of its own, without a frame in between that none decides about.
///
/// # Errors
/// In words: the file holds something else, or is in no BPF filesystem, or see [`create`].
pub fn keep(
    program: BorrowedFd<'_>,
    interface_index: u32,
    mode: XdpMode,
    path: &Path,
) -> Result<OwnedFd, String> {
    let about = |what: &str, error: io::Error| format!("{what} {}: {error}", path.display());
    if let Some(link) = open(path).map_err(|error| about("cannot open the link kept in", error))? {
        let other = holder_of(&link).map_err(|error| about("no XDP link is kept in", error))?;
        if other == interface_index {
            return replace(&link, program)
                .map(|()| link)
                .map_err(|error| about("cannot take over the link kept in", error));
        }
        // A link whose interface is gone says 0.
        if other != 0 {
            return Err(format!(
                "{} keeps a link of another interface, number {other}: name another file, or remove that one",
                path.display()
            ));
        }
        fs::remove_file(path).map_err(|error| about("cannot remove", error))?;
    }
    let link = create(program, interface_index, mode).map_err(|error| error.to_string())?;
    pin(&link, path).map_err(|error| {
        let hint = "; it must be a new file in a BPF filesystem, such as /sys/fs/bpf";
        format!("{}{hint}", about("cannot keep the link in", error))
    })?;
    Ok(link)
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)
}

/// What a file keeps; nothing when there is no file.
fn open(path: &Path) -> io::Result<Option<OwnedFd>> {
    let path = c_path(path)?;
    // SAFETY: the path is a C string that lives until the call returns.
    match owned(unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) }) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn pin(link: &OwnedFd, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: the descriptor is open and the path is a C string that lives until the call returns.
    done(unsafe { libbpf_sys::bpf_obj_pin(link.as_raw_fd(), path.as_ptr()) })
}

fn replace(link: &OwnedFd, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors are open; no options are given.
    done(unsafe { libbpf_sys::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null()) })
}

/// The number of the interface that an XDP link is of; 0 when that is gone.
fn holder_of(link: &OwnedFd) -> io::Result<u32> {
    let mut info = libbpf_sys::bpf_link_info::default();
    let mut length = size_of_val(&info) as u32;
    // SAFETY: both pointers are to live values, and `length` is the size of the first.
    done(unsafe { libbpf_sys::bpf_link_get_info_by_fd(link.as_raw_fd(), &raw mut info, &raw mut length) })?;
    if info.type_ != libbpf_sys::BPF_LINK_TYPE_XDP {
        return Err(io::Error::other("it is another kind of link"));
    }
    // SAFETY: the kernel fills this part of the union for links of this type (`bpf_xdp_link_fill_link_info`).
    Ok(unsafe { info.__bindgen_anon_1.xdp.ifindex })
}
