//! `kubectl mail`, as an administrator of the tests' namespace runs it, with the kubeconfig of the tests.

use std::process::{Command, Output};

use crate::world::World;

pub(crate) fn kubectl_mail(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-mail"));
    command.args(["-n", &world.namespace]).args(arguments).output().unwrap()
}
