//! Shell completions and manual page, made from the same words as `--help`.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit::{Exit, Failure, ignore_broken_pipe};
use super::{command, terminal};

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  traffic-mirror completions bash > ~/.local/share/bash-completion/completions/traffic-mirror")]
pub(super) struct CompletionsFlags {
    /// The shell to complete for.
    shell: Shell,
}

/// Print the manual page.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  traffic-mirror man | man -l -")]
pub(super) struct ManFlags {}

pub(super) fn completions(flags: &CompletionsFlags) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(flags.shell, &mut command(), "traffic-mirror", &mut text);
    print(&text)
}

pub(super) fn man(_flags: &ManFlags) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    let mut command = command();
    command.build();
    render(&command, &mut text).map_err(Failure::failed)?;
    // The renderer knows no name for what stands behind the options; here it is always examples.
    let text = String::from_utf8_lossy(&text).replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n");
    print(text.as_bytes())
}

/// The page of a command, and behind it those of its subcommands.
fn render(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(text)?;
    let mut below = command.get_subcommands().filter(|one| one.get_name() != "help");
    below.try_for_each(|one| render(one, text))
}

fn print(text: &[u8]) -> Result<Exit, Failure> {
    let mut out = terminal::stdout();
    ignore_broken_pipe(out.write_all(text).and_then(|()| out.flush()))
}
