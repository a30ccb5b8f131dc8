//! nginx of the gateway, `nginx.conf`: the IMAP and POP3 proxy in front of the stores.
//!
//! The packaged `nginx.conf` is not read. The agent (`auth_http`) says who a client is and which store serves it, and
//! replaces the password by a token. Logs go to standard error, and nothing is written but `/tmp`.

use super::{Files, files, fill};
use crate::names::ports;

/// What differs between systems.
#[derive(Clone, Copy, Debug)]
pub struct Nginx<'a> {
    /// The name in greetings.
    pub hostname: &'a str,
}

/// All files.
#[must_use]
pub fn render(input: &Nginx) -> Files {
    files([(
        "nginx.conf",
        fill(
            include_str!("templates/nginx/nginx.conf"),
            &[
                ("hostname", input.hostname),
                ("auth_port", &ports::AUTH_HTTP.to_string()),
                ("imaps_port", &ports::PROXY_IMAPS.to_string()),
                ("pop3s_port", &ports::PROXY_POP3S.to_string()),
            ],
        ),
    )])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::config::listing;

    #[test]
    fn nginx_files_are_these() {
        insta::assert_snapshot!(listing(&render(&Nginx { hostname: "mail.angiang.gov.vn" })));
    }
}
