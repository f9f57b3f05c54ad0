//! Settings of sockets.

use std::ffi::{c_int, c_void};

use libc::socklen_t;

use crate::log::warn;

/// `socketpair`; `kind` may have the system's flags in it.
///
/// # Safety
///
/// There is room for two descriptors at `pair`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int {
    // SAFETY: the caller promises room for two descriptors.
    unsafe { libc::socketpair(domain, kind, protocol, pair) }
}

/// `close`.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_closesocket(socket: c_int) -> c_int {
    // SAFETY: the caller gives the descriptor away.
    unsafe { libc::close(socket) }
}

/// Sets `O_NONBLOCK` where it is not set; -1 and a warning if that fails.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_make_socket_nonblocking(socket: c_int) -> c_int {
    // SAFETY: reads flags; any number is fine.
    let flags = unsafe { libc::fcntl(socket, libc::F_GETFL) };
    if flags < 0 {
        warn!("fcntl({socket}, F_GETFL)");
        return -1;
    }
    // SAFETY: changes no memory.
    if flags & libc::O_NONBLOCK == 0 && unsafe { libc::fcntl(socket, libc::F_SETFL, flags | libc::O_NONBLOCK) } == -1 {
        warn!("fcntl({socket}, F_SETFL)");
        return -1;
    }
    0
}

/// Sets `FD_CLOEXEC` where it is not set; -1 and a warning if that fails.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_make_socket_closeonexec(socket: c_int) -> c_int {
    // SAFETY: reads flags; any number is fine.
    let flags = unsafe { libc::fcntl(socket, libc::F_GETFD) };
    if flags < 0 {
        warn!("fcntl({socket}, F_GETFD)");
        return -1;
    }
    // SAFETY: changes no memory.
    if flags & libc::FD_CLOEXEC == 0 && unsafe { libc::fcntl(socket, libc::F_SETFD, flags | libc::FD_CLOEXEC) } == -1 {
        warn!("fcntl({socket}, F_SETFD)");
        return -1;
    }
    0
}

/// Sets `SO_REUSEADDR`: the address can be bound again as soon as the listener is closed.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_make_listen_socket_reuseable(socket: c_int) -> c_int {
    set(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)
}

/// Lets several listeners share a port, so that the connections are spread over them; -1 on systems that do not spread
/// them.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_make_listen_socket_reuseable_port(socket: c_int) -> c_int {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "dragonfly"))]
    return set(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1);
    #[cfg(target_os = "freebsd")]
    return set(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT_LB, 1);
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd"
    )))]
    {
        let _ = socket;
        -1
    }
}

/// Sets `IPV6_V6ONLY`: an IPv6 listener leaves IPv4 to others.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_make_listen_socket_ipv6only(socket: c_int) -> c_int {
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)
}

/// Clears `IPV6_V6ONLY`: an IPv6 listener takes IPv4's connections too. Of libevent 2.2.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_make_listen_socket_not_ipv6only(socket: c_int) -> c_int {
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)
}

/// Sets `TCP_DEFER_ACCEPT`: a connection is accepted when data has come. 0 on systems that do not have it.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_make_tcp_listen_socket_deferred(socket: c_int) -> c_int {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return set(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 1);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = socket;
        0
    }
}

/// Switches TCP's keep-alive off or on: after `timeout` seconds of silence it probes three times, a third of them apart.
/// Does nothing if `timeout` is not positive. Of libevent 2.2.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_set_tcp_keepalive(socket: c_int, on: c_int, timeout: c_int) -> c_int {
    #[cfg(target_vendor = "apple")]
    const IDLE: c_int = libc::TCP_KEEPALIVE;
    #[cfg(not(target_vendor = "apple"))]
    const IDLE: c_int = libc::TCP_KEEPIDLE;
    if timeout <= 0 {
        return 0;
    }
    if set(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, on) < 0 {
        return -1;
    }
    if on == 0 {
        return 0;
    }
    let settings = [
        (IDLE, timeout),
        (libc::TCP_KEEPINTVL, (timeout / 3).max(1)),
        (libc::TCP_KEEPCNT, 3),
    ];
    let done = settings
        .iter()
        .all(|&(option, value)| set(socket, libc::IPPROTO_TCP, option, value) == 0);
    if done { 0 } else { -1 }
}

