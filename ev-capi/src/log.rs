//! What the library says: to the program's function, else to standard error; and how it dies.
//!
//! A message is put together in a buffer of 1024 bytes on the stack, as libevent does it, and cut where it is full.
//! Nothing in here allocates, nor has anything to clean up when the program leaves its function by `longjmp`.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::function::FunctionCell;

/// The size of a message with its final zero.
const SIZE: usize = 1024;

/// libevent appends the error only to what leaves room for ": " and a character.
const FULL: usize = SIZE - 3;

/// The code of a death by `abort`: the caller broke a contract, or we did.
pub(crate) const ABORT: c_int = 0xdead_dead_u32 as c_int;

type LogCallback = unsafe extern "C" fn(c_int, *const c_char);
type FatalCallback = unsafe extern "C" fn(c_int);

static LOG: FunctionCell<LogCallback> = FunctionCell::none();
static FATAL: FunctionCell<FatalCallback> = FunctionCell::none();

/// The kinds of debugging messages that are wanted. All of ours are of one kind, so that any bit turns them on.
#[unsafe(no_mangle)]
pub static event_debug_logging_mask_: AtomicU32 = AtomicU32::new(0);

/// `_EVENT_LOG_DEBUG` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Debug = 0,
    Message = 1,
    Warning = 2,
    Error = 3,
}

/// Sets the function that gets all messages; null: standard error gets them.
#[unsafe(no_mangle)]
pub extern "C" fn event_set_log_callback(callback: Option<LogCallback>) {
    LOG.set(callback);
}

/// Sets the function that is called instead of `exit` and `abort`; null: these.
#[unsafe(no_mangle)]
pub extern "C" fn event_set_fatal_callback(callback: Option<FatalCallback>) {
    FATAL.set(callback);
}

/// Turns debugging messages on (`EVENT_DBG_ALL`) or off (`EVENT_DBG_NONE`).
#[unsafe(no_mangle)]
pub extern "C" fn event_enable_debug_logging(which: u32) {
    event_debug_logging_mask_.store(which, Ordering::Relaxed);
}

/// Whether debugging messages are wanted.
#[inline]
pub(crate) fn debugs() -> bool {
    event_debug_logging_mask_.load(Ordering::Relaxed) != 0
}

/// Says something.
pub(crate) fn message(severity: Severity, text: fmt::Arguments<'_>) {
    deliver(severity as c_int, Text::of(text, None).as_c_str());
}

/// Says something, and what the system said.
pub(crate) fn message_with_error(severity: Severity, text: fmt::Arguments<'_>, error: &io::Error) {
    deliver(severity as c_int, Text::of(text, Some(error)).as_c_str());
}

/// Says what is beyond repair and ends the process: with the program's function, else by `abort` if the code is
/// [`ABORT`], else by `exit`. A program's function that returns is answered by `exit`.
pub(crate) fn fatal(code: c_int, text: fmt::Arguments<'_>) -> ! {
    message(Severity::Error, text);
    die(code)
}

/// [`fatal`], and what the system said.
pub(crate) fn fatal_with_error(code: c_int, text: fmt::Arguments<'_>, error: &io::Error) -> ! {
    message_with_error(Severity::Error, text, error);
    die(code)
}

/// Says something while debugging messages are on; formats nothing while they are off.
macro_rules! debug_ {
    ($($text:tt)+) => {
        if $crate::log::debugs() {
            $crate::log::message($crate::log::Severity::Debug, format_args!($($text)+));
        }
    };
}

/// Says something that is no cause for worry.
macro_rules! msg {
    ($($text:tt)+) => { $crate::log::message($crate::log::Severity::Message, format_args!($($text)+)) };
}

/// Warns, and appends what the system said: the error given in front (`warn!(error => "text")`), else `errno`.
macro_rules! warn_ {
    ($error:expr => $($text:tt)+) => {
        $crate::log::message_with_error($crate::log::Severity::Warning, format_args!($($text)+), &$error)
    };
    ($($text:tt)+) => { $crate::log::warn!(std::io::Error::last_os_error() => $($text)+) };
}

/// Warns.
macro_rules! warnx {
    ($($text:tt)+) => { $crate::log::message($crate::log::Severity::Warning, format_args!($($text)+)) };
}

/// Dies as libevent does of an assertion that fails: `ensure!(holds, "what holds", "in which function")`, the texts being
/// those that libevent's users know.
macro_rules! ensure {
    ($holds:expr, $what:expr, $function:expr) => {
        if !$holds {
            let text = format_args!("{}:{}: Assertion {} failed in {}", file!(), line!(), $what, $function);
            $crate::log::fatal($crate::log::ABORT, text);
        }
    };
}

