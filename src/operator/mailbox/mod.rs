//! Mailboxes and domains: events folded into an index, compiled into the directory.
