"""Where files meet the engine: pictures and a recipe in, a run or a finished picture out."""
