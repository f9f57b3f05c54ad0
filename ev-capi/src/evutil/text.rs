//! Text without regard to the locale, numbers, dates.

use std::ffi::{CStr, c_char, c_int, c_longlong};
use std::mem::MaybeUninit;
use std::ptr;

use libc::tm;

/// Compares two strings, where `A` to `Z` are as `a` to `z`: -1, 0 or 1.
///
/// # Safety
///
/// Both are C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_ascii_strcasecmp(s1: *const c_char, s2: *const c_char) -> c_int {
    // SAFETY: the caller promises two C strings, and a C string is shorter than any address.
    unsafe { evutil_ascii_strncasecmp(s1, s2, usize::MAX) }
}

/// Compares up to `n` bytes of two strings, where `A` to `Z` are as `a` to `z`: -1, 0 or 1.
///
/// # Safety
///
/// Both have `n` bytes, or a NUL before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_ascii_strncasecmp(s1: *const c_char, s2: *const c_char, n: usize) -> c_int {
    for at in 0..n {
        // SAFETY: the caller promises `n` bytes or a NUL before; no NUL was met before `at`.
        let left = unsafe { lower_at(s1, at) };
        // SAFETY: as above; up to here the strings are equal.
        let right = unsafe { lower_at(s2, at) };
        if left != right {
            return if left < right { -1 } else { 1 };
        }
        if left == 0 {
            break;
        }
    }
    0
}

/// A character in lower case. Those above 127 come where the platform's `char` has them, as in libevent.
///
/// # Safety
///
/// The string has this character.
unsafe fn lower_at(s: *const c_char, at: usize) -> c_char {
    // SAFETY: the caller promises that there is such a character.
    let character = unsafe { s.add(at) };
    // SAFETY: as above.
    (unsafe { character.read() } as u8).to_ascii_lowercase() as c_char
}

/// Finds `find` in `s`, where `A` to `Z` are as `a` to `z`; the empty string is at the start. Of libevent 2.2.
///
/// # Safety
///
/// Both are C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_ascii_strcasestr(s: *const c_char, find: *const c_char) -> *const c_char {
    // SAFETY: the caller promises a C string, which nobody changes during the call.
    let text = unsafe { CStr::from_ptr(s) }.to_bytes();
    // SAFETY: as above.
    let find = unsafe { CStr::from_ptr(find) }.to_bytes();
    match position_ignoring_case(text, find) {
        // SAFETY: `at` is within the string.
        Some(at) => unsafe { s.add(at) },
        None => ptr::null(),
    }
}

fn position_ignoring_case(text: &[u8], find: &[u8]) -> Option<usize> {
    (0..=text.len().checked_sub(find.len())?).find(|&at| text[at..at + find.len()].eq_ignore_ascii_case(find))
}

/// `strtoll`.
///
/// # Safety
///
/// `s` is a C string; `endptr` is null or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_strtoll(s: *const c_char, endptr: *mut *mut c_char, base: c_int) -> c_longlong {
    // SAFETY: the caller promises what `strtoll` asks for.
    unsafe { libc::strtoll(s, endptr, base) }
}

/// `strsignal`. Of libevent 2.2.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_strsignal(signal: c_int) -> *const c_char {
    // SAFETY: takes any number; the text is valid until the thread's next call.
    unsafe { libc::strsignal(signal) }
}

const DAYS: [&CStr; 7] = [c"Sun", c"Mon", c"Tue", c"Wed", c"Thu", c"Fri", c"Sat"];
const MONTHS: [&CStr; 12] = [
    c"Jan", c"Feb", c"Mar", c"Apr", c"May", c"Jun", c"Jul", c"Aug", c"Sep", c"Oct", c"Nov", c"Dec",
];

/// Writes `time`, or the present time in UTC if it is null, as HTTP has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// Returns the length of the whole date, also where it did not fit; 0 if `size` is 0. A day of the week or a month that
/// does not exist makes -1 and an untouched `date`; libevent reads beyond its tables.
///
/// # Safety
///
/// There are `size` bytes at `date`; `time` is null or a `tm`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_date_rfc1123(date: *mut c_char, size: usize, time: *const tm) -> c_int {
    // SAFETY: the caller promises a `tm`, if not null.
    let time = unsafe { time.as_ref() }.copied().unwrap_or_else(now);
    let names = (DAYS.get(time.tm_wday as usize), MONTHS.get(time.tm_mon as usize));
    let (Some(day), Some(month)) = names else { return -1 };
    if size == 0 {
        return 0;
    }
    // SAFETY: the caller promises `size` bytes at `date`, and the format is for these arguments.
    unsafe {
        libc::snprintf(
            date,
            size,
            c"%s, %02d %s %4d %02d:%02d:%02d GMT".as_ptr(),
            day.as_ptr(),
            time.tm_mday,
            month.as_ptr(),
            time.tm_year.wrapping_add(1900),
            time.tm_hour,
            time.tm_min,
            time.tm_sec,
        )
    }
}

