//! What C programs see of memory: the structures of libevent 2.1.12 on 64-bit systems, and its numbers.
//!
//! The fields that change are cells: a thread that has locked the base changes them through as many shared references as
//! there are, also while another thread reads what `event_assign` has set once and for all.

use std::cell::Cell;
use std::ffi::{c_int, c_short, c_void};
use std::fmt;
use std::mem::offset_of;
use std::ptr;

use libc::timeval;

use crate::base::event_base;
use crate::event::ZERO;
use crate::timers::{Place, Timer};

pub(crate) const EV_TIMEOUT: c_short = 0x01;
pub(crate) const EV_READ: c_short = 0x02;
pub(crate) const EV_WRITE: c_short = 0x04;
pub(crate) const EV_SIGNAL: c_short = 0x08;
pub(crate) const EV_PERSIST: c_short = 0x10;
pub(crate) const EV_ET: c_short = 0x20;
pub(crate) const EV_FINALIZE: c_short = 0x40;
pub(crate) const EV_CLOSED: c_short = 0x80;

/// The conditions that a descriptor is waited for with.
pub(crate) const EV_IO: c_short = EV_READ | EV_WRITE | EV_CLOSED;

/// The bits of `evcb_flags`.
pub(crate) const EVLIST_TIMEOUT: c_short = 0x01;
pub(crate) const EVLIST_INSERTED: c_short = 0x02;
pub(crate) const EVLIST_ACTIVE: c_short = 0x08;
pub(crate) const EVLIST_FINALIZING: c_short = 0x40;
pub(crate) const EVLIST_INIT: c_short = 0x80;

/// The kinds of callbacks, as `evcb_closure` names them.
pub(crate) const CLOSURE_EVENT: u8 = 0;
pub(crate) const CLOSURE_SIGNAL: u8 = 1;
pub(crate) const CLOSURE_PERSIST: u8 = 2;
pub(crate) const CLOSURE_SELF: u8 = 3;
pub(crate) const CLOSURE_FINALIZE: u8 = 4;
pub(crate) const CLOSURE_EVENT_FINALIZE: u8 = 5;
pub(crate) const CLOSURE_EVENT_FINALIZE_FREE: u8 = 6;

/// `event_callback_fn`: descriptor or signal, what came, the user's argument.
pub(crate) type EventCallback = unsafe extern "C" fn(c_int, c_short, *mut c_void);
/// `event_finalize_callback_fn`: the event, the user's argument.
pub(crate) type FinalizeCallback = unsafe extern "C" fn(*mut event, *mut c_void);
/// What a deferred callback is: the structure, the user's argument.
pub(crate) type SelfCallback = unsafe extern "C" fn(*mut event_callback, *mut c_void);

/// `struct event_callback`: the head of an event, and all there is of a deferred callback.
#[repr(C)]
#[derive(Debug)]
pub struct event_callback {
    /// The engine's key of this callback, zero while the engine does not know it; libevent has a list link here.
    pub(crate) key: Cell<u64>,
    /// The key that it had before, by which the engine finds it a place.
    pub(crate) last_key: Cell<u64>,
    pub(crate) evcb_flags: Cell<c_short>,
    pub(crate) evcb_pri: Cell<u8>,
    pub(crate) evcb_closure: Cell<u8>,
    /// A function of the kind that `evcb_closure` says.
    pub(crate) evcb_function: Cell<*mut c_void>,
    pub(crate) evcb_arg: *mut c_void,
}

/// `struct event`: memory of the caller's.
#[repr(C)]
pub struct event {
    pub(crate) ev_evcallback: event_callback,
    /// The event's deadline, and where it is noted; libevent has the place in the heap here.
    pub(crate) timer: Timer,
    pub(crate) ev_fd: c_int,
    pub(crate) ev_base: Cell<*mut event_base>,
    /// In what its deadline is noted, while it has one; from here on libevent has the links of descriptors and signals.
    pub(crate) timer_in: Cell<Place>,
    /// What `event_active` was given, as long as the event is active by it.
    pub(crate) by_hand: Cell<c_short>,
    /// How often `event_active` wants a signal event called, while it is active by it; else [`Self::NOT_BY_HAND`].
    pub(crate) calls: Cell<c_short>,
    pub(crate) unused: u64,
    /// The period of a persistent event.
    pub(crate) ev_period: Cell<timeval>,
    pub(crate) ev_events: c_short,
    pub(crate) ev_res: Cell<c_short>,
    /// When the event times out, by the loop's clock.
    pub(crate) ev_timeout: Cell<timeval>,
}

impl event {
    pub(crate) const NOT_BY_HAND: c_short = -1;

    /// One that is neither pending nor active, and has no base, no function and the most urgent priority.
    pub(crate) const fn new(fd: c_int, events: c_short, arg: *mut c_void) -> Self {
        Self {
            ev_evcallback: event_callback {
                key: Cell::new(0),
                last_key: Cell::new(0),
                evcb_flags: Cell::new(EVLIST_INIT),
                evcb_pri: Cell::new(0),
                evcb_closure: Cell::new(CLOSURE_EVENT),
                evcb_function: Cell::new(ptr::null_mut()),
                evcb_arg: arg,
            },
            timer: Timer::new(),
            ev_fd: fd,
            ev_base: Cell::new(ptr::null_mut()),
            timer_in: Cell::new(Place::Heap),
            by_hand: Cell::new(0),
            calls: Cell::new(Self::NOT_BY_HAND),
            unused: 0,
            ev_period: Cell::new(ZERO),
            ev_events: events,
            ev_res: Cell::new(0),
            ev_timeout: Cell::new(ZERO),
        }
    }

    pub(crate) fn has(&self, flag: c_short) -> bool {
        self.ev_evcallback.evcb_flags.get() & flag != 0
    }

    /// Whether the event waits for nothing but deadlines.
    #[inline]
    pub(crate) fn is_timer(&self) -> bool {
        !self.wants(EV_IO | EV_SIGNAL)
    }

    /// Whether the event was created with any of these bits.
    pub(crate) fn wants(&self, events: c_short) -> bool {
        self.ev_events & events != 0
    }
}

impl fmt::Debug for event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("event")
            .field("fd", &self.ev_fd)
            .field("events", &self.ev_events)
            .finish_non_exhaustive()
    }
}

const _: () = {
    assert!(size_of::<event_callback>() == 40);
    assert!(size_of::<event>() == 128 && align_of::<event>() == 8);
    assert!(offset_of!(event_callback, evcb_flags) == 16);
    assert!(offset_of!(event_callback, evcb_pri) == 18);
    assert!(offset_of!(event_callback, evcb_closure) == 19);
    assert!(offset_of!(event_callback, evcb_function) == 24);
    assert!(offset_of!(event_callback, evcb_arg) == 32);
    assert!(offset_of!(event, timer) == 40);
    assert!(offset_of!(event, ev_fd) == 56);
    assert!(offset_of!(event, ev_base) == 64);
    assert!(offset_of!(event, timer_in) == 72);
    assert!(offset_of!(event, ev_period) == 88);
    assert!(offset_of!(event, ev_events) == 104);
    assert!(offset_of!(event, ev_res) == 106);
    assert!(offset_of!(event, ev_timeout) == 112);
};
