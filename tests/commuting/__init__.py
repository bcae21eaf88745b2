"""Whether operations that the analysis calls commuting do commute: on a real database, with rows, both ways round."""
