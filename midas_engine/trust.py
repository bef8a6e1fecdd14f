"""Consent to what a settings file of the working folder asks for."""
