"""Takes usage from a process to the collector: spool, dead letters, sender."""
