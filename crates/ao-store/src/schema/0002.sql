-- When a message began to be typed: evidence from before is not about it.
ALTER TABLE messages ADD COLUMN typing_at TEXT;
