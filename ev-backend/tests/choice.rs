//! Which backend `Config` opens, and what it says when it opens none.

use std::env;
use std::process::Command;

use ev_backend::{Backend, Config, Features, OpenError, PassedOver, supported};

fn opened(config: &Config) -> String {
    config
        .open()
        .map_or_else(|error| error.to_string(), |(backend, _)| backend.name().to_owned())
}

fn quiet() -> Config {
    Config::new().ignore_environment()
}

#[test]
fn the_best_comes_first() {
    let order = ["epoll", "kqueue", "poll", "select"];
    let compiled_in: Vec<_> = order.into_iter().filter(|name| supported().contains(name)).collect();
    assert_eq!(supported(), compiled_in);
    assert_eq!(opened(&quiet()), supported()[0]);
}

#[test]
fn avoided_backends_are_passed_over() {
    for (avoided, &name) in supported().iter().enumerate() {
        let config = supported()[..avoided]
            .iter()
            .fold(quiet(), |config, &name| config.avoid(name));
        assert_eq!(opened(&config), name);
    }
    let unknown = quiet().avoid("no such backend").avoid("EPOLL").avoid("POLL");
    assert_eq!(
        opened(&unknown),
        supported()[0],
        "names are exact, and unknown ones do no harm"
    );
}

#[test]
fn only_the_named_backend_is_opened() {
    for name in supported() {
        assert_eq!(opened(&quiet().only(*name)), *name);
    }
    let refused = quiet().only("Epoll").open().unwrap_err();
    assert!(
        refused
            .passed_over()
            .all(|(_, reason)| matches!(reason, PassedOver::Avoided))
    );
    let there_are = supported().join(", ");
    assert_eq!(
        refused.to_string(),
        format!("no backend is called \"Epoll\" here; there are: {there_are}")
    );
}

#[test]
fn required_features_are_had() {
    for features in Features::all().iter() {
        if let Ok((backend, _)) = quiet().require(features).open() {
            assert!(backend.features().contains(features));
        }
    }
    let any_file = quiet().require(Features::ANY_FILE);
    assert_ne!(opened(&any_file), "epoll");
    assert!(
        any_file.require(Features::EXCLUSIVE).open().is_err(),
        "requirements add up"
    );
}

#[test]
fn precision_changes_no_choice() {
    assert_eq!(opened(&quiet().precise()), supported()[0]);
}

#[test]
fn an_error_tells_why_of_each() {
    let config = quiet().avoid("poll").require(Features::ERROR_ONLY | Features::ANY_FILE);
    let error: OpenError = config.open().unwrap_err();
    let names: Vec<_> = error.passed_over().map(|(name, _)| name).collect();
    assert_eq!(names, supported());
    for (name, reason) in error.passed_over() {
        let missing = match name {
            "poll" => None,
            "epoll" => Some(Features::ANY_FILE),
            _ => Some(Features::ERROR_ONLY),
        };
        match (reason, missing) {
            (PassedOver::Avoided, None) => {}
            (PassedOver::Missing(lacking), Some(missing)) => assert_eq!(*lacking, missing),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(error.to_string().starts_with("no usable backend; "));
    assert!(error.to_string().ends_with("poll: avoided; select: lacks ERROR_ONLY"));
}

/// Runs one of the tests that are ignored, in a process of its own with these variables.
fn run_alone(test: &str, variables: &[&str]) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .envs(variables.iter().map(|name| (name, "")))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn opened_with(variables: &[&str]) -> String {
    let output = run_alone("what_is_opened_here", variables);
    let (_, answer) = output.split_once("opened: ").expect("the other process answers");
    answer.lines().next().unwrap().to_owned()
}

#[test]
#[ignore = "run by the tests of the environment"]
#[expect(clippy::print_stdout, reason = "this is how it answers")]
fn what_is_opened_here() {
    println!("\nopened: {}", opened(&Config::new()));
    assert_eq!(opened(&quiet()), supported()[0], "unless the environment is ignored");
}

#[test]
fn the_environment_excludes_backends() {
    let variables: Vec<_> = supported()
        .iter()
        .map(|name| format!("EVENT_NO{}", name.to_uppercase()))
        .collect();
    let variables: Vec<_> = variables.iter().map(String::as_str).collect();
    for (excluded, name) in supported().iter().enumerate() {
        assert_eq!(opened_with(&variables[..excluded]), *name);
    }
    let none = opened_with(&variables);
    assert!(
        variables
            .iter()
            .all(|variable| none.contains(&format!("{variable} is set"))),
        "{none}"
    );
}

#[test]
fn no_lesser_backend_is_opened_for_want_of_descriptors() {
    let output = run_alone("what_is_opened_without_descriptors", &[]);
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run by the test above, as it spoils the process for others"]
fn what_is_opened_without_descriptors() {
    let needy: Vec<_> = supported().iter().copied().take_while(|&name| name != "poll").collect();
    assert!(
        !needy.is_empty() || !cfg!(target_os = "linux"),
        "epoll needs a descriptor"
    );
    ev_sys::process::set_descriptor_limit(0).unwrap();
    for name in needy {
        let error = quiet().only(name).open().unwrap_err();
        let Some((refused, PassedOver::Failed(reason))) = error.passed_over().last() else {
            panic!("{error}");
        };
        assert_eq!((refused, reason.raw_os_error()), (name, Some(ev_sys::errno::EMFILE)));
        let default = quiet().open().unwrap_err();
        assert_eq!(default.passed_over().len(), 1, "{default}: the first ends it");
    }
    assert_eq!(opened(&quiet().make_do()), "poll", "which needs none");
}
