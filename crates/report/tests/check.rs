//! What people and programs read about checks of objects, and what a comparison with an older check says.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use report::{
    Cell, Published, Style,
    check::{
        COLUMNS, Checked, Gate, Need, Old, check_details, check_passed, check_table, check_to_json, compare,
        comparison_text, judge_check, to_csv,
    },
    schema, to_ktap,
};
use scenario::Verdict;
use wire::{Loader, MapFinding, ObjectFinding, ProgramFinding, Reason, Step, VerifierCounts};

fn program(name: &str) -> ProgramFinding {
    ProgramFinding {
        program: name.to_owned(),
        section: "tracepoint/syscalls/sys_enter_getppid".to_owned(),
        program_type: "tracepoint".to_owned(),
        load: Step::Done,
        attach: Step::Done,
        fire: Step::Done,
        verifier: VerifierCounts {
            duration_us: Some(51),
            total_insns: Some(24),
            total_states: Some(3),
            peak_states: Some(2),
            max_states_per_insn: Some(1),
            max_mark_read_len: None,
            stack_depth: Some(8),
        },
        size_instructions: 12,
        jited_bytes: Some(131),
        runs: 48,
        run_cost: Some(143.0),
        empty_run_cost: Some(95.0),
        ..ProgramFinding::default()
    }
}

fn refused() -> ProgramFinding {
    ProgramFinding {
        load: Step::failed(
            Reason::VerifierRejection,
            "R0 invalid mem access 'map_value_or_null'",
        ),
        log: vec![
            "9: (61) r0 = *(u32 *)(r0 +0)".to_owned(),
            "R0 invalid mem access\u{1b}[2J".to_owned(),
        ],
        program: "unchecked".to_owned(),
        program_type: "tracepoint".to_owned(),
        size_instructions: 9,
        ..ProgramFinding::default()
    }
}

fn object(programs: Vec<ProgramFinding>) -> ObjectFinding {
    ObjectFinding {
        file_name: "tool.bpf.o".to_owned(),
        loader: Loader::Libbpf,
        whole: Step::Done,
        maps: vec![MapFinding {
            name: "counts".to_owned(),
            map_type: 1,
            max_entries: 64,
            memory_bytes: 8392,
        }],
        programs,
    }
}

fn mixed() -> ObjectFinding {
    let silent = ProgramFinding {
        fire: Step::failed(Reason::DidNotFire, "nothing of the stimulus made it run"),
        runs: 0,
        run_cost: None,
        ..program("silent")
    };
    let without = ProgramFinding {
        attach: Step::not_tried(Reason::NeedsTarget, "its section does not name a function"),
        fire: Step::Pending,
        runs: 0,
        run_cost: None,
        ..program("without_target")
    };
    object(vec![program("good"), refused(), silent, without])
}

fn on<'a>(kernel: &'a str, finding: &'a ObjectFinding) -> Checked<'a> {
    Checked { kernel, finding }
}

#[test]
fn the_table_has_a_row_per_program_with_kernels_below_one_another() {
    let (new, old) = (object(vec![program("good")]), mixed());
    let shown = check_table(&[on("6.12", &new), on("5.10", &old)], Need::Attach, Style::Plain);
    let lines: Vec<&str> = shown.lines().collect();
    let starts = |line: &str, words: &[&str]| {
        let found: Vec<&str> = line.split_whitespace().take(words.len()).collect();
        assert_eq!(found, words, "{shown}");
    };
    starts(
        lines[0],
        &[
            "object", "program", "kernel", "verdict", "attached", "fired", "insns",
        ],
    );
    // The program that both kernels have comes first, kernel below kernel.
    starts(
        lines[1],
        &["tool.bpf.o", "good", "6.12", "passed", "yes", "yes", "24"],
    );
    starts(
        lines[2],
        &["tool.bpf.o", "good", "5.10", "passed", "yes", "yes", "24"],
    );
    assert!(
        shown.contains("verifier_rejection") && shown.contains("needs_target"),
        "{shown}"
    );
    assert!(shown.ends_with("3 passed, 1 FAILED, 1 unsupported\n"), "{shown}");
}

