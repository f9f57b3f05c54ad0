//! What is measured, of whom, and against whom.

use crate::contenders::{
    CALLOOP, Contender, EV, EV_CLOCK, EV_SHARED, HTTPD_MULTI, HTTPD_POOL, HTTPD_SINGLE, LIBEV, LIBEVENT,
    LIBEVENT_CHANGELIST, LIBEVENT_LOCKS, LIBUV, MIO, NGINX, NGINX_COPYING, POLLING, RAW, RAW_DEFERRED, RAW_INLINE,
    RAW_LAZY,
};

/// Requests for each second of processor time that the server takes.
pub(crate) const PER_CPU_SECOND: &str = "per CPU second";
/// Requests for each second that passes.
pub(crate) const PER_SECOND: &str = "per second";

/// One scenario with its options, run by some contenders in turn.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// The command line, without what makes a contender.
    pub(crate) arguments: &'static str,
    /// A command line that takes less time, for quick runs; `None` leaves the measurement out of them.
    pub(crate) quick: Option<&'static str>,
    pub(crate) contenders: Vec<Contender>,
    /// Whose figures the others' are divided by.
    pub(crate) reference: Contender,
    /// Whether instructions and system calls are counted as well.
    pub(crate) is_counted: bool,
}

impl Measurement {
    /// The command line that is run, if any is.
    pub(crate) fn line(&self, quick: bool) -> Option<&'static str> {
        if quick { self.quick } else { Some(self.arguments) }
    }

    pub(crate) fn scenario(&self) -> &'static str {
        self.arguments.split(' ').next().unwrap_or_default()
    }

    /// The figures that tables show.
    pub(crate) fn figures(&self) -> &'static [&'static str] {
        match self.scenario() {
            "pipes" => &["ns"],
            "setup" => &["nodispatch", "dispatch"],
            "timers" => &["insert", "cancel", "rearm", "expire"],
            "wakeup" => &["hot", "idle", "burst", "burst_callbacks"],
            "servers" => &[PER_CPU_SECOND, PER_SECOND],
            _ => &["event_struct", "event_total", "timer_struct", "timer_total"],
        }
    }

    /// Whether figures vary from run to run.
    pub(crate) fn is_timed(&self) -> bool {
        self.scenario() != "memory"
    }
}

/// A table's worth of measurements.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) measurements: Vec<Measurement>,
}

/// Measurements of the same contenders.
fn measurements(
    contenders: &[Contender],
    reference: Contender,
    lines: &[(&'static str, Option<&'static str>, Counted)],
) -> Vec<Measurement> {
    let one = |&(arguments, quick, counted): &(_, _, Counted)| Measurement {
        arguments,
        quick,
        contenders: contenders.to_vec(),
        reference,
        is_counted: counted == Counted::Yes,
    };
    lines.iter().map(one).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
}
use Counted::{No, Yes};

/// What loops are measured at.
pub(crate) fn loops() -> Vec<Section> {
    vec![
        pipes(),
        timeouts(),
        one_shot(),
        set_up(),
        timers(),
        wake_up(),
        memory(),
        descriptors(),
        many_timers(),
    ]
}

fn pipes() -> Section {
    let level = [
        RAW,
        RAW_INLINE,
        EV,
        EV_SHARED,
        LIBEVENT,
        LIBEVENT_LOCKS,
        LIBEV,
        LIBUV,
        POLLING,
        CALLOOP,
    ];
    let all = [&level[..], &[MIO]].concat();
    let mut lines = measurements(
        &all,
        RAW,
        &[
            ("pipes n=100 a=1", Some("pipes n=100 a=1 r=9"), Yes),
            ("pipes n=1000 a=100", Some("pipes n=1000 a=100 r=15"), Yes),
            ("pipes n=1000 a=1000", Some("pipes n=1000 a=1000 r=9"), Yes),
            ("pipes run=1 n=100 a=1", None, No),
            ("pipes sock=1 n=1000 a=100", None, No),
        ],
    );
    lines.extend(measurements(
        &level,
        RAW,
        &[(
            "pipes ready=1 n=1000 a=1000 w=100000",
            Some("pipes ready=1 n=1000 a=1000 w=30000 r=9"),
            No,
        )],
    ));
    Section {
        title: "Events",
        text: "Nanoseconds an event: `a` bytes travel through `n` pipes; each callback reads a byte and writes it to the \
               next pipe. `run=1`: the loop waits; else it is run one turn after the other. `ready=1`: descriptors stay \
               readable and callbacks only count.",
        measurements: lines,
    }
}

