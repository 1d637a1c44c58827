//! From what loaders and kernels say to a [`Reason`].
//!
//! Neither of them has codes for its troubles beyond `errno`, so their words are read: those of libbpf and aya as the
//! workspace pins them, and those of the verifier since Linux 5.10. What is not recognised is still a refusal.

use wire::Reason;

/// Words, and what they mean; the first that is found counts. The order matters: what is more telling comes first.
const WORDS: &[(&str, Reason)] = &[
    ("legacy map definitions", Reason::LegacyMapDefinition),
    ("BTF is required, but is missing", Reason::MissingBtf),
    ("no BTF parsed for object", Reason::MissingBtf),
    ("failed to find valid kernel BTF", Reason::MissingKernelBtf),
    ("Error loading vmlinux BTF", Reason::MissingKernelBtf),
    (
        "no type information in /sys/kernel/btf/vmlinux",
        Reason::MissingKernelBtf,
    ),
    ("not found in kernel or module BTFs", Reason::MissingKernelSymbol),
    ("<invalid kfunc call>", Reason::MissingKernelSymbol),
    ("symbol not found in kallsyms", Reason::MissingKernelSymbol),
    ("(kcfg)", Reason::MissingKconfig),
    ("failed to open system Kconfig", Reason::MissingKconfig),
    ("<invalid CO-RE relocation>", Reason::MissingKernelField),
    ("failed to resolve CO-RE relocation", Reason::MissingKernelField),
    // The helper that libbpf and aya put in place of a relocation that failed: 0xbad2310.
    ("unknown#195896080", Reason::MissingKernelField),
    ("<invalid BPF map reference>", Reason::MapCreation),
    // What libbpf puts in place of a map and of a function that are not there; a log with statistics has only these.
    ("unknown#2001", Reason::MapCreation),
    ("unknown#2002", Reason::MissingKernelSymbol),
    ("failed to find kernel BTF type ID of", Reason::MissingHook),
    // aya, of the kernel's types.
    ("unknown BTF type `", Reason::MissingHook),
    ("unknown func", Reason::UnknownHelper),
    ("invalid func unknown", Reason::UnknownHelper),
    ("cannot use helper", Reason::UnknownHelper),
    ("BPF program is too large", Reason::VerifierLimit),
    ("too many states", Reason::VerifierLimit),
    ("is too complex", Reason::VerifierLimit),
    ("missing BPF prog type", Reason::LoaderUnsupported),
    ("invalid program section", Reason::LoaderUnsupported),
    ("invalid map type", Reason::UnsupportedMapType),
    ("failed to create: ", Reason::MapCreation),
    ("failed to create map", Reason::MapCreation),
];

/// Why a program or an object does not load. `log` is the verifier's, empty when it said nothing.
pub fn of_load(words: &str, log: &str) -> Reason {
    WORDS
        .iter()
        .find(|(part, _)| log.contains(part) || words.contains(part))
        .map_or(
            if log.trim().is_empty() {
                Reason::LoadRefused
            } else {
                Reason::VerifierRejection
            },
            |(_, reason)| *reason,
        )
}

/// Why a program cannot be attached.
pub fn of_attach(words: &str) -> Reason {
    // Both loaders give the error number, its name or its text: ENOENT, ESRCH, ENODEV.
    let is_missing = [
        "os error 2)",
        "os error 3)",
        "os error 19)",
        "No such file or directory",
        "No such process",
        "-ENOENT",
        "-ESRCH",
    ]
    .iter()
    .any(|part| words.contains(part));
    if is_missing {
        Reason::MissingHook
    } else {
        Reason::AttachRefused
    }
}

/// The map that libbpf could not create, by its words.
pub fn refused_map(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("map '")?;
    let (name, rest) = rest.split_once('\'')?;
    if rest.starts_with(": failed to create") {
        Some(name)
    } else {
        refused_map(rest)
    }
}

/// What was said, in one line: without libbpf's name before each line, and without what it says on every failure.
pub fn one_line(words: &str) -> String {
    const EMPTY: [&str; 4] = [
        "failed to load object",
        "-- BEGIN PROG LOAD LOG --",
        "-- END PROG LOAD LOG --",
        "Retrying without BTF",
    ];
    let lines: Vec<&str> = words
        .lines()
        .map(|line| line.trim().trim_start_matches("libbpf: "))
        .filter(|line| !line.is_empty() && !EMPTY.iter().any(|empty| line.contains(empty)))
        .collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_loaders_and_verifiers_have_reasons() {
        let cases = [
            (
                "libbpf: BTF is required, but is missing or corrupted.",
                "",
                Reason::MissingBtf,
            ),
            (
                "libbpf: elf: legacy map definitions in 'maps' section are not supported by libbpf v1.0+",
                "",
                Reason::LegacyMapDefinition,
            ),
            (
                "",
                "0: (85) call unknown#211\ninvalid func unknown#211\n",
                Reason::UnknownHelper,
            ),
            (
                "",
                "program of this type cannot use helper bpf_redirect#23\n",
                Reason::UnknownHelper,
            ),
            (
                "",
                "call unknown#195896080\ninvalid func unknown#195896080\n",
                Reason::MissingKernelField,
            ),
            (
                "",
                "BPF program is too large. Processed 1000001 insn\n",
                Reason::VerifierLimit,
            ),
            ("", "R1 invalid mem access 'inv'\n", Reason::VerifierRejection),
            ("Invalid argument (os error 22)", "", Reason::LoadRefused),
            (
                "libbpf: prog 'p': failed to find kernel BTF type ID of 'gone': -3",
                "",
                Reason::MissingHook,
            ),
            (
                "libbpf: map 'm': failed to create: -EINVAL",
                "",
                Reason::MapCreation,
            ),
            (
                "libbpf: prog 'p': failed to create kprobe 'gone+0x0' perf event: No such file or directory",
                "",
                Reason::LoadRefused,
            ),
            (
                "libbpf: prog 'p': missing BPF prog type, check ELF section name 'xdp_prog'",
                "",
                Reason::LoaderUnsupported,
            ),
        ];
        for (words, log, reason) in cases {
            assert_eq!(of_load(words, log), reason, "{words} {log}");
        }
    }

    #[test]
    fn a_hook_that_is_not_there_is_told_from_one_that_refuses() {
        let missing = "failed to attach: No such file or directory (os error 2)";
        assert_eq!(of_attach(missing), Reason::MissingHook);
        assert_eq!(
            of_attach("Device or resource busy (os error 16)"),
            Reason::AttachRefused
        );
    }

    #[test]
    fn the_refused_map_is_named() {
        let words = "libbpf: map 'good': skipping\nlibbpf: map 'bad': failed to create: -EINVAL\n";
        assert_eq!(refused_map(words), Some("bad"));
        assert_eq!(refused_map("libbpf: map 'good': skipping"), None);
        assert_eq!(refused_map("nothing"), None);
    }

    #[test]
    fn what_was_said_is_one_line() {
        let words = "libbpf: map 'm': failed to create: -EINVAL\nlibbpf: failed to load object 'x'\n";
        assert_eq!(one_line(words), "map 'm': failed to create: -EINVAL");
    }
}
