//! The shell blocks of a document, and how each is run, which the words after `sh` select.

/// How a block is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Unchanged, in a scratch folder.
    #[default]
    Plain,
    /// As root of a new user and network namespace that has a device eth0.
    Namespace,
    /// Not run, for this reason.
    NotRun(String),
}

/// One block of shell commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of the document at which the block begins, from 1.
    pub(crate) line: usize,
    pub(crate) mode: Mode,
    /// Programs that must be installed, or modules of Python as in `python3:boto3`.
    pub(crate) needs: Vec<String>,
    pub(crate) script: String,
    /// Parts of the output that the document shows, in their order.
    pub(crate) output: Vec<String>,
}

/// The text after "```" on a line that opens a fence.
fn fence_words(line: &str) -> Option<&str> {
    line.strip_prefix("```")
}

/// All shell blocks of a document. A block ```` ```text output ```` shows output of the shell block
/// before it; a line `...` in it stands for omitted lines.
///
/// # Errors
/// A message with the line whose words are unknown.
pub(crate) fn blocks(document: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = document.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(words) = fence_words(line) else { continue };
        let inside: Vec<&str> =
            lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```").collect();
        match words.split(' ').next().unwrap_or_default() {
            "sh" => blocks.push(shell_block(number, words, &inside)?),
            "text" if words == "text output" => {
                let last = blocks.last_mut().ok_or(format!("line {number}: no block before it"))?;
                last.output.extend(parts_of(&inside));
            }
            "bash" | "shell" | "console" => {
                return Err(format!("line {number}: expected ```sh, so that the commands are run"));
            }
            _ => {}
        }
    }
    Ok(blocks)
}

fn shell_block(line: usize, words: &str, inside: &[&str]) -> Result<Block, String> {
    let mut block = Block { line, script: inside.join("\n"), ..Block::default() };
    if let Some((_, reason)) = words.split_once("no-run: ") {
        block.mode = Mode::NotRun(reason.to_owned());
        return Ok(block);
    }
    for word in words.split(' ').skip(1) {
        match word.strip_prefix("needs=") {
            Some(needs) => block.needs.extend(needs.split(',').map(str::to_owned)),
            None if word == "namespace" => block.mode = Mode::Namespace,
            None => {
                return Err(format!(
                    "line {line}: `{word}`: expected namespace, needs=PROGRAM or no-run: REASON"
                ));
            }
        }
    }
    Ok(block)
}

/// The parts between lines `...`, with single spaces.
fn parts_of(lines: &[&str]) -> Vec<String> {
    let parts = lines.split(|line| line.trim() == "...");
    parts.map(|part| single_spaced(&part.join("\n"))).filter(|part| !part.is_empty()).collect()
}

/// The text with each run of white space replaced by one space.
pub(crate) fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn blocks_are_read_with_their_words_and_output() {
    let document = "\
# Title
```sh
one \\
  two
```
```toml
three = 3
```
```sh namespace needs=aws,python3:boto3
four
```
```text output
 a   table
 ...
 the end
```
```sh no-run: needs an account
five
```
";
    let read = blocks(document).unwrap();
    let modes: Vec<_> = read.iter().map(|block| (block.line, block.mode.clone())).collect();
    let reason = "needs an account".to_owned();
    assert_eq!(modes, [(2, Mode::Plain), (9, Mode::Namespace), (17, Mode::NotRun(reason))]);
    assert_eq!(read[0].script, "one \\\n  two");
    assert_eq!(read[1].needs, ["aws", "python3:boto3"]);
    assert_eq!(read[1].output, ["a table", "the end"]);
    assert!(blocks("```sh no-run\nx\n```").is_err(), "a reason is missing");
    assert!(blocks("```console\nx\n```").is_err());
}
