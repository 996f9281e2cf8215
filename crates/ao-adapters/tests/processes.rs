//! The contract of its port, and what only the real thing can show.
