//! Functions in files that this machine's compiler makes. What a program says about itself while it runs is the oracle:
//! where in its file the kernel mapped the function from.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use probe_calls::symbol::{Location, SymbolError, find};
use tempfile::TempDir;

/// Prints from which offset of its file the kernel mapped the function.
const MAIN: &str = r#"
#include <stdio.h>
extern __attribute__((visibility("hidden"))) void *const place;
int main(void)
{
	unsigned long start, end, offset, at = (unsigned long)place;
	char line[4096];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && start <= at && at < end)
			printf("%lu\n", at - start + offset);
	return 0;
}
"#;

const AREA: &str = r"
__attribute__((noinline)) double area_(double side) { return side * side; }
void *const place = area_;
";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, command: &[&str]) {
        let output = Command::new(command[0])
            .args(&command[1..])
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command:?}: {words}");
    }

    /// Compiles sources to `program`.
    fn compile(&self, sources: &[&str], options: &[&str]) -> PathBuf {
        let names: Vec<String> = (0..sources.len()).map(|number| format!("{number}.c")).collect();
        for (name, source) in names.iter().zip(sources) {
            std::fs::write(self.path(name), source).unwrap();
        }
        let mut command = vec!["cc", "-o", "program"];
        command.extend(options);
        command.extend(names.iter().map(String::as_str));
        self.run(&command);
        self.path("program")
    }
}

