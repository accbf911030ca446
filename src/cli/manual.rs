//! Shell completions and manual pages, generated from the same definitions as `--help`.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit::{Exit, Failure, ignore_broken_pipe};
use super::terminal;

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  traffic-mirror completions bash > ~/.local/share/bash-completion/completions/traffic-mirror")]
pub(super) struct CompletionsFlags {
    /// The shell.
    shell: Shell,
}

/// Print the manual page of the program or of one command.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  traffic-mirror man | man -l -
  traffic-mirror man run | man -l -")]
pub(super) struct ManFlags {
    /// The command to document [default: the program and all commands in one page]
    #[arg(value_name = "COMMAND")]
    topic: Option<String>,
}

/// Prints the completions for `command`, the program.
pub(super) fn completions(flags: &CompletionsFlags, mut command: Command) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(flags.shell, &mut command, "traffic-mirror", &mut text);
    print(&text)
}

/// Prints the manual of `command`, the program.
pub(super) fn man(flags: &ManFlags, mut command: Command) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    command.build();
    match &flags.topic {
        None => render(&command, &mut text),
        Some(name) => match command.find_subcommand(name) {
            Some(one) => clap_mangen::Man::new(one.clone()).render(&mut text),
            None => return Err(unknown_command(name, &command)),
        },
    }
    .map_err(Failure::failed)?;
    // clap_mangen calls the text after the options EXTRA; here it is always examples.
    let text = String::from_utf8_lossy(&text).replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n");
    print(text.as_bytes())
}

fn unknown_command(name: &str, command: &Command) -> Failure {
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    Failure::usage(format_args!("COMMAND `{name}`: expected one of {}", names.join(", ")))
}

/// Renders the page of a command, followed by the pages of its subcommands.
fn render(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(text)?;
    let mut subcommands = command.get_subcommands().filter(|one| one.get_name() != "help");
    subcommands.try_for_each(|one| render(one, text))
}

fn print(text: &[u8]) -> Result<Exit, Failure> {
    let mut out = terminal::stdout();
    ignore_broken_pipe(out.write_all(text).and_then(|()| out.flush()))
}
