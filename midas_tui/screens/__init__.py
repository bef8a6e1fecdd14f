"""The five modes."""