#[test]
fn troubles_are_told_once_with_all_their_kernels() {
    let finding = mixed();
    let checked = [on("6.12", &finding), on("5.10", &finding)];
    let shown = check_details(&checked, Need::Attach, Style::Plain);
    let heading = "tool.bpf.o unchecked on 6.12 (libbpf), 5.10 (libbpf)";
    assert_eq!(shown.matches(heading).count(), 1, "{shown}");
    assert!(
        shown.contains("  verifier_rejection: R0 invalid mem access 'map_value_or_null'"),
        "{shown}"
    );
    assert!(shown.contains("  | 9: (61) r0 = *(u32 *)(r0 +0)"), "{shown}");
    // What came as far as it had to is no trouble, and no guest writes to the terminal.
    assert!(!shown.contains("silent") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn an_object_without_programs_is_a_row_that_failed() {
    let mut text = object(Vec::new());
    text.whole = Step::failed(Reason::NotAnObject, "this is no ELF file");
    let checked = [on("6.12", &text)];
    assert!(!check_passed(&checked, Need::Load));
    let csv = to_csv(&checked, &["prog", "verdict", "reason"].map(str::to_owned)).unwrap();
    assert_eq!(csv, "prog_name,verdict,reason\n,failure,not_an_object\n");
}

#[test]
fn how_far_a_program_must_come_is_the_user_s_choice() {
    let silent = object(vec![mixed().programs.remove(2)]);
    let without = object(vec![mixed().programs.remove(3)]);
    let passes = |finding: &ObjectFinding, need| check_passed(&[on("6.12", finding)], need);
    assert!(passes(&silent, Need::Attach) && !passes(&silent, Need::Fire));
    // What could not be tried is no failure, and alone no pass.
    assert!(passes(&without, Need::Load) && !passes(&without, Need::Attach));
    let beside = object(vec![program("good"), without.programs[0].clone()]);
    assert!(passes(&beside, Need::Fire));
    assert!(!check_passed(&[], Need::Load));
}

#[test]
fn the_csv_has_every_column_and_the_json_every_finding() {
    let finding = mixed();
    let checked = [on("6.12", &finding)];
    let csv = to_csv(&checked, &[]).unwrap();
    assert_eq!(csv.lines().next().unwrap().split(',').count(), COLUMNS.len());
    let line = csv.lines().nth(1).unwrap();
    let good =
        "6.12,libbpf,tool.bpf.o,good,success,51,24,3,2,1,,12,131,8,tracepoint,yes,yes,,48,143.0,48.0,8392";
    assert_eq!(line, good);
    let json: serde_json::Value =
        serde_json::from_str(&check_to_json(&checked, Need::Attach).unwrap()).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["objects"][0]["verdict"], "failed");
    assert_eq!(
        json["objects"][0]["finding"]["programs"][1]["load"]["reason"],
        "verifier_rejection"
    );
}

#[test]
fn the_json_is_valid_by_its_published_schema() {
    let schema: serde_json::Value = serde_json::from_str(&schema(Published::Check).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let mut unreadable = object(Vec::new());
    unreadable.whole = Step::failed(Reason::NotAnObject, "this is no ELF file");
    let finding = mixed();
    let checked = [on("6.12", &finding), on("7.2", &unreadable)];
    let json: serde_json::Value =
        serde_json::from_str(&check_to_json(&checked, Need::Attach).unwrap()).unwrap();
    if let Err(error) = validator.validate(&json) {
        panic!("{error} at {}", error.instance_path());
    }
    for pointer in [
        "/schema_version",
        "/passed",
        "/objects/0/verdict",
        "/objects/0/finding/loader",
        "/objects/0/finding/programs/1/load/reason",
        "/objects/0/finding/programs/0/verifier",
        "/objects/1/finding/whole/step",
    ] {
        let mut broken = json.clone();
        *broken.pointer_mut(pointer).unwrap() = "nonsense".into();
        assert!(!validator.is_valid(&broken), "{pointer} may be nonsense");
    }
}

#[test]
fn an_unknown_column_is_an_error_that_names_the_known_ones() {
    let error = to_csv(&[], &["isns".to_owned()]).unwrap_err().to_string();
    assert!(
        error.starts_with("there is no column `isns`; there are: kernel, loader, file_name"),
        "{error}"
    );
}

#[test]
fn a_file_compared_with_itself_has_no_changes() {
    let finding = mixed();
    let checked = [on("6.12", &finding)];
    let old = Old::parse(&to_csv(&checked, &[]).unwrap()).unwrap();
    let comparison = compare(&old, &checked, &["net+0".parse().unwrap()]);
    assert!(comparison.holds());
    assert_eq!((comparison.compared, comparison.changes.len()), (4, 0));
}

#[test]
fn one_instruction_more_breaks_a_gate_of_none_and_says_where() {
    let before = object(vec![program("good")]);
    let old = Old::parse(&to_csv(&[on("6.12", &before)], &[]).unwrap()).unwrap();
    let mut after = before.clone();
    after.programs[0].verifier.total_insns = Some(25);
    after.programs[0].run_cost = Some(144.0);
    let gates = |text: &str| vec![text.parse::<Gate>().unwrap()];
    let holds = |text| compare(&old, &[on("6.12", &after)], &gates(text)).holds();
    assert!(!holds("insns+0") && !holds("insns+4%") && !holds("net+0"));
    assert!(holds("insns+1") && holds("insns+5%") && holds("net+1") && holds("states+0"));
    let comparison = compare(&old, &[on("6.12", &after)], &gates("insns+0"));
    let text = comparison_text(&comparison, Style::Plain);
    assert!(text.contains("FAILED total_insns+0"), "{text}");
    assert!(text.contains("tool.bpf.o good on 6.12 by libbpf"), "{text}");
}

#[test]
fn a_program_that_loads_no_more_breaks_a_gate_without_being_asked() {
    let before = object(vec![program("unchecked")]);
    let old = Old::parse(&to_csv(&[on("6.12", &before)], &[]).unwrap()).unwrap();
    let after = object(vec![refused()]);
    let comparison = compare(&old, &[on("6.12", &after)], &["insns+0".parse().unwrap()]);
    let broken: Vec<&str> = comparison
        .changes
        .iter()
        .filter_map(|change| change.broken_gate.as_deref())
        .collect();
    assert_eq!(broken, ["verdict", "total_insns+0"]);
    assert!(!comparison.holds());
}

#[test]
fn veristat_s_own_file_can_be_compared_with() {
    let old = Old::parse(
        "file_name,prog_name,verdict,duration,total_insns,total_states,peak_states\n\
         tool.bpf.o,good,success,40,24,3,2\ntool.bpf.o,was_here,success,1,2,0,0\n",
    )
    .unwrap();
    let finding = object(vec![program("good"), program("is_new")]);
    let comparison = compare(
        &old,
        &[on("6.12", &finding), on("5.10", &finding)],
        &["insns+0".parse().unwrap()],
    );
    assert!(comparison.holds());
    assert_eq!((comparison.compared, comparison.added.len()), (2, 2));
    assert_eq!(comparison.gone, ["tool.bpf.o was_here"]);
}

#[test]
fn nothing_compared_is_no_pass() {
    let old = Old::parse("file_name,prog_name,verdict\nother.bpf.o,p,success\n").unwrap();
    let finding = object(vec![program("good")]);
    let comparison = compare(&old, &[on("6.12", &finding)], &[]);
    assert!(!comparison.holds());
    assert!(comparison_text(&comparison, Style::Plain).contains("nothing was compared"));
}

#[test]
fn what_is_no_gate_or_no_csv_is_said() {
    for text in ["insns", "insns+", "insns+-1", "isns+1", "insns+NaN"] {
        assert!(text.parse::<Gate>().is_err(), "{text}");
    }
    assert_eq!(
        Old::parse("a,b\n1,2\n").unwrap_err().to_string(),
        "the file has no column `file_name`"
    );
}

#[test]
fn an_object_is_a_cell_of_a_matrix_and_each_program_an_expectation() {
    let (good, mixed) = (object(vec![program("good")]), mixed());
    let none_tried = object(vec![ProgramFinding {
        attach: Step::not_tried(Reason::NeedsTarget, "its section does not name a function"),
        ..program("without_target")
    }]);
    let judged = [("7.2", &good), ("6.12", &mixed), ("5.10", &none_tried)]
        .map(|(kernel, finding)| (kernel, finding, judge_check(on(kernel, finding), Need::Attach)));
    let held: Vec<bool> = judged[1].2.results.iter().map(|result| result.held).collect();
    assert_eq!(
        held,
        [true, false, true],
        "it need not fire, and one has no target"
    );
    assert_eq!(judged[0].2.verdict, Verdict::Passed);
    let fires = judge_check(on("6.12", &mixed), Need::Fire);
    assert_eq!(fires.results.iter().filter(|result| !result.held).count(), 2);

    let lost = ObjectFinding {
        whole: Step::failed(Reason::Infra, "QEMU was lost"),
        ..object(Vec::new())
    };
    let verdict = judge_check(on("6.12", &lost), Need::Load).verdict;
    assert!(matches!(verdict, Verdict::Infra { .. }), "{verdict:?}");

    let cells: Vec<Cell<'_>> = judged
        .iter()
        .map(|(kernel, finding, judgement)| Cell {
            scenario: &finding.file_name,
            kernel,
            loader: Some(finding.loader),
            probes: &[],
            record: None,
            judgement,
            replay: Some("probelab check tool.bpf.o"),
        })
        .collect();
    insta::assert_snapshot!(to_ktap(&cells));
}
