//! The counter on this machine's own kernel. Skips, and says so, where BPF may not be used.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use probe::{Probe, Spec as _, loader::Loader, metrics::Families};
use probe_calls::{Control, Spec};
use tempfile::TempDir;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Calls a function as often as its first argument says in each of as many threads as the second says, then waits for
/// its input to end.
const CALLER: &str = r#"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
static int calls;
__attribute__((noinline)) int area_(int x) { __asm__ volatile(""); return x * x; }
static void *call(void *_) { for (int i = 0; i < calls; i++) area_(i); return 0; }
int main(int count, char **arguments)
{
	pthread_t threads[16];
	int n = atoi(arguments[2]);
	calls = atoi(arguments[1]);
	for (int i = 0; i < n; i++) pthread_create(&threads[i], 0, call, 0);
	for (int i = 0; i < n; i++) pthread_join(threads[i], 0);
	close(1);
	return read(0, &count, 1);
}
"#;

fn caller(folder: &Path) -> PathBuf {
    let source = folder.join("caller.c");
    std::fs::write(&source, CALLER).unwrap();
    let program = folder.join("caller");
    let status = Command::new("cc")
        .args(["-O1", "-pthread", "-o"])
        .args([&program, &source])
        .status();
    assert!(status.unwrap().success());
    program
}

