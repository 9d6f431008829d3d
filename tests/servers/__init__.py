"""Real servers that tests meet: each started in a temporary folder, on loopback, and stopped."""
