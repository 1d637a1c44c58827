//! The guest deadline: a second thread that ends the run when guest time is up.
//!
//! An idle guest jumps from timer to timer, so a scenario that waits for ever reaches its deadline in an
//! instant of wall time. A guest that hangs with interrupts off never does; the host's wall deadline is for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::channel::Channel;

/// What the run is doing, for the message of a deadline, and whether it is over.
#[derive(Clone)]
pub struct Watchdog {
    state: Arc<Mutex<State>>,
    seconds: u64,
}

struct State {
    during: String,
    over: bool,
}

/// A watchdog for a job of `seconds` guest seconds. It watches once [`Watchdog::watch`] was called.
pub fn start(seconds: u64) -> Watchdog {
    Watchdog {
        state: Arc::new(Mutex::new(State {
            during: "start".into(),
            over: false,
        })),
        seconds,
    }
}

impl Watchdog {
    /// Starts the thread; it reports on `channel`.
    pub fn watch(&self, mut channel: Channel) {
        if self.seconds == 0 {
            return;
        }
        let this = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(this.seconds));
            let mut state = this.lock();
            if state.over {
                return;
            }
            state.over = true;
            let end = wire::GuestEnd::GuestDeadline {
                seconds: this.seconds,
                during: state.during.clone(),
            };
            println!("guest: {end}");
            // Whether or not the host can be told, the machine must end now; silence is its own verdict there.
            let _ = channel.send_outcome(end, &Vec::new());
            crate::machine::power_off();
        });
    }

    /// Says what the run is doing now.
    pub fn during(&self, what: &str) {
        what.clone_into(&mut self.lock().during);
    }

    /// The run ended by itself.
    pub fn done(&self) {
        self.lock().over = true;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A poisoned lock only means that the other thread panicked while it held a string.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
