"""The service, `midas run`: one process holds a base, watches, discovers on a schedule, and serves many doors."""
