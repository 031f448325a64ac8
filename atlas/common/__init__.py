"""What every package may use: errors, paths, the log, the standard streams and CPU cores. Standard library only."""
