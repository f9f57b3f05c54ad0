//! Names to addresses, by the C library.

use std::ffi::{c_char, c_int};
use std::ptr;

use libc::addrinfo;

/// The bit that libevent marks its own lists with; systems do not know it.
const AI_OF_LIBEVENT: u32 = 0x8000_0000;

/// A request of `evdns` that was withdrawn.
const EAI_CANCEL: c_int = -90001;

/// glibc's numbers, which it shows to few.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod gnu {
    pub(super) const EAI_ADDRFAMILY: std::ffi::c_int = -9;
    pub(super) const EAI_NODATA: std::ffi::c_int = -5;
}

/// `getaddrinfo`, without the `AI_ADDRCONFIG` that some systems imply where there are no hints.
///
/// # Safety
///
/// As for `getaddrinfo`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    let mut own = addrinfo {
        ai_flags: 0,
        ai_family: libc::PF_UNSPEC,
        ai_socktype: 0,
        ai_protocol: 0,
        ai_addrlen: 0,
        ai_addr: ptr::null_mut(),
        ai_canonname: ptr::null_mut(),
        ai_next: ptr::null_mut(),
    };
    if !hints.is_null() {
        // SAFETY: the caller promises an `addrinfo`.
        own = unsafe { hints.read() };
        own.ai_flags &= !(AI_OF_LIBEVENT as c_int);
    }
    // SAFETY: the caller promises what `getaddrinfo` asks for.
    unsafe { libc::getaddrinfo(node, service, &raw const own, result) }
}

/// `freeaddrinfo`; does nothing for null.
///
/// # Safety
///
/// `list` is null or of [`evutil_getaddrinfo`], and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_freeaddrinfo(list: *mut addrinfo) {
    if !list.is_null() {
        // SAFETY: the caller promises a list that `evutil_getaddrinfo` made.
        unsafe { libc::freeaddrinfo(list) };
    }
}

/// `gai_strerror`, in libevent's words where it has some.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_gai_strerror(error: c_int) -> *const c_char {
    let text = match error {
        EAI_CANCEL => c"Request canceled",
        0 => c"No error",
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        gnu::EAI_ADDRFAMILY => c"address family for nodename not supported",
        libc::EAI_AGAIN => c"temporary failure in name resolution",
        libc::EAI_BADFLAGS => c"invalid value for ai_flags",
        libc::EAI_FAIL => c"non-recoverable failure in name resolution",
        libc::EAI_FAMILY => c"ai_family not supported",
        libc::EAI_MEMORY => c"memory allocation failure",
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        gnu::EAI_NODATA => c"no address associated with nodename",
        libc::EAI_NONAME => c"nodename nor servname provided, or not known",
        libc::EAI_SERVICE => c"servname not supported for ai_socktype",
        libc::EAI_SOCKTYPE => c"ai_socktype not supported",
        libc::EAI_SYSTEM => c"system error",
        // SAFETY: takes any number, and its texts are constant.
        _ => return unsafe { libc::gai_strerror(error) },
    };
    text.as_ptr()
}
