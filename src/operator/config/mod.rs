//! One renderer for each configuration file of the mail daemons. Pure.
