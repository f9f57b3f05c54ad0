//! `event2/listener.h`: a socket whose connections are accepted by the loop and handed to a callback.
//!
//! A listener is counted: its user has one reference, and so has each call of a callback that is under way. Whoever
//! gives the last one back frees it. So a callback may free its listener.

use std::ffi::{c_int, c_short, c_uint, c_void};
use std::io::{Error, ErrorKind};
use std::mem::MaybeUninit;
use std::ptr;

use libc::{sockaddr, sockaddr_storage, socklen_t};

use crate::abi::{EV_PERSIST, EV_READ, event};
use crate::base::event_base;
use crate::event::{event_add, event_assign, event_del, event_del_noblock};
use crate::evthread::Lock;
use crate::evutil::socket;
use crate::log::warn;
use crate::{debug, mm};

const LEAVE_SOCKETS_BLOCKING: c_uint = 1 << 0;
const CLOSE_ON_FREE: c_uint = 1 << 1;
const CLOSE_ON_EXEC: c_uint = 1 << 2;
const REUSEABLE: c_uint = 1 << 3;
const THREADSAFE: c_uint = 1 << 4;
const DISABLED: c_uint = 1 << 5;
const DEFERRED_ACCEPT: c_uint = 1 << 6;
const REUSEABLE_PORT: c_uint = 1 << 7;
const BIND_IPV6ONLY: c_uint = 1 << 8;
/// Of libevent 2.2.
const BIND_IPV4_AND_IPV6: c_uint = 1 << 9;

/// What `listen` is given for a negative backlog.
const DEFAULT_BACKLOG: c_int = 128;

/// `evconnlistener_cb`: the listener, the connection, its address and the address' length, the user's argument.
type AcceptCallback = unsafe extern "C" fn(*mut evconnlistener, c_int, *mut sockaddr, c_int, *mut c_void);

/// `evconnlistener_errorcb`: the listener, the user's argument.
type ErrorCallback = unsafe extern "C" fn(*mut evconnlistener, *mut c_void);

/// `struct evconnlistener`.
#[derive(Debug)]
pub struct evconnlistener {
    lock: Lock,
    flags: c_uint,
    /// The base changes it, under a lock of its own.
    event: event,
    /// For the holder of the lock.
    state: State,
}

#[derive(Debug)]
struct State {
    callback: Option<AcceptCallback>,
    error_callback: Option<ErrorCallback>,
    argument: *mut c_void,
    references: u32,
    /// Whether the user wants connections; without a callback the event is not added all the same.
    enabled: bool,
}

/// A listener whose lock this thread has, if it has a lock; else its user sees to it that no other thread uses it.
struct Locked(*mut evconnlistener);

impl Locked {
    /// # Safety
    ///
    /// The listener is alive, and this thread does not have it `Locked` already.
    unsafe fn new(listener: *mut evconnlistener) -> Self {
        // SAFETY: the caller promises that the listener is alive.
        unsafe { &(*listener).lock }.lock();
        Self(listener)
    }

    fn state(&mut self) -> &mut State {
        // SAFETY: `new`'s caller vouched for the listener, and only who holds the lock reaches the state.
        unsafe { &mut (*self.0).state }
    }

    fn event(&self) -> *mut event {
        // SAFETY: `new`'s caller vouched for the listener.
        unsafe { &raw mut (*self.0).event }
    }

    fn flags(&self) -> c_uint {
        // SAFETY: `new`'s caller vouched for the listener; the flags never change.
        unsafe { (*self.0).flags }
    }

    fn enable(&mut self) -> c_int {
        self.state().enabled = true;
        if self.state().callback.is_none() {
            return 0;
        }
        // SAFETY: the event was assigned when the listener was made.
        unsafe { event_add(self.event(), ptr::null()) }
    }

    /// Does not wait for a callback under way in the loop's thread: it needs the lock to return.
    fn disable(&mut self) -> c_int {
        self.state().enabled = false;
        // SAFETY: the event was assigned when the listener was made.
        unsafe { event_del_noblock(self.event()) }
    }

    fn is_enabled(&self) -> bool {
        // SAFETY: `new`'s caller vouched for the listener, and only who holds the lock reaches the state.
        unsafe { (*self.0).state.enabled }
    }

