//! Debug mode: which memory holds an event that was set up, and which of these are added.
//!
//! A program that uses memory as an event that is none, or sets up an event that is in use, dies of it here rather than
//! of something else later. Everything is a no-op while debug mode is off.

use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

use crate::abi::event;
use crate::evthread;
use crate::log::{self, ensure};

/// Not zero: debug mode is on.
#[unsafe(no_mangle)]
pub static event_debug_mode_on_: AtomicI32 = AtomicI32::new(0);
/// Not zero: something exists that would have a lock if threads had been set up before.
#[unsafe(no_mangle)]
pub static event_debug_created_threadable_ctx_: AtomicI32 = AtomicI32::new(0);

/// An event or a base exists that debug mode would not know.
static TOO_LATE: AtomicBool = AtomicBool::new(false);

/// The lock of the map, null while threads are off. `evthread` makes it when they are turned on.
pub(crate) static LOCK: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

static MAP: Map = Map(UnsafeCell::new(EMPTY));

const EMPTY: Events = Events::with_hasher(BuildHasherDefault::new());

/// What is known of the events, by their addresses. Other addresses hold no event.
type Events = HashMap<usize, State, BuildHasherDefault<DefaultHasher>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SetUp,
    Added,
}

struct Map(UnsafeCell<Events>);

// SAFETY: The map is used with its lock held; a program that turns no threads on has one thread in here at a time.
unsafe impl Sync for Map {}

/// Lends the map to `body`, which calls no function of the program's but those for memory.
fn with_map<R>(body: impl FnOnce(&mut Events) -> R) -> R {
    let lock = LOCK.load(Ordering::Acquire);
    // SAFETY: The lock is alive until `shutdown`, after which the library is not used.
    unsafe { evthread::lock_raw(lock) };
    // SAFETY: The lock is held, and this is the only place that lends the map.
    let answer = body(unsafe { &mut *MAP.0.get() });
    // SAFETY: As above; this thread holds it.
    unsafe { evthread::unlock_raw(lock) };
    answer
}

/// Turns debug mode on, before the first event or base: later it is fatal, and so is a second call.
#[unsafe(no_mangle)]
pub extern "C" fn event_enable_debug_mode() {
    if is_on() {
        log::fatal(1, format_args!("event_enable_debug_mode was called twice!"));
    }
    if TOO_LATE.load(Ordering::Relaxed) {
        let text = format_args!("event_enable_debug_mode must be called *before* creating any events or event_bases");
        log::fatal(1, text);
    }
    event_debug_mode_on_.store(1, Ordering::Relaxed);
}

/// Turns debug mode off and forgets all events.
#[unsafe(no_mangle)]
pub extern "C" fn event_disable_debug_mode() {
    drop(with_map(|map| std::mem::replace(map, EMPTY)));
    event_debug_mode_on_.store(0, Ordering::Relaxed);
}

/// This module's part in `libevent_global_shutdown`.
pub(crate) fn shutdown() {
    event_disable_debug_mode();
    let lock = LOCK.swap(ptr::null_mut(), Ordering::AcqRel);
    if !lock.is_null() {
        // SAFETY: It was made with this type, and no other thread is in the library any more.
        unsafe { evthread::release_raw(lock, 0) };
        evthread::evthreadimpl_disable_lock_debugging_();
    }
}

/// Whether debug mode is on.
#[inline]
pub(crate) fn is_on() -> bool {
    event_debug_mode_on_.load(Ordering::Relaxed) != 0
}

/// From now on it is too late to turn debug mode on. Only the first call writes: this is called often, and by all threads.
#[inline]
pub(crate) fn freeze() {
    if !TOO_LATE.load(Ordering::Relaxed) {
        TOO_LATE.store(true, Ordering::Relaxed);
    }
}

/// The event is set up, which comes before all else that is done with it.
#[inline]
pub(crate) fn assigned(ev: *const event) {
    freeze();
    if is_on() {
        note_assigned(ev);
    }
}

