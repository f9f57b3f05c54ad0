//! What a loop has to say to whoever keeps the program running, through the `log` facade.
//!
//! Without the feature `log` the calls are type-checked and compiled out.

#[cfg(feature = "log")]
pub(crate) use log::{debug, error, warn};

#[cfg(not(feature = "log"))]
macro_rules! discard {
    ($($argument:tt)*) => {
        if false {
            let _ = format_args!($($argument)*);
        }
    };
}
#[cfg(not(feature = "log"))]
pub(crate) use {discard as debug, discard as error, discard as warn};
