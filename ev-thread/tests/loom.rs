//! Models that loom runs through the orders of events that the memory model allows:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p ev-thread --test loom --release
//! ```
//!
//! All orders, where they are few enough; else those with up to three preemptions. A model in which a notification can
//! be lost ends with a thread that waits for ever, which loom reports.
//!
//! # What fails without a step
//!
//! Each step of the protocols was taken out by hand, or made weaker; then the models named here fail, among others.
//!
//! The gate; models in `gate.rs`:
//!
//! - `begin_wait` marks the sleep: `a_notification_is_never_lost`
//! - only if awake, and in one operation: `a_notification_is_never_lost`
//! - with its end: `an_earlier_deadline_cuts_the_sleep`, `a_sleep_that_ends_in_time_costs_no_write`
//! - which is never mistaken for another state (`SOONEST`): `a_loop_that_was_told_sleeps_again`
//! - refuses the sleep after a notification: `a_notification_before_the_run_is_kept`
//! - acquires then: `what_was_left_is_visible_when_the_loop_may_not_sleep`
//! - `end_wait` ends the sleep, and takes the notification: `a_loop_that_was_told_sleeps_again`
//! - in one operation: `a_notification_between_two_runs_is_kept`
//! - also if it has seen a notification: `two_posters_are_both_heard_and_a_sleep_costs_one_write`
//! - acquires: `what_was_left_is_visible_when_the_loop_is_told`
//! - tells of a notification: `a_notification_before_the_run_is_kept`
//! - and of nothing else: `a_loop_that_was_told_sleeps_again`
//! - `linger` leaves the notification where it is: `a_loop_that_lingers_hears_of_what_comes_meanwhile`
//! - `notify` marks a loop that is awake: `a_notification_before_the_run_is_kept`
//! - and one that sleeps: `two_posters_are_both_heard_and_a_sleep_costs_one_write`
//! - in one operation: `a_notification_is_never_lost`
//! - also if it is notified already: `two_posters_are_both_heard_and_a_sleep_costs_one_write`
//! - releases: `what_was_left_is_visible_when_the_loop_is_told`
//! - has a sleeper written to: `a_notification_is_never_lost`
//! - nobody else: `a_notification_before_the_run_is_kept`
//! - and once: `two_posters_are_both_heard_and_a_sleep_costs_one_write`
//! - `notify_before` marks, and has written to, who sleeps too long: `an_earlier_deadline_cuts_the_sleep`
//! - marks a loop that is awake: `an_earlier_deadline_cuts_the_sleep`
//! - leaves alone who sleeps in time: `deadlines_of_two_posters_are_both_kept`,
//!   `a_sleep_that_ends_in_time_costs_no_write`
//! - not by a mere load: `a_deadline_is_not_lost_between_a_short_sleep_and_a_long_one`
//! - releases: `an_earlier_deadline_cuts_the_sleep`
//!
//! The mailbox, and its use behind the gate; models in `inbox.rs`:
//!
//! - `push` refuses when closed, under the lock it pushes under:
//!   `a_message_sent_during_shutdown_is_taken_or_given_back`
//! - sets the hint: `a_message_ends_the_sleep`
//! - not before it has the lock, nor after: `a_message_sent_during_shutdown_is_taken_or_given_back`
//! - `take_all` clears the hint: `a_message_ends_the_sleep`
//! - not before it has the lock, nor after: `each_of_two_messages_is_taken_once`
//! - `retain` sets the hint to whether anything is left, and not before it has the lock, nor after:
//!   `what_was_sent_before_is_taken_back_and_the_rest_is_taken`
//! - `close` closes, takes what is there, both under one lock, and clears the hint:
//!   `a_message_sent_during_shutdown_is_taken_or_given_back`
//! - the sender pushes, then notifies, then writes if told to: `a_message_ends_the_sleep`
//! - the loop goes through `begin_wait`, and minds its answer: `a_message_ends_the_sleep`
//! - calls `end_wait`, and drains: `each_of_two_messages_is_taken_once`
//! - looks after `end_wait`, not before: `a_message_is_not_lost_on_an_interrupted_sleep`
//! - drains before the next `begin_wait`, not after: `a_message_ends_the_sleep`
//!
//! The bell; the model in `bell.rs`, `the_last_answer_sees_what_came_before_the_last_ring`, fails if
//!
//! - `ring` looks before it swaps, or does not release;
//! - `answer` stores and does not swap, or does not acquire;
//!
//! and `a_ring_after_a_message_was_taken_back_leaves_another` fails if who takes a message back does not answer its bell.
//!
//! The monitor; the model in `monitor.rs`, `whoever_waits_for_a_turn_need_not_wait_for_the_next`, fails if
//!
//! - `wait_turn` does not say that the turn is awaited, waits once for whatever reason, or for anything but the count;
//! - `end_turn` does not count, does not notify, notifies one only, or leaves the mark for the next turn.
//!
//! The loop that threads share, which uses all of it as ev-core does; models in `shared_loop.rs`:
//!
//! - the loop is marked asleep, under the lock that it has when it looks for the last time:
//!   `what_another_thread_activates_is_called`
//! - a handle looks at the mark under the lock of its change, and wakes the loop:
//!   `what_another_thread_activates_is_called`, `a_loop_can_be_stopped_before_and_while_it_runs`,
//!   `a_loop_ends_when_its_last_event_is_deleted`
//! - the loop does not sleep when stopped before: `a_loop_can_be_stopped_before_and_while_it_runs`
//! - a run notes its owner: `an_event_does_not_run_once_it_is_deleted`
//! - and that it has none, also on a panic: `a_callback_that_panics_ends_the_wait_for_it`
//! - callbacks run unlocked: `a_callback_may_delete_its_own_event`
//! - the event that runs is noted: `an_event_does_not_run_once_it_is_deleted`
//! - until it is over: `nobody_waits_for_a_callback_that_is_over`
//! - a turn ends after the callback: `an_event_does_not_run_once_it_is_deleted`
//! - also on a panic: `a_callback_that_panics_ends_the_wait_for_it`
//! - `delete` makes the event inactive, before it waits: `an_event_does_not_run_once_it_is_deleted`
//! - waits if the event runs: `an_event_does_not_run_once_it_is_deleted`
//! - only then: `a_loop_ends_when_its_last_event_is_deleted`
//! - only in another thread: `a_callback_may_delete_its_own_event`
//! - under the lock it asked under: `two_threads_may_delete_the_event_that_runs`
//! - `remove` leaves it to the loop's thread to drop a payload: `a_loop_ends_when_its_last_event_is_removed`
//! - if that runs: `a_loop_can_be_stopped_before_and_while_it_runs`
//! - sends it under the lock, and no run ends with a message left: `a_loop_ends_when_its_last_event_is_removed`
//! - payloads are dropped unlocked: `a_loop_ends_when_its_last_event_is_removed`,
//!   `what_a_handle_does_during_shutdown_is_done_or_refused`
//! - the loop's end is marked, its payloads are taken, and the mailbox is closed:
//!   `what_a_handle_does_during_shutdown_is_done_or_refused`
//!
//! # What saves work only
//!
//! No order of events goes wrong without these: the look at `is_empty` in `take_all` and `retain`, which saves a lock; that at
//! `awaited` in `end_turn`, which saves a notification; that the mark of a sleep is taken away afterwards, which saves the
//! atomic operation of waking a loop that is awake; and `linger`, which saves the write. And it makes no difference whether a handle wakes the loop before or
//! after it unlocks, if it looked at the mark before; nor in which order a loop that is dropped says so and closes its
//! mailbox. The count of turns is there for conditions that end a wait for no reason, as the first wait in a model does;
//! and for who waits while others come to wait for the next turn.

#[cfg(loom)]
mod models {
    mod bell;
    mod gate;
    mod inbox;
    mod monitor;
    mod notifier;
    mod shared_loop;

    /// For models that have too many orders to try all: those with up to three preemptions.
    fn up_to_three_preemptions(f: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(f);
    }
}
