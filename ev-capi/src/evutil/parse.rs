//! Addresses from text, read as libevent does.
//!
//! It takes more than `inet_pton`: in dotted quads what `scanf` takes for a number (leading blanks, signs and zeros, and
//! of large numbers the low 32 bits), in IPv6 addresses groups like `0x1f` and a colon after the last group.

use std::ffi::{CStr, c_char, c_uint};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ptr;

/// Longer texts, which only blanks and zeros can make, are refused.
const TEXT_MAX: usize = 127;

/// Reads a dotted quad.
pub(super) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let buffer = terminated(text)?;
    let mut bytes: [c_uint; 4] = [0; 4];
    let mut more: c_char = 0;
    let [a, b, c, d] = bytes.each_mut().map(ptr::from_mut);
    // SAFETY: the buffer is a C string, and the rest is pointers to what the format says.
    let found = unsafe {
        libc::sscanf(
            buffer.as_ptr().cast(),
            c"%u.%u.%u.%u%c".as_ptr(),
            a,
            b,
            c,
            d,
            &raw mut more,
        )
    };
    if found != 4 {
        return None;
    }
    let [a, b, c, d] = bytes.map(u8::try_from);
    Some(Ipv4Addr::new(a.ok()?, b.ok()?, c.ok()?, d.ok()?))
}

/// A copy that C can read.
fn terminated(text: &[u8]) -> Option<[u8; TEXT_MAX + 1]> {
    let mut buffer = [0; TEXT_MAX + 1];
    buffer[..TEXT_MAX].get_mut(..text.len())?.copy_from_slice(text);
    Some(buffer)
}

/// Reads an IPv6 address, whose last two groups may be a dotted quad.
pub(super) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let (text, quad) = match text.iter().position(|&b| b == b'.') {
        Some(dot) => {
            let digits = text[..dot].iter().rev().take_while(|b| b.is_ascii_digit()).count();
            let (groups, quad) = text.split_at(dot - digits);
            (groups, Some(ipv4(quad)?))
        }
        None => (text, None),
    };
    let groups = Groups::read(text)?;
    // A group that is not parted from the quad by a colon would be part of the quad.
    if quad.is_some() && text.last().is_some_and(|&last| last != b':') {
        return None;
    }
    let end = if quad.is_some() { 6 } else { 8 };
    let (before, after) = match groups.gap {
        Some(gap) if groups.count < end => groups.words[..groups.count].split_at(gap),
        None if groups.count == end => (&groups.words[..end], &[][..]),
        _ => return None,
    };
    let mut words = [0; 8];
    words[..before.len()].copy_from_slice(before);
    words[end - after.len()..end].copy_from_slice(after);
    if let Some(quad) = quad {
        let [a, b, c, d] = quad.octets();
        words[6..].copy_from_slice(&[u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
    }
    Some(Ipv6Addr::from(words))
}

/// The groups of an IPv6 address between its colons.
struct Groups {
    words: [u16; 8],
    count: usize,
    /// How many groups there are before `::`.
    gap: Option<usize>,
}

impl Groups {
    fn read(mut text: &[u8]) -> Option<Self> {
        let mut groups = Self {
            words: [0; 8],
            count: 0,
            gap: None,
        };
        while let Some(&first) = text.first() {
            let word = groups.words.get_mut(groups.count)?;
            if first.is_ascii_hexdigit() {
                (*word, text) = group(text)?;
                groups.count += 1;
                text = match text {
                    [] => text,
                    [b':', rest @ ..] => rest,
                    _ => return None,
                };
            } else if groups.gap.is_none() {
                // The colon that ends a group is gone already.
                let mark: &[u8] = if groups.count == 0 { b"::" } else { b":" };
                text = text.strip_prefix(mark)?;
                groups.gap = Some(groups.count);
            } else {
                return None;
            }
        }
        Some(groups)
    }
}

/// Reads up to four characters of a group: hexadecimal digits, the first two of which may be `0x`.
fn group(text: &[u8]) -> Option<(u16, &[u8])> {
    let digits = match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => &text[2..],
        _ => text,
    };
    let count = digits.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (digits, rest) = digits.split_at(count);
    if text.len() - rest.len() > 4 {
        return None;
    }
    let value = u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    Some((value, rest))
}

