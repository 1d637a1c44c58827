//! Windows of a made-up system: quiet, or with one thing that is the matter.

#![allow(dead_code, reason = "every test file uses a part")]

use sysstate::{FEATURES, Label, Window, Worth};

/// A generator of numbers that is the same everywhere (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    /// In [0, 1).
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Around 1, off by at most `share`.
    pub fn about_one(&mut self, share: f64) -> f64 {
        1.0 + share * (2.0 * self.next() - 1.0)
    }
}

/// What can be the matter, with the feature it shows in and how much.
pub const FAULTS: [(&str, usize, f64); 4] = [
    ("exec-storm", 0, 400.0),
    ("open-storm", 1, 9_000.0),
    ("cpu-hog", 4, 0.2),
    ("http-errors", 6, 25.0),
];

/// Values of a quiet second.
pub const QUIET: [f64; FEATURES.len()] = [2.0, 120.0, 300.0, 1.0, 0.0005, 0.002, 0.0];

pub fn window(at: usize, values: [f64; FEATURES.len()]) -> Window {
    Window {
        from_seconds: at as f64,
        to_seconds: at as f64 + 1.0,
        values: values.map(Some),
    }
}

pub fn quiet(at: usize, numbers: &mut Numbers) -> Window {
    window(at, QUIET.map(|value| value * numbers.about_one(0.2)))
}

pub fn faulty(at: usize, fault: (&str, usize, f64), numbers: &mut Numbers) -> Window {
    let mut window = quiet(at, numbers);
    window.values[fault.1] = Some(fault.2 * numbers.about_one(0.2));
    window
}

/// Twenty quiet windows, then ten of each fault.
pub fn training(seed: u64) -> Vec<(Window, Label)> {
    let mut numbers = Numbers(seed);
    let mut windows: Vec<(Window, Label)> = (0..20)
        .map(|at| (quiet(at, &mut numbers), Label::of(Worth::Good)))
        .collect();
    for fault in FAULTS {
        for _ in 0..10 {
            let window = faulty(windows.len(), fault, &mut numbers);
            let (worth, name) = (Worth::Bad, fault.0.to_owned());
            windows.push((window, Label { worth, name }));
        }
    }
    windows
}
