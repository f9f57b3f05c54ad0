//! Which libevent this is, for programs that ask.

use std::ffi::c_char;

/// The version whose interface this is.
#[unsafe(no_mangle)]
pub extern "C" fn event_get_version() -> *const c_char {
    c"2.1.12-stable".as_ptr()
}

/// The same as a number.
#[unsafe(no_mangle)]
pub extern "C" fn event_get_version_number() -> u32 {
    0x0201_0c00
}
