//! Random numbers, of the system's generator.
//!
//! libevent has a generator of its own, which it seeds from the system. Ours is the kernel's, which needs no seed, no
//! device and no lock, and which stays unpredictable across `fork`. What a program adds is not needed and ignored.

use std::ffi::{c_char, c_int, c_void};

/// Fills `size` bytes at `buffer`. Dies where the system has no random numbers to give, as predictable ones would be
/// worse.
///
/// # Safety
///
/// There are `size` bytes at `buffer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_secure_rng_get_bytes(buffer: *mut c_void, size: usize) {
    // SAFETY: the caller promises `size` bytes.
    if unsafe { fill(buffer.cast(), size) } < 0 {
        crate::log::fatal(1, format_args!("evutil_secure_rng_get_bytes: no random numbers"));
    }
}

/// 0 if there are random numbers, else -1.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_secure_rng_init() -> c_int {
    let mut byte = 0_u8;
    // SAFETY: a local of this size.
    unsafe { fill(&raw mut byte, 1) }
}

/// Accepts bytes and ignores them.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_secure_rng_add_bytes(_bytes: *const c_char, _size: usize) {}

/// Refuses the name of a device, as libevent does where the system has a generator: none is read. Always -1.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_secure_rng_set_urandom_device_file(_name: *mut c_char) -> c_int {
    -1
}

/// # Safety
///
/// There are `size` bytes at `buffer`.
#[cfg(any(target_os = "linux", target_os = "android"))]
unsafe fn fill(mut buffer: *mut u8, mut size: usize) -> c_int {
    while size > 0 {
        // SAFETY: the caller promises the bytes, of which `size` are left.
        let count = unsafe { libc::getrandom(buffer.cast(), size, 0) };
        if count < 0 {
            if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            return -1;
        }
        size -= count as usize;
        // SAFETY: the kernel filled no more than was left.
        buffer = unsafe { buffer.add(count as usize) };
    }
    0
}

/// # Safety
///
/// There are `size` bytes at `buffer`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
unsafe fn fill(buffer: *mut u8, size: usize) -> c_int {
    // SAFETY: the caller promises the bytes.
    unsafe { libc::arc4random_buf(buffer.cast(), size) };
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_are_filled_and_no_others() {
        // Large requests are given in parts when a signal comes, small ones at once.
        for size in [0, 1, 255, 257, 100_000] {
            let mut seen = vec![0_u8; size];
            for _ in 0..16 {
                let mut buffer = vec![0_u8; size + 8];
                // SAFETY: the buffer is longer.
                unsafe { evutil_secure_rng_get_bytes(buffer.as_mut_ptr().cast(), size) };
                assert_eq!(buffer[size..], [0; 8]);
                seen.iter_mut().zip(&buffer).for_each(|(seen, new)| *seen |= new);
            }
            assert!(seen.iter().all(|&byte| byte != 0), "a byte was 0 sixteen times");
        }
        assert_eq!(evutil_secure_rng_init(), 0);
    }
}
