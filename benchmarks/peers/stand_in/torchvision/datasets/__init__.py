"""Names of what pystiche imports and never calls here."""
