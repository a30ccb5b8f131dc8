//! What daemons ask: socketmap, saslauthd, `auth_http`.
