//! Addresses to and from text, and their order.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use libc::{AF_INET, AF_INET6, in_addr, in6_addr, sa_family_t, sockaddr, sockaddr_in, sockaddr_in6};

use super::parse;

/// Writes an IPv4 or IPv6 address as text; null if `size` bytes are too few or the family is another one.
///
/// An IPv6 address of just `size` characters loses the last one to the NUL, as in libevent.
///
/// # Safety
///
/// `src` is an address of the family, and there are `size` bytes at `dst`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_inet_ntop(
    family: c_int,
    src: *const c_void,
    dst: *mut c_char,
    size: usize,
) -> *const c_char {
    let mut buffer = [0_u8; 64];
    let (length, fits) = match family {
        AF_INET => {
            // SAFETY: the caller promises an address of the family.
            let octets = unsafe { src.cast::<[u8; 4]>().read() };
            let length = format(&mut buffer, format_args!("{}", Ipv4Addr::from(octets)));
            (length, length < size)
        }
        AF_INET6 => {
            // SAFETY: as above.
            let octets = unsafe { src.cast::<[u8; 16]>().read() };
            let length = format_ipv6(&mut buffer, Ipv6Addr::from(octets));
            (length, length <= size)
        }
        _ => return ptr::null(),
    };
    if !fits {
        return ptr::null();
    }
    let length = length.min(size - 1);
    // SAFETY: the caller promises `size` bytes, and they are not the buffer's.
    unsafe { ptr::copy_nonoverlapping(buffer.as_ptr().cast(), dst, length) };
    // SAFETY: `length` is less than `size`.
    let end = unsafe { dst.add(length) };
    // SAFETY: as above.
    unsafe { end.write(0) };
    dst
}

/// Only addresses that hold an IPv4 address of two groups other than 0 are written as such.
fn format_ipv6(buffer: &mut [u8; 64], address: Ipv6Addr) -> usize {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 && low != 0 => {
            let [.., a, b, c, d] = address.octets();
            format(buffer, format_args!("::{a}.{b}.{c}.{d}"))
        }
        _ => format(buffer, format_args!("{address}")),
    }
}

fn format(buffer: &mut [u8; 64], text: std::fmt::Arguments<'_>) -> usize {
    let size = buffer.len();
    let mut rest = &mut buffer[..];
    // The longest address has 45 characters.
    let _ = rest.write_fmt(text);
    size - rest.len()
}

/// Reads an IPv4 or IPv6 address, as leniently as libevent: 1, or 0 if it is none, or -1 if the family is another one.
///
/// # Safety
///
/// `src` is a C string, and there is room for an address of the family at `dst`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_inet_pton(family: c_int, src: *const c_char, dst: *mut c_void) -> c_int {
    // SAFETY: the caller promises a C string, which nobody changes during the call.
    let text = unsafe { CStr::from_ptr(src) }.to_bytes();
    match family {
        // SAFETY: the caller promises room for an address of the family.
        AF_INET => unsafe { store(parse::ipv4(text).map(|address| address.octets()), dst) },
        // SAFETY: as above.
        AF_INET6 => unsafe { store(parse::ipv6(text).map(|address| address.octets()), dst) },
        _ => -1,
    }
}

/// Reads an address that, if IPv6, may have a scope: `fe80::1%eth0`. `scope` becomes 0 where there is none.
///
/// # Safety
///
/// As [`evutil_inet_pton`]; `scope` is a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_inet_pton_scope(
    family: c_int,
    src: *const c_char,
    dst: *mut c_void,
    scope: *mut c_uint,
) -> c_int {
    // SAFETY: the caller promises room for the number.
    unsafe { scope.write(0) };
    if family != AF_INET6 {
        // SAFETY: the caller promises the same as for this function.
        return unsafe { evutil_inet_pton(family, src, dst) };
    }
    // SAFETY: the caller promises a C string, which nobody changes during the call.
    let Some((text, index)) = parse::scoped(unsafe { CStr::from_ptr(src) }) else {
        return 0;
    };
    // SAFETY: as above.
    unsafe { scope.write(index) };
    // SAFETY: the caller promises room for an IPv6 address.
    unsafe { store(parse::ipv6(text).map(|address| address.octets()), dst) }
}

/// # Safety
///
/// `dst` must have room for the octets.
unsafe fn store<const N: usize>(octets: Option<[u8; N]>, dst: *mut c_void) -> c_int {
    let Some(octets) = octets else { return 0 };
    // SAFETY: the caller promises the room; octets need no alignment.
    unsafe { dst.cast::<[u8; N]>().write(octets) };
    1
}

