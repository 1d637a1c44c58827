//! What both loaders can do with an object once it is loaded.

use std::{any::Any, os::fd::BorrowedFd};

use crate::{place::Place, props::Props};

/// What keeps a program on its hook; dropping it takes it off.
pub type Hold = Box<dyn Any>;

/// An object that a loader has brought into the kernel.
pub trait Loaded {
    /// Descriptor of a program, if it is loaded.
    fn descriptor(&self, program: &str) -> Option<BorrowedFd<'_>>;
    /// Hangs a program where it belongs, in the loader's own way; the loader's words when that fails. Places that
    /// need no loader ([`crate::hang`]) are not asked for.
    fn attach(&mut self, program: &str, place: Place<'_>, props: &Props) -> Result<Hold, String>;
}
