//! The MailSystem controller.
