//! Help, completions, the manual page.

use crate::run::Scratch;

#[test]
fn the_help_of_each_command_has_an_example() {
    let scratch = Scratch::new();
    for command in [
        "",
        "replay",
        "explain",
        "check",
        "export",
        "bench",
        "run",
        "receive",
        "interfaces",
        "completions",
        "man",
    ] {
        let ran = scratch.run(&format!("{command} --help"));
        assert_eq!((ran.code, &*ran.stderr), (0, ""));
        assert!(ran.text().contains("Example"), "{command}: {}", ran.text());
        assert!(ran.text().contains(&format!("traffic-mirror {command}")), "{command}");
        let short = scratch.run(&format!("{command} -h"));
        assert!(short.text().contains("Usage:"), "{command}");
    }
    assert!(scratch.run("--version").text().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_contain_the_commands() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = scratch.run(&format!("completions {shell}"));
        assert_eq!((ran.code, &*ran.stderr), (0, ""));
        for word in ["replay", "explain", "check", "interfaces", "packet-length"] {
            assert!(ran.text().contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(scratch.run("completions tcsh").code, 2);
}

#[test]
fn the_man_page_has_every_command() {
    let ran = Scratch::new().run("man");
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    assert!(ran.text().contains(".TH"), "{}", ran.text());
    for word in ["replay", "explain", "check", "interfaces", "packet\\-length", ".SH EXAMPLES"] {
        assert!(ran.text().contains(word), "{word}");
    }
}
