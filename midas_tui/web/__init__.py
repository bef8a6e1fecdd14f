"""The browser door: `midas-tui --serve` shows the terminal in a browser, and to nobody else."""
