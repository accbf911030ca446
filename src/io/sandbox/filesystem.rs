//! Restricts the files that can be opened with Landlock (landlock(7)).

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::rights::{NetworkAccess, Sandbox};

/// The newest version of Landlock whose rights are used here. An older kernel enforces the rights
/// that it supports.
const LANDLOCK_ABI: ABI = ABI::V6;

/// Restricts the calling thread.
pub(super) fn restrict(sandbox: &Sandbox) -> Result<(), String> {
    let status = ruleset(sandbox).and_then(RulesetCreated::restrict_self);
    match status.map(|status| status.ruleset) {
        Ok(RulesetStatus::NotEnforced) => Err("the kernel has no Landlock".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("Landlock: {error}")),
    }
}

fn ruleset(sandbox: &Sandbox) -> Result<RulesetCreated, RulesetError> {
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .scope(scopes(sandbox.network))?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::WriteFile | AccessFs::Truncate;
    let all = read | write | AccessFs::MakeReg | AccessFs::RemoveFile;
    let ports = sandbox.ports.iter().map(|port| Ok(NetPort::new(*port, AccessNet::BindTcp)));
    ruleset
        .create()?
        .add_rules(rules(&sandbox.readable, read))?
        .add_rules(rules(&sandbox.writable, write))?
        .add_rules(rules(&sandbox.folders, all))?
        .add_rules(rules(&sandbox.parents, AccessFs::RemoveDir.into()))?
        .add_rules(ports)
}

/// Denies signals to processes outside the sandbox, and connections to abstract UNIX sockets unless
/// the service manager listens on one.
fn scopes(network: NetworkAccess) -> BitFlags<Scope> {
    let is_abstract = std::env::var("NOTIFY_SOCKET").is_ok_and(|name| name.starts_with('@'));
    match network {
        NetworkAccess::Serve if is_abstract => Scope::Signal.into(),
        _ => Scope::Signal | Scope::AbstractUnixSocket,
    }
}

/// A rule for each existing path. A file gets only the rights that apply to files.
fn rules(
    paths: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> impl Iterator<Item = Result<PathBeneath<PathFd>, RulesetError>> {
    landlock::path_beneath_rules(paths, access)
}
