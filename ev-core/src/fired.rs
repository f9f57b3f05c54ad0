//! What a callback is told.

use bitflags::bitflags;
use ev_backend::Readiness;

use crate::EventKey;

bitflags! {
    /// The reasons for which an event became active.
    ///
    /// The first five have the values of [`Readiness`]. Several may come in one call: an I/O event whose timeout is due
    /// in the turn in which its descriptor became ready is called once, with both.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    #[doc(alias = "EV_READ")]
    pub struct Causes: u16 {
        /// The descriptor can be read, or has ended.
        const READ = 1 << 0;
        /// The descriptor can be written.
        #[doc(alias = "EV_WRITE")]
        const WRITE = 1 << 1;
        /// The peer closed its side.
        #[doc(alias = "EV_CLOSED")]
        const CLOSED = 1 << 2;
        /// Exceptional data is waiting, such as TCP's urgent byte. It has nothing to do with the priorities of events.
        const PRIORITY = 1 << 3;
        /// The descriptor has an error or has hung up on both sides.
        ///
        /// Told to who asked for [`Interest::ERROR`](crate::Interest::ERROR). Who asked for `READ` or `WRITE` gets those
        /// instead, and runs into the error when it reads or writes. An event that would not be called otherwise, as it asks
        /// for `PRIORITY` or `CLOSED` alone and that has not come, gets this unasked, so that no descriptor fails unheard.
        ///
        /// Also, unasked, that the kernel refused to register the descriptor when its event was added again, and that the
        /// event is therefore deleted.
        const ERROR = 1 << 4;
        /// The deadline has passed.
        #[doc(alias = "EV_TIMEOUT")]
        const TIMEOUT = 1 << 5;
        /// The signal was delivered.
        #[doc(alias = "EV_SIGNAL")]
        const SIGNAL = 1 << 6;
    }
}

impl From<Readiness> for Causes {
    #[inline]
    fn from(readiness: Readiness) -> Self {
        Self::from_bits_retain(u16::from(readiness.bits()))
    }
}

/// Which event fired and why; a callback's last argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    key: EventKey,
    causes: Causes,
}

impl Fired {
    #[inline]
    pub(crate) const fn new(key: EventKey, causes: Causes) -> Self {
        Self { key, causes }
    }

    /// The event whose callback this is.
    #[inline]
    #[must_use]
    pub const fn key(self) -> EventKey {
        self.key
    }

    /// All reasons. Empty when the event was activated by hand with none.
    #[inline]
    #[must_use]
    pub const fn causes(self) -> Causes {
        self.causes
    }

    /// Whether there is something to read, an end of stream included.
    #[inline]
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.causes.contains(Causes::READ)
    }

    /// Whether writing would not block.
    #[inline]
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.causes.contains(Causes::WRITE)
    }

    /// Whether the peer closed its side; only with [`Interest::CLOSED`](crate::Interest::CLOSED).
    #[inline]
    #[must_use]
    pub const fn is_closed(self) -> bool {
        self.causes.contains(Causes::CLOSED)
    }

    /// Whether exceptional data waits; only with [`Interest::PRIORITY`](crate::Interest::PRIORITY). The word is that of
    /// `poll` and `epoll`; it says nothing of the event's [priority](crate::Io::priority).
    #[inline]
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.causes.contains(Causes::PRIORITY)
    }

    /// Whether the descriptor failed; see [`Causes::ERROR`].
    #[inline]
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.causes.contains(Causes::ERROR)
    }

    /// Whether the deadline has passed.
    #[inline]
    #[must_use]
    pub const fn is_timeout(self) -> bool {
        self.causes.contains(Causes::TIMEOUT)
    }

    /// Whether this is a delivery of the signal.
    #[inline]
    #[must_use]
    pub const fn is_signal(self) -> bool {
        self.causes.contains(Causes::SIGNAL)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn each_question_is_about_one_cause() {
        type Question = fn(Fired) -> bool;
        let questions: [(Causes, Question); 7] = [
            (Causes::READ, Fired::is_readable),
            (Causes::WRITE, Fired::is_writable),
            (Causes::CLOSED, Fired::is_closed),
            (Causes::PRIORITY, Fired::is_priority),
            (Causes::ERROR, Fired::is_error),
            (Causes::TIMEOUT, Fired::is_timeout),
            (Causes::SIGNAL, Fired::is_signal),
        ];
        let key = EventKey::new(0, NonZeroU32::MIN);
        for (cause, question) in questions {
            assert!(question(Fired::new(key, cause)), "{cause:?}");
            assert!(!question(Fired::new(key, !cause)), "all but {cause:?}");
        }
    }
}