pub(crate) use {debug_ as debug, ensure, msg, warn_ as warn, warnx};

/// For the functions with a format, which are in C: ends the process after the last message.
#[unsafe(no_mangle)]
pub extern "C" fn ev_capi_die(code: c_int) -> ! {
    die(code)
}

unsafe extern "C" {
    /// libc's, with its `va_list` as C passes it on the systems we run on: as a pointer.
    fn vsnprintf(buffer: *mut c_char, size: usize, format: *const c_char, arguments: *mut c_void) -> c_int;
}

/// Says something by C's rules: a format, which may be null, its arguments, and the system's error or null. What is to be
/// said while debugging messages are on is not said while they are off.
///
/// # Safety
/// The strings are C strings, and the `va_list` has what the format asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_logv_(
    severity: c_int,
    error: *const c_char,
    format: *const c_char,
    arguments: *mut c_void,
) {
    if severity == Severity::Debug as c_int && !debugs() {
        return;
    }
    let mut text = Text::new();
    if !format.is_null() {
        // SAFETY: The buffer has SIZE bytes; the caller vouches for the format and its arguments.
        unsafe { vsnprintf(text.bytes.as_mut_ptr().cast(), SIZE, format, arguments) };
        text.len = text.as_c_str().count_bytes();
    }
    if !error.is_null() {
        // SAFETY: The caller passed a C string.
        text.append_error(unsafe { CStr::from_ptr(error) }.to_bytes());
    }
    deliver(severity, text.as_c_str());
}

/// A message as C wants it. What does not fit is dropped.
///
/// `len` is less than `SIZE`, and all bytes from there on are zero.
struct Text {
    bytes: [u8; SIZE],
    len: usize,
}

impl Text {
    const fn new() -> Self {
        Text {
            bytes: [0; SIZE],
            len: 0,
        }
    }

    fn of(text: fmt::Arguments<'_>, error: Option<&io::Error>) -> Self {
        let mut message = Text::new();
        // A formatter that gives up leaves what it wrote, which is the best there is to say.
        let _ = message.write_fmt(text);
        let Some(error) = error else { return message };
        match error.raw_os_error() {
            Some(code) => message.append_error(system_error(&mut [0; 256], code)),
            None if message.len < FULL => drop(write!(message, ": {error}")),
            None => {}
        }
        message
    }

    fn append_error(&mut self, error: &[u8]) {
        if self.len < FULL {
            self.push(b": ");
            self.push(error);
        }
    }

    fn push(&mut self, more: &[u8]) {
        let room = SIZE - 1 - self.len;
        let taken = &more[..more.len().min(room)];
        self.bytes[self.len..][..taken.len()].copy_from_slice(taken);
        self.len += taken.len();
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.push(more.as_bytes());
        Ok(())
    }
}

/// libc's words for an error, in the program's language; `io::Error` would add the number to them.
fn system_error(buffer: &mut [u8; 256], code: c_int) -> &[u8] {
    // SAFETY: The buffer has this size; the function ends what it writes there with a zero.
    unsafe { libc::strerror_r(code, buffer.as_mut_ptr().cast(), buffer.len()) };
    CStr::from_bytes_until_nul(buffer).unwrap_or_default().to_bytes()
}

/// Gives a message to whom it belongs. No lock of ours is held here, nor is anything borrowed that the callee could reach.
fn deliver(severity: c_int, text: &CStr) {
    if let Some(callback) = LOG.get() {
        // SAFETY: Who set the function promised that it may be called so, by any thread.
        return unsafe { callback(severity, text.as_ptr()) };
    }
    let name = match severity {
        0 => "debug",
        1 => "msg",
        2 => "warn",
        3 => "err",
        _ => "???",
    };
    print(name, text.to_bytes());
}

/// Prints a message with one write, so that those of several threads do not mix.
fn print(name: &str, text: &[u8]) {
    let mut line = [0; SIZE + 16];
    let mut rest = &mut line[..];
    for part in [b"[", name.as_bytes(), b"] ", text, b"\n"] {
        // The longest name and the longest text leave room: "[debug] " and the end of the line have 9 bytes.
        let _ = rest.write_all(part);
    }
    let unused = rest.len();
    // Where standard error is closed there is nobody to tell.
    let _ = io::stderr().write_all(&line[..SIZE + 16 - unused]);
}

