//! A description of the machine, because times of two machines cannot be compared.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;

use serde::Serialize;

/// The machine as the kernel describes it; what the kernel does not state is absent.
#[derive(Debug, Default, Serialize)]
pub struct Machine {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<String>,
    /// The number of processors that this process may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    cores: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l1d_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l2_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l3_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<String>,
    /// The frequency governor of the first processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    governor: Option<String>,
    /// Vector instruction sets of the processor.
    simd: Vec<&'static str>,
    version: &'static str,
    profile: &'static str,
}

/// Vector instruction sets by their names in /proc/cpuinfo, on x86 and Arm, the widest last.
const SIMD: [&str; 9] =
    ["sse4_2", "avx", "avx2", "avx512f", "avx512bw", "avx512vl", "asimd", "sve", "sve2"];

impl Machine {
    /// Reads /proc and /sys.
    #[must_use]
    pub fn read() -> Self {
        Self::read_from(Path::new("/"))
    }

    fn read_from(root: &Path) -> Self {
        let line = |path: &str| {
            let text = fs::read_to_string(root.join(path)).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let cpuinfo = line("proc/cpuinfo").unwrap_or_default();
        let features = field(&cpuinfo, "flags").or_else(|| field(&cpuinfo, "Features"));
        let features: Vec<&str> = features.unwrap_or_default().split_whitespace().collect();
        let caches = (0..8).filter_map(|index| {
            let cache = format!("sys/devices/system/cpu/cpu0/cache/index{index}");
            let part = |name: &str| line(&format!("{cache}/{name}"));
            Some((part("level")?, part("type")?, bytes(&part("size")?)?))
        });
        let caches: Vec<(String, String, u64)> = caches.collect();
        let cache = |wanted: &str| {
            let mut own =
                caches.iter().filter(|(level, kind, _)| level == wanted && kind != "Instruction");
            own.next().map(|(.., bytes)| *bytes)
        };
        Self {
            cpu: field(&cpuinfo, "model name").map(str::to_owned),
            cores: thread::available_parallelism().ok().map(usize::from),
            l1d_bytes: cache("1"),
            l2_bytes: cache("2"),
            l3_bytes: cache("3"),
            kernel: line("proc/sys/kernel/osrelease"),
            governor: line("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            simd: SIMD.into_iter().filter(|level| features.contains(level)).collect(),
            version: env!("CARGO_PKG_VERSION"),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
        }
    }
}

/// The value of the first line `name : value` of /proc/cpuinfo.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(before, _)| before.trim() == name);
    found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

/// Parses a cache size such as `32K`, `1024K` or `16M`.
fn bytes(text: &str) -> Option<u64> {
    let (number, shift) = match (text.strip_suffix('K'), text.strip_suffix('M')) {
        (Some(number), _) => (number, 10),
        (_, Some(number)) => (number, 20),
        _ => (text, 0),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cpu.as_deref().unwrap_or("unknown processor"))?;
        if let Some(cores) = self.cores {
            write!(f, ", {cores} cores")?;
        }
        let caches = [("L1d", self.l1d_bytes), ("L2", self.l2_bytes), ("L3", self.l3_bytes)];
        for (name, bytes) in caches.iter().filter_map(|(name, bytes)| Some((name, (*bytes)?))) {
            write!(f, ", {name} {} KiB", bytes / 1024)?;
        }
        if let Some(widest) = self.simd.last() {
            write!(f, ", {widest}")?;
        }
        if let Some(kernel) = &self.kernel {
            write!(f, ", Linux {kernel}")?;
        }
        if let Some(governor) = &self.governor {
            write!(f, ", governor {governor}")?;
        }
        write!(f, "; traffic-mirror {} ({})", self.version, self.profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Machine { cores: Some(2), ..Machine::read_from(folder.path()) }
    }

    #[test]
    fn everything_that_the_kernel_reports_is_read() {
        let cpu = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx avx2\n";
        let cache = "sys/devices/system/cpu/cpu0/cache";
        let [code, l1d, l2, l3] = [0, 1, 2, 3].map(|n| format!("{cache}/index{n}"));
        let file = |folder: &str, name: &str| format!("{folder}/{name}");
        let mut files = vec![
            ("proc/cpuinfo".to_owned(), cpu),
            ("proc/sys/kernel/osrelease".to_owned(), "6.1.0\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor".to_owned(), "performance\n"),
        ];
        for (folder, level, kind, size) in [
            (&l1d, "1\n", "Data\n", "32K\n"),
            (&code, "1\n", "Instruction\n", "64K\n"),
            (&l2, "2\n", "Unified\n", "1024K\n"),
            (&l3, "3\n", "Unified\n", "32M\n"),
        ] {
            files.push((file(folder, "level"), level));
            files.push((file(folder, "type"), kind));
            files.push((file(folder, "size"), size));
        }
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let machine = machine(&files);
        let text = machine.to_string();
        let start = "Some CPU @ 2 GHz, 2 cores, L1d 32 KiB, L2 1024 KiB, L3 32768 KiB, avx2, \
                     Linux 6.1.0, governor performance; traffic-mirror ";
        assert!(text.starts_with(start), "{text}");
        assert_eq!(machine.simd, ["avx", "avx2"]);
    }

    #[test]
    fn unknown_fields_are_omitted() {
        let machine = machine(&[("proc/cpuinfo", "model name :\nflags\n")]);
        assert!(machine.to_string().starts_with("unknown processor, 2 cores; traffic-mirror "));
        let json = serde_json::to_value(&machine).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["cores", "profile", "simd", "version"]);
    }

    #[test]
    fn cache_sizes_are_parsed() {
        assert_eq!(["48K", "2M", "512"].map(bytes), [Some(49_152), Some(2 << 20), Some(512)]);
        assert_eq!(["", "K", "-1K", "99999999999999999999M"].map(bytes), [None; 4]);
    }
}
