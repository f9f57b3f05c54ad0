//! The error numbers that a loop decides by, for comparison with
//! [`io::Error::raw_os_error`](std::io::Error::raw_os_error).
//!
//! ```
//! use ev_sys::errno;
//!
//! let error = std::fs::File::open("/no/such/file").unwrap_err();
//! assert_eq!(error.raw_os_error(), Some(errno::ENOENT));
//! ```

#[doc(no_inline)]
pub use libc::{EAGAIN, EBADF, EEXIST, EINTR, EINVAL, EMFILE, ENFILE, ENOENT, ENOSYS, EPERM, EPIPE};