    /// Gives the lock back while `callback` runs, which may free the listener. None if it did.
    fn unlocked(mut self, callback: impl FnOnce(*mut evconnlistener)) -> Option<Self> {
        self.state().references += 1;
        let listener = self.0;
        drop(self);
        callback(listener);
        // SAFETY: the reference keeps the listener alive, and the lock was given back.
        unsafe { Self::new(listener) }.release()
    }

    /// Gives a reference back. None if it was the last one: the listener is gone.
    fn release(mut self) -> Option<Self> {
        self.state().references -= 1;
        if self.state().references > 0 {
            return Some(self);
        }
        let listener = self.0;
        drop(self);
        // SAFETY: nobody has a reference any more.
        unsafe { destroy(listener) };
        None
    }

    /// Hands a connection to the callback. None if no more are wanted.
    fn deliver(mut self, connection: c_int, mut from: Peer) -> Option<Self> {
        let State { callback, argument, .. } = *self.state();
        let Some(callback) = callback else {
            socket::evutil_closesocket(connection);
            return None;
        };
        let listener = self.unlocked(|listener| {
            let address = (&raw mut from.address).cast();
            // SAFETY: the user gave the callback for this, and what it is given outlives the call.
            unsafe { callback(listener, connection, address, from.length as c_int, argument) };
        });
        // The callback may have disabled the listener.
        listener.filter(Self::is_enabled)
    }

    /// Tells the user of an error that does not pass by itself.
    fn fail(mut self, error: &Error) {
        let State {
            error_callback,
            argument,
            ..
        } = *self.state();
        match error_callback {
            Some(callback) => {
                // SAFETY: the user gave the callback for this.
                self.unlocked(|listener| unsafe { callback(listener, argument) });
            }
            None => warn!(error => "Error from accept() call"),
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: `new`'s caller vouched for the listener, and who frees it gives the lock back before.
        unsafe { &(*self.0).lock }.unlock();
    }
}

/// # Safety
///
/// The listener is alive, and nobody has a reference to it nor its lock.
unsafe fn destroy(listener: *mut evconnlistener) {
    // SAFETY: the listener is alive.
    let event = unsafe { &raw mut (*listener).event };
    // SAFETY: the event is assigned. This waits for the loop's thread, which may be waiting for the lock in `accept_ready`.
    unsafe { event_del(event) };
    // SAFETY: the listener is alive.
    if unsafe { (*listener).flags } & CLOSE_ON_FREE != 0 {
        // SAFETY: as above.
        socket::evutil_closesocket(unsafe { (*event).ev_fd });
    }
    debug::unassigned(event);
    // SAFETY: it was written by `evconnlistener_new`, and the loop has forgotten it.
    unsafe { listener.drop_in_place() };
    // SAFETY: it came from `mm`.
    unsafe { mm::free(listener.cast()) };
}

/// The event's callback: accepts what there is.
unsafe extern "C" fn accept_ready(fd: c_int, _: c_short, listener: *mut c_void) {
    // SAFETY: the event is deleted before the listener goes, and no function here calls the loop with the lock taken.
    let mut listener = unsafe { Locked::new(listener.cast()) };
    if listener.state().references == 0 {
        return;
    }
    loop {
        let mut from = Peer::unknown();
        match from.accept(fd, listener.flags()) {
            // Of connections that were reset before they were accepted, some kernels have no address.
            Ok(connection) if from.length == 0 => drop(socket::evutil_closesocket(connection)),
            Ok(connection) => match listener.deliver(connection, from) {
                Some(still) => listener = still,
                None => return,
            },
            Err(error) if passes(&error) => return,
            Err(error) => return listener.fail(&error),
        }
    }
}

/// Whether the listener is well all the same.
fn passes(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
    )
}

/// Whence a connection comes.
struct Peer {
    address: sockaddr_storage,
    length: socklen_t,
}

impl Peer {
    fn unknown() -> Self {
        // SAFETY: zeros are a `sockaddr_storage`: it has numbers only.
        let address = unsafe { MaybeUninit::zeroed().assume_init() };
        Self {
            address,
            length: size_of::<sockaddr_storage>() as socklen_t,
        }
    }

