//! `event_base_once`: events that the library makes and releases itself.

use std::cell::Cell;
use std::ffi::{c_int, c_short, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use ev_core::Error;
use libc::timeval;

use crate::abi::{EV_IO, EV_PERSIST, EV_SIGNAL, EV_TIMEOUT, EventCallback, event};
use crate::base::{Locked, State, event_base};
use crate::event::event_assign;
use crate::time::is_set;
use crate::{debug, mm};

/// An event of the library's own, and what is called when it fires.
#[derive(Debug)]
pub(crate) struct Once {
    event: MaybeUninit<event>,
    callback: EventCallback,
    arg: *mut c_void,
    /// Where it is in `State::once`.
    place: Cell<usize>,
}

/// Calls a function once: when the descriptor is ready or, which may be all that is asked for, after a time. -1 for what
/// cannot be waited for like this, where `event_add` fails, and if there is no memory.
///
/// # Safety
///
/// `base` is null or alive, `tv` null or a time; the function may be called with `arg`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_once(
    base: *mut event_base,
    fd: c_int,
    events: c_short,
    callback: Option<EventCallback>,
    arg: *mut c_void,
    tv: *const timeval,
) -> c_int {
    let Some(callback) = callback else { return -1 };
    if base.is_null() || events & (EV_SIGNAL | EV_PERSIST) != 0 {
        return -1;
    }
    let (fd, wanted) = match events & (EV_TIMEOUT | EV_IO) {
        EV_TIMEOUT => (-1, 0),
        wanted if wanted & EV_IO != 0 => (fd, wanted & EV_IO),
        _ => return -1,
    };
    let record = mm::boxed(Once {
        event: MaybeUninit::uninit(),
        callback,
        arg,
        place: Cell::new(0),
    });
    let Some(record) = record.map(Box::into_raw) else {
        return -1;
    };
    // SAFETY: the record was made above.
    let ev = unsafe { &raw mut (*record).event }.cast::<event>();
    // SAFETY: the event is memory of the record's; the caller vouches for the base.
    unsafe { event_assign(ev, base, fd, wanted, Some(fire), record.cast()) };
    // SAFETY: the caller promises a base that is alive.
    let mut base = unsafe { Locked::new(base) };
    // SAFETY: the caller gives null or a time.
    let tv = unsafe { tv.as_ref() };
    // SAFETY: the record was made above, and its event assigned.
    match unsafe { base.start(record, tv) } {
        Ok(()) => {
            base.wake_if_needed();
            0
        }
        Err(error) => {
            // SAFETY: it was not kept.
            unsafe { free(record) };
            Locked::refuse("event_base_once", error)
        }
    }
}

/// The function of these events.
unsafe extern "C" fn fire(fd: c_int, events: c_short, record: *mut c_void) {
    let record = record.cast::<Once>();
    // SAFETY: the record is released by nobody but this function as long as its base is alive.
    let &Once {
        callback,
        arg,
        ref event,
        ..
    } = unsafe { &*record };
    // SAFETY: the event was assigned when the record was made.
    let base = unsafe { event.assume_init_ref() }.ev_base.get();
    // SAFETY: who gave the function promised that it may be called like this.
    unsafe { callback(fd, events, arg) };
    // SAFETY: a base is not freed by its own callbacks.
    let mut base = unsafe { Locked::new(base) };
    // SAFETY: it has fired, so nothing refers to it.
    unsafe { base.release(record) };
}

impl State {
    /// Adds a record's event, or makes it active if a timeout of no length is all that it waits for, and keeps the record
    /// until the event is called. On failure neither has happened.
    ///
    /// # Safety
    ///
    /// The record is alive and was not kept before, and its event is assigned.
    unsafe fn start(&mut self, record: *mut Once, tv: Option<&timeval>) -> Result<(), Error> {
        self.once.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        // SAFETY: the caller promises that it is alive.
        let Once { event, place, .. } = unsafe { &*record };
        // SAFETY: the caller promises that it is assigned.
        let event = unsafe { event.assume_init_ref() };
        if event.wants(EV_IO) || tv.is_some_and(is_set) {
            self.add_for(event, tv)?;
        } else {
            self.activate(event, EV_TIMEOUT, 1)?;
        }
        place.set(self.once.len());
        self.once.push(record);
        Ok(())
    }

    /// Takes a record out of the list and frees it.
    ///
    /// # Safety
    ///
    /// The record was kept, its event is neither pending nor active, and nobody uses it afterwards.
    unsafe fn release(&mut self, record: *mut Once) {
        // SAFETY: the caller promises that it is alive.
        let place = unsafe { &*record }.place.get();
        self.once.swap_remove(place);
        if let Some(&moved) = self.once.get(place) {
            // SAFETY: what is in the list is alive.
            unsafe { &*moved }.place.set(place);
        }
        // SAFETY: the caller gives it up.
        unsafe { free(record) };
    }

    /// Frees all records; their functions are not called. The events of the base are gone.
    pub(crate) fn release_all(&mut self) {
        for record in self.once.drain(..) {
            // SAFETY: what is in the list is alive, and nothing refers to it any more.
            unsafe { free(record) };
        }
    }
}

/// # Safety
///
/// The record was made by `event_base_once`, and nobody uses it afterwards.
unsafe fn free(record: *mut Once) {
    // SAFETY: the caller gives up a box of this type.
    let record = unsafe { Box::from_raw(record) };
    debug::unassigned(ptr::from_ref(&record.event).cast());
}
