//! Operations that every file descriptor has: read, write, its flags, and a change of what it refers to.

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use libc::c_int;

use crate::{check, check_count};

/// Reads up to `buffer.len()` bytes and returns how many came; 0 is the end of the file, or an empty buffer.
///
/// # Errors
///
/// The kernel's. `EINTR` is not retried; a descriptor that does not block answers [`io::ErrorKind::WouldBlock`].
#[inline]
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: `fd` is open by `BorrowedFd`'s promise, and the exclusive slice is valid for writes of its own length.
    let n = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    check_count(n)
}

/// Writes up to `bytes.len()` bytes and returns how many were taken.
///
/// Safe to call in a signal handler that preserves `errno`: it neither allocates nor locks.
///
/// # Errors
///
/// The kernel's. `EINTR` is not retried; a descriptor that does not block answers [`io::ErrorKind::WouldBlock`].
#[inline]
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: `fd` is open by `BorrowedFd`'s promise, and the slice is valid for reads of its own length.
    let n = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    check_count(n)
}

/// Reads what there is in a pipe or an event counter that does not block, and throws it away. `EINTR` is retried.
///
/// # Errors
///
/// The kernel's.
pub fn drain(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut buffer = [0; 512];
    loop {
        match read(fd, &mut buffer) {
            Ok(n) if n == buffer.len() => {}
            // A counter gives 8 bytes. A pipe that gives less than there was room for is empty.
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Makes the open file that `fd` refers to answer `EAGAIN` where it would block (`O_NONBLOCK`).
///
/// The flag belongs to the open file: it shows in every duplicate, in other processes too.
///
/// # Errors
///
/// The kernel's; the flag is as it was.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = status_flags(fd.as_raw_fd())?;
    // SAFETY: `F_SETFL` takes an integer and touches no memory of ours.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

/// Whether operations on the open file of that number block (`O_NONBLOCK` is not set).
///
/// # Errors
///
/// The kernel's: `EBADF` where the number is no open descriptor.
pub fn is_blocking(fd: RawFd) -> io::Result<bool> {
    Ok(status_flags(fd)? & libc::O_NONBLOCK == 0)
}

fn status_flags(fd: RawFd) -> io::Result<c_int> {
    // SAFETY: `F_GETFL` takes no argument and touches no memory of ours; the kernel checks the number.
    check(unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

/// Tells files apart: the device and the number of the file on it.
///
/// Sockets, pipes and ordinary files differ from each other in it while they exist. On Linux, what has no file (epoll
/// sets, event counters, timers) is one file in this respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    number: u64,
}

/// Which file a number refers to (`fstat`).
///
/// # Errors
///
/// The kernel's: `EBADF` where the number is no open descriptor.
#[expect(
    clippy::allow_attributes,
    reason = "whether the casts are needed depends on the target"
)]
#[allow(
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    reason = "the widths of these types depend on the target"
)]
pub fn file_id(fd: RawFd) -> io::Result<FileId> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is valid for a write of its type; the kernel checks the number.
    check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: `fstat` has succeeded, so the kernel has filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(FileId {
        device: stat.st_dev as u64,
        number: stat.st_ino as u64,
    })
}

/// Makes `fd` close when the process executes another program (`FD_CLOEXEC`).
///
/// # Errors
///
/// The kernel's; the flag is as it was.
pub fn set_cloexec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `F_SETFD` takes an integer and touches no memory of ours. `FD_CLOEXEC` is the only flag there is.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(())
}

/// Makes the number of `target` refer to the open file of `source`, in one step, and closes `source`'s own number
/// (`dup3`). The new descriptor is close-on-exec.
///
/// What `target` referred to before is closed as by `close`. After `fork` this gives the child an object of its own
/// under the number that was inherited, and leaves the parent's alone.
///
/// # Errors
///
/// The kernel's; `target` refers to what it did before, and `source` is closed.
///
/// # Portability
///
/// On macOS and Android there is no `dup3` to be had: there another thread that forks and executes between two calls can
/// pass `target` on.
pub fn replace(target: &OwnedFd, source: OwnedFd) -> io::Result<()> {
    let result = duplicate_onto(source.as_raw_fd(), target.as_raw_fd());
    drop(source);
    result
}

