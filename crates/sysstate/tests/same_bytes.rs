//! The same training gives the same bytes: again, in another order, with any number of threads, and on any machine.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::training;
use sha2::{Digest, Sha256};
use sysstate::{Options, learn};

/// Of the model of `training(7)`. It was made on x86-64; a machine that gives another one does not do arithmetic as IEEE
/// 754 says, or a library draws or adds up in another order than it did.
const DIGEST: &str = "5529ffacb158994058a74d9fdc08724b966b0ef4a68bd588299039e2b8016938";

fn text(windows: &[(sysstate::Window, sysstate::Label)]) -> String {
    learn(windows, Options::default()).unwrap().model.to_toml()
}

#[test]
fn the_model_has_the_known_digest() {
    assert_eq!(hex::encode(Sha256::digest(text(&training(7)))), DIGEST);
}

#[test]
fn another_training_is_another_model() {
    assert_ne!(text(&training(7)), text(&training(8)));
}

#[test]
fn neither_threads_nor_order_nor_repetition_matter() {
    let windows = training(7);
    let expected = text(&windows);
    for threads in [1, 2, 3, 7, 16] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        for rotation in [0, 1, 29] {
            let mut windows = windows.clone();
            windows.rotate_left(rotation);
            if threads % 2 == 0 {
                windows.reverse();
            }
            assert_eq!(pool.install(|| text(&windows)), expected, "{threads} threads");
        }
    }
}
