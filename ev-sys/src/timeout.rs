//! `Duration` in the kernel's words.

use std::time::Duration;

/// The longest timeout that every kernel takes: the BSDs refuse more seconds with `EINVAL`.
const LONGEST: Duration = Duration::from_secs(100_000_000);

/// The timeout, or the longest there is.
pub(crate) fn bounded(timeout: Duration) -> Duration {
    timeout.min(LONGEST)
}

/// The timeout to the nanosecond.
#[allow(clippy::cast_lossless, reason = "the fields are narrower on 32-bit systems")]
pub(crate) fn timespec(timeout: Duration) -> libc::timespec {
    let timeout = bounded(timeout);
    // SAFETY: a `timespec` is integers (with padding on some 32-bit targets); all zero bytes are a value of it.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    spec.tv_sec = timeout.as_secs() as _;
    spec.tv_nsec = timeout.subsec_nanos() as _;
    spec
}

/// The timeout in milliseconds, rounded up; -1 for none.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn millis(timeout: Option<Duration>) -> libc::c_int {
    timeout.map_or(-1, |timeout| {
        let fraction = u64::from(timeout.subsec_nanos().div_ceil(1_000_000));
        let millis = timeout.as_secs().saturating_mul(1000).saturating_add(fraction);
        libc::c_int::try_from(millis).unwrap_or(libc::c_int::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timespec_keeps_nanoseconds_and_is_bounded() {
        let spec = timespec(Duration::new(3, 999_999_999));
        assert_eq!((spec.tv_sec as u64, spec.tv_nsec as u64), (3, 999_999_999));
        assert_eq!(timespec(Duration::MAX).tv_sec as u64, LONGEST.as_secs());
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn milliseconds_are_rounded_up_and_bounded() {
        assert_eq!(millis(None), -1);
        assert_eq!(millis(Some(Duration::ZERO)), 0);
        assert_eq!(millis(Some(Duration::from_nanos(1))), 1);
        assert_eq!(millis(Some(Duration::from_millis(7))), 7);
        assert_eq!(millis(Some(Duration::from_nanos(7_000_001))), 8);
        assert_eq!(millis(Some(Duration::MAX)), libc::c_int::MAX);
    }
}
