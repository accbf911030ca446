//! `bench`: flags and output of [`crate::bench`].

mod compare;
mod flags;
mod generate_flags;
mod output;
mod sweep;

use std::io::{self, Write};
use std::path::Path;

use super::exit::{Exit, Failure};
use super::terminal;
use crate::bench::{self, BenchError, BenchReport};
use crate::io::record::OutputFile;

use flags::BenchCommand;
pub(super) use flags::BenchFlags;
use output::{BenchFormat, json, print_text};

/// Names of picture formats other than SVG that a user may expect of `--plot`.
const OTHER_PICTURES: [&str; 6] = ["png", "jpg", "jpeg", "gif", "webp", "pdf"];

pub(super) fn run(flags: &BenchFlags) -> Result<Exit, Failure> {
    if let Some(BenchCommand::Compare(flags)) = &flags.command {
        return compare::run(flags);
    }
    if let Some(path) = &flags.plot {
        check_plot_name(path)?;
    }
    let options = flags.options()?;
    let report = bench::run(&options).map_err(failure)?;
    for skipped in &report.skipped {
        terminal::warn(&format!("{skipped}; skipped"));
    }
    write_files(&report, flags)?;
    print_text(&match flags.format {
        BenchFormat::Text => report.to_text(),
        BenchFormat::Json => json(&report)?,
    })
}

/// Rejects the name of a picture whose ending promises another format than SVG.
fn check_plot_name(path: &Path) -> Result<(), Failure> {
    let extension = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match extension {
        Some(ending) if OTHER_PICTURES.contains(&ending.as_str()) => {
            let expected = "expected a name that ends in .svg: the picture is SVG";
            Err(Failure::usage(format!("--plot {}: {expected}", path.display())))
        }
        _ => Ok(()),
    }
}

fn failure(error: BenchError) -> Failure {
    if error.is_usage() { Failure::usage(error) } else { Failure::failed(error) }
}

/// Writes the picture and the page if they are requested. A file that cannot be written completely
/// is removed.
fn write_files(report: &BenchReport, flags: &BenchFlags) -> Result<(), Failure> {
    if let Some(path) = &flags.plot {
        if !report.has_curve() {
            terminal::warn(
                "--plot: all runs have the same number of rules, so the picture has points and no \
                 curve; add --sweep rules=N,N,...",
            );
        }
        write_file(path, &report.to_svg().map_err(failure)?)?;
    }
    let Some(path) = &flags.html else { return Ok(()) };
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    write_file(path, &report.to_html(&words.join(" ")).map_err(failure)?)
}

fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let written = || {
        let mut file = OutputFile::create(path)?;
        file.write_all(text.as_bytes())?;
        file.commit()
    };
    written().map_err(|error: io::Error| Failure::failed(error))
}