/// `setsockopt` of a number.
pub(crate) fn set(socket: c_int, level: c_int, option: c_int, value: c_int) -> c_int {
    let pointer = (&raw const value).cast::<c_void>();
    // SAFETY: the kernel reads the number during the call.
    unsafe { libc::setsockopt(socket, level, option, pointer, size_of::<c_int>() as socklen_t) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn get(socket: c_int, level: c_int, option: c_int) -> c_int {
        let (mut value, mut length) = (-1, size_of::<c_int>() as socklen_t);
        // SAFETY: the kernel writes to locals of this size.
        let result = unsafe { libc::getsockopt(socket, level, option, (&raw mut value).cast(), &raw mut length) };
        assert_eq!(result, 0);
        value
    }

    fn fcntl(fd: c_int, command: c_int) -> c_int {
        // SAFETY: reads or clears flags.
        unsafe { libc::fcntl(fd, command, 0) }
    }

    #[test]
    fn a_pair_is_connected() {
        let mut pair = [-1; 2];
        // SAFETY: there is room for two.
        let result = unsafe { evutil_socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr()) };
        assert_eq!(result, 0);
        // SAFETY: the descriptors are new, and nobody else has them.
        let [mut a, mut b] = pair.map(|fd| unsafe { UnixStream::from_raw_fd(fd) });
        a.write_all(b"hi").unwrap();
        assert_eq!(evutil_closesocket(a.into_raw_fd()), 0);
        let mut text = String::new();
        b.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hi");
    }

    #[test]
    fn flags_are_added_to_those_there_are() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let fd = socket.as_raw_fd();
        assert_eq!(fcntl(fd, libc::F_SETFD), 0);
        // SAFETY: sets a flag.
        assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_APPEND) }, 0);
        for _ in 0..2 {
            assert_eq!(evutil_make_socket_nonblocking(fd), 0);
            assert_eq!(evutil_make_socket_closeonexec(fd), 0);
        }
        let both = libc::O_NONBLOCK | libc::O_APPEND;
        assert_eq!(fcntl(fd, libc::F_GETFL) & both, both);
        assert_eq!(fcntl(fd, libc::F_GETFD), libc::FD_CLOEXEC);
        assert_eq!(evutil_make_socket_nonblocking(-1), -1);
        assert_eq!(evutil_make_socket_closeonexec(-1), -1);
    }

    #[test]
    fn options_of_listeners_are_set() {
        let socket = TcpListener::bind("[::1]:0").unwrap();
        let fd = socket.as_raw_fd();
        assert_eq!(set(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 0), 0);
        assert_eq!(evutil_make_listen_socket_reuseable(fd), 0);
        assert_ne!(get(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR), 0);
        assert_eq!(evutil_make_listen_socket_reuseable(-1), -1);
        if cfg!(target_os = "linux") {
            assert_eq!(evutil_make_listen_socket_reuseable_port(fd), 0);
            assert_ne!(get(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT), 0);
        }
        assert_eq!(evutil_make_tcp_listen_socket_deferred(fd), 0);
    }

    #[test]
    fn ipv6_only_is_set_and_cleared() {
        // SAFETY: makes a socket.
        let fd = unsafe { libc::socket(libc::AF_INET6, libc::SOCK_STREAM, 0) };
        assert_eq!(evutil_make_listen_socket_ipv6only(fd), 0);
        assert_eq!(get(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY), 1);
        assert_eq!(evutil_make_listen_socket_not_ipv6only(fd), 0);
        assert_eq!(get(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY), 0);
        assert_eq!(evutil_closesocket(fd), 0);
        assert_eq!(evutil_closesocket(-1), -1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn keep_alive_is_switched() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = socket.as_raw_fd();
        let state = || {
            let tcp = [libc::TCP_KEEPIDLE, libc::TCP_KEEPINTVL, libc::TCP_KEEPCNT];
            (
                get(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE),
                tcp.map(|option| get(fd, libc::IPPROTO_TCP, option)),
            )
        };
        let (_, defaults) = state();
        assert_eq!(evutil_set_tcp_keepalive(fd, 1, 0), 0);
        assert_eq!(state(), (0, defaults));
        assert_eq!(evutil_set_tcp_keepalive(fd, 1, 300), 0);
        assert_eq!(state(), (1, [300, 100, 3]));
        assert_eq!(evutil_set_tcp_keepalive(fd, 1, 2), 0);
        assert_eq!(state(), (1, [2, 1, 3]));
        assert_eq!(evutil_set_tcp_keepalive(fd, 0, 9), 0);
        assert_eq!(state(), (0, [2, 1, 3]));
        assert_eq!(evutil_set_tcp_keepalive(-1, 1, 9), -1);
    }
}
