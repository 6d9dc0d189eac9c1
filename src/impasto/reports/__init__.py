"""What a run reports: events, progress and advice. No torch."""
