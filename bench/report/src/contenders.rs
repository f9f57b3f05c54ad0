//! Who is measured: programs, and the ways in which they are run.

/// A program, with arguments that make it a contender of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    /// Its name in tables.
    pub(crate) label: &'static str,
    /// The program is `bench-NAME`, but for the servers.
    pub(crate) program: &'static str,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) is_ours: bool,
}

impl Contender {
    const fn peer(label: &'static str, program: &'static str, arguments: &'static [&'static str]) -> Self {
        Self {
            label,
            program,
            arguments,
            is_ours: false,
        }
    }

    const fn ours(label: &'static str, arguments: &'static [&'static str]) -> Self {
        Self {
            label,
            program: "ev",
            arguments,
            is_ours: true,
        }
    }
}

pub(crate) const RAW: Contender = Contender::peer("raw", "raw", &[]);
pub(crate) const RAW_INLINE: Contender = Contender::peer("raw+inline", "raw", &["inl=1"]);
pub(crate) const RAW_DEFERRED: Contender = Contender::peer("raw deferred", "raw", &["defer=1"]);
pub(crate) const RAW_LAZY: Contender = Contender::peer("raw lazy", "raw", &["lazy=1"]);

/// `EventLoop`; timers are set by deadlines that come from one reading of the clock.
pub(crate) const EV: Contender = Contender::ours("ev", &[]);
/// `EventLoop`; each timer is set by its timeout, which reads the clock.
pub(crate) const EV_CLOCK: Contender = Contender::ours("ev clock", &["clock=1"]);
/// `SharedLoop`.
pub(crate) const EV_SHARED: Contender = Contender::ours("ev shared", &["locks=1"]);

pub(crate) const LIBEVENT: Contender = Contender::peer("libevent", "libevent", &[]);
pub(crate) const LIBEVENT_LOCKS: Contender = Contender::peer("libevent+locks", "libevent", &["locks=1"]);
pub(crate) const LIBEVENT_CHANGELIST: Contender = Contender::peer("libevent+changelist", "libevent", &["changelist=1"]);
pub(crate) const LIBEV: Contender = Contender::peer("libev", "libev", &[]);
pub(crate) const LIBUV: Contender = Contender::peer("libuv", "libuv", &[]);
pub(crate) const MIO: Contender = Contender::peer("mio", "mio", &[]);
pub(crate) const POLLING: Contender = Contender::peer("polling", "polling", &[]);
pub(crate) const CALLOOP: Contender = Contender::peer("calloop", "calloop", &[]);

/// The web server of the examples, in each of its shapes.
pub(crate) const HTTPD_SINGLE: Contender = server("httpd single", &["--shape", "single"]);
pub(crate) const HTTPD_POOL: Contender = server("httpd pool", &["--shape", "pool", "--threads", "2"]);
pub(crate) const HTTPD_MULTI: Contender = server("httpd multi", &["--shape", "multi", "--threads", "2"]);
/// With as many workers as the others have loops; the arguments go into its configuration. These are what it is
/// installed with.
pub(crate) const NGINX: Contender = Contender::peer("nginx", "nginx", &["sendfile on;", "tcp_nopush on;"]);
pub(crate) const NGINX_COPYING: Contender = Contender::peer("nginx copying", "nginx", &["sendfile off;"]);

const fn server(label: &'static str, arguments: &'static [&'static str]) -> Contender {
    Contender {
        label,
        program: "httpd",
        arguments,
        is_ours: true,
    }
}

/// What each contender is, for the reader of the tables.
pub(crate) const EXPLANATIONS: &[(&str, &str)] = &[
    (
        "raw",
        "epoll without a library, in C: callbacks in an array indexed by descriptor, a 4-ary heap of deadlines, a list where all timeouts are the same",
    ),
    (
        "raw+inline",
        "the same, epoll's system calls without a function around them",
    ),
    (
        "raw deferred",
        "the same, changes told at the next wait if they still are changes",
    ),
    (
        "raw lazy",
        "the same, a timeout set anew is only noted until the old one has come",
    ),
    (
        "ev",
        "`EventLoop`; timers are set by deadlines that come from one reading of the clock",
    ),
    (
        "ev clock",
        "`EventLoop`; each timer is set by its timeout, which reads the clock",
    ),
    ("ev shared", "`SharedLoop`, which any thread may use"),
    (
        "libevent",
        "without locks; timers are set inside a callback, where it goes by one reading of the clock; it is told of durations that all timers have",
    ),
    ("libevent+locks", "after `evthread_use_pthreads`"),
    ("libevent+changelist", "with `EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST`"),
    (
        "libev, libuv",
        "as the system has them; libuv's timers count milliseconds",
    ),
    ("mio", "edge-triggered only; the callbacks are a `match`; no timers"),
    ("polling", "no timers"),
    ("calloop", "on polling"),
    (
        "httpd single",
        "the example `httpd` of `ev-core`, built with `--release` alone: one loop does everything",
    ),
    ("httpd pool", "the same: one loop, and two threads that read the files"),
    ("httpd multi", "the same: one loop accepts, two others serve"),
    (
        "nginx",
        "as the system has it, with a worker for each loop that serves; no access log; `sendfile on; tcp_nopush on`",
    ),
    (
        "nginx copying",
        "the same with `sendfile off`: it reads the file and sends it with the head, as httpd does",
    ),
    ("wrk", "asks the servers, in one thread"),
];
