"""Other people's programs, run as they are, to be compared with; none of their code is here."""
