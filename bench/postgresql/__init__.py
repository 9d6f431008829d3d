"""Speed on PostgreSQL: a real server, on disk and safe against crashes, the same for both sides."""
