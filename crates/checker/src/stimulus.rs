//! The stimulus: a fixed list of things that a system does all day, so that hooks have something to see.
//!
//! What a program under check makes of them (drops, refuses, kills) is its business: nothing here fails, and nothing
//! waits longer than [`PATIENCE`] for an answer.

use std::{
    fs, io,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::AsFd,
        unix::net::{UnixDatagram, UnixStream},
    },
    process::{Command, Stdio},
    time::Duration,
};

use nix::{
    libc,
    poll::{PollFd, PollFlags, poll},
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction},
};

use crate::props::Props;

/// How long an answer is waited for, in guest time.
const PATIENCE: Duration = Duration::from_millis(50);
/// Something to send.
const PAYLOAD: &[u8] = b"GET / HTTP/1.1\r\nHost: check\r\n\r\n";
/// A few hundred microseconds of work on an emulated processor.
const BURN_ROUNDS: u64 = 100_000;

/// One thing that is done.
type Deed = fn(&Props) -> io::Result<()>;

/// Everything that is done, in order, with what it is.
const DEEDS: &[(&str, Deed)] = &[
    ("getppid", getppid),
    ("nanosleep", nanosleep),
    (
        "files: create, write, read, rename, unlink, and open one that is not there",
        files,
    ),
    ("fork, exec and exit of another program", process),
    ("page faults, mprotect, munmap", memory),
    ("a signal", signal),
    ("pipes and UNIX sockets", pipes),
    ("UDP over loopback, IPv4 and IPv6", udp),
    (
        "TCP over loopback: connect, accept, data both ways, close; a refused connection",
        tcp,
    ),
    ("UDP and TCP over a veth pair", far),
    ("socket options, a sysctl, a device", settings),
    ("a third of a millisecond of work", burn),
];

/// Does everything once.
pub fn all(props: &Props) {
    for (_, deed) in DEEDS {
        // See above: what fails is what the program under check makes fail.
        let _ = deed(props);
    }
}

fn getppid(_: &Props) -> io::Result<()> {
    for _ in 0..8 {
        nix::unistd::getppid();
    }
    Ok(())
}

fn nanosleep(_: &Props) -> io::Result<()> {
    for _ in 0..4 {
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

fn files(_: &Props) -> io::Result<()> {
    let (folder, file, renamed) = ("/tmp/check", "/tmp/check/a", "/tmp/check/b");
    let _ = fs::create_dir(folder);
    fs::write(file, PAYLOAD)?;
    fs::read(file)?;
    fs::File::open(file)?.sync_all()?;
    fs::rename(file, renamed)?;
    fs::remove_file(renamed)?;
    let _ = fs::File::open(file);
    fs::read_dir("/proc/self/task")?.for_each(drop);
    fs::remove_dir(folder)
}

fn process(_: &Props) -> io::Result<()> {
    Command::new("/bin/true")
        .env_clear()
        .stdin(Stdio::null())
        .status()
        .map(drop)
}

fn memory(_: &Props) -> io::Result<()> {
    const BYTES: usize = 8 * 4096;
    // SAFETY: a fresh private mapping at an address of the kernel's choice.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    for page in (0..BYTES).step_by(4096) {
        // SAFETY: inside the mapping made above, which nothing else knows of.
        unsafe { start.cast::<u8>().add(page).write_volatile(1) };
    }
    // SAFETY: the whole mapping made above, which is used no more.
    unsafe {
        libc::mprotect(start, BYTES, libc::PROT_READ);
        libc::munmap(start, BYTES);
    }
    Ok(())
}

extern "C" fn received(_: libc::c_int) {}

fn signal(_: &Props) -> io::Result<()> {
    let action = SigAction::new(
        SigHandler::Handler(received),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing, which is safe whenever it runs.
    unsafe { sigaction(Signal::SIGUSR1, &action)? };
    Ok(raise(Signal::SIGUSR1)?)
}

fn pipes(_: &Props) -> io::Result<()> {
    let (mut reader, mut writer) = io::pipe()?;
    writer.write_all(PAYLOAD)?;
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    let (mut one, mut other) = UnixStream::pair()?;
    one.write_all(PAYLOAD)?;
    other.read_exact(&mut bytes)?;
    let (one, other) = UnixDatagram::pair()?;
    one.send(PAYLOAD)?;
    other.recv(&mut bytes).map(drop)
}

fn udp(_: &Props) -> io::Result<()> {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (one, other) = (UdpSocket::bind(address)?, UdpSocket::bind(address)?);
        echo(&one, &other)?;
    }
    Ok(())
}

/// A datagram there and one back.
fn echo(one: &UdpSocket, other: &UdpSocket) -> io::Result<()> {
    let mut bytes = [0; 64];
    one.send_to(PAYLOAD, other.local_addr()?)?;
    wait(other)?;
    let (_, from) = other.recv_from(&mut bytes)?;
    other.send_to(PAYLOAD, from)?;
    wait(one)?;
    one.recv_from(&mut bytes).map(drop)
}

fn tcp(_: &Props) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    talk(&listener)?;
    let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let _ = TcpStream::connect_timeout(&closed, PATIENCE);
    Ok(())
}

/// A connection with a request and an answer.
fn talk(listener: &TcpListener) -> io::Result<()> {
    let mut client = TcpStream::connect_timeout(&listener.local_addr()?, PATIENCE)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_nodelay(true)?;
    wait(listener)?;
    let (mut server, _) = listener.accept()?;
    server.set_nonblocking(false)?;
    server.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = [0; PAYLOAD.len()];
    client.write_all(PAYLOAD)?;
    server.read_exact(&mut bytes)?;
    server.write_all(PAYLOAD)?;
    client.read_exact(&mut bytes)
}

fn far(props: &Props) -> io::Result<()> {
    let near = UdpSocket::bind("0.0.0.0:0")?;
    for _ in 0..4 {
        echo(&near, &props.far_udp)?;
    }
    talk(&props.far_tcp)
}

fn settings(props: &Props) -> io::Result<()> {
    props.far_udp.set_ttl(64)?;
    props.far_udp.ttl()?;
    fs::read("/proc/sys/kernel/ostype")?;
    fs::write("/dev/null", PAYLOAD)?;
    Ok(())
}

fn burn(_: &Props) -> io::Result<()> {
    for round in 0..BURN_ROUNDS {
        std::hint::black_box(round);
    }
    Ok(())
}

/// Waits until something can be read or accepted.
fn wait(socket: &impl AsFd) -> io::Result<()> {
    let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    let milliseconds = u16::try_from(PATIENCE.as_millis()).unwrap_or(u16::MAX);
    match poll(&mut waiting, milliseconds)? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}