/// Reads an address and its port, 0 if it has none, into `out`, and its size into `outlen`, which says how much room
/// there is; the rest of it becomes zeros. -1 if the text is not understood or the room too small, and nothing is written.
///
/// # Safety
///
/// `text` is a C string, and there are `outlen` bytes at `out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_parse_sockaddr_port(
    text: *const c_char,
    out: *mut sockaddr,
    outlen: *mut c_int,
) -> c_int {
    // SAFETY: the caller promises a C string, which nobody changes during the call.
    let text = unsafe { CStr::from_ptr(text) };
    match parse::socket_address(text) {
        // SAFETY: the caller promises `outlen` bytes of room.
        Some(SocketAddr::V4(address)) => unsafe { store_sockaddr(sockaddr_of_v4(address), out, outlen) },
        // SAFETY: as above.
        Some(SocketAddr::V6(address)) => unsafe { store_sockaddr(sockaddr_of_v6(address), out, outlen) },
        None => -1,
    }
}

/// # Safety
///
/// `out` must have as many bytes of room as `outlen` says.
unsafe fn store_sockaddr<T>(address: T, out: *mut sockaddr, outlen: *mut c_int) -> c_int {
    // SAFETY: the caller promises a number.
    let Ok(room) = usize::try_from(unsafe { outlen.read() }) else {
        return -1;
    };
    if room < size_of::<T>() {
        return -1;
    }
    // SAFETY: the caller promises the room.
    unsafe { out.cast::<u8>().write_bytes(0, room) };
    // SAFETY: as above, and it was seen to be enough.
    unsafe { out.cast::<T>().write_unaligned(address) };
    // SAFETY: the caller promises a place for a number.
    unsafe { outlen.write(size_of::<T>() as c_int) };
    0
}

fn sockaddr_of_v4(from: SocketAddrV4) -> sockaddr_in {
    sockaddr_in {
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        sin_len: size_of::<sockaddr_in>() as u8,
        sin_family: AF_INET as sa_family_t,
        sin_port: from.port().to_be(),
        sin_addr: in_addr {
            s_addr: u32::from_ne_bytes(from.ip().octets()),
        },
        sin_zero: [0; 8],
    }
}

fn sockaddr_of_v6(from: SocketAddrV6) -> sockaddr_in6 {
    sockaddr_in6 {
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        sin6_len: size_of::<sockaddr_in6>() as u8,
        sin6_family: AF_INET6 as sa_family_t,
        sin6_port: from.port().to_be(),
        sin6_flowinfo: 0,
        sin6_addr: in6_addr {
            s6_addr: from.ip().octets(),
        },
        sin6_scope_id: from.scope_id(),
    }
}

/// Compares two addresses by family, address and, unless `include_port` is 0, port. 0 says that they are equal, and the sign
/// of other numbers is an order: of IPv4 addresses and ports as this machine takes their bytes for numbers.
///
/// Addresses of one family other than these two make 1, even if equal.
///
/// # Safety
///
/// Both are addresses, as long as their family says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_sockaddr_cmp(sa1: *const sockaddr, sa2: *const sockaddr, include_port: c_int) -> c_int {
    // SAFETY: the caller promises two addresses, each as long as its family says.
    let family = c_int::from(unsafe { (*sa1).sa_family });
    // SAFETY: as above.
    let other = c_int::from(unsafe { (*sa2).sa_family });
    if family != other {
        return family - other;
    }
    let (order, ports) = match family {
        AF_INET => {
            // SAFETY: as above.
            let [a, b] = unsafe { both::<sockaddr_in>(sa1, sa2) };
            (
                a.sin_addr.s_addr.cmp(&b.sin_addr.s_addr) as c_int,
                [a.sin_port, b.sin_port],
            )
        }
        AF_INET6 => {
            // SAFETY: as above.
            let [a, b] = unsafe { both::<sockaddr_in6>(sa1, sa2) };
            (
                a.sin6_addr.s6_addr.cmp(&b.sin6_addr.s6_addr) as c_int,
                [a.sin6_port, b.sin6_port],
            )
        }
        _ => return 1,
    };
    if order == 0 && include_port != 0 {
        c_int::from(ports[0]) - c_int::from(ports[1])
    } else {
        order
    }
}

