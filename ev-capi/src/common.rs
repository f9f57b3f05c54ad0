//! Common timeouts: durations that many events share, and the marked `timeval`s by which C names them.
//!
//! ```text
//! tv_usec   31..28 mark 0x5 │ 27..20 number of the queue │ 19..0 microseconds
//! ```

use libc::timeval;

use crate::base::{Locked, State, event_base};
use crate::log::warnx;
use crate::mm;

const MICROSECONDS: i64 = 0x000f_ffff;
const NUMBER: i64 = 0x0ff0_0000;
const NUMBER_SHIFT: u32 = 20;
const MARKS: i64 = 0xf000_0000;
const MARK: i64 = 0x5000_0000;
const MOST: usize = 256;

/// The number of the queue that a `timeval` names, if it is one of this base's.
#[inline]
pub(crate) fn queue(base: &State, tv: &timeval) -> Option<u16> {
    if tv.tv_usec & MARKS != MARK {
        return None;
    }
    let number = (tv.tv_usec & NUMBER) >> NUMBER_SHIFT;
    ((number as usize) < base.common.len()).then_some(number as u16)
}

/// The timeout of a `timeval` that names a queue.
#[inline]
pub(crate) fn unmarked(tv: &timeval) -> timeval {
    timeval {
        tv_sec: tv.tv_sec,
        tv_usec: tv.tv_usec & MICROSECONDS,
    }
}

/// A pointer to give to `event_add` as the timeout, for a duration that many events have: the same one for the same
/// duration. It belongs to the base. Null after 256 different ones.
///
/// # Safety
///
/// `base` is alive, `wanted` is a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_init_common_timeout(
    base: *mut event_base,
    wanted: *const timeval,
) -> *const timeval {
    // SAFETY: the caller gives a time.
    let mut wanted = unsafe { *wanted };
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    // Exactly a million is not carried: libevent's rule.
    if wanted.tv_usec > 1_000_000 {
        if queue(&base, &wanted).is_some() {
            wanted.tv_usec &= MICROSECONDS;
        }
        wanted.tv_sec += wanted.tv_usec / 1_000_000;
        wanted.tv_usec %= 1_000_000;
    }
    let is_same = |known: &timeval| known.tv_sec == wanted.tv_sec && known.tv_usec & MICROSECONDS == wanted.tv_usec;
    if let Some(known) = base.common.iter().find(|known| is_same(known)) {
        return &raw const **known;
    }
    let number = base.common.len();
    if number == MOST {
        warnx!(
            "event_base_init_common_timeout: Too many common timeouts already in use; we only support {MOST} per event_base"
        );
        return std::ptr::null();
    }
    let marked = timeval {
        tv_sec: wanted.tv_sec,
        tv_usec: wanted.tv_usec | MARK | (number as i64) << NUMBER_SHIFT,
    };
    base.add_common(marked).unwrap_or_else(|| {
        warnx!("event_base_init_common_timeout: out of memory");
        std::ptr::null()
    })
}

impl State {
    /// `None`, with nothing changed that can be seen, if there is no memory for another one.
    fn add_common(&mut self, marked: timeval) -> Option<*const timeval> {
        self.common.try_reserve(1).ok()?;
        let marked = mm::boxed(marked)?;
        let answer = &raw const *marked;
        self.timers.add_queue().ok()?;
        self.common.push(marked);
        Some(answer)
    }
}
