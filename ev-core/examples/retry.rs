//! A client that asks again, after a pause that grows, when no answer comes; and its test, in which a day takes no time.
//!
//! The client is written for any loop. Here the loop is simulated: a script says when the server answers, and the virtual
//! clock jumps from one thing that happens to the next.
#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use ev_core::backend::sim::{Script, Source};
use ev_core::{Config, Context, EventLoop, Interest, Io, Readiness, Time, Timer};

/// How long the client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause before it asks for the second time. The next ones are twice as long each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The client. `connect` opens a connection and sends the question.
struct Client<C> {
    connect: C,
    pause: Duration,
    asked: Vec<Time>,
    answered: Option<Time>,
}

impl<F, C> Client<C>
where
    F: AsFd + 'static,
    C: FnMut() -> io::Result<F> + 'static,
{
    fn new(connect: C) -> Self {
        Self {
            connect,
            pause: FIRST_PAUSE,
            asked: Vec::new(),
            answered: None,
        }
    }

    fn ask(cx: &mut Context<'_, Self>) {
        let now = cx.now();
        cx.state.asked.push(now);
        let Ok(connection) = (cx.state.connect)() else {
            return Self::ask_later(cx);
        };
        let answer = Io::new(connection, Interest::READ).timeout(PATIENCE);
        let waits = cx.once(answer, |cx, _connection, fired| {
            if fired.is_readable() {
                cx.state.answered = Some(cx.now());
            } else {
                Self::ask_later(cx);
            }
        });
        if waits.is_err() {
            Self::ask_later(cx);
        }
    }

    fn ask_later(cx: &mut Context<'_, Self>) {
        let pause = cx.state.pause;
        cx.state.pause = (pause * 2).min(LONGEST_PAUSE);
        if cx.once(Timer::after(pause), |cx, (), _| Self::ask(cx)).is_err() {
            cx.stop();
        }
    }
}

/// Runs a client in a simulation until it has an answer. `connect` gets the script, to say what comes of the question.
fn simulate<C>(mut connect: C) -> io::Result<Client<impl FnMut() -> io::Result<Source>>>
where
    C: FnMut(&Script) -> io::Result<Source> + 'static,
{
    let (mut lp, script) = EventLoop::simulated(0, &Config::new())?;
    let mut client = Client::new(move || connect(&script));
    lp.once(Timer::after(Duration::ZERO), |cx, (), _| Client::ask(cx))?;
    lp.run(&mut client)?;
    Ok(client)
}

/// When the client asked, counted from the first time.
fn times<C>(client: &Client<C>) -> Vec<Duration> {
    let since = |time: &Time| *time - client.asked[0];
    client.asked.iter().chain(&client.answered).map(since).collect()
}

fn main() -> io::Result<()> {
    let mut questions = 0;
    let client = simulate(move |script| {
        questions += 1;
        let source = script.source()?;
        if questions == 9 {
            script.after(Duration::from_millis(250), source.as_raw_fd(), Readiness::READ);
        }
        Ok(source)
    })?;
    let times = times(&client);
    let (answered, asked) = times.split_last().expect("it asked");
    for time in asked {
        println!("{time:>9.2?}  asked");
    }
    println!("{answered:>9.2?}  answered");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_time_ends_it() {
        let answer = Duration::from_secs(4);
        let client = simulate(move |script| {
            let source = script.source()?;
            script.after(answer, source.as_raw_fd(), Readiness::READ);
            Ok(source)
        });
        assert_eq!(times(&client.unwrap()), [Duration::ZERO, answer]);
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut refusals = 0;
        let client = simulate(move |script| {
            refusals += 1;
            if refusals < 9 {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let source = script.source()?;
            script.set(source.as_raw_fd(), Readiness::READ);
            Ok(source)
        });
        let asked = [0, 1, 3, 7, 15, 31, 63, 123, 183, 183];
        assert_eq!(times(&client.unwrap()), asked.map(Duration::from_secs));
    }

    #[test]
    fn a_day_without_answers() {
        const DAY: Duration = Duration::from_hours(24);
        let mut begin = None;
        let client = simulate(move |script| {
            let source = script.source()?;
            let now = Time::from_nanos(script.clock().now());
            if now >= *begin.get_or_insert(now) + DAY {
                script.set(source.as_raw_fd(), Readiness::READ);
            }
            Ok(source)
        });
        let times = times(&client.unwrap());
        let (answered, asked) = times.split_last().unwrap();
        assert!(
            asked
                .windows(2)
                .skip(7)
                .all(|two| two[1] == two[0] + PATIENCE + LONGEST_PAUSE)
        );
        assert!((DAY..DAY + PATIENCE + LONGEST_PAUSE).contains(answered));
        assert_eq!(asked.len(), 1335);
    }
}
