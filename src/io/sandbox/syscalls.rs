//! Restricts the system calls of the process with seccomp (seccomp(2)).
//!
//! This is an allow list. Every other call returns `ENOSYS`, as if the kernel did not have it, so
//! that the C library falls back to an older call. The process cannot start programs, trace
//! processes, enter namespaces, load modules, mount file systems, or make memory executable.
//!
//! A call whose arguments are not checked has almost no overhead: the kernel determines once that
//! it is always allowed, stores this in a bitmap (`seccomp_cache_prepare`) and does not run the
//! filter. All calls of the hot path are of this kind.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::rights::{KernelTier, NetworkAccess};

/// The calls that every task needs.
const ALWAYS_ALLOWED: &[i64] = &[
    // Files. Landlock restricts which of them can be opened.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_lseek,
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_statfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_fadvise64,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_fchmod,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_copy_file_range,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // Threads and the process itself.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_prctl,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_getcpu,
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrusage,
    libc::SYS_getrlimit,
    libc::SYS_setrlimit,
    libc::SYS_prlimit64,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_capget,
    // Signals, time, and waiting.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_signalfd4,
];

/// Older forms of the calls above, which only some architectures have.
#[cfg(target_arch = "x86_64")]
const LEGACY: &[i64] = &[
    libc::SYS_arch_prctl,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_pause,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: &[i64] = &[];

/// Additional calls for sending.
const SEND_CALLS: &[i64] = &[
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
];

/// Additional calls for serving. A pair of sockets carries signals.
const SERVE_CALLS: &[i64] =
    &[libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_socketpair];

/// The permitted address families of sockets.
const ADDRESS_FAMILIES: [libc::c_int; 5] =
    [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET];

/// `TIOCSTI` and `TIOCLINUX` of `asm-generic/ioctls.h`, which insert text into the input of a
/// terminal. They are denied.
const TERMINAL_INPUT_REQUESTS: [u64; 2] = [0x5412, 0x541c];

/// The permitted commands of bpf(2): BPF_MAP_CREATE, BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM,
/// BPF_PROG_LOAD, BPF_PROG_TEST_RUN, BPF_OBJ_GET_INFO_BY_FD, BPF_BTF_LOAD, BPF_LINK_CREATE and
/// BPF_LINK_UPDATE.
const BPF_COMMANDS: [u64; 9] = [0, 1, 2, 5, 10, 15, 18, 28, 29];

/// Restricts the calling thread.
pub(super) fn restrict(network: NetworkAccess, tier: KernelTier) -> Result<(), String> {
    let program = program(network, tier).map_err(|error| format!("seccomp: {error}"))?;
    seccompiler::apply_filter(&program).map_err(|error| format!("seccomp: {error}"))
}

fn program(network: NetworkAccess, tier: KernelTier) -> Result<BpfProgram, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let unknown = SeccompAction::Errno(u32::from_ne_bytes(libc::ENOSYS.to_ne_bytes()));
    let mut rules = rules(network)?;
    if tier == KernelTier::Allowed {
        let commands = BPF_COMMANDS.map(|command| (0, SeccompCmpOp::Eq, command));
        let commands = commands.map(|one| rule([condition(one)]));
        rules.insert(libc::SYS_bpf, commands.into_iter().collect::<Result<_, _>>()?);
    }
    SeccompFilter::new(rules, unknown, SeccompAction::Allow, architecture)?.try_into()
}

fn rules(network: NetworkAccess) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let calls: &[&[i64]] = match network {
        NetworkAccess::None => &[ALWAYS_ALLOWED, LEGACY],
        NetworkAccess::Send => &[ALWAYS_ALLOWED, LEGACY, SEND_CALLS],
        NetworkAccess::Serve => &[ALWAYS_ALLOWED, LEGACY, SEND_CALLS, SERVE_CALLS],
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        calls.iter().copied().flatten().map(|call| (*call, Vec::new())).collect();
    let no_terminal_input =
        TERMINAL_INPUT_REQUESTS.map(|request| (1, SeccompCmpOp::Ne, request)).map(condition);
    rules.insert(libc::SYS_ioctl, vec![rule(no_terminal_input)?]);
    let executable = to_u64(libc::PROT_EXEC);
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let condition = condition((2, SeccompCmpOp::MaskedEq(executable), 0));
        rules.insert(call, vec![rule([condition])?]);
    }
    // Threads in the namespaces of this process. The filter cannot check the flags of clone3, which
    // is therefore denied; the C library then uses clone.
    let thread = to_u64(libc::CLONE_THREAD);
    let flags = thread | namespace_flags();
    let condition_of_thread = condition((0, SeccompCmpOp::MaskedEq(flags), thread));
    rules.insert(libc::SYS_clone, vec![rule([condition_of_thread])?]);
    if network != NetworkAccess::None {
        let families = ADDRESS_FAMILIES.map(to_u64).map(|family| (0, SeccompCmpOp::Eq, family));
        let families = families.map(|one| rule([condition(one)]));
        rules.insert(libc::SYS_socket, families.into_iter().collect::<Result<_, _>>()?);
    }
    Ok(rules)
}

fn rule<const N: usize>(
    conditions: [Result<SeccompCondition, BackendError>; N],
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

/// A condition on the lower 32 bits of an argument.
fn condition(
    (argument, operator, value): (u8, SeccompCmpOp, u64),
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

/// The flags of clone(2) that create namespaces.
fn namespace_flags() -> u64 {
    [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ]
    .into_iter()
    .map(to_u64)
    .fold(0, std::ops::BitOr::bitor)
}

/// Converts a constant of the C library, which is not negative.
fn to_u64(value: libc::c_int) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