/// # Safety
///
/// Both are addresses of this type.
unsafe fn both<T>(sa1: *const sockaddr, sa2: *const sockaddr) -> [T; 2] {
    // SAFETY: the caller vouches for both.
    [sa1, sa2].map(|address| unsafe { address.cast::<T>().read_unaligned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(octets: &[u8], size: usize) -> Option<String> {
        let family = if octets.len() == 4 { AF_INET } else { AF_INET6 };
        let mut buffer = [b'#' as c_char; 64];
        // SAFETY: the octets are an address of the family, and `size` is at most the buffer's.
        let text = unsafe { evutil_inet_ntop(family, octets.as_ptr().cast(), buffer.as_mut_ptr(), size) };
        assert!(buffer[size..].iter().all(|&byte| byte == b'#' as c_char));
        // SAFETY: it is null or the buffer, which then has a C string.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned())
    }

    fn v6(text: &str) -> [u8; 16] {
        text.parse::<Ipv6Addr>().unwrap().octets()
    }

    fn read(text: &CStr, room: c_int) -> (c_int, c_int, [u8; 64]) {
        let (mut out, mut length) = ([0xff; 64], room);
        // SAFETY: the buffer has at least `room` bytes.
        let result = unsafe { evutil_parse_sockaddr_port(text.as_ptr(), out.as_mut_ptr().cast(), &raw mut length) };
        (result, length, out)
    }

    fn compare(left: &CStr, right: &CStr, include_port: c_int) -> c_int {
        let ((_, _, left), (_, _, right)) = (read(left, 64), read(right, 64));
        // SAFETY: both are socket addresses.
        unsafe { evutil_sockaddr_cmp(left.as_ptr().cast(), right.as_ptr().cast(), include_port) }
    }

    #[test]
    fn addresses_are_written() {
        assert_eq!(text_of(&[192, 0, 2, 10], 64).as_deref(), Some("192.0.2.10"));
        for text in [
            "::",
            "::1",
            "1::",
            "1:0:3::8",
            "::ffff:1.2.3.4",
            "::1.2.3.4",
            "fe80::1:2",
            "1:2:3:4:5:6:0:8",
        ] {
            assert_eq!(text_of(&v6(text), 64).as_deref(), Some(text));
        }
        assert_eq!(text_of(&v6("::1.2.0.0"), 64).as_deref(), Some("::102:0"));
        assert_eq!(text_of(&v6("::0.0.1.2"), 64).as_deref(), Some("::102"));
    }

    #[test]
    fn an_address_is_not_written_into_too_little_room() {
        assert_eq!(text_of(&[1, 2, 3, 4], 8).as_deref(), Some("1.2.3.4"));
        assert_eq!(text_of(&[1, 2, 3, 4], 7), None);
        assert_eq!(text_of(&[1, 2, 3, 4], 0), None);
        assert_eq!(text_of(&v6("1::2"), 5).as_deref(), Some("1::2"));
        assert_eq!(text_of(&v6("1::2"), 4).as_deref(), Some("1::"));
        assert_eq!(text_of(&v6("1::2"), 3), None);
        assert_eq!(text_of(&v6("1::2"), 0), None);
    }

    #[test]
    fn socket_addresses_fill_the_room() {
        let (result, length, out) = read(c"1.2.3.4:258", 32);
        assert_eq!((result, length), (0, 16));
        assert_eq!(out[2..8], [1, 2, 1, 2, 3, 4]);
        assert_eq!(out[8..32], [0; 24]);
        assert_eq!(out[32..], [0xff; 32]);
        let (result, length, out) = read(c"[::2%9]:258", 28);
        assert_eq!((result, length), (0, 28));
        assert_eq!(out[2..8], [1, 2, 0, 0, 0, 0]);
        assert_eq!(out[23..28], [2, 9, 0, 0, 0]);
    }

    #[test]
    fn nothing_is_written_into_too_little_room() {
        for (text, room) in [
            (c"1.2.3.4", 15),
            (c"::1", 27),
            (c"1.2.3.4", -1),
            (c"not an address", 64),
        ] {
            assert_eq!(read(text, room), (-1, room, [0xff; 64]));
        }
    }

    #[test]
    fn socket_addresses_have_an_order() {
        assert_eq!(compare(c"1.2.3.4:1", c"1.2.3.4:2", 0), 0);
        assert_ne!(compare(c"1.2.3.4:1", c"1.2.3.4:2", 1), 0);
        assert_eq!(compare(c"1.2.3.4:1", c"1.2.3.4:1", 1), 0);
        assert_eq!(compare(c"1.2.3.4:1", c"1.2.3.5:1", 1), -1);
        assert_eq!(compare(c"1.2.3.5:1", c"1.2.3.4:2", 1), 1);
        assert_eq!(compare(c"[::1]:1", c"[::1]:1", 1), 0);
        assert_eq!(compare(c"[::1]:1", c"[::1]:2", 0), 0);
        assert_ne!(compare(c"[::1]:1", c"[::1]:2", 1), 0);
        assert!(compare(c"::1", c"::2", 0) < 0);
        assert_eq!(compare(c"::1", c"1.2.3.4", 0), AF_INET6 - AF_INET);
        let unix = sockaddr_in {
            sin_family: libc::AF_UNIX as sa_family_t,
            ..sockaddr_of_v4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1))
        };
        let unix = (&raw const unix).cast();
        // SAFETY: it is longer than a socket address needs to be.
        let order = unsafe { evutil_sockaddr_cmp(unix, unix, 0) };
        assert_eq!(order, 1);
    }
}
