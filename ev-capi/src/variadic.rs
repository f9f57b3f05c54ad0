//! libevent's names of the functions that take a format and its arguments.
//!
//! Rust cannot define such functions. `variadic.c` does, but what C defines is not exported from a shared library that
//! `rustc` links. So each name is here a function that consists of a jump: registers and stack are for the function in C
//! as the caller left them, which is what a call with any number of arguments needs.

use std::arch::naked_asm;

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
macro_rules! jump {
    () => {
        "jmp {}"
    };
}

#[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
macro_rules! jump {
    () => {
        "b {}"
    };
}

#[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
macro_rules! jump {
    () => {
        "tail {}"
    };
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $defined:ident;)*) => {
        unsafe extern "C" {
            $(fn $defined();)*
        }

        $(
            $(#[$doc])*
            ///
            /// # Safety
            ///
            /// The arguments are those that the function has in C, and what the format asks for.
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            pub unsafe extern "C" fn $name() {
                naked_asm!(jump!(), sym $defined)
            }
        )*
    };
}

functions! {
    /// `int evutil_snprintf(char *, size_t, const char *format, ...)`: `snprintf`, but 0 where the size is 0.
    evutil_snprintf = ev_capi_snprintf;
    /// `int evutil_vsnprintf(char *, size_t, const char *format, va_list)`: `vsnprintf`, but 0 where the size is 0.
    evutil_vsnprintf = ev_capi_vsnprintf;
    /// `void event_debugx_(const char *format, ...)`: says something while debugging messages are on.
    event_debugx_ = ev_capi_debugx;
    /// `void event_msgx(const char *format, ...)`: says something that is no cause for worry.
    event_msgx = ev_capi_msgx;
    /// `void event_warnx(const char *format, ...)`: warns.
    event_warnx = ev_capi_warnx;
    /// `void event_warn(const char *format, ...)`: warns, and appends what `errno` means.
    event_warn = ev_capi_warn;
    /// `void event_sock_warn(int socket, const char *format, ...)`: as `event_warn`.
    event_sock_warn = ev_capi_sock_warn;
    /// `void event_errx(int code, const char *format, ...)`: says what is beyond repair and ends the process.
    event_errx = ev_capi_errx;
    /// `void event_err(int code, const char *format, ...)`: as `event_errx`, and appends what `errno` means.
    event_err = ev_capi_err;
    /// `void event_sock_err(int code, int socket, const char *format, ...)`: as `event_err`.
    event_sock_err = ev_capi_sock_err;
}
