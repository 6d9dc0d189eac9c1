"""What a run reports: events, advice and the amount of work. Nothing here imports torch."""
