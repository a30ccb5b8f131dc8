//! The image of each daemon, as the operator's environment names them (the chart sets it).

use clap::Args;

/// References of the images that pods run. One Rust image, and one for each daemon.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Image of the operator and the agent.
    #[arg(long, env = "IMAGE_OPERATOR")]
    pub operator: String,
    /// Image of Postfix.
    #[arg(long, env = "IMAGE_POSTFIX")]
    pub postfix: String,
    /// Image of nginx.
    #[arg(long, env = "IMAGE_NGINX")]
    pub nginx: String,
    /// Image of Cyrus.
    #[arg(long, env = "IMAGE_CYRUS")]
    pub cyrus: String,
    /// Image of Rspamd.
    #[arg(long, env = "IMAGE_RSPAMD")]
    pub rspamd: String,
    /// Image of ClamAV.
    #[arg(long, env = "IMAGE_CLAMAV")]
    pub clamav: String,
    /// Image of Valkey.
    #[arg(long, env = "IMAGE_VALKEY")]
    pub valkey: String,
}