fn die(code: c_int) -> ! {
    if let Some(callback) = FATAL.get() {
        // SAFETY: Who set the function promised that it may be called so. It may leave by longjmp: `die` and its callers
        // in this file have nothing to drop.
        unsafe { callback(code) };
    } else if code == ABORT {
        // SAFETY: abort has no conditions.
        unsafe { libc::abort() };
    }
    // SAFETY: exit has no conditions but that only one thread calls it, which C programs answer for.
    unsafe { libc::exit(code) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::child::{in_child, stderr};

    fn text(message: fmt::Arguments<'_>, error: Option<i32>) -> String {
        let error = error.map(io::Error::from_raw_os_error);
        Text::of(message, error.as_ref())
            .as_c_str()
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn errors_are_appended_without_their_number() {
        assert_eq!(
            text(format_args!("{}: {}", "open", 7), Some(libc::ENOENT)),
            "open: 7: No such file or directory"
        );
        assert_eq!(text(format_args!("plain"), None), "plain");
    }

    #[test]
    fn errors_of_no_number_are_appended() {
        let error = io::Error::other("broken");
        assert_eq!(Text::of(format_args!("read"), Some(&error)).as_c_str(), c"read: broken");
    }

    #[test]
    fn long_messages_are_cut() {
        let long = "x".repeat(5000);
        assert_eq!(text(format_args!("{long}"), None), long[..1023]);
        assert_eq!(text(format_args!("{long}"), Some(libc::ENOENT)), long[..1023]);
    }

    #[test]
    fn errors_need_room() {
        for (length, rest) in [(1005, ": No such file or "), (1020, ": N"), (1021, "")] {
            let message = "x".repeat(length);
            assert_eq!(
                text(format_args!("{message}"), Some(libc::ENOENT)),
                format!("{message}{rest}")
            );
        }
    }

    #[test]
    fn zeros_end_the_message() {
        assert_eq!(text(format_args!("a\0b"), None), "a");
    }

    #[test]
    fn standard_error_gets_the_messages() {
        let output = in_child("log::tests::standard_error_gets_the_messages", || {
            debug!("unseen {}", 1);
            event_enable_debug_logging(u32::MAX);
            debug!("seen {}", 1);
            msg!("said");
            warn!(io::Error::from_raw_os_error(libc::EPERM) => "refused {}", 2);
            warnx!("warned");
            message(Severity::Error, format_args!("failed"));
        });
        let expected =
            "[debug] seen 1\n[msg] said\n[warn] refused 2: Operation not permitted\n[warn] warned\n[err] failed\n";
        assert_eq!(stderr(&output), expected);
    }

    #[test]
    fn errno_is_the_error_unless_another_is_given() {
        let output = in_child("log::tests::errno_is_the_error_unless_another_is_given", || {
            // SAFETY: No descriptor has this number, so that nothing is closed.
            unsafe { libc::close(-1) };
            warn!("close");
        });
        assert_eq!(stderr(&output), "[warn] close: Bad file descriptor\n");
    }

    #[test]
    fn the_callback_gets_the_messages() {
        unsafe extern "C" fn tell(severity: c_int, text: *const c_char) {
            // SAFETY: The library passes a C string.
            let text = unsafe { CStr::from_ptr(text) };
            print("callback", format!("{severity} {}", text.to_str().unwrap()).as_bytes());
        }
        let output = in_child("log::tests::the_callback_gets_the_messages", || {
            event_set_log_callback(Some(tell));
            warnx!("first");
            event_set_log_callback(None);
            warnx!("second");
        });
        assert_eq!(stderr(&output), "[callback] 2 first\n[warn] second\n");
    }

    #[test]
    fn the_last_message_ends_the_process() {
        let output = in_child("log::tests::the_last_message_ends_the_process", || {
            fatal_with_error(3, format_args!("lost"), &io::Error::from_raw_os_error(libc::EIO));
        });
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(stderr(&output), "[err] lost: Input/output error\n");
    }

    #[test]
    fn a_failed_assertion_aborts() {
        let output = in_child("log::tests::a_failed_assertion_aborts", || {
            ensure!(1 > 0, "1 > 0", "arithmetic");
            ensure!(1 < 0, "1 < 0", "arithmetic");
        });
        assert_eq!(output.status.signal(), Some(libc::SIGABRT));
        let text = stderr(&output);
        assert!(text.ends_with(": Assertion 1 < 0 failed in arithmetic\n"), "{text}");
    }

    #[test]
    fn the_fatal_callback_comes_before_the_end() {
        unsafe extern "C" fn tell(code: c_int) {
            print("callback", format!("{code:x}").as_bytes());
        }
        let output = in_child("log::tests::the_fatal_callback_comes_before_the_end", || {
            event_set_fatal_callback(Some(tell));
            fatal(ABORT, format_args!("lost"));
        });
        assert_eq!(stderr(&output), "[err] lost\n[callback] deaddead\n");
        assert_eq!(
            output.status.code(),
            Some(0xad),
            "exit takes the last 8 bits of the code"
        );
    }
}
