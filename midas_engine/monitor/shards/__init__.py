"""Live watching in shards: the features' windows in local processes, what they need reckoned before any is started."""
