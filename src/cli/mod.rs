//! The command line: one file per command. Each command converts its flags (what was typed) to
//! options or a plan (what will be done), and prints the result.
//!
//! What belongs here: help texts, exit codes, printing, and the choice of sources and sinks for a
//! command. What does not: the decision about a packet (`dataplane`), and the rules of a
//! configuration (`control`).

mod bench;
mod check;
mod exit;
mod explain;
mod export;
mod impair;
mod inputs;
mod interfaces;
mod lab;
mod listen_address;
mod manual;
mod number;
mod outputs;
mod pipeline;
mod progress;
mod receive;
mod replay;
mod report_table;
mod run;
mod sandbox;
mod sessions;
mod signals;
mod target_flags;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use exit::Exit;

/// AWS VPC Traffic Mirroring outside AWS: mirrors captures and Linux interfaces as VXLAN copies.
///
/// A session joins a source network interface, a filter of numbered accept and reject rules, and a
/// target. The first session (by SessionNumber) whose filter accepts a packet mirrors it. The copy
/// is truncated to PacketLength, encapsulated in VXLAN with the session's VirtualNetworkId and sent
/// to UDP port 4789 of the target.
#[derive(Debug, Parser)]
#[command(name = "traffic-mirror", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Examples:
  traffic-mirror replay in.pcap --target 192.0.2.10 --write out.pcap
  traffic-mirror replay in.pcap --config mirror.toml --write out.pcapng
  traffic-mirror explain in.pcap --config mirror.toml
  traffic-mirror check --config mirror.toml
  sudo traffic-mirror run --interface eth0 --target 192.0.2.10
  traffic-mirror receive --count 1000 --write frames.pcap
  traffic-mirror interfaces

Exit codes: 0 done, 1 the run failed, 2 bad usage or configuration.")]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Replay(replay::ReplayFlags),
    Explain(explain::ExplainFlags),
    Check(check::CheckFlags),
    Export(export::ExportFlags),
    Bench(Box<bench::BenchFlags>),
    Run(Box<run::RunFlags>),
    Receive(receive::ReceiveFlags),
    Interfaces(interfaces::InterfacesFlags),
    Lab(lab::LabFlags),
    Completions(manual::CompletionsFlags),
    Man(manual::ManFlags),
}

/// The definition of the command line. `run` can start without sessions, because clients of its
/// endpoint create them. An option of `SessionFlags` that a command always rejects is
/// hidden in its help.
fn command() -> clap::Command {
    with_value_syntax(Cli::command())
        .mut_subcommand("explain", |explain| explain.mut_arg("source", |source| source.hide(true)))
        .mut_subcommand("run", |run| {
            run.mut_group("sessions", |group| group.required(false))
                .mut_arg("direction", |direction| direction.hide(true))
        })
}

/// Sets the syntax of the values of all options: names of enumerations may have capital letters,
/// and a negative number is a value and not an unknown option, so that the error names the expected
/// range.
fn with_value_syntax(command: clap::Command) -> clap::Command {
    let with_rules = |arg: clap::Arg| {
        if !arg.get_action().takes_values() {
            return arg;
        }
        let is_enumeration = arg.get_value_parser().possible_values().is_some();
        let is_option = !arg.is_positional();
        arg.ignore_case(is_enumeration).allow_negative_numbers(is_option)
    };
    command.mut_args(with_rules).mut_subcommands(with_value_syntax)
}

fn parse() -> Result<Cli, clap::Error> {
    let mut matches = command().try_get_matches()?;
    Cli::from_arg_matches_mut(&mut matches)
}

/// Parses the command line, runs the command and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A help text whose reader closed the pipe is not an error.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let ended = match cli.command {
        CliCommand::Replay(flags) => replay::run(&flags),
        CliCommand::Explain(flags) => explain::run(&flags),
        CliCommand::Check(flags) => check::run(&flags),
        CliCommand::Export(flags) => export::run(&flags),
        CliCommand::Bench(flags) => bench::run(&flags),
        CliCommand::Run(flags) => run::run(&flags),
        CliCommand::Receive(flags) => receive::run(&flags),
        CliCommand::Interfaces(flags) => interfaces::run(&flags),
        CliCommand::Lab(flags) => lab::run(&flags),
        CliCommand::Completions(flags) => manual::completions(&flags, command()),
        CliCommand::Man(flags) => manual::man(&flags, command()),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            terminal::clear_updated_line();
            terminal::error(&failure.to_string());
            failure.exit.into()
        }
    }
}