/// Parts an IPv6 address from its scope, `%eth0` or `%2`, and gives the scope's number: 0 if there is none.
pub(super) fn scoped(text: &CStr) -> Option<(&[u8], c_uint)> {
    let bytes = text.to_bytes_with_nul();
    let Some(percent) = bytes.iter().position(|&b| b == b'%') else {
        return Some((text.to_bytes(), 0));
    };
    let scope = CStr::from_bytes_with_nul(&bytes[percent + 1..]).ok()?;
    // SAFETY: the scope is a C string.
    let index = unsafe { libc::if_nametoindex(scope.as_ptr()) };
    let index = if index == 0 { number(scope)? } else { index };
    Some((&bytes[..percent], index))
}

/// Reads a whole text as `strtoul` does, which takes the empty one as 0.
fn number(text: &CStr) -> Option<c_uint> {
    let mut end = ptr::null_mut();
    // SAFETY: the text is a C string, the end a local.
    let number = unsafe { libc::strtoul(text.as_ptr(), &raw mut end, 10) };
    // SAFETY: `strtoul` leaves its end within the string.
    let rest = unsafe { end.read() };
    (rest == 0).then_some(number as c_uint)
}

/// Reads `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`. After a bracket and after a port, what follows is ignored.
pub(super) fn socket_address(text: &CStr) -> Option<SocketAddr> {
    let bytes = text.to_bytes_with_nul();
    let address = text.to_bytes();
    let find = |from: usize, wanted: u8| Some(from + address.get(from..)?.iter().position(|&b| b == wanted)?);
    if address.first() == Some(&b'[') {
        let close = find(0, b']')?;
        let port = if bytes[close + 1] == b':' {
            port(&bytes[close + 2..])?
        } else {
            0
        };
        let inside = terminated(&bytes[1..close])?;
        return ipv6_with_scope(CStr::from_bytes_until_nul(&inside).ok()?, port);
    }
    match find(0, b':') {
        Some(colon) if find(colon + 1, b':').is_some() => ipv6_with_scope(text, 0),
        Some(colon) => {
            let port = port(&bytes[colon + 1..])?;
            Some((ipv4(&address[..colon])?, port).into())
        }
        None => Some((ipv4(address)?, 0).into()),
    }
}

fn ipv6_with_scope(text: &CStr, port: u16) -> Option<SocketAddr> {
    let (address, scope) = scoped(text)?;
    Some(SocketAddrV6::new(ipv6(address)?, port, 0, scope).into())
}

