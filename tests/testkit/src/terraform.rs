//! Where Terraform and its AWS provider are, and how they run without a registry and a user's
//! settings.

use std::path::Path;
use std::process::Command;

/// Folders with `registry.terraform.io/hashicorp/aws`, as `terraform providers mirror` makes them,
/// after that of the variable `TERRAFORM_MIRROR`.
const MIRRORS: [&str; 3] =
    ["/opt/tf-plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins"];

/// The file with the settings of Terraform, in the folder of the configuration.
const RC: &str = "rc";

/// The folder with the AWS provider. None if it or `terraform` is not installed.
pub fn installed() -> Option<String> {
    let version = Command::new("terraform").arg("version").output();
    version.ok().filter(|output| output.status.success())?;
    let named = std::env::var("TERRAFORM_MIRROR").ok();
    let mut folders = named.into_iter().chain(MIRRORS.map(str::to_owned));
    folders.find(|folder| Path::new(folder).join("registry.terraform.io/hashicorp/aws").is_dir())
}

/// Writes the settings that install the provider from a folder.
pub fn write_rc(folder: &Path, mirror: &str) {
    let rc =
        format!("provider_installation {{\n filesystem_mirror {{\n path = {mirror:?}\n }}\n}}");
    std::fs::write(folder.join(RC), rc).unwrap();
}

/// Runs `terraform` in a folder, with the settings of [`write_rc`], with credentials that are
/// accepted by an endpoint without authentication, and without the variables of the user.
pub fn isolate(command: &mut Command, folder: &Path) {
    let outer = std::env::vars().map(|(name, _)| name);
    for name in outer.filter(|name| name.starts_with("AWS_") || name.starts_with("TF_")) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("TF_CLI_CONFIG_FILE", folder.join(RC))
        .envs([("CHECKPOINT_DISABLE", "1"), ("TF_IN_AUTOMATION", "1")])
        .envs([("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")])
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .env("AWS_REGION", "eu-west-1");
}