fn timeouts() -> Section {
    Section {
        title: "Events with an idle timeout",
        text: "Nanoseconds an event: as above, and each event pushes its own timeout back.",
        measurements: measurements(
            &[
                RAW,
                RAW_LAZY,
                EV,
                EV_SHARED,
                LIBEVENT,
                LIBEVENT_LOCKS,
                LIBEV,
                LIBUV,
                CALLOOP,
            ],
            RAW_LAZY,
            &[
                ("pipes tmo=1 n=100 a=1", None, No),
                ("pipes tmo=1 n=1000 a=100", Some("pipes tmo=1 n=1000 a=100 r=15"), Yes),
            ],
        ),
    }
}

fn one_shot() -> Section {
    Section {
        title: "One-shot events, added again in their callbacks",
        text: "Nanoseconds an event. `raw` uses `EPOLLONESHOT`.",
        measurements: measurements(
            &[
                RAW,
                RAW_DEFERRED,
                EV,
                EV_SHARED,
                LIBEVENT,
                LIBEVENT_LOCKS,
                LIBEVENT_CHANGELIST,
                LIBEV,
                LIBUV,
                POLLING,
                CALLOOP,
            ],
            RAW_DEFERRED,
            &[
                ("pipes oneshot=1 n=100 a=1", None, No),
                (
                    "pipes oneshot=1 n=1000 a=100",
                    Some("pipes oneshot=1 n=1000 a=100 r=9"),
                    Yes,
                ),
            ],
        ),
    }
}

fn set_up() -> Section {
    Section {
        title: "Adding and deleting",
        text: "Nanoseconds to add an event and to delete it, without (`nodispatch`) and with (`dispatch`) a turn of the loop \
               after each of the two.",
        measurements: measurements(
            &[
                RAW,
                RAW_INLINE,
                RAW_DEFERRED,
                EV,
                EV_SHARED,
                LIBEVENT,
                LIBEVENT_LOCKS,
                LIBEVENT_CHANGELIST,
                LIBEV,
                LIBUV,
                MIO,
                POLLING,
                CALLOOP,
            ],
            RAW_DEFERRED,
            &[
                ("setup n=100", None, No),
                ("setup n=1000", Some("setup n=1000 r=15"), Yes),
            ],
        ),
    }
}

fn timers() -> Section {
    let able = [RAW, EV, EV_CLOCK, EV_SHARED, LIBEVENT, LIBEVENT_LOCKS, LIBEV, LIBUV];
    let all = [&able[..], &[CALLOOP, MIO, POLLING]].concat();
    let mut lines = measurements(
        &all,
        RAW,
        &[
            ("timers t=1000", Some("timers t=1000 r=9"), No),
            ("timers same=1 t=1000", Some("timers same=1 t=1000 r=9"), No),
        ],
    );
    lines.extend(measurements(
        &able,
        RAW,
        &[
            ("timers t=100000 r=3", Some("timers t=100000 r=1"), No),
            ("timers same=1 t=100000 r=3", Some("timers same=1 t=100000 r=1"), No),
            ("timers t=1000000 r=1", None, No),
            ("timers same=1 t=1000000 r=1", None, No),
        ],
    ));
    Section {
        title: "Timers",
        text: "Nanoseconds to insert a timer, to cancel one, to set one anew, and for one to expire, of `t` timers with random \
               deadlines; `same=1`: with the same timeout. calloop goes through all its timers to cancel one, so that it is \
               measured with few.",
        measurements: lines,
    }
}

