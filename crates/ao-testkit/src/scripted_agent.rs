//! scripted_agent
