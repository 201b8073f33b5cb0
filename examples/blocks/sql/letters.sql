SELECT key AS id, result AS answer FROM results ORDER BY id
