//! Where the stores are. A shard's number comes in, the address of its pod goes out.

use std::{io, net::SocketAddr, sync::Arc};

use crate::agent::resolver::Resolver;

/// The stores' host names, and what is known of them. Clones share it.
#[derive(Clone, Debug)]
pub struct Stores {
    /// With `{shard}` in place of the number.
    pattern: Arc<str>,
    resolver: Resolver,
}

impl Stores {
    /// Stores whose names follow this pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self { pattern: pattern.into(), resolver: Resolver::default() }
    }

    /// The address of `port` of the pod that serves `shard`.
    ///
    /// # Errors
    /// The pod cannot be found, and never could: see [`Resolver::lookup`].
    pub async fn locate(&self, shard: u32, port: u16) -> io::Result<SocketAddr> {
        let found = self.resolver.lookup(&self.pattern.replace("{shard}", &shard.to_string())).await?;
        let address = found.first().ok_or(io::ErrorKind::NotFound)?;
        Ok((*address, port).into())
    }
}
