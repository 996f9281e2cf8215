//! The write path: one function for each thing that is written as a whole.

mod children;
mod commit;
mod others;

pub(crate) use commit::commit;
pub(crate) use others::{
    add_project, deliver, finish, mark_read, next_session_id, open_incident, remove,
    remove_project, skip_session_ids,
};
