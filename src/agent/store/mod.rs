//! The store's agent: door, provisioning, supervision of Cyrus.