    /// Accepts a connection, with the settings that the listener's flags ask for.
    fn accept(&mut self, fd: c_int, flags: c_uint) -> Result<c_int, Error> {
        let address = (&raw mut self.address).cast();
        #[cfg(not(target_vendor = "apple"))]
        // SAFETY: the kernel writes to a local, and no more than the length says.
        let connection = unsafe { libc::accept4(fd, address, &raw mut self.length, socket_flags(flags)) };
        #[cfg(target_vendor = "apple")]
        // SAFETY: as above.
        let connection = set_flags(unsafe { libc::accept(fd, address, &raw mut self.length) }, flags);
        if connection < 0 {
            Err(Error::last_os_error())
        } else {
            Ok(connection)
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn socket_flags(flags: c_uint) -> c_int {
    let blocking = if flags & LEAVE_SOCKETS_BLOCKING == 0 {
        libc::SOCK_NONBLOCK
    } else {
        0
    };
    let close_on_exec = if flags & CLOSE_ON_EXEC == 0 {
        0
    } else {
        libc::SOCK_CLOEXEC
    };
    blocking | close_on_exec
}

/// What [`socket_flags`] asks for, after the fact.
#[cfg(target_vendor = "apple")]
fn set_flags(fd: c_int, flags: c_uint) -> c_int {
    if fd >= 0
        && (flags & LEAVE_SOCKETS_BLOCKING == 0 && socket::evutil_make_socket_nonblocking(fd) < 0
            || flags & CLOSE_ON_EXEC != 0 && socket::evutil_make_socket_closeonexec(fd) < 0)
    {
        socket::evutil_closesocket(fd);
        return -1;
    }
    fd
}

/// Makes a listener on a socket that is bound and does not block. A `backlog` of 0 says that it listens already, a
/// negative one stands for a usual one. Null if it cannot listen, or without memory; the socket stays open.
///
/// # Safety
///
/// `base` is null or alive. The callback may be called as long as there is the listener.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evconnlistener_new(
    base: *mut event_base,
    callback: Option<AcceptCallback>,
    argument: *mut c_void,
    flags: c_uint,
    backlog: c_int,
    fd: c_int,
) -> *mut evconnlistener {
    let backlog = if backlog < 0 { DEFAULT_BACKLOG } else { backlog };
    // SAFETY: changes no memory.
    if backlog != 0 && unsafe { libc::listen(fd, backlog) } < 0 {
        return ptr::null_mut();
    }
    let listener = mm::alloc(size_of::<evconnlistener>()).cast::<evconnlistener>();
    if listener.is_null() {
        return listener;
    }
    let lock = if flags & THREADSAFE == 0 {
        Lock::none()
    } else {
        Lock::recursive()
    };
    let state = State {
        callback,
        error_callback: None,
        argument,
        references: 1,
        enabled: false,
    };
    // SAFETY: zeros are an event: it has numbers and pointers only.
    let event = unsafe { MaybeUninit::zeroed().assume_init() };
    let new = evconnlistener {
        lock,
        flags,
        event,
        state,
    };
    // SAFETY: the memory is large enough, aligned to more than is needed, and nobody else's.
    unsafe { listener.write(new) };
    // SAFETY: the listener is alive.
    let event = unsafe { &raw mut (*listener).event };
    // SAFETY: the event is new; the caller promises a base that is null or alive.
    unsafe {
        event_assign(
            event,
            base,
            fd,
            EV_READ | EV_PERSIST,
            Some(accept_ready),
            listener.cast(),
        )
    };
    if flags & DISABLED == 0 {
        // SAFETY: the listener is alive, and nobody knows it yet.
        unsafe { Locked::new(listener) }.enable();
    }
    listener
}

/// Makes a socket, binds it to an address and makes a listener on it. Null if any of that fails, and `errno` says why.
///
/// # Safety
///
/// As [`evconnlistener_new`]; `address` is null or an address of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evconnlistener_new_bind(
    base: *mut event_base,
    callback: Option<AcceptCallback>,
    argument: *mut c_void,
    flags: c_uint,
    backlog: c_int,
    address: *const sockaddr,
    length: c_int,
) -> *mut evconnlistener {
    if backlog == 0 {
        return ptr::null_mut();
    }
    // SAFETY: the caller promises an address or null.
    let family = unsafe { address.as_ref() }.map_or(libc::AF_UNSPEC, |address| c_int::from(address.sa_family));
    let fd = open(family, flags);
    if fd < 0 {
        return ptr::null_mut();
    }
    let mut listener = ptr::null_mut();
    // SAFETY: the caller promises an address of this length.
    if configure(fd, flags) && unsafe { libc::bind(fd, address, length as socklen_t) } == 0 {
        // SAFETY: the caller promises the same as for this function.
        listener = unsafe { evconnlistener_new(base, callback, argument, flags, backlog, fd) };
    }
    if listener.is_null() {
        socket::evutil_closesocket(fd);
    }
    listener
}

/// A socket that does not block; -1 if there is none to have.
fn open(family: c_int, flags: c_uint) -> c_int {
    let flags = flags & CLOSE_ON_EXEC;
    #[cfg(not(target_vendor = "apple"))]
    // SAFETY: changes no memory.
    return unsafe { libc::socket(family, libc::SOCK_STREAM | socket_flags(flags), 0) };
    #[cfg(target_vendor = "apple")]
    // SAFETY: changes no memory.
    return set_flags(unsafe { libc::socket(family, libc::SOCK_STREAM, 0) }, flags);
}

/// Sets the options that the flags ask for, and keep-alive, in libevent's order.
fn configure(fd: c_int, flags: c_uint) -> bool {
    let options: [(c_uint, extern "C" fn(c_int) -> c_int); 5] = [
        (REUSEABLE, socket::evutil_make_listen_socket_reuseable),
        (REUSEABLE_PORT, socket::evutil_make_listen_socket_reuseable_port),
        (DEFERRED_ACCEPT, socket::evutil_make_tcp_listen_socket_deferred),
        (BIND_IPV6ONLY, socket::evutil_make_listen_socket_ipv6only),
        (BIND_IPV4_AND_IPV6, socket::evutil_make_listen_socket_not_ipv6only),
    ];
    socket::set(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1) == 0
        && options.iter().all(|&(flag, set)| flags & flag == 0 || set(fd) == 0)
}

/// Ends a listener, at once or when its callback returns. Its socket stays open but for `LEV_OPT_CLOSE_ON_FREE`.
///
/// # Safety
///
/// The listener is alive, and nobody uses it any more but a callback that is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evconnlistener_free(listener: *mut evconnlistener) {
    // SAFETY: the caller promises a listener that is alive, and gives its reference away.
    let mut listener = unsafe { Locked::new(listener) };
    listener.state().callback = None;
    listener.state().error_callback = None;
    listener.release();
}

