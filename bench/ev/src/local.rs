//! The loop for one thread.

use std::fs::File;
use std::time::Duration;

use bench_scenarios::{Abilities, Course, Options, Peer, idle_timeout};
use ev_core::{Activator, EventKey, EventLoop, Interest, Io, Remote, RunMode, SameDuration, Time, Timer, User};

use crate::POLL;

/// An [`EventLoop`] that lends the course to its callbacks.
#[derive(Debug)]
pub(crate) struct Local {
    lp: EventLoop<Course>,
    course: Course,
    options: Options,
    sources: Vec<EventKey>,
    timers: Vec<EventKey>,
    /// The durations that the loop was told of.
    announced: Vec<SameDuration>,
    /// What timers count from.
    now: Time,
}

impl Local {
    fn turns(&mut self, mode: RunMode) {
        self.lp.run_with(mode, &mut self.course).expect("the backend works");
    }
}

impl Peer for Local {
    const NAME: &'static str = "ev";
    const VERSION: &'static str = env!("EV_CORE_VERSION");
    const ABILITIES: Abilities = Abilities::ONE_THREAD;
    type Notifier = Activator<Remote<Course>>;

    fn open(options: &Options, course: Course) -> Self {
        Self {
            lp: EventLoop::new().expect("there is a backend"),
            course,
            options: options.clone(),
            sources: vec![],
            timers: vec![],
            announced: vec![],
            now: Time::ZERO,
        }
    }

    fn course(&self) -> &Course {
        &self.course
    }

    fn prepare(&mut self, sources: Vec<File>) {
        self.sources.reserve_exact(sources.len());
        for (i, source) in sources.into_iter().enumerate() {
            let mut event = Io::new(source, Interest::READ).disarmed();
            if self.options.timeout {
                event = event.timeout(idle_timeout(i));
            }
            let inserted = if self.options.one_shot {
                self.lp
                    .insert(event.once(), move |cx, source, fired| {
                        let stop = cx.state.pass_on(i, source);
                        cx.add(fired.key()).expect("the descriptor is still there");
                        if stop {
                            cx.stop();
                        }
                    })
                    .map_err(|rejected| rejected.error)
            } else {
                self.lp
                    .insert(event, move |cx, source, _| {
                        if cx.state.pass_on(i, source) {
                            cx.stop();
                        }
                    })
                    .map_err(|rejected| rejected.error)
            };
            self.sources.push(inserted.expect("there is memory"));
        }
    }

    #[inline]
    fn add(&mut self, i: usize) {
        self.lp.add(self.sources[i]).expect("the descriptor is open");
    }

    #[inline]
    fn delete(&mut self, i: usize) {
        self.lp.delete(self.sources[i]).expect("the event exists");
    }

    #[inline]
    fn poll(&mut self) {
        self.turns(POLL);
    }

    fn run(&mut self) {
        self.turns(RunMode::FOREVER);
    }

    fn notifier(&mut self) -> Self::Notifier {
        let inserted = self.lp.insert(User::new(), |cx, (), _| {
            if cx.state.answer() {
                cx.stop();
            }
        });
        let remote = self.lp.remote().expect("there are descriptors");
        remote.activator(inserted.expect("there is memory"))
    }

    #[inline]
    fn notify(activator: &Self::Notifier) {
        activator.activate().expect("the loop exists");
    }

    fn prepare_timers(&mut self, count: usize) {
        self.timers.reserve_exact(count);
        for _ in 0..count {
            let inserted = self.lp.insert(Timer::new(), |cx, (), _| cx.state.timer_fired());
            self.timers.push(inserted.expect("there is memory"));
        }
    }

    fn announce(&mut self, duration: Duration) {
        let announced = self.lp.same_duration(duration).expect("these are few durations");
        self.announced.push(announced);
    }

    fn read_clock(&mut self) {
        self.now = self.lp.now();
    }

    #[inline]
    fn set_timer(&mut self, i: usize, after: Duration) {
        let timer = self.timers[i];
        let set = match self.announced.iter().find(|announced| announced.timeout() == after) {
            Some(&announced) => self.lp.add_in(timer, announced),
            None if self.options.clock => self.lp.add_after(timer, after),
            None => self.lp.add_at(timer, self.now + after),
        };
        set.expect("the event exists");
    }

    #[inline]
    fn cancel_timer(&mut self, i: usize) {
        self.lp.delete(self.timers[i]).expect("the event exists");
    }
}