fn start(program: &Path, calls: u32, threads: u32) -> Child {
    let mut child = Command::new(program)
        .args([calls.to_string(), threads.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It closes its output when it has made all calls.
    let mut output = child.stdout.take().unwrap();
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    child
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn spec(program: &Path) -> Spec {
    Spec {
        program: Some(program.to_owned()),
        symbol: Some("area_".to_owned()),
        metric: "area_calculations".to_owned(),
        help: "Areas.".to_owned(),
        max_entries: 64,
        ..Spec::default()
    }
}

fn attach(spec: &Spec, loader: Loader) -> Option<Box<dyn Probe>> {
    match spec.start(loader) {
        Ok(probe) => Some(probe),
        Err(error) if error.to_string().contains("Operation not permitted") => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn scrape(probe: &mut dyn Probe) -> String {
    let mut families = Families::default();
    probe.collect(&mut families).unwrap();
    families.to_openmetrics()
}

/// Sum of the series whose name and labels have all of these parts.
fn sum(text: &str, parts: &[&str]) -> u64 {
    text.lines()
        .filter(|line| parts.iter().all(|part| line.contains(part)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

fn each_loader(test: fn(Loader, &Path)) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let _stats = probe::stats::enable().ok();
    for loader in Loader::ALL {
        let folder = TempDir::new().unwrap();
        test(loader, &caller(folder.path()));
    }
}

#[test]
fn every_call_of_every_thread_of_every_process_is_counted() {
    each_loader(|loader, program| {
        let before = start(program, 1000, 2);
        let Some(mut probe) = attach(&spec(program), loader) else {
            end(before);
            return;
        };
        probe.prove().unwrap();
        let first = start(program, 50_000, 4);
        let second = start(program, 7, 1);
        let text = scrape(probe.as_mut());
        let process = format!("process=\"{}\"", first.id());
        assert_eq!(sum(&text, &["area_calculations_total{"]), 200_007, "{text}");
        assert_eq!(
            sum(&text, &["area_calculations_by_process_total{", &process]),
            200_000
        );
        assert_eq!(sum(&text, &["probelab_attached{"]), 1);

        end(first);
        let third = start(program, 100, 2);
        let text = scrape(probe.as_mut());
        assert_eq!(sum(&text, &["area_calculations_total{"]), 200_207, "{text}");
        assert_eq!(
            sum(&text, &["area_calculations_by_process_total{", "(ended)"]),
            200_000
        );
        assert_eq!(sum(&text, &["area_calculations_by_process_total{"]), 200_207);
        assert_eq!(
            sum(&text, &["probelab_map_entries{"]),
            2,
            "the ended one has left the map"
        );
        assert_eq!(sum(&text, &["probelab_hits_unaccounted{"]), 0);
        assert_eq!(sum(&text, &["probelab_lost_total{"]), 0);
        for child in [before, second, third] {
            end(child);
        }
    });
}

/// What kinds of BPF links this process holds, as its own descriptors tell.
fn link_types() -> Vec<String> {
    std::fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .filter_map(|text| {
            Some(
                text.lines()
                    .find_map(|line| line.strip_prefix("link_type:\t"))?
                    .to_owned(),
            )
        })
        .collect()
}

/// Has this kernel links of many places (Linux 6.6, 89ae89f53d20)?
fn has_uprobe_multi() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 6)
}

#[test]
fn libbpf_uses_a_link_of_many_places_where_the_kernel_has_it() {
    each_loader(|loader, program| {
        let Some(_probe) = attach(&spec(program), loader) else {
            return;
        };
        let expected = has_uprobe_multi() && loader == Loader::Libbpf;
        let types = link_types();
        assert_eq!(
            types.iter().any(|kind| kind == "uprobe_multi"),
            expected,
            "{types:?}"
        );
    });
}

#[test]
fn a_full_map_is_a_loss_that_is_told() {
    each_loader(|loader, program| {
        let small = Spec {
            max_entries: 1,
            ..spec(program)
        };
        let Some(mut probe) = attach(&small, loader) else {
            return;
        };
        let (first, second) = (start(program, 10, 1), start(program, 5, 1));
        let text = scrape(probe.as_mut());
        assert_eq!(sum(&text, &["area_calculations_total{"]), 10);
        assert_eq!(sum(&text, &["probelab_lost_total{", "map_full"]), 5);
        assert_eq!(sum(&text, &["probelab_hits_unaccounted{"]), 0);
        end(first);
        end(second);
    });
}

#[test]
fn an_added_pointer_counts_nothing_and_is_noticed() {
    each_loader(|loader, program| {
        let wrong = Spec {
            control: Some(Control::PointerAdd),
            ..spec(program)
        };
        let Some(mut probe) = attach(&wrong, loader) else {
            return;
        };
        probe.prove().unwrap();
        end(start(program, 10, 1));
        let text = scrape(probe.as_mut());
        assert_eq!(sum(&text, &["area_calculations_total{"]), 0);
        assert_eq!(sum(&text, &["probelab_hits_total{", "recorded"]), 10);
        assert_eq!(sum(&text, &["probelab_hits_unaccounted{"]), 10);
    });
}

#[test]
fn a_zero_key_is_refused_in_the_verifiers_words() {
    each_loader(|loader, program| {
        let wrong = Spec {
            control: Some(Control::ZeroKey),
            ..spec(program)
        };
        let error = match wrong.start(loader) {
            Ok(_) => panic!("{loader} loaded it"),
            Err(error) => error.to_string(),
        };
        if error.contains("Operation not permitted") {
            eprintln!("SKIPPED: {error}");
            return;
        }
        assert!(error.contains("R2 type=scalar expected=fp"), "{error}");
    });
}

#[test]
fn a_program_that_was_replaced_is_no_longer_attached() {
    each_loader(|loader, program| {
        let Some(mut probe) = attach(&spec(program), loader) else {
            return;
        };
        probe.prove().unwrap();
        let running = start(program, 3, 1);
        assert_eq!(sum(&scrape(probe.as_mut()), &["probelab_attached{"]), 1);
        end(running);
        let other = program.with_extension("new");
        std::fs::copy(program, &other).unwrap();
        std::fs::rename(&other, program).unwrap();
        let text = scrape(probe.as_mut());
        assert_eq!(sum(&text, &["probelab_attached{"]), 0, "{text}");
        assert_eq!(sum(&text, &["area_calculations_total{"]), 3);
    });
}

#[test]
fn a_link_that_leads_elsewhere_is_no_longer_attached() {
    each_loader(|loader, program| {
        let (link, other) = (program.with_extension("link"), program.with_extension("other"));
        std::fs::copy(program, &other).unwrap();
        symlink(program, &link).unwrap();
        let Some(mut probe) = attach(&spec(&link), loader) else {
            return;
        };
        probe.prove().unwrap();
        assert_eq!(sum(&scrape(probe.as_mut()), &["probelab_attached{"]), 1);
        std::fs::remove_file(&link).unwrap();
        symlink(&other, &link).unwrap();
        assert_eq!(sum(&scrape(probe.as_mut()), &["probelab_attached{"]), 0);
    });
}

/// A shell in a mount namespace of its own, where the program lies on a file system that nobody else sees.
const CONTAINER: &str = "set -e; mkdir -p inner; mount -t tmpfs none inner; cp caller inner; echo ready; read go; \
                         inner/caller 6 2 </dev/null; echo done; read go";

#[test]
fn a_program_in_another_mount_namespace_is_found_through_its_process() {
    each_loader(|loader, program| {
        let folder = program.parent().unwrap();
        let mut container = Command::new("unshare")
            .args(["--mount", "sh", "-c", CONTAINER])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = BufReader::new(container.stdout.take().unwrap()).lines();
        let is_ready = words.next().is_some_and(|word| word.unwrap() == "ready");
        let path = format!("/proc/{}/root{}/inner/caller", container.id(), folder.display());
        assert!(!folder.join("inner/caller").exists());
        let attached = if is_ready {
            attach(&spec(Path::new(&path)), loader)
        } else {
            None
        };
        if let Some(mut probe) = attached {
            probe.prove().unwrap();
            container.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
            assert_eq!(words.next().unwrap().unwrap(), "done");
            let text = scrape(probe.as_mut());
            assert_eq!(sum(&text, &["area_calculations_total{"]), 12, "{text}");
            assert_eq!(sum(&text, &["probelab_attached{"]), 1);
        } else {
            eprintln!("SKIPPED: no mount namespace, or no BPF");
        }
        end(container);
    });
}
