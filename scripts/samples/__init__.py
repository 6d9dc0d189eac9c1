"""What scripts/draw_samples draws with and what it draws."""
