//! A descriptor that becomes readable on demand.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ev_sys::fdio;
use ev_sys::pipe::{PipeFlags, pipe};

/// What one notification writes: an eventfd takes nothing but 8 bytes, a pipe anything. Not 0, which would not make an
/// eventfd readable.
const ONE: [u8; 8] = 1_u64.to_ne_bytes();

/// Makes a descriptor readable from any thread: what ends the sleep of a loop.
///
/// The loop registers [`as_fd`](AsFd::as_fd) for reading like any other descriptor. It is an eventfd where the system
/// has it, else the reading end of a pipe. To write only when the loop sleeps, use it through a
/// [`Waker`](crate::Waker).
///
/// ```
/// use ev_thread::Notifier;
///
/// let notifier = Notifier::new()?;
/// notifier.notify()?; // readable now
/// notifier.notify()?; // still
/// notifier.drain()?; // no longer
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Level and edge
///
/// Under a level-triggered registration, drain it whenever it is reported readable, or it will be reported for ever.
/// An edge-triggered one needs no draining where it [has edges](Notifier::has_edges).
#[derive(Debug)]
pub struct Notifier {
    reader: OwnedFd,
    /// The other end of a pipe. An eventfd is both ends at once.
    writer: Option<OwnedFd>,
}

impl Notifier {
    /// A notifier that is not readable yet, of the lightest kind that the system has.
    ///
    /// # Errors
    ///
    /// The kernel's: `EMFILE`, `ENFILE`.
    ///
    /// # Portability
    ///
    /// An eventfd on Linux, Android, FreeBSD and NetBSD; a pipe elsewhere, and where the kernel refuses an eventfd.
    pub fn new() -> io::Result<Self> {
        match eventfd() {
            Ok(reader) => Ok(Self { reader, writer: None }),
            Err(_) => Self::with_pipe(),
        }
    }

    /// A notifier that is not readable yet, made of a pipe.
    ///
    /// # Errors
    ///
    /// The kernel's: `EMFILE`, `ENFILE`.
    pub fn with_pipe() -> io::Result<Self> {
        let pipe = pipe(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        Ok(Self {
            reader: pipe.reader,
            writer: Some(pipe.writer),
        })
    }

    /// Whether every notification is an edge, even if the one before was not drained. A pipe's are not on all kernels: Linux
    /// 5.5 to 5.13 tell of a write only if the pipe was empty.
    pub fn has_edges(&self) -> bool {
        self.writer.is_none()
    }

    /// Makes the descriptor readable, if it is not. Never blocks.
    ///
    /// # Errors
    ///
    /// The kernel's. None is known for descriptors in working order.
    pub fn notify(&self) -> io::Result<()> {
        let writer = self.writer.as_ref().unwrap_or(&self.reader).as_fd();
        loop {
            match fdio::write(writer, &ONE) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Full of notifications that no one has drained. It is readable, but whoever waits for an edge needs a
                // write that succeeds.
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.drain()?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes the descriptor unreadable, if it is readable. Never blocks.
    ///
    /// # Errors
    ///
    /// The kernel's. None is known for descriptors in working order.
    pub fn drain(&self) -> io::Result<()> {
        fdio::drain(self.reader.as_fd())
    }

    /// Gives a child that `fork` has made a notifier of its own, unreadable, under the same descriptor numbers.
    ///
    /// Until then parent and child share one: a notification by either is seen by any. The child's loop must also
    /// register the descriptor again, in a kernel set of its own: what it inherited still belongs to the parent's file.
    ///
    /// This takes `&self` because a loop shares its notifier with handles, which are inherited with it. The caller
    /// guarantees instead that no other thread uses the notifier meanwhile: it is the child's only thread right after
    /// `fork`, and renews before it starts others. A notification in the midst of this may go to the parent. In a
    /// process that was not forked there is no use for it: it makes a loop deaf that has registered the descriptor.
    ///
    /// # Errors
    ///
    /// The kernel's: `EMFILE`, `ENFILE`. The notifier is of no use to the child then; call this again, or drop it.
    pub fn renew(&self) -> io::Result<()> {
        match &self.writer {
            None => fdio::replace(&self.reader, eventfd()?),
            Some(writer) => {
                let new = pipe(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
                fdio::replace(&self.reader, new.reader)?;
                fdio::replace(writer, new.writer)
            }
        }
    }
}

impl AsFd for Notifier {
    /// The descriptor that becomes readable.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
))]
fn eventfd() -> io::Result<OwnedFd> {
    use ev_sys::eventfd::{self, EventFdFlags};

    eventfd::create(0, EventFdFlags::NONBLOCK | EventFdFlags::CLOEXEC)
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
)))]
fn eventfd() -> io::Result<OwnedFd> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use ev_sys::poll::{Events, PollFd, poll};

    use super::*;

    fn readable(fd: impl AsFd) -> bool {
        poll(
            &mut [PollFd::new(fd.as_fd().as_raw_fd(), Events::IN)],
            Some(Duration::ZERO),
        )
        .unwrap()
            == 1
    }

    fn both_kinds() -> [Notifier; 2] {
        [Notifier::new().unwrap(), Notifier::with_pipe().unwrap()]
    }

    #[test]
    fn a_notification_is_readable_until_drained() {
        for notifier in both_kinds() {
            assert!(!readable(&notifier));
            notifier.drain().unwrap();
            for _ in 0..3 {
                notifier.notify().unwrap();
                notifier.notify().unwrap();
                assert!(readable(&notifier));
                notifier.drain().unwrap();
                assert!(!readable(&notifier));
            }
        }
    }

    #[test]
    fn a_full_pipe_takes_more() {
        let notifier = Notifier::with_pipe().unwrap();
        for _ in 0..100_000 {
            notifier.notify().unwrap();
        }
        assert!(readable(&notifier));
        notifier.drain().unwrap();
        assert!(!readable(&notifier));
    }

    #[test]
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "netbsd"
    ))]
    fn a_full_eventfd_takes_more() {
        use ev_sys::eventfd;

        let notifier = Notifier::new().unwrap();
        eventfd::add(notifier.as_fd(), u64::MAX - 1).unwrap();
        notifier.notify().unwrap();
        assert_eq!(eventfd::take(notifier.as_fd()).unwrap(), 1);
    }

    #[test]
    fn each_side_of_a_fork_has_its_own_after_renewal() {
        for child in both_kinds() {
            // What `fork` leaves the parent with: other descriptors of the same files.
            let parent = Notifier {
                reader: child.reader.try_clone().unwrap(),
                writer: child.writer.as_ref().map(|writer| writer.try_clone().unwrap()),
            };
            parent.notify().unwrap();
            let number = child.as_fd().as_raw_fd();
            child.renew().unwrap();
            assert_eq!(child.as_fd().as_raw_fd(), number);
            assert!(!readable(&child));
            assert!(readable(&parent));
            child.notify().unwrap();
            assert!(readable(&child));
            parent.drain().unwrap();
            assert!(!readable(&parent));
            assert!(readable(&child));
            child.drain().unwrap();
            parent.notify().unwrap();
            assert!(!readable(&child));
        }
    }
}
