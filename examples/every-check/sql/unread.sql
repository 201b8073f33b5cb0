SELECT key FROM output WHERE result IS NULL