#[cold]
fn note_assigned(ev: *const event) {
    let noted = with_map(|map| {
        map.try_reserve(1)?;
        map.insert(ev.addr(), State::SetUp);
        Ok::<_, std::collections::TryReserveError>(())
    });
    if noted.is_err() {
        log::fatal_with_error(
            1,
            format_args!("Out of memory in debugging code"),
            &std::io::Error::last_os_error(),
        );
    }
}

/// The memory is no event any more.
#[inline]
pub(crate) fn unassigned(ev: *const event) {
    if is_on() {
        with_map(|map| map.remove(&ev.addr()));
    }
}

/// The event is added; fatal if it was not set up.
#[inline]
pub(crate) fn added(ev: *const event) {
    if is_on() && !change(ev, State::Added) {
        complain("event_debug_note_add_: noting an add on a non-setup event", ev);
    }
}

/// The event is not added any more; fatal if it was not set up.
#[inline]
pub(crate) fn deleted(ev: *const event) {
    if is_on() && !change(ev, State::SetUp) {
        complain("event_debug_note_del_: noting a del on a non-setup event", ev);
    }
}

/// Fatal if the event was not set up. `what` is the function that needs one that is.
#[inline]
pub(crate) fn check_assigned(ev: *const event, what: &str) {
    if is_on() && state(ev).is_none() {
        complain(format_args!("{what} called on a non-initialized event"), ev);
    }
}

/// Fatal if the event is added. `what` is the function that needs one that is not.
#[inline]
pub(crate) fn check_not_added(ev: *const event, what: &str) {
    if is_on() && state(ev) == Some(State::Added) {
        complain(format_args!("{what} called on an already added event"), ev);
    }
}

/// Fatal if the descriptor would block who reads from it or writes to it; one that cannot be asked passes.
pub(crate) fn check_nonblocking(fd: c_int) {
    if !is_on() || fd < 0 {
        return;
    }
    // SAFETY: The call reads the flags of whatever the number stands for.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    let blocks = flags >= 0 && flags & libc::O_NONBLOCK == 0;
    ensure!(!blocks, "flags & O_NONBLOCK", "event_debug_assert_socket_nonblocking_");
}

fn state(ev: *const event) -> Option<State> {
    with_map(|map| map.get(&ev.addr()).copied())
}

/// Whether the event was set up.
fn change(ev: *const event, new: State) -> bool {
    with_map(|map| map.get_mut(&ev.addr()).map(|state| *state = new).is_some())
}

