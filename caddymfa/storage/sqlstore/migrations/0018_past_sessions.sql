-- What ended a session before its time, so that people can be shown their past
-- ones. A session that went on under another id is none of those.

ALTER TABLE sessions ADD COLUMN ended TEXT NOT NULL DEFAULT '';

UPDATE sessions SET ended = 'replaced' WHERE revoked_at <> 0 AND EXISTS (SELECT 1 FROM sessions later
    WHERE later.user_id = sessions.user_id AND later.created_at = sessions.created_at AND later.id <> sessions.id
        AND later.seen_at >= sessions.revoked_at);
