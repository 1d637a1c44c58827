//! The machine's description: QEMU's command line from small pure functions, each argument with its reason.

use std::path::{Path, PathBuf};

use wire::{Lane, shared_memory};

/// The oldest usable QEMU: the first that saves a migration stream to a `file:` address. Older ones also
/// crashed 6.12 guests (QEMU 7.2, three of six boots). What records is read and tried in 10.0.2 only.
pub const MINIMUM_QEMU: &str = "8.2";
/// Below this, a warning: what the project measures is measured with QEMU 10.
pub const RECOMMENDED_QEMU: &str = "10.0";

/// Guest memory in MiB.
pub const MEMORY_MIB: u32 = 1024;

/// How the guest's memory is backed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// A file that the guest writes through to: it becomes a checkpoint's template.
    Template(PathBuf),
    /// A private copy-on-write view of a template; parallel runs share its pages and it never changes.
    CopyOf(PathBuf),
    /// Memory of its own, for lanes without checkpoints.
    Own,
}

/// Where the console goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// Into a file.
    File(PathBuf),
    /// To whoever connects to this socket, and into a file.
    Socket(PathBuf, PathBuf),
}

/// A machine to start.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Which lane it is for: `virtual` or `kvm`.
    pub lane: Lane,
    /// Processors that the job may bring online, 1 or 2.
    pub cpus: u32,
    /// Bootable kernel image.
    pub kernel: PathBuf,
    /// Initramfs; a restored machine has it in its memory already.
    pub initrd: Option<PathBuf>,
    /// How its memory is backed.
    pub memory: Memory,
    /// Where its console goes.
    pub console: Console,
}

impl Machine {
    /// The arguments of the QEMU process.
    pub fn arguments(&self) -> Vec<String> {
        [
            accelerator(self.lane, self.takes_turns()),
            board(self.lane, self.cpus, &self.memory),
            window(),
            clock(self.lane),
            quiet_devices(),
            stop_device(),
            console(&self.console),
            kernel(self.lane, &self.kernel, self.initrd.as_deref()),
            control(matches!(self.memory, Memory::CopyOf(_))),
        ]
        .concat()
    }

    /// Whether QEMU's main thread and the emulating one take turns (see [`accelerator`]): in every run that is exact.
    /// Not while a checkpoint is made, because QEMU's migration thread reads a clock without asking for its turn and
    /// ends the process (QEMU 10.0, `replay/replay-time.c`), and not where someone types: with `sleep=off` nothing
    /// takes what was typed out of the recording's queue (`icount_account_warp_timer`).
    fn takes_turns(&self) -> bool {
        is_exact(self.lane, self.cpus)
            && matches!(self.memory, Memory::CopyOf(_))
            && matches!(self.console, Console::File(_))
    }
}

/// Whether equal inputs give equal outcomes.
fn is_exact(lane: Lane, cpus: u32) -> bool {
    lane.is_deterministic() && cpus <= 1
}

/// What of a machine that boots goes into the key of a checkpoint: all arguments that do not name a file.
pub fn description_of_boot(lane: Lane, cpus: u32) -> String {
    description(lane, cpus, false)
}

/// What of a machine that runs a job goes into the digest of a run's inputs.
pub fn description_of_run(lane: Lane, cpus: u32) -> String {
    description(lane, cpus, is_exact(lane, cpus))
}

fn description(lane: Lane, cpus: u32, takes_turns: bool) -> String {
    let parts = [
        accelerator(lane, takes_turns),
        board(lane, cpus, &Memory::Own),
        window(),
        clock(lane),
        quiet_devices(),
        stop_device(),
    ];
    format!("{} -append {}", parts.concat().join(" "), command_line(lane))
}

fn strings<const N: usize>(parts: [&str; N]) -> Vec<String> {
    parts.map(str::to_owned).into()
}

/// `shift=0` makes one instruction one nanosecond; `sleep=off` lets an idle guest jump to its next timer;
/// `align=off` never waits for the host's clock. `qemu64` has no instruction that reads host randomness.
///
/// `rr=record` is there for the lock that comes with it; what is recorded goes nowhere. Without it QEMU's main thread
/// may look at the processor between its halting and the accounting of its last instructions (QEMU 10.0: `helper_hlt`
/// sets `halted`, `icount_process_data` comes after `cpu_exec` has returned, and `icount_start_warp_timer` asks whether
/// the processor halts without work, not whether its instructions are accounted). It then lets the clock jump too far
/// by these instructions, and the run takes another course.
///
/// A recording QEMU ends when a guest goes on after more than 2^31 instructions without an interrupt, an exception or a
/// timer, because it holds the length of a step in 32 bits with a sign (`replay_advance_current_icount`).
fn accelerator(lane: Lane, takes_turns: bool) -> Vec<String> {
    match lane {
        Lane::Kvm => strings(["-accel", "kvm", "-cpu", "host"]),
        _ => strings([
            "-accel",
            "tcg",
            "-icount",
            match takes_turns {
                true => "shift=0,sleep=off,align=off,rr=record,rrfile=/dev/null",
                false => "shift=0,sleep=off,align=off",
            },
            "-cpu",
            "qemu64",
            // Seeds QEMU's own generator, from which the guest's boot-time entropy comes.
            "-seed",
            "42",
        ]),
    }
}