/// Dies of an event. The map is not locked: the program may go on from its fatal callback by longjmp.
#[cold]
fn complain(what: impl std::fmt::Display, ev: *const event) -> ! {
    // SAFETY: Whatever the program calls an event is memory of that size; it is C's, so that every byte has some value.
    let ev_ref = unsafe { &*ev };
    let events = c_int::from(ev_ref.ev_events);
    let fd = ev_ref.ev_fd;
    let flags = c_int::from(ev_ref.ev_evcallback.evcb_flags.get());
    log::fatal(
        log::ABORT,
        format_args!("{what} {ev:p} (events: 0x{events:x}, fd: {fd}, flags: 0x{flags:x})"),
    )
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::child::{in_child, stderr};

    fn blank() -> event {
        // SAFETY: An event has no field that may not be zero.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }

    /// Whether `body`, in debug mode, ends the process with this message about the event.
    fn dies(test: &str, message: &str, body: fn(&event)) {
        let output = in_child(test, || {
            event_enable_debug_mode();
            body(&blank());
        });
        assert_eq!(output.status.signal(), Some(libc::SIGABRT));
        let text = stderr(&output);
        let rest = text.strip_prefix(message).unwrap_or_else(|| panic!("{text}"));
        assert!(rest.ends_with(" (events: 0x0, fd: 0, flags: 0x0)\n"), "{text}");
    }

    #[test]
    fn nothing_is_wrong_while_it_is_off() {
        let ev = blank();
        added(&raw const ev);
        deleted(&raw const ev);
        check_assigned(&raw const ev, "event_add");
        check_not_added(&raw const ev, "event_assign");
        let (stream, _peer) = UnixStream::pair().unwrap();
        check_nonblocking(stream.as_raw_fd());
    }

    #[test]
    fn a_life_without_faults() {
        let output = in_child("debug::tests::a_life_without_faults", || {
            // The lock of the map is checked as well.
            assert_eq!(evthread::evthread_use_pthreads(), 0);
            evthread::evthread_enable_lock_debugging();
            event_enable_debug_mode();
            let events: Vec<event> = (0..1000).map(|_| blank()).collect();
            for ev in &events {
                unassigned(ev);
                assigned(ev);
                check_not_added(ev, "event_assign");
                deleted(ev);
                added(ev);
                added(ev);
                check_assigned(ev, "event_add");
                deleted(ev);
                check_not_added(ev, "event_assign");
                added(ev);
            }
            let (stream, _peer) = UnixStream::pair().unwrap();
            stream.set_nonblocking(true).unwrap();
            check_nonblocking(stream.as_raw_fd());
            check_nonblocking(-1);
            // Setting an added event up again leaves it set up and not added.
            assigned(&raw const events[0]);
            check_not_added(&raw const events[0], "event_assign");
            assert!(!LOCK.load(Ordering::Relaxed).is_null());
            shutdown();
            assert!(!is_on());
            assert!(LOCK.load(Ordering::Relaxed).is_null());
        });
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
    }

    #[test]
    fn an_add_needs_an_event() {
        dies(
            "debug::tests::an_add_needs_an_event",
            "[err] event_debug_note_add_: noting an add on a non-setup event 0x",
            |ev| added(ev),
        );
    }

    #[test]
    fn a_delete_needs_an_event() {
        dies(
            "debug::tests::a_delete_needs_an_event",
            "[err] event_debug_note_del_: noting a del on a non-setup event 0x",
            |ev| {
                assigned(ev);
                unassigned(ev);
                deleted(ev);
            },
        );
    }

    #[test]
    fn a_use_needs_an_event() {
        dies(
            "debug::tests::a_use_needs_an_event",
            "[err] event_add called on a non-initialized event 0x",
            |ev| {
                check_assigned(ev, "event_add");
            },
        );
    }

    #[test]
    fn an_added_event_is_not_set_up_again() {
        dies(
            "debug::tests::an_added_event_is_not_set_up_again",
            "[err] event_assign called on an already added event 0x",
            |ev| {
                assigned(ev);
                added(ev);
                check_not_added(ev, "event_assign");
            },
        );
    }

    #[test]
    fn descriptors_must_not_block() {
        let output = in_child("debug::tests::descriptors_must_not_block", || {
            event_enable_debug_mode();
            let (stream, _peer) = UnixStream::pair().unwrap();
            check_nonblocking(stream.as_raw_fd());
        });
        assert_eq!(output.status.signal(), Some(libc::SIGABRT));
        let text = stderr(&output);
        assert!(
            text.ends_with(": Assertion flags & O_NONBLOCK failed in event_debug_assert_socket_nonblocking_\n"),
            "{text}"
        );
    }

    #[test]
    fn it_is_turned_on_once() {
        let output = in_child("debug::tests::it_is_turned_on_once", || {
            event_enable_debug_mode();
            event_enable_debug_mode();
        });
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output), "[err] event_enable_debug_mode was called twice!\n");
    }

    #[test]
    fn it_is_turned_on_before_all_else() {
        let output = in_child("debug::tests::it_is_turned_on_before_all_else", || {
            assigned(&blank());
            event_enable_debug_mode();
        });
        assert_eq!(output.status.code(), Some(1));
        let expected = "[err] event_enable_debug_mode must be called *before* creating any events or event_bases\n";
        assert_eq!(stderr(&output), expected);
    }
}
