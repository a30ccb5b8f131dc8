//! Protocols that the mail daemons speak: bytes in, typed values out. No sockets, no panics, bounded sizes.
