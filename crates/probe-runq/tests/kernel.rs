//! The kernel half on this machine. Skips, and says so, where BPF may not be used. What it measures is judged in the
//! lab; here: it loads with both loaders, and no wait is both counted and lost, or neither.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use probe::loader::Loader;
use probe_runq::{AttachError, Config, Control, RunqProbe, kernel::Reading};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn config() -> Config {
    Config {
        max_tasks: 4096,
        max_series: 256,
        event_min_ns: None,
        ring_buffer_bytes: 4096,
        control: None,
    }
}

fn attach(loader: Loader, config: Config) -> Option<(RunqProbe, MutexGuard<'static, ()>)> {
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    match RunqProbe::attach(loader, config, None) {
        Ok(probe) => Some((probe, guard)),
        Err(AttachError::Load(error)) if error.to_string().contains("os error 1)") => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn naps(count: u32) {
    for _ in 0..count {
        thread::sleep(Duration::from_millis(1));
    }
}

fn waits(reading: &Reading) -> u64 {
    reading.waits.values().map(|waits| waits.histogram.count()).sum()
}

#[test]
fn every_hook_fires_with_either_loader() {
    for loader in Loader::ALL {
        let Some((mut probe, _guard)) = attach(loader, config()) else {
            return;
        };
        probe.prove().unwrap();
        naps(20);
        let reading = probe.read().unwrap();
        assert!(waits(&reading) >= 20, "{loader}: {reading:?}");
    }
}

#[test]
fn every_known_mistake_loads_with_either_loader() {
    for loader in Loader::ALL {
        for control in [
            Control::Bucket,
            Control::CountIdle,
            Control::RawCast,
            Control::WakeupOnly,
        ] {
            let control = Some(control);
            let Some((probe, _guard)) = attach(loader, Config { control, ..config() }) else {
                return;
            };
            probe.prove().unwrap();
        }
    }
}

#[test]
fn every_wait_is_an_event_or_a_lost_one() {
    for ring_buffer_bytes in [4096, 1 << 20] {
        let event_min_ns = Some(1);
        let config = Config {
            event_min_ns,
            ring_buffer_bytes,
            ..config()
        };
        let Some((mut probe, _guard)) = attach(Loader::Aya, config) else {
            return;
        };
        naps(100);
        // The waits between two readings of the counters have their events in between.
        let before = probe.read().unwrap();
        let events = probe.take_events().len() as u64;
        let after = probe.read().unwrap();
        let reported = |lost| events + lost;
        assert!(reported(after.counters.events_lost) >= waits(&before));
        assert!(reported(before.counters.events_lost) <= waits(&after));
        assert_eq!(after.counters.events_lost > 0, ring_buffer_bytes == 4096);
    }
}

#[test]
fn what_is_forgotten_is_handed_over() {
    let Some((mut probe, _guard)) = attach(Loader::Aya, config()) else {
        return;
    };
    naps(20);
    let cgroups = probe.cgroups().unwrap();
    let forgotten = probe.forget(&cgroups).unwrap();
    assert!(
        forgotten
            .values()
            .map(|waits| waits.histogram.count())
            .sum::<u64>()
            >= 20
    );
    assert_eq!(probe.forget(&[]).unwrap().len(), 0);
}
