"""Search below the model: typed trees, screening as one family, and an archive of elites that outlives a session."""
