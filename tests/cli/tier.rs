//! `run --tier` and the tiers that `check` prints.

use crate::run::{Scratch, session_config};

#[test]
fn options_that_exclude_the_kernel_tier_are_refused_with_it() {
    let scratch = Scratch::new();
    for (words, part) in [
        ("--impair loss=1%", "--impair"),
        ("--netns none", "--netns `none`"),
        ("--egress ip", "--egress `ip`"),
        ("--capture pnet", "--capture `pnet`"),
        ("--workers 2", "--workers `2`"),
        ("--ring-size 1MiB", "--ring-size 1MiB"),
        ("--busy-poll", "--busy-poll"),
        ("--kernel-filter always", "--kernel-filter `always`"),
    ] {
        let ran = scratch.run(&format!("run -i lo --target 192.0.2.1 --tier kernel {words}"));
        assert_eq!(ran.code, 2, "{words}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{words}: {}", ran.stderr);
        assert!(ran.stderr.contains("--tier kernel"), "{words}: {}", ran.stderr);
    }
}

#[test]
fn an_unknown_tier_is_an_error_with_the_known_ones() {
    let ran = Scratch::new().run("run -i lo --target 192.0.2.1 --tier fast");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("kernel, ring, auto"), "{}", ran.stderr);
}

#[test]
fn check_prints_the_tier_of_each_interface_with_a_session() {
    let scratch = Scratch::new();
    scratch.write_file("mirror.toml", session_config());
    let ran = scratch.run("check --config mirror.toml");
    assert!(ran.text().contains(": kernel tier with --tier auto\n"), "{}", ran.text());
    let short = session_config() + "packet_length = 60\n";
    scratch.write_file("mirror.toml", short);
    let ran = scratch.run_unprivileged("check --config mirror.toml");
    let line = ran.text().lines().last().unwrap_or_default();
    assert!(line.contains(": ring tier with --tier auto: session `"), "{}", ran.text());
    assert!(line.contains("packet_length 60"), "{line}");
}
