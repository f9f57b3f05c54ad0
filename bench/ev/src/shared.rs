//! The loop that any thread may use.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bench_scenarios::{Abilities, Course, Options, Peer, idle_timeout};
use ev_core::{
    Activator, EventKey, Interest, Io, LoopHandle, RunMode, SameDuration, SharedContext, SharedLoop, Time, Timer, User,
};

use crate::POLL;

/// A [`SharedLoop`], everything done through its handle. Its callbacks share the course.
#[derive(Debug)]
pub(crate) struct Shared {
    lp: SharedLoop,
    handle: LoopHandle,
    course: Arc<Course>,
    options: Options,
    sources: Vec<EventKey>,
    timers: Vec<EventKey>,
    /// The durations that the loop was told of.
    announced: Vec<SameDuration>,
    /// What timers count from.
    now: Time,
}

impl Shared {
    fn turns(&mut self, mode: RunMode) {
        self.lp.run_with(mode).expect("the backend works");
    }
}

fn stop(cx: &SharedContext<'_>) {
    cx.stop().expect("the loop exists");
}

impl Peer for Shared {
    const NAME: &'static str = "ev";
    const VERSION: &'static str = env!("EV_CORE_VERSION");
    const ABILITIES: Abilities = Abilities {
        locks: true,
        ..Abilities::ONE_THREAD
    };
    type Notifier = Activator<LoopHandle>;

    fn open(options: &Options, course: Course) -> Self {
        let lp = SharedLoop::new().expect("there is a backend");
        Self {
            handle: lp.handle(),
            lp,
            course: Arc::new(course),
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
            let course = Arc::clone(&self.course);
            let mut event = Io::new(source, Interest::READ).disarmed();
            if self.options.timeout {
                event = event.timeout(idle_timeout(i));
            }
            let inserted = if self.options.one_shot {
                self.handle
                    .insert(event.once(), move |cx, source, fired| {
                        let is_last = course.pass_on(i, source);
                        cx.add(fired.key()).expect("the descriptor is still there");
                        if is_last {
                            stop(cx);
                        }
                    })
                    .map_err(|rejected| rejected.error)
            } else {
                self.handle
                    .insert(event, move |cx, source, _| {
                        if course.pass_on(i, source) {
                            stop(cx);
                        }
                    })
                    .map_err(|rejected| rejected.error)
            };
            self.sources.push(inserted.expect("there is memory"));
        }
    }

    #[inline]
    fn add(&mut self, i: usize) {
        self.handle.add(self.sources[i]).expect("the descriptor is open");
    }

    #[inline]
    fn delete(&mut self, i: usize) {
        self.handle.delete(self.sources[i]).expect("the event exists");
    }

    #[inline]
    fn poll(&mut self) {
        self.turns(POLL);
    }

    fn run(&mut self) {
        self.turns(RunMode::FOREVER);
    }

    fn notifier(&mut self) -> Self::Notifier {
        let course = Arc::clone(&self.course);
        let inserted = self.handle.insert(User::new(), move |cx, (), _| {
            if course.answer() {
                stop(cx);
            }
        });
        self.handle.activator(inserted.expect("there is memory"))
    }

    #[inline]
    fn notify(activator: &Self::Notifier) {
        activator.activate().expect("the loop exists");
    }

    fn prepare_timers(&mut self, count: usize) {
        self.timers.reserve_exact(count);
        for _ in 0..count {
            let course = Arc::clone(&self.course);
            let inserted = self.handle.insert(Timer::new(), move |_, (), _| course.timer_fired());
            self.timers.push(inserted.expect("there is memory"));
        }
    }

    fn announce(&mut self, duration: Duration) {
        let announced = self.handle.same_duration(duration).expect("these are few durations");
        self.announced.push(announced);
    }

    fn read_clock(&mut self) {
        self.now = self.handle.now();
    }

    #[inline]
    fn set_timer(&mut self, i: usize, after: Duration) {
        let timer = self.timers[i];
        let set = match self.announced.iter().find(|announced| announced.timeout() == after) {
            Some(&announced) => self.handle.add_in(timer, announced),
            None if self.options.clock => self.handle.add_after(timer, after),
            None => self.handle.add_at(timer, self.now + after),
        };
        set.expect("the event exists");
    }

    #[inline]
    fn cancel_timer(&mut self, i: usize) {
        self.handle.delete(self.timers[i]).expect("the event exists");
    }
}
