//! The declarations of libkqueue's `<sys/event.h>`, under the names that `libc` gives to those of the BSDs.

use libc::{c_int, c_short, c_uint, c_ushort, c_void, timespec};

pub(crate) const EV_ADD: u16 = 0x0001;
pub(crate) const EV_DELETE: u16 = 0x0002;
pub(crate) const EV_ENABLE: u16 = 0x0004;
pub(crate) const EV_DISABLE: u16 = 0x0008;
pub(crate) const EV_ONESHOT: u16 = 0x0010;
pub(crate) const EV_CLEAR: u16 = 0x0020;
pub(crate) const EV_RECEIPT: u16 = 0x0040;
pub(crate) const EV_DISPATCH: u16 = 0x0080;
pub(crate) const EV_ERROR: u16 = 0x4000;
pub(crate) const EV_EOF: u16 = 0x8000;
pub(crate) const EVFILT_READ: i16 = -1;
pub(crate) const EVFILT_WRITE: i16 = -2;
pub(crate) const EVFILT_SIGNAL: i16 = -6;
pub(crate) const EVFILT_USER: i16 = -11;
pub(crate) const NOTE_TRIGGER: u32 = 0x0100_0000;

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct kevent {
    pub(crate) ident: usize,
    pub(crate) filter: c_short,
    pub(crate) flags: c_ushort,
    pub(crate) fflags: c_uint,
    pub(crate) data: isize,
    pub(crate) udata: *mut c_void,
}

unsafe extern "C" {
    pub(crate) fn kqueue() -> c_int;
    pub(crate) fn kevent(
        queue: c_int,
        changes: *const kevent,
        change_count: c_int,
        events: *mut kevent,
        event_count: c_int,
        timeout: *const timespec,
    ) -> c_int;
}