/// Accepts connections (again), as soon as there is a callback for them; -1 if the loop refuses the event.
///
/// # Safety
///
/// The listener is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evconnlistener_enable(listener: *mut evconnlistener) -> c_int {
    // SAFETY: the caller promises a listener that is alive.
    unsafe { Locked::new(listener) }.enable()
}

/// Accepts no more connections; they wait in the kernel.
///
/// # Safety
///
/// The listener is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evconnlistener_disable(listener: *mut evconnlistener) -> c_int {
    // SAFETY: the caller promises a listener that is alive.
    unsafe { Locked::new(listener) }.disable()
}

/// The listener's base.
///
/// # Safety
///
/// The listener is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evconnlistener_get_base(listener: *mut evconnlistener) -> *mut event_base {
    // SAFETY: the caller promises a listener that is alive; the base was assigned once.
    unsafe { (*listener).event.ev_base.get() }
}

/// The listener's socket.
///
/// # Safety
///
/// The listener is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evconnlistener_get_fd(listener: *mut evconnlistener) -> c_int {
    // SAFETY: the caller promises a listener that is alive; the descriptor was assigned once.
    unsafe { (*listener).event.ev_fd }
}

/// Replaces the callback and its argument. A listener that is enabled but had no callback starts to accept.
///
/// # Safety
///
/// The listener is alive. The callback may be called as long as there is the listener.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evconnlistener_set_cb(
    listener: *mut evconnlistener,
    callback: Option<AcceptCallback>,
    argument: *mut c_void,
) {
    // SAFETY: the caller promises a listener that is alive.
    let mut listener = unsafe { Locked::new(listener) };
    let starts = listener.is_enabled() && listener.state().callback.is_none();
    listener.state().callback = callback;
    listener.state().argument = argument;
    if starts {
        listener.enable();
    }
}

/// Replaces the callback for errors of `accept` that do not pass by themselves; without one they are warnings.
///
/// # Safety
///
/// The listener is alive. The callback may be called as long as there is the listener.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evconnlistener_set_error_cb(listener: *mut evconnlistener, callback: Option<ErrorCallback>) {
    // SAFETY: the caller promises a listener that is alive.
    unsafe { Locked::new(listener) }.state().error_callback = callback;
}
