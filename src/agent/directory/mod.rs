//! The agents' copy of the directory.