/// No HPET: its saved counter would depend on when QEMU noticed the guest's stop, and no kernel here uses it.
///
/// An exact machine has one processor, because QEMU records no more, and a place for a second: kernels up to 6.1 reckon
/// with two for it, so that what they keep per processor has more than one value (6.12 and later take the place for a
/// processor that is broken, and reckon with one). Where the job may bring up the second, both are there; one is
/// brought up before a checkpoint. With KVM there are always two.
fn board(lane: Lane, cpus: u32, memory: &Memory) -> Vec<String> {
    let processors = match is_exact(lane, cpus) {
        true => "1,maxcpus=2",
        false => "2",
    };
    let size = format!("{MEMORY_MIB}M");
    let backend = match memory {
        Memory::Template(path) => {
            format!(
                "memory-backend-file,id=ram,size={size},mem-path={},share=on",
                path.display()
            )
        }
        // `rom=off` makes a read-only file usable as writable private memory (QEMU 8.2).
        Memory::CopyOf(path) => format!(
            "memory-backend-file,id=ram,size={size},mem-path={},share=off,readonly=on,rom=off",
            path.display()
        ),
        Memory::Own => format!("memory-backend-ram,id=ram,size={size}"),
    };
    let mut arguments = strings([
        "-machine",
        "pc,memory-backend=ram,hpet=off",
        "-smp",
        processors,
        "-m",
    ]);
    arguments.extend([MEMORY_MIB.to_string(), "-object".into(), backend]);
    arguments
}

/// The shared memory with the guest. A memfd backend travels in the checkpoint; a file backend makes QEMU
/// refuse the restore ("Mismatched GPAs for block").
fn window() -> Vec<String> {
    let size = shared_memory::SIZE_BYTES >> 20;
    let mut arguments = strings(["-object"]);
    arguments.push(format!("memory-backend-memfd,id=shm,share=on,size={size}M"));
    arguments.extend(strings(["-device", "ivshmem-plain,memdev=shm,master=on"]));
    arguments
}

/// The guest's calendar starts at the same moment in every run and follows guest time.
fn clock(lane: Lane) -> Vec<String> {
    match lane {
        Lane::Kvm => Vec::new(),
        _ => strings(["-rtc", "base=2026-01-01,clock=vm"]),
    }
}

/// No default devices (no network card, no disk: each would bring host timing), and an end instead of a reboot.
fn quiet_devices() -> Vec<String> {
    strings(["-nodefaults", "-no-reboot", "-display", "none"])
}

/// The guest stops itself at an exact instruction by writing to this device.
fn stop_device() -> Vec<String> {
    strings(["-device", "pvpanic", "-action", "panic=pause"])
}

fn console(console: &Console) -> Vec<String> {
    match console {
        Console::File(path) => vec!["-serial".into(), format!("file:{}", path.display())],
        Console::Socket(socket, log) => vec![
            "-chardev".into(),
            format!(
                "socket,id=console,path={},server=on,wait=off,logfile={}",
                socket.display(),
                log.display()
            ),
            "-serial".into(),
            "chardev:console".into(),
        ],
    }
}

fn kernel(lane: Lane, kernel: &Path, initrd: Option<&Path>) -> Vec<String> {
    let mut arguments = vec!["-kernel".into(), kernel.display().to_string()];
    if let Some(initrd) = initrd {
        arguments.extend(["-initrd".into(), initrd.display().to_string()]);
    }
    arguments.extend(["-append".into(), command_line(lane)]);
    arguments
}

/// The kernel command line.
fn command_line(lane: Lane) -> String {
    let common = [
        "console=ttyS0",
        // A panic ends the machine at once (with -no-reboot), and these make every fault a panic.
        "panic=-1",
        "oops=panic",
        "softlockup_panic=1",
        "hung_task_panic=1",
        // Addresses in messages are the same in every boot.
        "nokaslr",
        "quiet",
    ];
    let exact = [
        // The other processor, where there is one, comes up after the restore.
        "maxcpus=1",
        // Skip calibrations that would cost 0.2 s of guest time and depend on the emulated timer.
        "lpj=4000000",
        "tsc=reliable",
        "no_timer_check",
        // From 6.17 on DAMON samples which pages were touched. QEMU sets the accessed bit when its own translation
        // cache misses, and it sizes that cache by the host's clock (accel/tcg/cputlb.c, tlb_mmu_resize_locked).
        "damon_stat.enabled=0",
    ];
    match lane {
        Lane::Kvm => common.join(" "),
        _ => [common.as_slice(), &exact].concat().join(" "),
    }
}

