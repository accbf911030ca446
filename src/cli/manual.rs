//! Shell completions and manual page, made from the same words as `--help`.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::{Exit, Failure, reader_left};
use super::{Cli, terminal};

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
    clap_complete::generate(flags.shell, &mut Cli::command(), "traffic-mirror", &mut text);
    print(&text)
}

pub(super) fn man(_flags: &ManFlags) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    let mut command = Cli::command();
    command.build();
    let pages = std::iter::once(command.clone()).chain(command.get_subcommands().cloned());
    for page in pages.filter(|page| page.get_name() != "help") {
        clap_mangen::Man::new(page).render(&mut text).map_err(Failure::failed)?;
    }
    // The renderer knows no name for what stands behind the options; here it is always examples.
    let text = String::from_utf8_lossy(&text).replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n");
    print(text.as_bytes())
}

fn print(text: &[u8]) -> Result<Exit, Failure> {
    let mut out = terminal::stdout();
    reader_left(out.write_all(text).and_then(|()| out.flush()))
}
