//! Reads any text as a configuration, in TOML, as JSON and as YAML. There must be no panic, and a valid
//! configuration must be equal to itself after it is printed and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic_mirror::control::config::{Text, read_texts};
use traffic_mirror::control::{CompileOptions, compile, render};

fuzz_target!(|text: &str| {
    for name in ["fuzz.toml", "fuzz.json", "fuzz.yaml"] {
        let outcome = read_texts(&[Text::new(name, text)]);
        for problem in outcome.problems.iter().chain(&outcome.warnings) {
            let line = problem.to_string();
            assert!(!line.contains('\n'), "a problem is one line: {line:?}");
        }
        let Some(registry) = outcome.registry else {
            assert!(!outcome.problems.is_empty(), "rejected without a problem");
            continue;
        };
        let rendered = render::to_toml(&registry);
        let again = read_texts(&[Text::new("again.toml", &rendered)]);
        assert!(again.problems.is_empty(), "{:?}\n{rendered}", again.problems);
        assert!(again.registry.as_ref() == Some(&registry), "reads differently:\n{rendered}");
        assert_eq!(
            compile(&registry, &CompileOptions::default()).sessions().len(),
            registry.sessions().len(),
            "a session was lost"
        );
    }
});
