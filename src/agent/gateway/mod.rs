//! The gateway's agent: gate and router.
