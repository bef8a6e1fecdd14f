"""The Midas terminal: sees the engine only through its public names."""
