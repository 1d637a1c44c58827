//! Reading the verifier's log: what it counted, and the lines that say what is wrong.

use wire::VerifierCounts;

/// Last lines that are kept of a log.
const LINES: usize = 16;

/// What the last lines of a log count. Kernels differ in what they print.
pub fn counts(log: &str) -> VerifierCounts {
    let mut counts = VerifierCounts::default();
    for line in log.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["verification", "time", time, "usec", ..] => counts.duration_us = time.parse().ok(),
            ["stack", "depth", depths, ..] => counts.stack_depth = sum(depths),
            ["processed", insns, "insns", ..] => {
                let after = |name: &str| {
                    let at = words.iter().position(|word| *word == name)?;
                    words.get(at + 1)?.parse().ok()
                };
                counts.total_insns = insns.parse().ok();
                counts.max_states_per_insn = after("max_states_per_insn");
                counts.total_states = after("total_states");
                counts.peak_states = after("peak_states");
                counts.max_mark_read_len = after("mark_read");
            }
            _ => {}
        }
    }
    counts
}

/// `16+8+0`: the depths of a program and the functions it calls; `16+8+0 max 24` says the sum itself.
fn sum(depths: &str) -> Option<u64> {
    depths.split('+').map(|depth| depth.parse::<u64>().ok()).sum()
}

/// The lines that say what is wrong: the end of the log without what was counted, shortened by what precedes it.
pub fn last_lines(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !is_count(line))
        .collect();
    let omitted = lines.len().saturating_sub(LINES);
    let mut last: Vec<String> = lines[omitted..].iter().map(|line| (*line).to_owned()).collect();
    if omitted > 0 {
        last.insert(0, format!("… {omitted} lines before …"));
    }
    last
}

/// The one line of a log that says most: the last that does not begin with an instruction's number or a comment.
pub fn verdict_line(log: &str) -> Option<String> {
    let says_something = |line: &&str| {
        let line = line.trim();
        !line.is_empty()
            && !is_count(line)
            && !line.starts_with(';')
            && !is_register(line)
            && !line.starts_with("from ")
            && !line.starts_with("last_idx")
            && !line.starts_with("arg#")
            && !line.starts_with("mark_precise")
            && !line
                .split_once(':')
                .is_some_and(|(number, rest)| number.parse::<u64>().is_ok() && !rest.contains("<invalid"))
    };
    let line = log.lines().rev().find(says_something)?;
    Some(line.trim().to_owned())
}

/// `R1=ctx(…) R10=fp0`, and not `R1 invalid mem access`.
fn is_register(line: &str) -> bool {
    let first = line.split(' ').next().unwrap_or_default();
    first.starts_with('R') && first.contains('=')
}

fn is_count(line: &str) -> bool {
    ["processed ", "verification time ", "stack depth "]
        .iter()
        .any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "func#0 @0\n0: R1=ctx(id=0,off=0,imm=0) R10=fp0\n; return *x;\n0: (61) r0 = *(u32 *)(r1 +400)\n\
        invalid bpf_context access off=400 size=4\nverification time 51 usec\nstack depth 16+8\n\
        processed 7 insns (limit 1000000) max_states_per_insn 1 total_states 3 peak_states 2 mark_read 4\n";
    const NEW: &str = "verification time 9 usec\nstack depth 0 max 0\n\
        processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0\n";

    #[test]
    fn what_was_counted_is_read_on_old_and_new_kernels() {
        assert_eq!(
            counts(OLD),
            VerifierCounts {
                duration_us: Some(51),
                total_insns: Some(7),
                total_states: Some(3),
                peak_states: Some(2),
                max_states_per_insn: Some(1),
                max_mark_read_len: Some(4),
                stack_depth: Some(24),
            }
        );
        let new = counts(NEW);
        assert_eq!(
            (new.total_insns, new.max_mark_read_len, new.stack_depth),
            (Some(2), None, Some(0))
        );
        assert_eq!(counts("nothing to see"), VerifierCounts::default());
    }

    #[test]
    fn the_end_of_a_log_says_what_is_wrong() {
        assert_eq!(
            last_lines(OLD).last().unwrap(),
            "invalid bpf_context access off=400 size=4"
        );
        assert_eq!(
            verdict_line(OLD).unwrap(),
            "invalid bpf_context access off=400 size=4"
        );
        assert_eq!(verdict_line(NEW), None);
        let register =
            "7: (79) r0 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n R0=inv1 R10=fp0\n";
        assert_eq!(
            verdict_line(register).unwrap(),
            "R0 invalid mem access 'map_value_or_null'"
        );
        let long: String = (0..100).map(|line| format!("{line}: (95) exit\n")).collect();
        let last = last_lines(&long);
        assert_eq!(last.len(), LINES + 1);
        assert_eq!(last[0], "… 84 lines before …");
    }

    #[test]
    fn a_poisoned_instruction_is_a_verdict() {
        let log = "0: <invalid CO-RE relocation>\nfailed to resolve CO-RE relocation <byte_off> [7] struct task_struct.gone\n";
        assert!(
            verdict_line(log)
                .unwrap()
                .starts_with("failed to resolve CO-RE relocation")
        );
    }
}