/// QMP on standard input and output; the machine waits for `cont` (its memory is filled first).
fn control(incoming: bool) -> Vec<String> {
    let mut arguments = strings(["-qmp", "stdio", "-S"]);
    if incoming {
        arguments.extend(strings(["-incoming", "defer"]));
    }
    arguments
}

/// Whether version `found` (`10.0.2`) is at least `wanted` (`8.2`).
pub fn version_at_least(found: &str, wanted: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> { text.split('.').map_while(|part| part.parse().ok()).collect() };
    numbers(found) >= numbers(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version_at_least("10.0.2", "8.2"));
        assert!(version_at_least("9.0", "8.2"));
        assert!(version_at_least("8.2.0", "8.2"));
        assert!(!version_at_least("8.1.5", "8.2"));
        assert!(!version_at_least("7.2.22", "8.2"));
    }

    #[test]
    fn a_restored_machine_differs_only_in_how_its_memory_is_backed_and_in_taking_turns() {
        let machine = |memory, initrd: Option<&str>| {
            Machine {
                lane: Lane::Virtual,
                cpus: 1,
                kernel: "vmlinuz".into(),
                initrd: initrd.map(Into::into),
                memory,
                console: Console::File("console".into()),
            }
            .arguments()
            .join(" ")
        };
        insta::assert_snapshot!(machine(Memory::Template("t".into()), Some("initrd")), @"-accel tcg -icount shift=0,sleep=off,align=off -cpu qemu64 -seed 42 -machine pc,memory-backend=ram,hpet=off -smp 1,maxcpus=2 -m 1024 -object memory-backend-file,id=ram,size=1024M,mem-path=t,share=on -object memory-backend-memfd,id=shm,share=on,size=64M -device ivshmem-plain,memdev=shm,master=on -rtc base=2026-01-01,clock=vm -nodefaults -no-reboot -display none -device pvpanic -action panic=pause -serial file:console -kernel vmlinuz -initrd initrd -append console=ttyS0 panic=-1 oops=panic softlockup_panic=1 hung_task_panic=1 nokaslr quiet maxcpus=1 lpj=4000000 tsc=reliable no_timer_check damon_stat.enabled=0 -qmp stdio -S");
        insta::assert_snapshot!(machine(Memory::CopyOf("t".into()), None), @"-accel tcg -icount shift=0,sleep=off,align=off,rr=record,rrfile=/dev/null -cpu qemu64 -seed 42 -machine pc,memory-backend=ram,hpet=off -smp 1,maxcpus=2 -m 1024 -object memory-backend-file,id=ram,size=1024M,mem-path=t,share=off,readonly=on,rom=off -object memory-backend-memfd,id=shm,share=on,size=64M -device ivshmem-plain,memdev=shm,master=on -rtc base=2026-01-01,clock=vm -nodefaults -no-reboot -display none -device pvpanic -action panic=pause -serial file:console -kernel vmlinuz -append console=ttyS0 panic=-1 oops=panic softlockup_panic=1 hung_task_panic=1 nokaslr quiet maxcpus=1 lpj=4000000 tsc=reliable no_timer_check damon_stat.enabled=0 -qmp stdio -S -incoming defer");
    }

    #[test]
    fn threads_take_turns_in_exact_runs_only() {
        let exact = Machine {
            lane: Lane::Virtual,
            cpus: 1,
            kernel: "vmlinuz".into(),
            initrd: None,
            memory: Memory::CopyOf("t".into()),
            console: Console::File("console".into()),
        };
        let typed = Console::Socket("socket".into(), "console".into());
        assert!(exact.takes_turns());
        for other in [
            Machine {
                cpus: 2,
                ..exact.clone()
            },
            Machine {
                lane: Lane::Kvm,
                ..exact.clone()
            },
            Machine {
                memory: Memory::Template("t".into()),
                ..exact.clone()
            },
            Machine {
                console: typed,
                ..exact.clone()
            },
        ] {
            assert!(!other.takes_turns(), "{other:?}");
            assert!(!other.arguments().concat().contains("rr="), "{other:?}");
        }
        assert_ne!(
            description_of_boot(Lane::Virtual, 1),
            description_of_boot(Lane::Virtual, 2)
        );
        let turns = |text: String| text.contains("rr=record");
        assert!(!turns(description_of_boot(Lane::Virtual, 1)));
        assert!(turns(description_of_run(Lane::Virtual, 1)));
        assert!(!turns(description_of_run(Lane::Virtual, 2)));
        assert!(!turns(description_of_run(Lane::Kvm, 1)));
    }
}
