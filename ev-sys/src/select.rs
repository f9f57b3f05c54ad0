//! `select` without `FD_SETSIZE`.
//!
//! C's `fd_set` ends at descriptor 1,023, and setting a higher one writes out of bounds. Kernels have no such limit: they
//! read and write as many words as the highest descriptor needs. An [`FdSet`] is those words, on the heap.
//!
//! ```
//! use std::os::fd::AsRawFd;
//! use ev_sys::select::{select, FdSet};
//!
//! let (reader, writer) = std::io::pipe()?;
//! let (mut read, mut write, mut except) = (FdSet::new(), FdSet::new(), FdSet::new());
//! read.insert(reader.as_raw_fd());
//! write.insert(writer.as_raw_fd());
//! assert_eq!(select(&mut read, &mut write, &mut except, None)?, 1);
//! assert!(!read.contains(reader.as_raw_fd()) && write.contains(writer.as_raw_fd()));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;
use std::os::fd::RawFd;
use std::ptr;
use std::time::Duration;

use crate::{check, timeout};

/// The unit the kernel reads and writes sets in.
#[cfg(not(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd")))]
type Word = libc::c_ulong;
#[cfg(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd"))]
type Word = u32;

const BITS: usize = Word::BITS as usize;

/// A set of descriptors as `select` takes it, as long as its highest member needs.
///
/// A negative number is never a member.
#[derive(Clone, Debug, Default)]
pub struct FdSet {
    words: Vec<Word>,
}

impl FdSet {
    /// An empty set.
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// Puts `fd` into the set, which grows as needed. A negative number is ignored.
    pub fn insert(&mut self, fd: RawFd) {
        let Some((word, bit)) = place(fd) else { return };
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
    }

    /// Takes `fd` out of the set.
    pub fn remove(&mut self, fd: RawFd) {
        if let Some((word, bit)) = place(fd)
            && let Some(word) = self.words.get_mut(word)
        {
            *word &= !bit;
        }
    }

    /// Whether `fd` is in the set.
    #[inline]
    pub fn contains(&self, fd: RawFd) -> bool {
        place(fd).is_some_and(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Takes every member out. The memory is kept.
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// Becomes equal to `other`, reusing its own memory.
    pub fn copy_from(&mut self, other: &Self) {
        self.words.clone_from(&other.words);
    }

    /// One more than the highest member; 0 for an empty set.
    fn end(&self) -> usize {
        let last = self.words.iter().rposition(|&word| word != 0);
        last.map_or(0, |last| (last + 1) * BITS - self.words[last].leading_zeros() as usize)
    }

    /// The set for the kernel, of at least `words` words. Null for an empty set, of which nothing is asked.
    fn as_raw(&mut self, words: usize) -> *mut libc::fd_set {
        if self.end() == 0 {
            return ptr::null_mut();
        }
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        self.words.as_mut_ptr().cast()
    }
}

/// The word that holds `fd`, and its bit there.
#[inline]
fn place(fd: RawFd) -> Option<(usize, Word)> {
    let fd = usize::try_from(fd).ok()?;
    Some((fd / BITS, 1 << (fd % BITS)))
}

/// Waits until a member of `read` can be read, one of `write` written, or one of `except` has exceptional data, to the
/// nanosecond (`pselect`). Returns the number of members left; the sets then hold nothing but the ready descriptors.
///
/// # Errors
///
/// `EBADF` where a member is not an open descriptor ([`is_open`](crate::process::is_open) tells which), `EINTR` after a signal, `EINVAL` where a
/// descriptor is beyond the limit on open descriptors (on Linux that is no error), `ENOMEM`. The sets are to be filled
/// anew.
///
/// # Portability
///
/// On Apple's systems the variant of `pselect` without the limit of 1,024 descriptors is called
/// (`_DARWIN_UNLIMITED_SELECT`).
pub fn select(read: &mut FdSet, write: &mut FdSet, except: &mut FdSet, timeout: Option<Duration>) -> io::Result<usize> {
    let end = read.end().max(write.end()).max(except.end());
    let words = end.div_ceil(BITS);
    let (read, write, except) = (read.as_raw(words), write.as_raw(words), except.as_raw(words));
    let spec = timeout.map(timeout::timespec);
    let spec = spec.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: each set is null or has, by `as_raw`, the words that the kernel reads and writes for `end` descriptors,
    // aligned as the assertion below demands; `spec` is null or outlives the call; a null mask changes none.
    let ready = unsafe { pselect(end as libc::c_int, read, write, except, spec, ptr::null()) };
    check(ready).map(|ready| ready as usize)
}

#[cfg(not(target_vendor = "apple"))]
use libc::pselect;

#[cfg(target_vendor = "apple")]
unsafe extern "C" {
    /// What `<sys/select.h>` declares under `_DARWIN_UNLIMITED_SELECT`.
    #[link_name = "pselect$DARWIN_EXTSN"]
    fn pselect(
        end: libc::c_int,
        read: *mut libc::fd_set,
        write: *mut libc::fd_set,
        except: *mut libc::fd_set,
        timeout: *const libc::timespec,
        mask: *const libc::sigset_t,
    ) -> libc::c_int;
}

const _: () = {
    assert!(align_of::<Word>() >= align_of::<libc::fd_set>());
    assert!(size_of::<libc::fd_set>().is_multiple_of(size_of::<Word>()));
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_knows_its_members() {
        let mut set = FdSet::new();
        assert_eq!(set.end(), 0);
        for fd in [0, 31, 32, 63, 64, 5000] {
            assert!(!set.contains(fd));
            set.insert(fd);
            assert!(set.contains(fd));
            assert_eq!(set.end(), fd as usize + 1);
        }
        set.remove(5000);
        set.remove(9000);
        assert_eq!(set.end(), 65);
        set.insert(-1);
        assert!(!set.contains(-1));
        set.clear();
        assert_eq!(set.end(), 0);
    }

    /// `FD_SET` of the C library and `insert` mean the same bit.
    #[test]
    fn the_layout_is_that_of_fd_set() {
        for fd in [0, 7, 31, 32, 33, 63, 64, 1000, 1023] {
            let mut ours = FdSet::new();
            ours.insert(fd);
            // SAFETY: an `fd_set` is an array of integers.
            let mut theirs: libc::fd_set = unsafe { std::mem::zeroed() };
            // SAFETY: `fd` is less than FD_SETSIZE.
            unsafe { libc::FD_SET(fd, &raw mut theirs) };
            let words = size_of::<libc::fd_set>() / size_of::<Word>();
            let raw = ours.as_raw(words).cast::<Word>();
            // SAFETY: `as_raw` made the set at least `words` long.
            let ours = unsafe { std::slice::from_raw_parts(raw, words) };
            // SAFETY: `theirs` is `words` words long and aligned for them, as asserted above.
            let theirs = unsafe { std::slice::from_raw_parts((&raw const theirs).cast::<Word>(), words) };
            assert_eq!(ours, theirs, "descriptor {fd}");
        }
    }
}
