"""What a run says, for the programs that people compare runs with; each reads a run's events as any watcher does."""