fn now() -> tm {
    // SAFETY: no time is asked to be stored.
    let seconds = unsafe { libc::time(ptr::null_mut()) };
    let mut time = MaybeUninit::<tm>::zeroed();
    // SAFETY: both pointers are to locals. A failure, in a year that no `int` holds, leaves the zeros.
    unsafe { libc::gmtime_r(&raw const seconds, time.as_mut_ptr()) };
    // SAFETY: zeros are a `tm` (numbers and a null pointer), and so is what `gmtime_r` writes.
    unsafe { time.assume_init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(s1: &CStr, s2: &CStr) -> c_int {
        // SAFETY: both are C strings.
        unsafe { evutil_ascii_strcasecmp(s1.as_ptr(), s2.as_ptr()) }
    }

    fn compare_up_to(s1: &CStr, s2: &CStr, n: usize) -> c_int {
        // SAFETY: both are C strings.
        unsafe { evutil_ascii_strncasecmp(s1.as_ptr(), s2.as_ptr(), n) }
    }

    fn date(size: usize, time: &tm) -> (c_int, String) {
        let mut buffer = [0_u8; 64];
        // SAFETY: the buffer has at least `size` bytes.
        let length = unsafe { evutil_date_rfc1123(buffer.as_mut_ptr().cast(), size, time) };
        let text = CStr::from_bytes_until_nul(&buffer).unwrap();
        (length, text.to_str().unwrap().to_owned())
    }

    fn a_sunday() -> tm {
        // SAFETY: zeros are a `tm`.
        let mut time: tm = unsafe { MaybeUninit::zeroed().assume_init() };
        (time.tm_year, time.tm_mon, time.tm_mday, time.tm_wday) = (94, 10, 6, 0);
        (time.tm_hour, time.tm_min, time.tm_sec) = (8, 49, 37);
        time
    }

    #[test]
    fn case_of_ascii_letters_does_not_count() {
        assert_eq!(compare(c"Content-LENGTH", c"content-length"), 0);
        assert_eq!(compare(c"abc", c"ABD"), -1);
        assert_eq!(compare(c"abcd", c"ABC"), 1);
        assert_eq!(compare(c"", c"a"), -1);
        // The byte after `Z` lies between the two cases: it is less than `a`.
        assert_eq!(compare(c"[", c"A"), -1);
        assert_eq!(compare(c"\xc4", c"\xe4"), -1);
    }

    #[test]
    fn comparison_stops_at_the_limit_or_the_end() {
        assert_eq!(compare_up_to(c"abcX", c"ABCY", 3), 0);
        assert_eq!(compare_up_to(c"abcX", c"ABCY", 4), -1);
        assert_eq!(compare_up_to(c"a", c"b", 0), 0);
        assert_eq!(compare_up_to(c"a", c"A", 100), 0);
    }

    #[test]
    fn a_string_is_found_in_another() {
        assert_eq!(position_ignoring_case(b"Keep-Alive, Close", b"close"), Some(12));
        assert_eq!(position_ignoring_case(b"aaB", b"AB"), Some(1));
        assert_eq!(position_ignoring_case(b"abc", b""), Some(0));
        assert_eq!(position_ignoring_case(b"", b""), Some(0));
        assert_eq!(position_ignoring_case(b"ab", b"abc"), None);
        assert_eq!(position_ignoring_case(b"abc", b"x"), None);
    }

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(date(64, &a_sunday()), (29, "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()));
        assert_eq!(date(5, &a_sunday()), (29, "Sun,".to_owned()));
        assert_eq!(date(0, &a_sunday()), (0, String::new()));
    }

    #[test]
    fn a_month_that_does_not_exist_is_refused() {
        for month in [-1, 12] {
            assert_eq!(
                date(
                    64,
                    &tm {
                        tm_mon: month,
                        ..a_sunday()
                    }
                ),
                (-1, String::new())
            );
        }
    }
}
