//! The only code that writes to the API: server-side apply, pruning, the lease, events.
