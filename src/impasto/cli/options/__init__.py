"""Options that several commands share, and the meaning of their values."""
