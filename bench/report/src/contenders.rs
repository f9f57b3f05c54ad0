//! Who is measured: programs, and the ways in which they are run.

/// A program, with arguments that make it a contender of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    /// Its name in tables.
    pub(crate) label: &'static str,
    /// The program is `bench-NAME`, but for the servers.
    pub(crate) program: &'static str,
    pub(crate) arguments: &'static [&'static str],
    /// What it is, for the reader of the tables.
    pub(crate) explanation: &'static str,
    pub(crate) is_ours: bool,
}

impl Contender {
    const fn peer(
        label: &'static str,
        program: &'static str,
        arguments: &'static [&'static str],
        explanation: &'static str,
    ) -> Self {
        Self {
            label,
            program,
            arguments,
            explanation,
            is_ours: false,
        }
    }

    const fn ours(
        label: &'static str,
        program: &'static str,
        arguments: &'static [&'static str],
        explanation: &'static str,
    ) -> Self {
        Self {
            is_ours: true,
            ..Self::peer(label, program, arguments, explanation)
        }
    }
}

pub(crate) const RAW: Contender = Contender::peer(
    "raw",
    "raw",
    &[],
    "epoll without a library, in C: callbacks in an array indexed by descriptor, a 4-ary heap of deadlines, a list where \
     all timeouts are the same",
);
pub(crate) const RAW_INLINE: Contender = Contender::peer(
    "raw+inline",
    "raw",
    &["inl=1"],
    "raw, epoll's system calls without a function around them",
);
pub(crate) const RAW_DEFERRED: Contender = Contender::peer(
    "raw deferred",
    "raw",
    &["defer=1"],
    "raw, changes told at the next wait if they still are changes",
);
pub(crate) const RAW_LAZY: Contender = Contender::peer(
    "raw lazy",
    "raw",
    &["lazy=1"],
    "raw, a timeout set anew is only noted until the old one has come",
);

pub(crate) const EV: Contender = Contender::ours(
    "ev",
    "ev",
    &[],
    "`EventLoop`; timers are set by deadlines that come from one reading of the clock",
);
pub(crate) const EV_CLOCK: Contender = Contender::ours(
    "ev clock",
    "ev",
    &["clock=1"],
    "`EventLoop`; each timer is set by its timeout, which reads the clock",
);
pub(crate) const EV_SHARED: Contender = Contender::ours(
    "ev shared",
    "ev",
    &["locks=1"],
    "`SharedLoop`, which any thread may use",
);

pub(crate) const LIBEVENT: Contender = Contender::peer(
    "libevent",
    "libevent",
    &[],
    "without locks; timers are set inside a callback, where it goes by one reading of the clock; it is told of durations \
     that all timers have",
);
pub(crate) const LIBEVENT_LOCKS: Contender = Contender::peer(
    "libevent+locks",
    "libevent",
    &["locks=1"],
    "libevent after `evthread_use_pthreads`",
);
pub(crate) const LIBEVENT_CHANGELIST: Contender = Contender::peer(
    "libevent+changelist",
    "libevent",
    &["changelist=1"],
    "libevent with `EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST`",
);
pub(crate) const LIBEV: Contender = Contender::peer("libev", "libev", &[], "as the system has it");
pub(crate) const LIBUV: Contender = Contender::peer(
    "libuv",
    "libuv",
    &[],
    "as the system has it; timers count milliseconds; a turn does not ask the kernel while nothing is added",
);
pub(crate) const MIO: Contender = Contender::peer(
    "mio",
    "mio",
    &[],
    "edge-triggered only; the callbacks are a `match`; no timers",
);
pub(crate) const POLLING: Contender = Contender::peer("polling", "polling", &[], "no timers");
pub(crate) const CALLOOP: Contender = Contender::peer("calloop", "calloop", &[], "on polling");

/// The web server of the examples, in each of its shapes.
pub(crate) const HTTPD_SINGLE: Contender = Contender::ours(
    "httpd single",
    "httpd",
    &["--shape", "single"],
    "the example `httpd` of `ev-core`, built with `--release` alone: one loop does everything",
);
pub(crate) const HTTPD_POOL: Contender = Contender::ours(
    "httpd pool",
    "httpd",
    &["--shape", "pool", "--threads", "2"],
    "the same example: one loop, and two threads that read the files",
);
pub(crate) const HTTPD_MULTI: Contender = Contender::ours(
    "httpd multi",
    "httpd",
    &["--shape", "multi", "--threads", "2"],
    "the same example: one loop accepts, two others serve",
);
/// With as many workers as the others have loops; the arguments go into its configuration. These are what it is
/// installed with.
pub(crate) const NGINX: Contender = Contender::peer(
    "nginx",
    "nginx",
    &["sendfile on;", "tcp_nopush on;"],
    "as the system has it, with a worker for each loop that serves; no access log; `sendfile on; tcp_nopush on`",
);
pub(crate) const NGINX_COPYING: Contender = Contender::peer(
    "nginx copying",
    "nginx",
    &["sendfile off;"],
    "nginx with `sendfile off`: it reads the file and sends it with the head, as httpd does",
);