/// Where the running program says that its function is.
fn truth(program: &Path) -> u64 {
    let output = Command::new(program).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn found(program: &Path, symbol: &str) -> Location {
    find(program, None, symbol).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn offsets_are_those_that_the_kernel_maps() {
    let layouts: [&[&str]; 8] = [
        &["-pie", "-fPIE"],
        &["-no-pie"],
        &["-static"],
        &["-static-pie", "-fPIE"],
        &["-no-pie", "-Wl,-z,noseparate-code"],
        &["-pie", "-fPIE", "-Wl,-z,noseparate-code"],
        &["-no-pie", "-Wl,-Ttext-segment=0x10000000"],
        // Address and offset in the file differ by another amount than in the segments before.
        &["-no-pie", "-Wl,-Ttext=0x5000000"],
    ];
    let folder = Folder::new();
    for layout in layouts {
        let program = folder.compile(&[MAIN, AREA], layout);
        let location = found(&program, "area_");
        assert_eq!(location.offset_bytes, truth(&program), "{layout:?}");
        assert_eq!(location.named_by, program);
    }
}

#[test]
fn a_stripped_program_is_read_with_its_debug_file() {
    let folder = Folder::new();
    let program = folder.compile(&[MAIN, AREA], &["-g", "-Wl,--build-id"]);
    let expected = truth(&program);
    folder.run(&["objcopy", "--only-keep-debug", "program", "program.debug"]);
    folder.run(&["strip", "program"]);
    let error = find(&program, None, "area_").unwrap_err();
    assert!(error.to_string().contains("debugFile"), "{error}");

    let given = find(&program, Some(&folder.path("program.debug")), "area_").unwrap();
    assert_eq!(given.offset_bytes, expected);
    folder.run(&["objcopy", "--add-gnu-debuglink=program.debug", "program"]);
    assert_eq!(found(&program, "area_").offset_bytes, expected);
    std::fs::create_dir(folder.path(".debug")).unwrap();
    folder.run(&["mv", "program.debug", ".debug/program.debug"]);
    let location = found(&program, "area_");
    assert_eq!(location.offset_bytes, expected);
    assert_eq!(location.named_by, folder.path(".debug/program.debug"));
}

#[test]
fn the_debug_file_of_another_program_is_refused() {
    for build_id in ["-Wl,--build-id", "-Wl,--build-id=none"] {
        let (folder, other) = (Folder::new(), Folder::new());
        other.compile(&[MAIN, "int x; void *const place = &x;"], &["-g", build_id]);
        let program = folder.compile(&[MAIN, AREA], &["-g", build_id]);
        folder.run(&["objcopy", "--only-keep-debug", "program", "program.debug"]);
        folder.run(&["strip", "program"]);
        folder.run(&["objcopy", "--add-gnu-debuglink=program.debug", "program"]);
        assert!(find(&program, None, "area_").is_ok());
        other.run(&["objcopy", "--only-keep-debug", "program", "program.debug"]);
        std::fs::copy(other.path("program.debug"), folder.path("program.debug")).unwrap();
        let error = find(&program, Some(&folder.path("program.debug")), "area_").unwrap_err();
        assert!(matches!(error, SymbolError::WrongDebugFile { .. }), "{error}");
        // And is passed over when nobody named it.
        assert!(matches!(
            find(&program, None, "area_"),
            Err(SymbolError::Missing { .. })
        ));
    }
}

#[test]
fn what_the_dynamic_linker_needs_is_left_by_strip() {
    let folder = Folder::new();
    let program = folder.compile(&[MAIN, AREA], &["-rdynamic"]);
    let expected = truth(&program);
    folder.run(&["strip", "program"]);
    assert_eq!(found(&program, "area_").offset_bytes, expected);
}

#[test]
fn debug_information_names_what_symbol_tables_do_not() {
    let folder = Folder::new();
    let program = folder.compile(&[MAIN, AREA], &["-g"]);
    let expected = truth(&program);
    folder.run(&["objcopy", "--strip-symbol=area_", "program"]);
    assert_eq!(found(&program, "area_").offset_bytes, expected);
}

#[test]
fn a_version_may_be_asked_for() {
    const LIBRARY: &str = r#"
int area_old(void) { return 1; }
int area_new(void) { return 2; }
__asm__(".symver area_old,area@V1");
__asm__(".symver area_new,area@@V2");
"#;
    let folder = Folder::new();
    std::fs::write(
        folder.path("map"),
        "V1 { global: area; local: *; }; V2 { global: area; } V1;",
    )
    .unwrap();
    let library = folder.compile(&[LIBRARY], &["-shared", "-fPIC", "-Wl,--version-script=map"]);
    let old = found(&library, "area_old").offset_bytes;
    let new = found(&library, "area_new").offset_bytes;
    for stripped in [false, true] {
        if stripped {
            folder.run(&["strip", "program"]);
        }
        let offset = |symbol| found(&library, symbol).offset_bytes;
        assert_eq!(
            (offset("area@V1"), offset("area@@V2"), offset("area")),
            (old, new, new),
            "stripped: {stripped}"
        );
    }
}

fn refused(sources: &[&str], options: &[&str], symbol: &str) -> SymbolError {
    let folder = Folder::new();
    let program = folder.compile(sources, options);
    find(&program, None, symbol).unwrap_err()
}

#[test]
fn what_cannot_be_counted_is_refused_by_name() {
    let error = refused(&[MAIN, AREA], &[], "fopen");
    assert!(matches!(error, SymbolError::Undefined { .. }), "{error}");

    let error = refused(&[MAIN, AREA], &[], "place");
    assert!(matches!(error, SymbolError::NotAFunction { .. }), "{error}");

    let error = refused(&[MAIN, AREA], &[], "area");
    assert!(error.to_string().ends_with("; near names: area_"), "{error}");

    let chooses = "static int one(void) { return 1; } static void *choose(void) { return one; }\n\
                   int area(void) __attribute__((ifunc(\"choose\"))); void *const place = choose;";
    let error = refused(&[MAIN, chooses], &[], "area");
    assert!(matches!(error, SymbolError::Indirect { .. }), "{error}");

    let [one, two] = ["a", "b"].map(|name| {
        format!(
            "static __attribute__((noinline)) int area(int x) {{ return x + '{name}'; }} int {name}(int x) {{ return area(x); }}"
        )
    });
    let error = refused(&[MAIN, AREA, &one, &two], &[], "area");
    assert!(matches!(error, SymbolError::Ambiguous { .. }), "{error}");
}

#[test]
fn a_function_without_a_body_of_its_own_is_refused() {
    let inlined = "static inline __attribute__((always_inline)) int area(int x) { return x * x; }\n\
                   int one(int x) { return area(x); } int two(int x) { return area(x) + 1; }\n\
                   void *const place = one;";
    let error = refused(&[MAIN, inlined], &["-g", "-O2"], "area");
    assert!(matches!(error, SymbolError::Inlined { places: 2, .. }), "{error}");
    let error = refused(&[MAIN, inlined], &["-O2"], "area");
    assert!(error.to_string().contains("inlined"), "{error}");
}

#[test]
fn what_is_no_program_is_refused() {
    let folder = Folder::new();
    folder.compile(&[MAIN, AREA], &[]);
    std::fs::write(folder.path("script"), "#!/bin/sh\n").unwrap();
    let error = find(&folder.path("script"), None, "main").unwrap_err();
    assert!(matches!(error, SymbolError::NotAProgram { .. }), "{error}");
    folder.run(&["cc", "-c", "0.c", "-o", "object.o"]);
    let error = find(&folder.path("object.o"), None, "main").unwrap_err();
    assert!(error.to_string().contains("neither executable"), "{error}");
    let error = find(&folder.path("nothing"), None, "main").unwrap_err();
    assert!(matches!(error, SymbolError::Read { .. }), "{error}");
}
