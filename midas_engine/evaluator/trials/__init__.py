"""The trial ledger, the sealed looks and what they cost."""