fn wake_up() -> Section {
    Section {
        title: "Waking from another thread",
        text: "Nanoseconds until a loop answers a notify that comes right after its last answer (`hot`) or finds it asleep \
               (`idle`, mostly the kernel's), for each of `t` notifies in a `burst`, and how often the loop then called \
               back. Both loops here make an event active, as libevent does.",
        measurements: measurements(
            &[RAW, EV, EV_SHARED, LIBEVENT_LOCKS, LIBEV, LIBUV, MIO, POLLING, CALLOOP],
            RAW,
            &[("wakeup t=1000000 r=5", Some("wakeup t=100000 r=3"), No)],
        ),
    }
}

fn memory() -> Section {
    let mut lines = measurements(
        &[RAW, EV, EV_SHARED, LIBEVENT, LIBEV, LIBUV, MIO, POLLING],
        RAW,
        &[("memory n=5000 t=1000000", Some("memory n=5000 t=100000"), No)],
    );
    lines.extend(measurements(
        &[RAW, EV, CALLOOP],
        RAW,
        &[("memory n=5000 t=5000", Some("memory n=5000 t=5000"), No)],
    ));
    Section {
        title: "Memory",
        text: "Bytes of heap for a read event and for a timer, by the allocator's account. `_struct`: what is prepared once, \
               such as the caller's structures; `_total`: all of it, once they are added.",
        measurements: lines,
    }
}

fn descriptors() -> Section {
    Section {
        title: "More descriptors",
        text: "Nanoseconds an event, 100 of `n` pipes ready at a time. Two descriptors a pipe, so that the largest numbers \
               need a high limit of open files.",
        measurements: measurements(
            &[RAW, EV, LIBEVENT, LIBEV, LIBUV],
            RAW,
            &[
                ("pipes n=100 a=100", None, No),
                ("pipes n=400 a=100", None, No),
                ("pipes n=1600 a=100", None, No),
                ("pipes n=6400 a=100", None, No),
                ("pipes n=9500 a=100", None, No),
                ("pipes n=15000 a=100", None, No),
            ],
        ),
    }
}

fn many_timers() -> Section {
    let mut lines = measurements(&[RAW, EV, LIBEVENT, LIBEV], RAW, &[("timers t=10000 r=9", None, No)]);
    lines.extend(measurements(
        &[RAW, EV, LIBEV],
        RAW,
        &[("timers t=10000000 r=1", None, No)],
    ));
    Section {
        title: "More timers",
        text: "As for timers.",
        measurements: lines,
    }
}

/// What web servers are measured at, which are not run as the loops are.
pub(crate) fn servers() -> Section {
    let mut lines = measurements(
        &[NGINX, NGINX_COPYING, HTTPD_SINGLE, HTTPD_POOL],
        NGINX,
        &[
            ("servers loops=1 c=64 p=1 d=3", Some("servers loops=1 c=64 p=1 d=1"), No),
            ("servers loops=1 c=64 p=8 d=3", Some("servers loops=1 c=64 p=8 d=1"), No),
            (
                "servers loops=1 c=1000 p=1 d=3",
                Some("servers loops=1 c=1000 p=1 d=1"),
                No,
            ),
            (
                "servers loops=1 c=1000 p=8 d=3",
                Some("servers loops=1 c=1000 p=8 d=1"),
                No,
            ),
        ],
    );
    lines.extend(measurements(
        &[NGINX, NGINX_COPYING, HTTPD_MULTI],
        NGINX,
        &[
            ("servers loops=2 c=64 p=1 d=3", Some("servers loops=2 c=64 p=1 d=1"), No),
            ("servers loops=2 c=64 p=8 d=3", Some("servers loops=2 c=64 p=8 d=1"), No),
            (
                "servers loops=2 c=1000 p=1 d=3",
                Some("servers loops=2 c=1000 p=1 d=1"),
                No,
            ),
            (
                "servers loops=2 c=1000 p=8 d=3",
                Some("servers loops=2 c=1000 p=8 d=1"),
                No,
            ),
        ],
    ));
    Section {
        title: "Requests",
        text: "Requests for a file of 4 KiB, answered in each second of processor time that the server takes (its workers' \
               and threads' as well, in user mode and in the kernel) and in each second that passes: more is better. `loops` \
               that serve, `c` connections that are kept open, `p` requests sent at once, for `d` seconds a run.",
        measurements: lines,
    }
}
