//! The program under test, in a namespace.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::waiting::{wait_for, wait_until};
use testkit::namespace::Namespace;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_traffic-mirror");

/// A `traffic-mirror run` that is killed at the end of the test if it still runs.
#[derive(Debug)]
pub(crate) struct Mirror {
    child: Child,
    stdout: Option<ChildStdout>,
    log_lines: Arc<Mutex<Vec<String>>>,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct RunResult {
    pub(crate) code: i32,
    pub(crate) report: Value,
    pub(crate) log_lines: Vec<String>,
}

impl Mirror {
    /// Starts `run` with these words and returns once it captures.
    pub(crate) fn start(namespace: &Namespace, words: &str) -> Self {
        Self::start_and_wait_for(namespace, words, "mirroring ")
    }

    /// Starts `run` with these words and returns once a log line contains `awaited`.
    pub(crate) fn start_and_wait_for(namespace: &Namespace, words: &str, awaited: &str) -> Self {
        Self::start_command(namespace.command(BINARY), words, awaited)
    }

    /// The same, with a command that starts the program in another way.
    pub(crate) fn start_command(mut command: Command, words: &str, awaited: &str) -> Self {
        command.args(["run", "--report", "json"]).args(words.split_whitespace());
        let mut mirror = Self::spawn(command);
        mirror.wait_for_lines(awaited, 1);
        mirror.assert_running();
        mirror
    }

    /// The same, started by `timeout`, which then receives the signals of `signal`.
    pub(crate) fn start_under_timeout(namespace: &Namespace, words: &str) -> Self {
        let mut command = namespace.command("timeout");
        command.args(["600", "setpriv", "--pdeathsig", "KILL", BINARY, "run", "--report", "json"]);
        command.args(words.split_whitespace());
        let mut mirror = Self::spawn(command);
        mirror.wait_for_lines("mirroring ", 1);
        mirror.assert_running();
        mirror
    }

    fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log_lines = Arc::new(Mutex::new(Vec::new()));
        let shared_lines = Arc::clone(&log_lines);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            lines.for_each(|line| shared_lines.lock().unwrap().push(line));
        });
        Self { stdout: child.stdout.take(), child, log_lines }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log_lines(&self) -> Vec<String> {
        self.log_lines.lock().unwrap().clone()
    }

    /// The number of log lines with these words.
    pub(crate) fn count_lines_with(&self, words: &str) -> usize {
        self.log_lines.lock().unwrap().iter().filter(|line| line.contains(words)).count()
    }

    /// Waits until this number of log lines have these words.
    pub(crate) fn wait_for_lines(&self, words: &str, times: usize) {
        let what = format!("{times} log lines with `{words}`");
        wait_until(&what, || self.count_lines_with(words) >= times);
    }

    pub(crate) fn assert_running(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended: {:#?}", self.log_lines());
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// The processor time that the program has used, in units of 10 ms.
    pub(crate) fn processor_time(&self) -> u64 {
        let columns = self.stat();
        let time = |column: &String| column.parse::<u64>().unwrap();
        time(&columns[11]) + time(&columns[12])
    }

    /// The state of the process as in ps: `S` if it sleeps, `T` if it is stopped.
    pub(crate) fn state(&self) -> char {
        self.stat()[0].chars().next().unwrap()
    }

    /// /proc/PID/stat from its third column on: state first, utime and stime as the 12th and 13th.
    fn stat(&self) -> Vec<String> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // The name before is in brackets and may have spaces.
        text.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect()
    }

    /// A line of /proc/PID/status in KiB.
    pub(crate) fn status_kib(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
        value.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends it by SIGTERM.
    pub(crate) fn end(self) -> RunResult {
        self.signal("-TERM");
        self.wait()
    }

    /// Waits for its end, and asserts that the counters of its report add up.
    pub(crate) fn wait(mut self) -> RunResult {
        let status = wait_for("the end of run", || self.child.try_wait().unwrap());
        let mut text = String::new();
        self.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        wait_until("the end of its log", || Arc::strong_count(&self.log_lines) == 1);
        let log_lines = self.log_lines();
        assert!(!log_lines.iter().any(|line| line.contains("panicked")), "{log_lines:#?}");
        let report =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text} {log_lines:#?}"));
        let ended = RunResult { code: status.code().unwrap_or(-1), report, log_lines };
        let others = ended.sum_of("not_mirrored") + ended.sum_of("dropped");
        assert_eq!(ended.count("received"), ended.count("mirrored") + others, "{}", ended.report);
        ended
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RunResult {
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.report[name].as_u64().unwrap()
    }

    /// The sum of `not_mirrored` or `dropped` over all reasons or causes.
    pub(crate) fn sum_of(&self, field: &str) -> u64 {
        self.report[field].as_object().unwrap().values().map(|one| one.as_u64().unwrap()).sum()
    }

    pub(crate) fn not_mirrored(&self, reason: &str) -> u64 {
        self.report["not_mirrored"][reason].as_u64().unwrap_or_default()
    }

    /// Asserts that it ended with exit code 0 and lost nothing.
    pub(crate) fn assert_no_loss(&self) {
        assert_eq!(self.code, 0, "{:#?}", self.log_lines);
        assert_eq!(self.sum_of("dropped"), 0, "{} {:#?}", self.report, self.log_lines);
    }
}

/// Runs `run` with arguments that it must reject. Returns the exit code and the log.
pub(crate) fn run_refused(mut command: Command, words: &str) -> (i32, String) {
    command.arg("run").args(words.split_whitespace());
    let mut mirror = Mirror::spawn(command);
    let status = wait_for("the end of a run that is refused", || mirror.child.try_wait().unwrap());
    wait_until("the end of its log", || Arc::strong_count(&mirror.log_lines) == 1);
    let log_lines = mirror.log_lines().join("\n");
    assert!(!log_lines.contains("panicked"), "{log_lines}");
    (status.code().unwrap_or(-1), log_lines)
}