/// Reads a port, 1 to 65535, as `atoi` does, from text up to its NUL.
fn port(text: &[u8]) -> Option<u16> {
    let text = CStr::from_bytes_with_nul(text).ok()?;
    // SAFETY: the text is a C string.
    let port = unsafe { libc::atoi(text.as_ptr()) };
    u16::try_from(port).ok().filter(|&port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> Option<Ipv4Addr> {
        ipv4(text.as_bytes())
    }

    fn v6(text: &str) -> Option<Ipv6Addr> {
        ipv6(text.as_bytes())
    }

    fn socket(text: &CStr) -> Option<String> {
        socket_address(text).map(|address| address.to_string())
    }

    #[test]
    fn dotted_quads_are_read_as_scanf_reads_numbers() {
        for text in ["1.2.3.4", "01.002.3.4", " 1. 2.+3.\t4", "4294967297.2.3.4"] {
            assert_eq!(v4(text), Some(Ipv4Addr::new(1, 2, 3, 4)), "{text:?}");
        }
        for text in [
            "",
            "1.2.3",
            "1.2.3.",
            "1.2.3.256",
            "1.2.3.4 ",
            "1.2.3.4.5",
            "-1.2.3.4",
            "0x1.2.3.4",
            "1 .2.3.4",
        ] {
            assert_eq!(v4(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_text_beyond_the_longest_is_refused() {
        let zeros = |count| "0".repeat(count) + ".0.0.1";
        assert_eq!(v4(&zeros(TEXT_MAX - 6)), Some(Ipv4Addr::new(0, 0, 0, 1)));
        assert_eq!(v4(&zeros(TEXT_MAX - 5)), None);
    }

    #[test]
    fn ipv6_addresses_that_std_reads_are_read_the_same() {
        let texts = [
            "::",
            "::1",
            "1::",
            "1::8",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "fe80::1:2",
            "::1.2.3.4",
            "::ffff:1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
            "1::2:1.2.3.4",
            "1::1.2.3.4",
            "ABCD::eF01",
            "",
            ":",
            ":::",
            "1",
            "1:",
            "1:2",
            "1::2::3",
            "12345::",
            "::g",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:1.2.3.4",
            ":1::",
            "1:2:3:4:5:6::1.2.3.4",
            "::f1.2.3.4",
            "::1.2.3",
            "1.2.3.4",
            "::.1.2.3",
            ".::",
            "::1.2.3.4:5",
            "::1 ",
            " ::1",
        ];
        for text in texts {
            assert_eq!(v6(text), text.parse().ok(), "{text:?}");
        }
    }

    #[test]
    fn ipv6_is_read_as_leniently_as_libevent_does() {
        assert_eq!(v6("::0x1f"), v6("::1f"));
        assert_eq!(v6("::0x"), None);
        assert_eq!(v6("::0x1ff"), None);
        assert_eq!(v6("::1:"), v6("::1"));
        assert_eq!(v6("1:2:3:4:5:6:7:8:"), v6("1:2:3:4:5:6:7:8"));
        assert_eq!(v6("1:2:3:4:5:6:7:8::"), None);
        assert_eq!(v6("::1.+2.03. 4"), v6("::1.2.3.4"));
        assert_eq!(v6("::0x1.2.3.4"), None);
    }

    #[test]
    fn scopes_are_interfaces_or_numbers() {
        let parts = |text| scoped(text).map(|(address, scope)| (str::from_utf8(address).unwrap(), scope));
        assert_eq!(parts(c"::1"), Some(("::1", 0)));
        assert_eq!(parts(c"::1%7"), Some(("::1", 7)));
        assert_eq!(parts(c"::1%"), Some(("::1", 0)));
        assert_eq!(parts(c"::1%7x"), None);
        assert_eq!(parts(c"::1%no-such-interface"), None);
    }

    #[test]
    fn ports_follow_quads_and_brackets() {
        assert_eq!(socket(c"1.2.3.4").as_deref(), Some("1.2.3.4:0"));
        assert_eq!(socket(c"1.2.3.4:80").as_deref(), Some("1.2.3.4:80"));
        assert_eq!(socket(c"1.2.3.4:80 and more").as_deref(), Some("1.2.3.4:80"));
        assert_eq!(socket(c"::1").as_deref(), Some("[::1]:0"));
        assert_eq!(socket(c"[::1]").as_deref(), Some("[::1]:0"));
        assert_eq!(socket(c"[::1]80").as_deref(), Some("[::1]:0"));
        assert_eq!(socket(c"[::1%3]:65535").as_deref(), Some("[::1%3]:65535"));
        for text in [
            c"",
            c":",
            c":80",
            c"[",
            c"[]",
            c"[::1",
            c"[1.2.3.4]:80",
            c"[::1]:",
            c"1.2.3.4:",
            c"1.2.3.4:0",
            c"1.2.3.4:-1",
            c"1.2.3.4:65536",
            c"1.2.3.4:x",
            c"host:80",
        ] {
            assert_eq!(socket(text), None, "{text:?}");
        }
    }
}