#[cfg(not(any(target_vendor = "apple", target_os = "android")))]
fn duplicate_onto(source: c_int, target: c_int) -> io::Result<()> {
    // SAFETY: both are open: the caller, `replace`, holds their `OwnedFd`s.
    check(unsafe { libc::dup3(source, target, libc::O_CLOEXEC) })?;
    Ok(())
}

#[cfg(any(target_vendor = "apple", target_os = "android"))]
fn duplicate_onto(source: c_int, target: c_int) -> io::Result<()> {
    // SAFETY: both are open: the caller, `replace`, holds their `OwnedFd`s.
    check(unsafe { libc::dup2(source, target) })?;
    // SAFETY: `F_SETFD` takes an integer; `target` is still open.
    check(unsafe { libc::fcntl(target, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::pipe::{PipeFlags, pipe};

    fn flags(fd: BorrowedFd<'_>, which: c_int) -> c_int {
        // SAFETY: both `F_GETFL` and `F_GETFD` take no argument.
        unsafe { libc::fcntl(fd.as_raw_fd(), which) }
    }

    #[test]
    fn bytes_go_through() {
        let pipe = pipe(PipeFlags::NONBLOCK).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(
            read(pipe.reader.as_fd(), &mut buffer).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert_eq!(write(pipe.writer.as_fd(), b"abc").unwrap(), 3);
        assert_eq!(read(pipe.reader.as_fd(), &mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"abc");
        drop(pipe.writer);
        assert_eq!(read(pipe.reader.as_fd(), &mut buffer).unwrap(), 0);
    }

    #[test]
    fn flags_are_set() {
        let pipe = pipe(PipeFlags::empty()).unwrap();
        let fd = pipe.reader.as_fd();
        assert_eq!(flags(fd, libc::F_GETFL) & libc::O_NONBLOCK, 0);
        assert!(is_blocking(fd.as_raw_fd()).unwrap());
        set_nonblocking(fd).unwrap();
        assert!(!is_blocking(fd.as_raw_fd()).unwrap());
        assert_ne!(flags(fd, libc::F_GETFL) & libc::O_NONBLOCK, 0);
        assert_eq!(flags(fd, libc::F_GETFD), 0);
        set_cloexec(fd).unwrap();
        assert_eq!(flags(fd, libc::F_GETFD), libc::FD_CLOEXEC);
    }

    #[test]
    fn drain_leaves_nothing() {
        let pipe = pipe(PipeFlags::NONBLOCK).unwrap();
        for length in [0, 1, 511, 512, 513, 2000] {
            let written = write(pipe.writer.as_fd(), &vec![1; length]).unwrap();
            assert_eq!(written, length);
            drain(pipe.reader.as_fd()).unwrap();
            let error = read(pipe.reader.as_fd(), &mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(
            drain(pipe.writer.as_fd()).unwrap_err().raw_os_error(),
            Some(libc::EBADF)
        );
    }

    #[test]
    fn files_are_told_apart() {
        let pipes = [pipe(PipeFlags::empty()).unwrap(), pipe(PipeFlags::empty()).unwrap()];
        let id = |fd: &OwnedFd| file_id(fd.as_raw_fd()).unwrap();
        assert_ne!(id(&pipes[0].reader), id(&pipes[1].reader));
        assert_eq!(id(&pipes[0].reader), id(&pipes[0].reader.try_clone().unwrap()));
        assert_eq!(file_id(-1).unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(is_blocking(-1).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn replace_keeps_the_number() {
        let old = pipe(PipeFlags::empty()).unwrap();
        let new = pipe(PipeFlags::empty()).unwrap();
        let number = old.writer.as_raw_fd();
        replace(&old.writer, new.writer).unwrap();
        assert_eq!(old.writer.as_raw_fd(), number);
        assert_eq!(flags(old.writer.as_fd(), libc::F_GETFD), libc::FD_CLOEXEC);
        write(old.writer.as_fd(), b"x").unwrap();
        let mut buffer = [0; 1];
        assert_eq!(read(new.reader.as_fd(), &mut buffer).unwrap(), 1);
        // Nobody writes to the old pipe any more.
        assert_eq!(read(old.reader.as_fd(), &mut buffer).unwrap(), 0);
    }
}
